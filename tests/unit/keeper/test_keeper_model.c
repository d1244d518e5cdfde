/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents and notes of the whole store; and many requests of all kinds under way, against a model, through restarts,
 * snapshots and compactions.
 */
#include "support/keeper_kit.h"

#include <stdio.h>

static enum store_outcome change_doc(struct keeper_kit *kit, const char *name, const char *value, int64_t expected,
                                     int64_t *ret_version)
{
    struct keeper_asked asked = {.request = {.type = STORE_DOC, .doc = {.name = slice_from_str(name)}}};
    asked.request.doc.value = slice_from_str(value ? value : "");
    asked.request.doc.remove = !value;
    asked.request.doc.expected_version = expected;
    enum store_outcome outcome = keeper_kit_ask(kit, &asked);
    *ret_version = asked.request.doc_version;
    return outcome;
}

static bool see_doc(void *ctx, struct slice name, struct slice value, int64_t version)
{
    buf_printf(ctx, "%.*s=%.*s@%d ", SLICE_ARG(name), SLICE_ARG(value), (int)version);
    return true;
}

static void expect_docs(struct keeper_kit *kit, const char *prefix, const char *expected)
{
    struct buf text = {0};
    loop_settle(kit->loop);
    expect_int(store_docs(kit->store, slice_from_str(prefix), see_doc, &text), 0);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}

static void documents_are_kept_with_their_versions(void)
{
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    int64_t version;
    expect_int(change_doc(&kit, "user/a", "1", 0, &version), STORE_OK);
    expect_int(version, 1);
    expect_int(change_doc(&kit, "user/a", "2", 0, &version), STORE_CONFLICT);
    expect_int(version, 1);
    expect_int(change_doc(&kit, "user/a", "2", 1, &version), STORE_OK);
    expect_int(change_doc(&kit, "user/b", "", -1, &version), STORE_OK);
    expect_int(change_doc(&kit, "role/c", "x", -1, &version), STORE_OK);
    expect_int(change_doc(&kit, "role/d", "x", 3, &version), STORE_CONFLICT);
    expect_int(version, 0);
    expect_docs(&kit, "user/", "user/a=2@2 user/b=@1 ");
    expect_int(keeper_kit_revision(&kit), 1); /* no client of keys sees them */

    keeper_kit_reopen(&kit);
    expect_docs(&kit, "", "role/c=x@1 user/a=2@2 user/b=@1 ");
    expect_int(change_doc(&kit, "user/b", NULL, 2, &version), STORE_CONFLICT);
    expect_int(change_doc(&kit, "user/b", NULL, 1, &version), STORE_OK);
    expect_int(version, 0);
    expect_int(change_doc(&kit, "user/b", NULL, -1, &version), STORE_OK);
    expect_int(change_doc(&kit, "user/a", "3", 2, &version), STORE_OK);
    expect_int(version, 3);
    keeper_kit_reopen(&kit);
    expect_docs(&kit, "", "role/c=x@1 user/a=3@3 ");
    keeper_kit_deinit(&kit);
}

static void documents_have_limits(void)
{
    static char value[STORE_VALUE_MAX + 1];
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    struct keeper_asked asked = {
        .request = {.type = STORE_DOC, .doc = {.name = SLICE_LIT("a"), .expected_version = -1}}};
    asked.request.doc.value = slice_from(value, STORE_VALUE_MAX + 1);
    expect_int(keeper_kit_ask(&kit, &asked), STORE_TOO_LARGE);
    asked.request.doc.value.len = 0;
    asked.request.doc.name = slice_from(value, STORE_DOC_NAME_MAX + 1);
    expect_int(keeper_kit_ask(&kit, &asked), STORE_TOO_LARGE);
    asked.request.doc.name.len = STORE_DOC_NAME_MAX;
    expect_int(keeper_kit_ask(&kit, &asked), STORE_OK);

    asked.request.doc.value = slice_from(value, STORE_VALUE_MAX);
    enum store_outcome outcome = STORE_OK;
    for (int i = 0; outcome == STORE_OK; i++) {
        expect_true(i < 50);
        value[0] = (char)i;
        outcome = keeper_kit_ask(&kit, &asked);
    }
    expect_int(outcome, STORE_DOCS_FULL);
    keeper_kit_deinit(&kit);
}

static bool see_note(void *ctx, const struct store_note *note)
{
    buf_printf(ctx, "%u/%d %.*s|%.*s|%.*s;", note->kind, (int)note->revision, SLICE_ARG(note->subject),
               SLICE_ARG(note->actor), SLICE_ARG(note->cause));
    expect_true(note->wall_ms != 0);
    return true;
}

static void expect_notes(struct keeper_kit *kit, const char *expected)
{
    struct buf text = {0};
    store_notes(kit->store, see_note, &text);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}

static void expect_why(struct keeper_kit *kit, const char *key, const char *expected)
{
    struct buf text = {0};
    loop_settle(kit->loop);
    store_why(kit->store, slice_from_str(key), see_note, &text);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}

static void notes_tell_what_happened(void)
{
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    keeper_kit_grant(&kit, 5, 60000);
    keeper_kit_put(&kit, "a", "1", 0);
    keeper_kit_put(&kit, "b", "1", 5);
    struct store_note notes[] = {
        {.kind = STORE_NOTE_FREE, .subject = SLICE_LIT("web/1"), .cause = SLICE_LIT("check failed")},
        {.kind = 77, .revision = 2, .wall_ms = 9, .actor = SLICE_LIT("me")},
    };
    struct keeper_asked asked = {.request = {.type = STORE_NOTES, .notes = {notes, 2}}};
    expect_int(keeper_kit_ask(&kit, &asked), STORE_OK);
    keeper_kit_lone_op(&asked, "a", NULL, 0);
    asked.request.origin.cause = SLICE_LIT("tidying");
    expect_int(keeper_kit_ask(&kit, &asked), STORE_OK);
    store_request_deinit(&asked.request);
    asked = (struct keeper_asked){.request = {.type = STORE_LEASE_REVOKE, .lease = {5, 0}}};
    expect_int(keeper_kit_ask(&kit, &asked), STORE_OK);
    keeper_kit_put(&kit, "b", "2", 0);

    const char *expected = "3/4 a|a test|;2/5 b|a test|;2/5 |a test|;16/3 web/1||check failed;77/2 |me|;";
    expect_notes(&kit, expected);
    expect_why(&kit, "a", "3/4 a|a test|;");
    expect_why(&kit, "b", "2/5 b|a test|;0/6 b|a test|;");
    expect_why(&kit, "c", "");
    keeper_kit_reopen(&kit);
    expect_notes(&kit, expected);
    expect_why(&kit, "b", "2/5 b|a test|;0/6 b||;"); /* who made what is there is forgotten */
    keeper_kit_deinit(&kit);
}

static void commits_tell_who_made_them(void)
{
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    keeper_kit_put_brief(&kit, "a", "1", 5, 20);
    while (keeper_kit_revision(&kit) < 3) /* it runs out */
        expect_int(loop_turn(kit.loop, NSEC_PER_MSEC), 0);

    struct store_view view;
    struct store_note why;
    loop_settle(kit.loop);
    store_view(kit.store, true, &view);
    store_commit_why(store_commit(kit.store, &view, 2), &why);
    expect_int(why.kind, STORE_NOTE_CHANGED);
    expect_int(why.revision, 2);
    expect_slice(why.actor, "a test");
    expect_slice(why.cause, "");
    store_commit_why(store_commit(kit.store, &view, 3), &why);
    expect_int(why.kind, STORE_NOTE_EXPIRED);
    expect_int(why.lease, 5);
    expect_true(why.silence_ms >= 20);
    expect_slice(why.actor, "");
    store_release(kit.store, &view);
    keeper_kit_deinit(&kit);
}

/* -------- many requests under way, against a model, through restarts and snapshots */

#define KEYS   40
#define DOCS   6
#define ROUNDS 60
#define BURST  50

struct model {
    int values[KEYS];       /* 0: the key is not there */
    int64_t versions[DOCS]; /* of documents; 0: it is not there */
    int n_notes;            /* their numbers count up from 1 */
};

static void ask_for_doc(struct model *model, struct keeper_asked *asked, uint64_t *seed)
{
    int d = (int)(test_random(seed) % DOCS);
    bool is_removal = test_random(seed) % 4 == 0;
    model->versions[d] = is_removal ? 0 : model->versions[d] + 1;
    snprintf(asked->key, sizeof(asked->key), "doc-%d", d);
    snprintf(asked->value, sizeof(asked->value), "%d", (int)model->versions[d]);
    asked->request = (struct store_request){.type = STORE_DOC};
    asked->request.doc.name = slice_from_str(asked->key);
    asked->request.doc.value = slice_from_str(asked->value);
    asked->request.doc.remove = is_removal;
    asked->request.doc.expected_version = -1;
    asked->expected_version = model->versions[d];
}

static void ask_for_note(struct model *model, struct keeper_asked *asked)
{
    asked->note = (struct store_note){.kind = STORE_NOTE_FREE, .revision = ++model->n_notes};
    asked->request = (struct store_request){.type = STORE_NOTES, .notes = {&asked->note, 1}};
}

static void ask_for_key(struct model *model, struct keeper_asked *asked, uint64_t *seed)
{
    char key[16], value[16];
    int k = (int)(test_random(seed) % KEYS), v = 1 + (int)(test_random(seed) % 999);
    bool is_put = test_random(seed) % 3;
    snprintf(key, sizeof(key), "key-%02d", k);
    snprintf(value, sizeof(value), "%d", v);
    keeper_kit_lone_op(asked, key, is_put ? value : NULL, 0);
    model->values[k] = is_put ? v : 0;
}

static bool add_pair(void *ctx, const struct store_kv *kv)
{
    buf_printf(ctx, "%.*s=%.*s ", SLICE_ARG(kv->key), SLICE_ARG(kv->value));
    return true;
}

static bool count_note(void *ctx, const struct store_note *note)
{
    int *n = ctx;
    if (note->kind >= STORE_NOTE_FREE)
        expect_int(note->revision, ++*n);
    return true;
}

static void expect_model(struct keeper_kit *kit, const struct model *model)
{
    struct buf expected = {0}, got = {0};
    for (int k = 0; k < KEYS; k++)
        if (model->values[k])
            buf_printf(&expected, "key-%02d=%d ", k, model->values[k]);
    for (int d = 0; d < DOCS; d++)
        if (model->versions[d])
            buf_printf(&expected, "doc-%d=%d@%d ", d, (int)model->versions[d], (int)model->versions[d]);

    struct store_view view;
    struct store_range all = {.key = SLICE_LIT("\0"), .end = SLICE_LIT("\0")};
    struct store_range_result result;
    int n_notes = 0;
    loop_settle(kit->loop);
    store_view(kit->store, true, &view);
    expect_int(store_range(kit->store, &view, &all, add_pair, &got, &result), STORE_OK);
    store_release(kit->store, &view);
    expect_int(store_docs(kit->store, (struct slice){0}, see_doc, &got), 0);
    expect_bytes(buf_slice(&got), buf_slice(&expected));
    store_notes(kit->store, count_note, &n_notes);
    expect_int(n_notes, model->n_notes);
    buf_deinit(&got);
    buf_deinit(&expected);
}

static void agrees_with_a_model_through_restarts(void)
{
    uint64_t seed = test_seed();
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    struct model model = {0};
    static struct keeper_asked asked[BURST];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BURST; i++) {
            asked[i] = (struct keeper_asked){0};
            uint64_t what = test_random(&seed) % 8;
            if (what == 0)
                ask_for_doc(&model, &asked[i], &seed);
            else if (what == 1)
                ask_for_note(&model, &asked[i]);
            else
                ask_for_key(&model, &asked[i], &seed);
            keeper_kit_submit(&kit, &asked[i]);
        }
        for (int i = 0; i < BURST; i++) {
            keeper_kit_await(&kit, &asked[i]);
            expect_int(asked[i].request.outcome, STORE_OK);
            expect_int(asked[i].request.doc_version, asked[i].expected_version);
            store_request_deinit(&asked[i].request);
        }
        if (test_random(&seed) % 10 == 0) {
            kit.options.local.snapshot_bytes = test_random(&seed) % 4000; /* sooner or later */
            keeper_kit_reopen(&kit);
        }
        if (test_random(&seed) % 10 == 0) {
            struct keeper_asked compact = {
                .request = {.type = STORE_COMPACT, .compact_revision = asked[0].request.revision}};
            enum store_outcome outcome = keeper_kit_ask(&kit, &compact);
            expect_true(outcome == STORE_OK || outcome == STORE_COMPACTED);
        }
        expect_model(&kit, &model);
    }
    keeper_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"documents are kept with their versions", documents_are_kept_with_their_versions},
    {"documents have limits", documents_have_limits},
    {"notes tell what happened", notes_tell_what_happened},
    {"commits tell who made them", commits_tell_who_made_them},
    {"the store agrees with a model through restarts, snapshots and compactions", agrees_with_a_model_through_restarts},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
