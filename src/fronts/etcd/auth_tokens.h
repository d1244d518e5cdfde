/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens: what a client shows instead of its password. Each stands for a session (auth_model.h), is made of bytes that
 * nobody can guess, and is good for five minutes from its last use. They are in memory only: after a restart clients
 * authenticate again, as with etcd.
 *
 * There is room for a number of them; when it is used up, the one that has not been used for the longest time goes.
 */
#pragma once

#include "base/rcu.h"
#include "base/slice.h"
#include "base/time.h"

#define AUTH_TOKEN_LIFE_NS (300 * NSEC_PER_SEC)
#define AUTH_TOKENS_MAX    16384

/* 128 bits in hex, '.', its place. */
#define AUTH_TOKEN_TEXT_MAX 40

struct auth_token;

struct auth_tokens {
    struct rcu_domain *rcu;
    pthread_mutex_t lock; /* of those who issue */
    _Atomic(struct auth_token *) *places;
};

/* 0 or -ENOMEM. The domain is the one that all who ask are readers of. */
int auth_tokens_init(struct auth_tokens *tokens, struct rcu_domain *rcu);
/* Nobody asks any more. Accepts what is zeroed. */
void auth_tokens_deinit(struct auth_tokens *tokens);

/* A new one, with a NUL. 0, -ENOMEM, or the -errno of getrandom(2). Any thread. */
int auth_tokens_issue(struct auth_tokens *tokens, uint64_t session, nsec_t now_ns, char ret_text[AUTH_TOKEN_TEXT_MAX]);

/* Whose it is, and it lives on; 0: nobody's. Any RCU reader; takes no lock, and no longer for a near miss. */
uint64_t auth_tokens_find(struct auth_tokens *tokens, struct slice text, nsec_t now_ns);
