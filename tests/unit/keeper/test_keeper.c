/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole store, from store.h down to files in a real folder: requests against a model through restarts, leases,
 * compaction, snapshots, the feed of commits.
 */
#include "keeper/keeper.h"

#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* -------- a store in a folder of its own, and a loop that asks it */

struct bench {
    char folder[64];
    struct rcu_domain rcu;
    struct loop *loop;
    struct keeper *keeper;
    struct store *store;
    struct keeper_options options;
    unsigned n_done;
};

static void bench_open(struct bench *bench)
{
    struct err err = {0};
    int result = keeper_new(&bench->options, &bench->keeper, &err);
    if (result < 0)
        test_fail(__FILE__, __LINE__, "%s", err.text);
    expect_int(keeper_start(bench->keeper, &bench->loop, 1, &err), 0);
    bench->store = keeper_store(bench->keeper);
}

static void bench_close(struct bench *bench)
{
    keeper_stop(bench->keeper);
    loop_settle(bench->loop);
    keeper_free(bench->keeper);
    bench->keeper = NULL;
}

static void bench_reopen(struct bench *bench)
{
    bench_close(bench);
    bench_open(bench);
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/muster-keeper-XXXXXX");
    expect_true(mkdtemp(bench->folder) != NULL);
    rcu_init(&bench->rcu);
    expect_int(loop_new(&bench->rcu, &bench->loop), 0);
    bench->options = (struct keeper_options){.folder = bench->folder, .rcu = &bench->rcu};
    local_options_init(&bench->options.local);
    bench->options.local.wal.segment_bytes = 1024 * 1024;
    bench_open(bench);
}

static void bench_deinit(struct bench *bench)
{
    bench_close(bench);
    loop_free(bench->loop);
    rcu_deinit(&bench->rcu);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", bench->folder);
    expect_int(system(command), 0);
}

/* A request with its operations, so that many can be under way. */
struct asked {
    struct store_request request;
    struct store_op op;
    struct bench *bench;
    bool is_done;
    char key[32], value[32];
    struct store_note note;
    int64_t expected_version; /* of the document that it changes */
};

static void asked_done(struct store_request *request)
{
    struct asked *asked = container_of(request, struct asked, request);
    asked->is_done = true;
    asked->bench->n_done++;
}

static void submit(struct bench *bench, struct asked *asked)
{
    asked->bench = bench;
    asked->is_done = false;
    asked->request.loop = bench->loop;
    asked->request.done = asked_done;
    asked->request.origin = (struct store_origin){SLICE_LIT("a test"), {0}};
    store_submit(bench->store, &asked->request);
}

static void await(struct bench *bench, struct asked *asked)
{
    while (!asked->is_done)
        expect_int(loop_turn(bench->loop, NSEC_NEVER), 0);
}

static enum store_outcome ask(struct bench *bench, struct asked *asked)
{
    submit(bench, asked);
    await(bench, asked);
    return asked->request.outcome;
}

/* Makes a put, or a deletion when value is NULL, of asked->op alone. */
static void lone_op(struct asked *asked, const char *key, const char *value, int64_t lease)
{
    snprintf(asked->key, sizeof(asked->key), "%s", key);
    snprintf(asked->value, sizeof(asked->value), "%s", value ? value : "");
    if (value)
        asked->op = (struct store_op){
            .type = STORE_OP_PUT,
            .put = {.key = slice_from_str(asked->key), .value = slice_from_str(asked->value), .lease = lease}};
    else
        asked->op = (struct store_op){.type = STORE_OP_DELETE, .del = {.key = slice_from_str(asked->key)}};
    asked->request.type = STORE_TXN;
    asked->request.txn = (struct store_txn){.success = &asked->op, .n_success = 1};
}

static int64_t put(struct bench *bench, const char *key, const char *value, int64_t lease)
{
    struct asked asked = {0};
    lone_op(&asked, key, value, lease);
    expect_int(ask(bench, &asked), STORE_OK);
    store_request_deinit(&asked.request);
    return asked.request.revision;
}

static int64_t grant(struct bench *bench, int64_t id, int64_t ttl_ms)
{
    struct asked asked = {.request = {.type = STORE_LEASE_GRANT, .lease = {id, ttl_ms}}};
    expect_int(ask(bench, &asked), STORE_OK);
    return asked.request.lease_id;
}

struct seen {
    struct buf text;
};

static bool see(void *ctx, const struct store_kv *kv)
{
    struct seen *seen = ctx;
    buf_printf(&seen->text, "%.*s=%.*s@%d ", SLICE_ARG(kv->key), SLICE_ARG(kv->value), (int)kv->mod_revision);
    return true;
}

/* All keys with values and revisions, as text. */
static void expect_keys(struct bench *bench, int64_t revision, const char *expected)
{
    struct store_view view;
    struct seen seen = {0};
    struct store_range all = {.key = SLICE_LIT("\0"), .end = SLICE_LIT("\0"), .revision = revision};
    struct store_range_result result;
    loop_settle(bench->loop);
    store_view(bench->store, true, &view);
    expect_int(store_range(bench->store, &view, &all, see, &seen, &result), STORE_OK);
    store_release(bench->store, &view);
    expect_slice(buf_slice(&seen.text), expected);
    buf_deinit(&seen.text);
}

/* -------- */

static void what_was_acknowledged_is_there_after_a_restart(void)
{
    struct bench bench;
    bench_init(&bench);
    expect_keys(&bench, 0, "");
    expect_int(put(&bench, "a", "1", 0), 2);
    expect_int(put(&bench, "b", "2", 0), 3);
    expect_int(put(&bench, "a", "3", 0), 4);
    struct store_identity before, after;
    store_identify(bench.store, &before);
    bench_reopen(&bench);
    store_identify(bench.store, &after);
    expect_true(before.member_id == after.member_id && before.cluster_id == after.cluster_id && after.member_id != 0);
    expect_keys(&bench, 0, "a=3@4 b=2@3 ");
    expect_keys(&bench, 3, "a=1@2 b=2@3 ");
    expect_int(put(&bench, "c", "4", 0), 5);
    bench_deinit(&bench);
}

static void a_transaction_happens_wholly_or_not_at_all(void)
{
    struct bench bench;
    bench_init(&bench);
    put(&bench, "a", "1", 0);
    struct store_compare compare = {
        .target = STORE_CMP_VERSION, .test = STORE_CMP_EQUAL, .key = SLICE_LIT("a"), .number = 1};
    struct store_op ops[] = {
        {.type = STORE_OP_PUT, .put = {.key = SLICE_LIT("b"), .value = SLICE_LIT("2")}},
        {.type = STORE_OP_RANGE, .range = {.key = SLICE_LIT("a"), .end = SLICE_LIT("c")}},
        {.type = STORE_OP_DELETE, .del = {.key = SLICE_LIT("a"), .want_prev = true}},
    };
    struct asked asked = {
        .request = {.type = STORE_TXN, .txn = {.compares = &compare, .n_compares = 1, .success = ops, .n_success = 3}}};
    expect_int(ask(&bench, &asked), STORE_OK);
    expect_true(asked.request.succeeded);
    expect_int(asked.request.n_results, 3);
    expect_int(asked.request.results[1].n_kvs, 2);
    expect_slice(asked.request.results[1].kvs[1].value, "2");
    expect_int(asked.request.results[2].count, 1);
    expect_slice(asked.request.results[2].kvs[0].value, "1");
    store_request_deinit(&asked.request);
    expect_keys(&bench, 0, "b=2@3 ");

    struct store_op bad[] = {
        {.type = STORE_OP_PUT, .put = {.key = SLICE_LIT("x"), .value = SLICE_LIT("1")}},
        {.type = STORE_OP_PUT, .put = {.key = SLICE_LIT("y"), .value = SLICE_LIT("1"), .lease = 77}},
    };
    asked = (struct asked){.request = {.type = STORE_TXN, .txn = {.success = bad, .n_success = 2}}};
    expect_int(ask(&bench, &asked), STORE_NO_LEASE);
    bad[1] = bad[0];
    expect_int(ask(&bench, &asked), STORE_DUPLICATE_KEY);
    expect_keys(&bench, 0, "b=2@3 ");
    bench_deinit(&bench);
}

static void a_lease_takes_its_keys_with_it(void)
{
    struct bench bench;
    bench_init(&bench);
    int64_t lease = grant(&bench, 0, 60000), other = grant(&bench, 9, 60000);
    put(&bench, "k1", "v", lease);
    put(&bench, "k2", "v", lease);
    put(&bench, "k3", "v", lease);
    put(&bench, "k2", "v", 0);     /* let go of */
    put(&bench, "k3", "v", other); /* moved */
    bench_reopen(&bench);

    struct asked asked = {.request = {.type = STORE_LEASE_INFO, .lease = {lease, 0}}};
    expect_int(ask(&bench, &asked), STORE_OK);
    expect_int(asked.request.lease_ttl_ms, 60000);
    expect_int(asked.request.results[0].n_kvs, 1);
    expect_slice(asked.request.results[0].kvs[0].key, "k1");
    store_request_deinit(&asked.request);

    asked = (struct asked){.request = {.type = STORE_LEASE_REVOKE, .lease = {lease, 0}}};
    expect_int(ask(&bench, &asked), STORE_OK);
    expect_int(asked.request.revision, 7);
    expect_keys(&bench, 0, "k2=v@5 k3=v@6 ");
    expect_int(ask(&bench, &asked), STORE_NO_LEASE);
    bench_deinit(&bench);
}

static int64_t revision_of(struct bench *bench)
{
    struct store_view view;
    store_view(bench->store, true, &view);
    int64_t revision = view.revision;
    store_release(bench->store, &view);
    return revision;
}

static void on_news(struct store_subscriber *subscriber)
{
    (void)subscriber;
}

static void silence_ends_a_lease_and_heartbeats_do_not(void)
{
    struct bench bench;
    bench_init(&bench);
    int64_t silent = grant(&bench, 0, 30), alive = grant(&bench, 0, 2000);
    put(&bench, "silent", "v", silent);
    put(&bench, "alive", "v", alive);
    struct store_subscriber subscriber = {.loop = bench.loop, .on_news = on_news};
    store_subscribe(bench.store, &subscriber);
    while (revision_of(&bench) < 4) { /* turns of this loop read its input, as expiry by arrival asks */
        expect_int(loop_turn(bench.loop, NSEC_PER_MSEC), 0);
        expect_int(store_lease_touch(bench.store, alive, loop_now(bench.loop)), 2000);
    }
    expect_keys(&bench, 0, "alive=v@3 ");
    expect_int(store_lease_touch(bench.store, silent, loop_now(bench.loop)), 0);
    store_unsubscribe(bench.store, &subscriber);
    bench_deinit(&bench);
}

/* Relaxed: answered before it is on the disk, and there soon after, without another request. */
static void relaxed_changes_reach_the_disk_soon(void)
{
    struct bench bench;
    bench_init(&bench);
    bench.options.local.wal.relaxed = true;
    bench.options.local.wal.relaxed_ms = 20;
    bench_reopen(&bench);
    uint64_t n_syncs = local_n_syncs(keeper_local(bench.keeper));
    expect_int(put(&bench, "a", "1", 0), 2);
    while (local_n_syncs(keeper_local(bench.keeper)) == n_syncs)
        expect_int(loop_turn(bench.loop, NSEC_PER_MSEC), 0);
    bench_reopen(&bench);
    expect_keys(&bench, 0, "a=1@2 ");
    bench_deinit(&bench);
}

/* -------- beside the keys */

static enum store_outcome change_doc(struct bench *bench, const char *name, const char *value, int64_t expected,
                                     int64_t *ret_version)
{
    struct asked asked = {.request = {.type = STORE_DOC, .doc = {.name = slice_from_str(name)}}};
    asked.request.doc.value = slice_from_str(value ? value : "");
    asked.request.doc.remove = !value;
    asked.request.doc.expected_version = expected;
    enum store_outcome outcome = ask(bench, &asked);
    *ret_version = asked.request.doc_version;
    return outcome;
}

static bool see_doc(void *ctx, struct slice name, struct slice value, int64_t version)
{
    buf_printf(ctx, "%.*s=%.*s@%d ", SLICE_ARG(name), SLICE_ARG(value), (int)version);
    return true;
}

static void expect_docs(struct bench *bench, const char *prefix, const char *expected)
{
    struct buf text = {0};
    loop_settle(bench->loop);
    expect_int(store_docs(bench->store, slice_from_str(prefix), see_doc, &text), 0);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}

static void documents_are_kept_with_their_versions(void)
{
    struct bench bench;
    bench_init(&bench);
    int64_t version;
    expect_int(change_doc(&bench, "user/a", "1", 0, &version), STORE_OK);
    expect_int(version, 1);
    expect_int(change_doc(&bench, "user/a", "2", 0, &version), STORE_CONFLICT);
    expect_int(version, 1);
    expect_int(change_doc(&bench, "user/a", "2", 1, &version), STORE_OK);
    expect_int(change_doc(&bench, "user/b", "", -1, &version), STORE_OK);
    expect_int(change_doc(&bench, "role/c", "x", -1, &version), STORE_OK);
    expect_int(change_doc(&bench, "role/d", "x", 3, &version), STORE_CONFLICT);
    expect_int(version, 0);
    expect_docs(&bench, "user/", "user/a=2@2 user/b=@1 ");
    expect_int(revision_of(&bench), 1); /* no client of keys sees them */

    bench_reopen(&bench);
    expect_docs(&bench, "", "role/c=x@1 user/a=2@2 user/b=@1 ");
    expect_int(change_doc(&bench, "user/b", NULL, 2, &version), STORE_CONFLICT);
    expect_int(change_doc(&bench, "user/b", NULL, 1, &version), STORE_OK);
    expect_int(version, 0);
    expect_int(change_doc(&bench, "user/b", NULL, -1, &version), STORE_OK);
    expect_int(change_doc(&bench, "user/a", "3", 2, &version), STORE_OK);
    expect_int(version, 3);
    bench_reopen(&bench);
    expect_docs(&bench, "", "role/c=x@1 user/a=3@3 ");
    bench_deinit(&bench);
}

static void documents_have_limits(void)
{
    static char value[STORE_VALUE_MAX + 1];
    struct bench bench;
    bench_init(&bench);
    struct asked asked = {.request = {.type = STORE_DOC, .doc = {.name = SLICE_LIT("a"), .expected_version = -1}}};
    asked.request.doc.value = slice_from(value, STORE_VALUE_MAX + 1);
    expect_int(ask(&bench, &asked), STORE_TOO_LARGE);
    asked.request.doc.value.len = 0;
    asked.request.doc.name = slice_from(value, STORE_DOC_NAME_MAX + 1);
    expect_int(ask(&bench, &asked), STORE_TOO_LARGE);
    asked.request.doc.name.len = STORE_DOC_NAME_MAX;
    expect_int(ask(&bench, &asked), STORE_OK);

    asked.request.doc.value = slice_from(value, STORE_VALUE_MAX);
    enum store_outcome outcome = STORE_OK;
    for (int i = 0; outcome == STORE_OK; i++) {
        expect_true(i < 50);
        value[0] = (char)i;
        outcome = ask(&bench, &asked);
    }
    expect_int(outcome, STORE_DOCS_FULL);
    bench_deinit(&bench);
}

static bool see_note(void *ctx, const struct store_note *note)
{
    buf_printf(ctx, "%u/%d %.*s|%.*s|%.*s;", note->kind, (int)note->revision, SLICE_ARG(note->subject),
               SLICE_ARG(note->actor), SLICE_ARG(note->cause));
    expect_true(note->wall_ms != 0);
    return true;
}

static void expect_notes(struct bench *bench, const char *expected)
{
    struct buf text = {0};
    store_notes(bench->store, see_note, &text);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}

static void expect_why(struct bench *bench, const char *key, const char *expected)
{
    struct buf text = {0};
    loop_settle(bench->loop);
    store_why(bench->store, slice_from_str(key), see_note, &text);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}

static void notes_tell_what_happened(void)
{
    struct bench bench;
    bench_init(&bench);
    grant(&bench, 5, 60000);
    put(&bench, "a", "1", 0);
    put(&bench, "b", "1", 5);
    struct store_note notes[] = {
        {.kind = STORE_NOTE_FREE, .subject = SLICE_LIT("web/1"), .cause = SLICE_LIT("check failed")},
        {.kind = 77, .revision = 2, .wall_ms = 9, .actor = SLICE_LIT("me")},
    };
    struct asked asked = {.request = {.type = STORE_NOTES, .notes = {notes, 2}}};
    expect_int(ask(&bench, &asked), STORE_OK);
    lone_op(&asked, "a", NULL, 0);
    asked.request.origin.cause = SLICE_LIT("tidying");
    expect_int(ask(&bench, &asked), STORE_OK);
    store_request_deinit(&asked.request);
    asked = (struct asked){.request = {.type = STORE_LEASE_REVOKE, .lease = {5, 0}}};
    expect_int(ask(&bench, &asked), STORE_OK);
    put(&bench, "b", "2", 0);

    const char *expected = "3/4 a|a test|;2/5 b|a test|;2/5 |a test|;16/3 web/1||check failed;77/2 |me|;";
    expect_notes(&bench, expected);
    expect_why(&bench, "a", "3/4 a|a test|;");
    expect_why(&bench, "b", "2/5 b|a test|;0/6 b|a test|;");
    expect_why(&bench, "c", "");
    bench_reopen(&bench);
    expect_notes(&bench, expected);
    expect_why(&bench, "b", "2/5 b|a test|;0/6 b||;"); /* who made what is there is forgotten */
    bench_deinit(&bench);
}

static void commits_tell_who_made_them(void)
{
    struct bench bench;
    bench_init(&bench);
    grant(&bench, 5, 20);
    struct asked asked = {0};
    lone_op(&asked, "a", "1", 5);
    expect_int(ask(&bench, &asked), STORE_OK);
    store_request_deinit(&asked.request);
    while (revision_of(&bench) < 3) /* it runs out */
        expect_int(loop_turn(bench.loop, NSEC_PER_MSEC), 0);

    struct store_view view;
    struct store_note why;
    loop_settle(bench.loop);
    store_view(bench.store, true, &view);
    store_commit_why(store_commit(bench.store, &view, 2), &why);
    expect_int(why.kind, STORE_NOTE_CHANGED);
    expect_int(why.revision, 2);
    expect_slice(why.actor, "a test");
    expect_slice(why.cause, "");
    store_commit_why(store_commit(bench.store, &view, 3), &why);
    expect_int(why.kind, STORE_NOTE_EXPIRED);
    expect_int(why.lease, 5);
    expect_true(why.silence_ms >= 20);
    expect_slice(why.actor, "");
    store_release(bench.store, &view);
    bench_deinit(&bench);
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

static void ask_for_doc(struct model *model, struct asked *asked, uint64_t *seed)
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

static void ask_for_note(struct model *model, struct asked *asked)
{
    asked->note = (struct store_note){.kind = STORE_NOTE_FREE, .revision = ++model->n_notes};
    asked->request = (struct store_request){.type = STORE_NOTES, .notes = {&asked->note, 1}};
}

static void ask_for_key(struct model *model, struct asked *asked, uint64_t *seed)
{
    char key[16], value[16];
    int k = (int)(test_random(seed) % KEYS), v = 1 + (int)(test_random(seed) % 999);
    bool is_put = test_random(seed) % 3;
    snprintf(key, sizeof(key), "key-%02d", k);
    snprintf(value, sizeof(value), "%d", v);
    lone_op(asked, key, is_put ? value : NULL, 0);
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

static void expect_model(struct bench *bench, const struct model *model)
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
    loop_settle(bench->loop);
    store_view(bench->store, true, &view);
    expect_int(store_range(bench->store, &view, &all, add_pair, &got, &result), STORE_OK);
    store_release(bench->store, &view);
    expect_int(store_docs(bench->store, (struct slice){0}, see_doc, &got), 0);
    expect_bytes(buf_slice(&got), buf_slice(&expected));
    store_notes(bench->store, count_note, &n_notes);
    expect_int(n_notes, model->n_notes);
    buf_deinit(&got);
    buf_deinit(&expected);
}

static void agrees_with_a_model_through_restarts(void)
{
    uint64_t seed = test_seed();
    struct bench bench;
    bench_init(&bench);
    struct model model = {0};
    static struct asked asked[BURST];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BURST; i++) {
            asked[i] = (struct asked){0};
            uint64_t what = test_random(&seed) % 8;
            if (what == 0)
                ask_for_doc(&model, &asked[i], &seed);
            else if (what == 1)
                ask_for_note(&model, &asked[i]);
            else
                ask_for_key(&model, &asked[i], &seed);
            submit(&bench, &asked[i]);
        }
        for (int i = 0; i < BURST; i++) {
            await(&bench, &asked[i]);
            expect_int(asked[i].request.outcome, STORE_OK);
            expect_int(asked[i].request.doc_version, asked[i].expected_version);
            store_request_deinit(&asked[i].request);
        }
        if (test_random(&seed) % 10 == 0) {
            bench.options.local.snapshot_bytes = test_random(&seed) % 4000; /* sooner or later */
            bench_reopen(&bench);
        }
        if (test_random(&seed) % 10 == 0) {
            struct asked compact = {.request = {.type = STORE_COMPACT, .compact_revision = asked[0].request.revision}};
            enum store_outcome outcome = ask(&bench, &compact);
            expect_true(outcome == STORE_OK || outcome == STORE_COMPACTED);
        }
        expect_model(&bench, &model);
    }
    bench_deinit(&bench);
}

/* -------- backups */

static int check_entry(void *ctx, const struct record_entry *entry, struct err *err)
{
    (void)err;
    unsigned *n_puts = ctx;
    *n_puts += entry->type == RECORD_PUT;
    return 0;
}

/* Puts the copy into a folder of its own, padded as for etcd's tools, and counts the puts in it. */
static unsigned read_backup(const struct store_request *request, struct snapshot_head *ret_head)
{
    char folder[] = "/tmp/muster-backup-XXXXXX", path[64], command[64];
    expect_true(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/copy", folder);
    FILE *file = fopen(path, "w");
    for (uint64_t at = 0; at < request->backup_bytes; at++) {
        char c;
        expect_int(pread(request->backup_fd, &c, 1, (off_t)at), 1);
        fputc(c, file);
    }
    for (unsigned i = 0; i < 511; i++)
        fputc(0, file);
    fclose(file);
    unsigned n_puts = 0;
    struct wal_files *files;
    struct err err = {0};
    expect_int(wal_folder_open(folder, &files, &err), 0);
    expect_int(snapshot_read(files, "copy", check_entry, &n_puts, ret_head, &err), 0);
    wal_folder_close(files);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    expect_int(system(command), 0);
    return n_puts;
}

static void a_backup_is_a_whole_snapshot(void)
{
    struct bench bench;
    bench_init(&bench);
    put(&bench, "a", "1", 0);
    put(&bench, "b", "2", 0);
    struct asked first = {.request = {.type = STORE_BACKUP}}, second = {.request = {.type = STORE_BACKUP}};
    submit(&bench, &first);
    submit(&bench, &second);
    put(&bench, "c", "3", 0); /* goes on meanwhile */
    await(&bench, &first);
    await(&bench, &second);
    struct asked *const both[] = {&first, &second};
    for (unsigned i = 0; i < ARRAY_LEN(both); i++) {
        const struct store_request *request = &both[i]->request;
        struct snapshot_head head;
        expect_int(request->outcome, STORE_OK);
        unsigned n_puts = read_backup(request, &head);
        expect_int(head.revision, request->revision);
        expect_int(n_puts, request->revision - 1);
        expect_true(n_puts >= 2);
        expect_int(close(request->backup_fd), 0);
    }
    char name[128];
    snprintf(name, sizeof(name), "%s/backup.new", bench.folder);
    expect_int(access(name, F_OK), -1);
    bench_deinit(&bench);
}

static void a_backup_that_comes_too_late_is_turned_away(void)
{
    struct bench bench;
    bench_init(&bench);
    struct asked asked = {.request = {.type = STORE_BACKUP}};
    keeper_stop(bench.keeper);
    expect_int(ask(&bench, &asked), STORE_STOPPED);
    bench_deinit(&bench);
}

static const struct test_case cases[] = {
    {"a backup is a whole snapshot", a_backup_is_a_whole_snapshot},
    {"a backup that comes too late is turned away", a_backup_that_comes_too_late_is_turned_away},
    {"what was acknowledged is there after a restart", what_was_acknowledged_is_there_after_a_restart},
    {"a transaction happens wholly or not at all", a_transaction_happens_wholly_or_not_at_all},
    {"a lease takes its keys with it", a_lease_takes_its_keys_with_it},
    {"silence ends a lease, heartbeats keep it", silence_ends_a_lease_and_heartbeats_do_not},
    {"documents are kept with their versions", documents_are_kept_with_their_versions},
    {"documents have limits", documents_have_limits},
    {"notes tell what happened", notes_tell_what_happened},
    {"commits tell who made them", commits_tell_who_made_them},
    {"with relaxed durability changes reach the disk soon", relaxed_changes_reach_the_disk_soon},
    {"the store agrees with a model through restarts, snapshots and compactions", agrees_with_a_model_through_restarts},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
