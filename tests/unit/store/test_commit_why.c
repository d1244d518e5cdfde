/* SPDX-License-Identifier: Apache-2.0 */
#include "store/commit_why.h"

#include "support/test.h"

#include <stdlib.h>

static char words[STORE_NOTE_TEXT_MAX + 100];

/* A commit that says why, in exactly the bytes it takes. */
static struct store_commit *some_commit(const struct store_note *why, unsigned n_events)
{
    struct store_commit *commit =
        calloc(1, sizeof(*commit) + n_events * sizeof(commit->events[0]) + commit_why_bytes(why));
    expect_true(commit != NULL);
    commit->revision = 7;
    commit->wall_ms = 1000;
    commit->n_events = n_events;
    commit_why_set(commit, why);
    return commit;
}

static void a_clients_words_come_back(void)
{
    for (unsigned n_events = 1; n_events < 5; n_events++) {
        struct store_note why = {.actor = SLICE_LIT("etcd 10.0.0.7:51334"), .cause = SLICE_LIT("tidying")}, got;
        struct store_commit *commit = some_commit(&why, n_events);
        expect_int(commit_why_bytes(&why), why.actor.len + why.cause.len); /* and no byte more */
        store_commit_why(commit, &got);
        expect_int(got.kind, STORE_NOTE_CHANGED);
        expect_int(got.revision, 7);
        expect_int(got.wall_ms, 1000);
        expect_bytes(got.actor, why.actor);
        expect_bytes(got.cause, why.cause);
        expect_int(got.subject.len, 0);
        free(commit);
    }
}

static void a_lease_that_ended_is_named(void)
{
    struct store_note got;
    struct store_note expired = {.kind = STORE_NOTE_EXPIRED, .lease = INT64_MIN, .silence_ms = INT64_MAX};
    struct store_note revoked = {.kind = STORE_NOTE_REVOKED, .lease = 9, .actor = SLICE_LIT("user root")};
    struct store_commit *commit = some_commit(&expired, 3);
    store_commit_why(commit, &got);
    expect_int(got.kind, STORE_NOTE_EXPIRED);
    expect_int(got.lease, INT64_MIN);
    expect_int(got.silence_ms, INT64_MAX);
    expect_int(got.actor.len, 0);
    free(commit);
    commit = some_commit(&revoked, 1);
    store_commit_why(commit, &got);
    expect_int(got.kind, STORE_NOTE_REVOKED);
    expect_int(got.lease, 9);
    expect_slice(got.actor, "user root");
    free(commit);
}

static void long_words_are_cut(void)
{
    memset(words, 'w', sizeof(words));
    struct store_note why = {.actor = slice_from(words, STORE_NOTE_TEXT_MAX),
                             .cause = slice_from(words, sizeof(words))};
    struct store_note got;
    struct store_commit *commit = some_commit(&why, 1);
    store_commit_why(commit, &got);
    expect_int(got.actor.len, STORE_NOTE_TEXT_MAX);
    expect_bytes(got.cause, slice_from(words, STORE_NOTE_TEXT_MAX));
    free(commit);
}

static void nobody_is_an_answer_too(void)
{
    struct store_note got;
    struct store_commit *commit = some_commit(NULL, 2);
    store_commit_why(commit, &got);
    expect_int(got.kind, STORE_NOTE_CHANGED);
    expect_int(got.actor.len + got.cause.len, 0);
    free(commit);
}

static const struct test_case cases[] = {
    {"a client's words come back", a_clients_words_come_back},
    {"a lease that ended is named", a_lease_that_ended_is_named},
    {"long words are cut", long_words_are_cut},
    {"nobody is an answer, too", nobody_is_an_answer_too},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
