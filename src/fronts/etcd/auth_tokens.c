/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token's text says where it lies, so it is found without a search, and what is secret is compared in one pass over
 * all bytes. A place is written under the lock and read without; what it held is freed after a grace period.
 */
#include "fronts/etcd/auth_tokens.h"

#include "base/random.h"
#include "base/util.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#define SECRET_BYTES 16
#define SECRET_TEXT  (2 * SECRET_BYTES)

struct auth_token {
    struct rcu_node rcu;
    uint64_t session;
    _Atomic nsec_t expires_ns;
    char secret[SECRET_TEXT];
};

int auth_tokens_init(struct auth_tokens *tokens, struct rcu_domain *rcu)
{
    tokens->places = calloc(AUTH_TOKENS_MAX, sizeof(tokens->places[0]));
    if (!tokens->places)
        return -ENOMEM;
    tokens->rcu = rcu;
    pthread_mutex_init(&tokens->lock, NULL);
    return 0;
}

void auth_tokens_deinit(struct auth_tokens *tokens)
{
    if (!tokens->places)
        return;
    for (size_t i = 0; i < AUTH_TOKENS_MAX; i++)
        free(atomic_load_explicit(&tokens->places[i], memory_order_relaxed));
    free(tokens->places);
    pthread_mutex_destroy(&tokens->lock);
}

static void free_token(struct rcu_node *node)
{
    free(container_of(node, struct auth_token, rcu));
}

/* One that is free, or whose token is out of date, or else was used the longest ago. Under the lock. */
static size_t pick_place(struct auth_tokens *tokens, nsec_t now_ns)
{
    size_t best = 0;
    nsec_t best_expires_ns = NSEC_NEVER;
    for (size_t i = 0; i < AUTH_TOKENS_MAX; i++) {
        struct auth_token *token = atomic_load_explicit(&tokens->places[i], memory_order_relaxed);
        nsec_t expires_ns = token ? atomic_load_explicit(&token->expires_ns, memory_order_relaxed) : 0;
        if (expires_ns <= now_ns)
            return i;
        if (expires_ns < best_expires_ns) {
            best = i;
            best_expires_ns = expires_ns;
        }
    }
    return best;
}

static int make_secret(char secret[SECRET_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[SECRET_BYTES];
    int r = random_system(bytes, sizeof(bytes));
    for (size_t i = 0; r == 0 && i < sizeof(bytes); i++) {
        secret[2 * i] = digits[bytes[i] >> 4];
        secret[2 * i + 1] = digits[bytes[i] & 15];
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return r;
}

int auth_tokens_issue(struct auth_tokens *tokens, uint64_t session, nsec_t now_ns, char ret_text[AUTH_TOKEN_TEXT_MAX])
{
    struct auth_token *token = calloc(1, sizeof(*token));
    int r = token ? make_secret(token->secret) : -ENOMEM;
    if (r < 0) {
        free(token);
        return r;
    }
    token->session = session;
    atomic_init(&token->expires_ns, now_ns + AUTH_TOKEN_LIFE_NS);
    pthread_mutex_lock(&tokens->lock);
    size_t place = pick_place(tokens, now_ns);
    struct auth_token *old = atomic_load_explicit(&tokens->places[place], memory_order_relaxed);
    (void)snprintf(ret_text, AUTH_TOKEN_TEXT_MAX, "%.*s.%zu", SECRET_TEXT, token->secret, place);
    rcu_publish(&tokens->places[place], token);
    pthread_mutex_unlock(&tokens->lock);
    if (old)
        rcu_retire(tokens->rcu, &old->rcu, free_token);
    return 0;
}

uint64_t auth_tokens_find(struct auth_tokens *tokens, struct slice text, nsec_t now_ns)
{
    uint64_t place;
    if (text.len < SECRET_TEXT + 2 || text.ptr[SECRET_TEXT] != '.' ||
        slice_parse_u64(slice_skip(text, SECRET_TEXT + 1), &place) < 0 || place >= AUTH_TOKENS_MAX)
        return 0;
    struct auth_token *token = rcu_read(&tokens->places[place]);
    if (!token || CRYPTO_memcmp(token->secret, text.ptr, SECRET_TEXT) != 0 ||
        atomic_load_explicit(&token->expires_ns, memory_order_relaxed) <= now_ns)
        return 0;
    nsec_t expires_ns = now_ns + AUTH_TOKEN_LIFE_NS;
    /* Once a second is enough: a token that all workers use is not to be written by each of their calls. */
    if (atomic_load_explicit(&token->expires_ns, memory_order_relaxed) < expires_ns - NSEC_PER_SEC)
        atomic_store_explicit(&token->expires_ns, expires_ns, memory_order_relaxed);
    return token->session;
}
