/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: who has one, and for how long. */
#include "fronts/etcd/auth_tokens.h"
#include "support/test.h"

#include <pthread.h>
#include <stdlib.h>

static void issue(struct auth_tokens *tokens, uint64_t session, nsec_t now_ns, char text[AUTH_TOKEN_TEXT_MAX])
{
    expect_int(auth_tokens_issue(tokens, session, now_ns, text), 0);
}

static uint64_t find(struct auth_tokens *tokens, const char *text, nsec_t now_ns)
{
    return auth_tokens_find(tokens, slice_from_str(text), now_ns);
}

struct fixture {
    struct rcu_domain rcu;
    struct auth_tokens tokens;
};

static void begin(struct fixture *fixture)
{
    rcu_init(&fixture->rcu);
    expect_int(auth_tokens_init(&fixture->tokens, &fixture->rcu), 0);
}

static void end(struct fixture *fixture)
{
    auth_tokens_deinit(&fixture->tokens);
    rcu_deinit(&fixture->rcu);
}

static void a_token_is_its_session(void)
{
    struct fixture fixture;
    char one[AUTH_TOKEN_TEXT_MAX], two[AUTH_TOKEN_TEXT_MAX];
    begin(&fixture);
    issue(&fixture.tokens, 7, 1, one);
    issue(&fixture.tokens, 8, 1, two);
    expect_int(find(&fixture.tokens, one, 2), 7);
    expect_int(find(&fixture.tokens, two, 2), 8);
    end(&fixture);
}

static void anything_else_is_nobody(void)
{
    static const char *const texts[] = {
        "",
        ".",
        "abc.1",
        "00000000000000000000000000000000",
        "00000000000000000000000000000000.",
        "00000000000000000000000000000000.0",
        "00000000000000000000000000000000.16384",
        "00000000000000000000000000000000.99999999999999999999",
        "00000000000000000000000000000000.-1",
        "00000000000000000000000000000000.9",
    };
    struct fixture fixture;
    char text[AUTH_TOKEN_TEXT_MAX];
    begin(&fixture);
    issue(&fixture.tokens, 7, 1, text);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        expect_int(find(&fixture.tokens, texts[i], 2), 0);
    for (size_t i = 0; text[i]; i++) { /* each character counts */
        char other[AUTH_TOKEN_TEXT_MAX];
        memcpy(other, text, sizeof(other));
        other[i] = other[i] == '1' ? '2' : '1';
        expect_int(find(&fixture.tokens, other, 2), 0);
    }
    end(&fixture);
}

static void a_token_lives_from_its_last_use(void)
{
    struct fixture fixture;
    char text[AUTH_TOKEN_TEXT_MAX];
    nsec_t now_ns = 5;
    begin(&fixture);
    issue(&fixture.tokens, 7, now_ns, text);
    for (int i = 0; i < 5; i++) {
        now_ns += AUTH_TOKEN_LIFE_NS - 2 * NSEC_PER_SEC;
        expect_int(find(&fixture.tokens, text, now_ns), 7);
    }
    expect_int(find(&fixture.tokens, text, now_ns + AUTH_TOKEN_LIFE_NS), 0);
    end(&fixture);
}

static void when_all_places_are_taken_the_idlest_goes(void)
{
    struct fixture fixture;
    char(*texts)[AUTH_TOKEN_TEXT_MAX] = calloc(AUTH_TOKENS_MAX + 1, sizeof(*texts));
    expect_true(texts != NULL);
    begin(&fixture);
    for (size_t i = 0; i < AUTH_TOKENS_MAX; i++)
        issue(&fixture.tokens, i + 1, (nsec_t)i, texts[i]);
    const nsec_t later_ns = 10 * NSEC_PER_SEC;
    expect_int(find(&fixture.tokens, texts[0], later_ns), 1); /* was used now; the second is the idlest */
    issue(&fixture.tokens, 99999, later_ns, texts[AUTH_TOKENS_MAX]);
    expect_int(find(&fixture.tokens, texts[AUTH_TOKENS_MAX], later_ns), 99999);
    expect_int(find(&fixture.tokens, texts[0], later_ns), 1);
    expect_int(find(&fixture.tokens, texts[1], later_ns), 0);
    expect_int(find(&fixture.tokens, texts[2], later_ns), 3);
    end(&fixture);
    free(texts);
}

/* ------------------------------------------------------------------------------------------------ threads */

struct asker {
    struct fixture *fixture;
    const char *text;
    _Atomic bool *is_over;
};

static void *ask(void *arg)
{
    struct asker *asker = arg;
    struct rcu_reader reader;
    rcu_register(&asker->fixture->rcu, &reader);
    rcu_online(&reader);
    nsec_t now_ns = 1;
    while (!atomic_load(asker->is_over)) {
        expect_int(find(&asker->fixture->tokens, asker->text, now_ns += NSEC_PER_SEC / 10), 7);
        rcu_quiescent(&reader);
    }
    rcu_offline(&reader);
    rcu_unregister(&reader);
    return NULL;
}

static void tokens_are_found_while_others_come_and_go(void)
{
    struct fixture fixture;
    char text[AUTH_TOKEN_TEXT_MAX], other[AUTH_TOKEN_TEXT_MAX];
    _Atomic bool is_over = false;
    pthread_t thread;
    begin(&fixture);
    issue(&fixture.tokens, 7, 1, text);
    struct asker asker = {&fixture, text, &is_over};
    expect_int(pthread_create(&thread, NULL, ask, &asker), 0);
    for (nsec_t lives = -2000; lives < 0; lives++) {
        /* long ago, and a life apart: each takes the place of the one before */
        issue(&fixture.tokens, 8, lives * AUTH_TOKEN_LIFE_NS, other);
        (void)rcu_reclaim(&fixture.rcu);
    }
    atomic_store(&is_over, true);
    expect_int(pthread_join(thread, NULL), 0);
    end(&fixture);
}

static const struct test_case cases[] = {
    {"a token is its session's", a_token_is_its_session},
    {"anything else is nobody's", anything_else_is_nobody},
    {"a token lives for five minutes from its last use", a_token_lives_from_its_last_use},
    {"when all places are taken the idlest token goes", when_all_places_are_taken_the_idlest_goes},
    {"tokens are found while others come and go", tokens_are_found_while_others_come_and_go},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
