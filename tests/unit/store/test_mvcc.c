/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory against a model that keeps every state: an array of values per revision. Random puts, deletes, rollbacks,
 * compactions and views; then readers on threads of their own while a writer changes, compacts and reclaims.
 */
#include "base/buf.h"
#include "base/rcu.h"
#include "store/local/mvcc.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS      60
#define REVISIONS 1500

/* What the model knows of one key at one revision. version 0: not there. */
struct cell {
    int64_t create, mod, version, lease;
    int value;
};

/* Of actors. */
static const char words[STORE_NOTE_TEXT_MAX + 20];

static struct cell model[REVISIONS + 2][KEYS];

static struct slice key_of(int i, char *room)
{
    snprintf(room, 32, "k/%02d", i);
    return slice_from_str(room);
}

static struct slice value_of(int value, char *room)
{
    snprintf(room, 32, "value %d", value);
    return slice_from_str(room);
}

static void put(struct mvcc *mvcc, int i, int value, int64_t lease)
{
    char key[32], text[32];
    const struct store_kv *prev;
    expect_int(mvcc_put(mvcc, key_of(i, key), value_of(value, text), lease, &prev), 0);
}

static void publish(struct mvcc *mvcc)
{
    struct store_root *root;
    expect_int(mvcc_seal(mvcc, &root), 0);
    mvcc_publish(mvcc, root);
    mvcc_reclaim(mvcc);
}

/* Writes some keys in one revision, in the memory and in the model's row `next`. */
static int write_some(struct mvcc *mvcc, struct cell *next, int64_t revision, uint64_t *seed)
{
    bool written[KEYS] = {0};
    int n = 1 + (int)(test_random(seed) % 4), n_changes = 0;
    for (int j = 0; j < n; j++) {
        int i = (int)(test_random(seed) % KEYS);
        char key[32];
        if (written[i])
            continue;
        written[i] = true;
        if (test_random(seed) % 3) {
            int value = (int)(test_random(seed) % 1000);
            int64_t lease = (int64_t)(test_random(seed) % 3);
            put(mvcc, i, value, lease);
            next[i] =
                (struct cell){next[i].version ? next[i].create : revision, revision, next[i].version + 1, lease, value};
            n_changes++;
        } else {
            const struct store_kv *prev;
            int result = mvcc_delete(mvcc, key_of(i, key), &prev);
            expect_int(result, next[i].version ? 0 : -ENOENT);
            n_changes += result == 0;
            next[i] = (struct cell){0};
        }
    }
    return n_changes;
}

struct reading {
    const struct cell *row;
    int next, n;
};

static bool check_kv(void *ctx, const struct store_kv *kv)
{
    struct reading *reading = ctx;
    char key[32], value[32];
    while (reading->next < KEYS && reading->row[reading->next].version == 0)
        reading->next++;
    expect_true(reading->next < KEYS);
    const struct cell *cell = &reading->row[reading->next];
    expect_true(slice_equal(kv->key, key_of(reading->next, key)));
    expect_true(slice_equal(kv->value, value_of(cell->value, value)));
    expect_int(kv->version, cell->version);
    expect_int(kv->create_revision, cell->create);
    expect_int(kv->mod_revision, cell->mod);
    expect_int(kv->lease, cell->lease);
    reading->next++;
    reading->n++;
    return true;
}

static int row_size(const struct cell *row)
{
    int n = 0;
    for (int i = 0; i < KEYS; i++)
        n += row[i].version != 0;
    return n;
}

static void expect_state(const struct store_view *view, int64_t revision)
{
    struct reading reading = {.row = model[revision]};
    struct store_range range = {.key = SLICE_LIT("\0"), .end = SLICE_LIT("\0"), .revision = revision};
    struct store_range_result result;
    expect_int(mvcc_view_range(view, &range, check_kv, &reading, &result), STORE_OK);
    expect_int(reading.n, row_size(model[revision]));
    expect_int(result.count, reading.n);
    expect_false(result.more);
}

/* The commits between two revisions turn the one state into the other. */
static void expect_history(const struct store_view *view, int64_t from, int64_t to)
{
    for (int64_t revision = from + 1; revision <= to; revision++) {
        const struct store_commit *commit = mvcc_view_commit(view, revision);
        expect_true(commit != NULL);
        expect_int(commit->revision, revision);
        int n_changed = 0;
        for (int i = 0; i < KEYS; i++)
            n_changed += model[revision][i].mod != model[revision - 1][i].mod;
        expect_int(commit->n_events, n_changed);
        for (unsigned i = 0; i < commit->n_events; i++) {
            const struct store_event *event = &commit->events[i];
            int key = (event->kv->key.ptr[2] - '0') * 10 + (event->kv->key.ptr[3] - '0');
            expect_int(event->kv->mod_revision, revision);
            expect_int(event->kv->version, model[revision][key].version);
            expect_int(event->prev ? event->prev->version : 0, model[revision - 1][key].version);
        }
    }
}

static void expect_why(const struct store_commit *commit, const struct store_note *expected)
{
    struct store_note why;
    store_commit_why(commit, &why);
    expect_bytes(why.actor, slice_from(expected->actor.ptr, min_size(expected->actor.len, STORE_NOTE_TEXT_MAX)));
}

static void agrees_with_the_model(void)
{
    uint64_t seed = test_seed();
    struct rcu_domain rcu;
    rcu_init(&rcu);
    struct mvcc *mvcc;
    expect_int(mvcc_new(&rcu, &mvcc), 0);
    struct store_view old = {0};
    int64_t revision = 1;

    while (revision < REVISIONS) {
        memcpy(model[revision + 1], model[revision], sizeof(model[0]));
        bool undo = test_random(&seed) % 5 == 0;
        struct store_note why = {.actor = slice_from(words, test_random(&seed) % sizeof(words))};
        mvcc_begin(mvcc, undo, &why);
        int n_changes = write_some(mvcc, model[revision + 1], revision + 1, &seed);
        if (undo) {
            mvcc_rollback(mvcc);
        } else {
            const struct store_commit *commit = mvcc_commit(mvcc, 1000 + revision);
            expect_true((commit != NULL) == (n_changes > 0));
            if (commit)
                expect_why(commit, &why);
            revision += n_changes > 0;
        }
        expect_int(mvcc_revision(mvcc), revision);
        if (test_random(&seed) % 4 == 0)
            publish(mvcc);

        if (test_random(&seed) % 100 == 0 && mvcc_compacted(mvcc) + 5 < revision) {
            int64_t aim =
                mvcc_compacted(mvcc) + 1 + (int64_t)(test_random(&seed) % (uint64_t)(revision - mvcc_compacted(mvcc)));
            mvcc_compact(mvcc, aim);
        }
        mvcc_compact_step(mvcc, test_random(&seed) % 20);

        if (test_random(&seed) % 50 == 0) {
            struct store_view view;
            publish(mvcc);
            mvcc_view(mvcc, false, &view);
            expect_int(view.revision, revision);
            expect_state(&view, revision);
            int64_t lowest = mvcc_compacted(mvcc) > 1 ? mvcc_compacted(mvcc) : 1;
            expect_state(&view, lowest);
            expect_state(&view, lowest + (int64_t)(test_random(&seed) % (uint64_t)(revision - lowest + 1)));
            expect_history(&view, lowest, revision);
            if (old.root) {
                expect_state(&old, old.revision); /* long after, and through compactions */
                mvcc_release(mvcc, &old);
            }
            mvcc_view(mvcc, true, &old);
        }
    }
    if (old.root)
        mvcc_release(mvcc, &old);

    /* With all history forgotten, only what lives is left. */
    mvcc_compact(mvcc, revision);
    while (mvcc_compact_step(mvcc, 100))
        ;
    struct mvcc_stats stats;
    mvcc_stats(mvcc, &stats);
    expect_int(stats.n_keys, row_size(model[revision]));
    expect_true(stats.n_versions <= stats.n_keys + 8); /* and what the newest commit itself replaced */
    mvcc_free(mvcc);
    rcu_deinit(&rcu);
}

static bool add_key(void *ctx, const struct store_kv *kv)
{
    buf_append(ctx, kv->key);
    buf_append_char(ctx, ' ');
    return true;
}

static void ranges_sort_filter_and_limit(void)
{
    struct rcu_domain rcu;
    rcu_init(&rcu);
    struct mvcc *mvcc;
    expect_int(mvcc_new(&rcu, &mvcc), 0);
    const char *keys[] = {"b", "a", "c", "a/1", "d"};
    const struct store_kv *prev;
    for (int i = 0; i < 5; i++) { /* revisions 2 to 6; values descend */
        char value = (char)('z' - i);
        mvcc_begin(mvcc, false, NULL);
        expect_int(mvcc_put(mvcc, slice_from_str(keys[i]), slice_from(&value, 1), 0, &prev), 0);
        mvcc_commit(mvcc, 0);
    }

    struct {
        struct store_range range;
        const char *keys;
        int count;
        bool more;
    } wanted[] = {
        {{.key = SLICE_LIT("a"), .end = SLICE_LIT("b")}, "a a/1 ", 2, false},
        {{.key = SLICE_LIT("a"), .end = SLICE_LIT("\0"), .limit = 2}, "a a/1 ", 5, true},
        {{.key = SLICE_LIT("x"), .end = SLICE_LIT("y"), .order = STORE_DESCENDING}, "", 0, false},
        {{.key = SLICE_LIT("b"), .end = SLICE_LIT("a")}, "", 0, false},
        {{.key = SLICE_LIT("a"), .end = SLICE_LIT("e"), .order = STORE_DESCENDING}, "d c b a/1 a ", 5, false},
        {{.key = SLICE_LIT("a"), .end = SLICE_LIT("e"), .order = STORE_ASCENDING, .by = STORE_BY_VALUE, .limit = 2},
         "d a/1 ",
         5,
         true},
        {{.key = SLICE_LIT("a"), .end = SLICE_LIT("e"), .by = STORE_BY_CREATE}, "b a c a/1 d ", 5, false},
        {{.key = SLICE_LIT("a"), .end = SLICE_LIT("e"), .min_mod_revision = 3, .max_mod_revision = 4},
         "a c ",
         5,
         false},
        {{.key = SLICE_LIT("a"), .end = SLICE_LIT("e"), .count_only = true}, "", 5, false},
        {{.key = SLICE_LIT("a"), .end = SLICE_LIT("e"), .revision = 3}, "a b ", 2, false},
        {{.key = SLICE_LIT("a"), .end = SLICE_LIT("e"), .revision = 3, .limit = 1}, "a ", 2, true},
        {{.key = SLICE_LIT("d"), .revision = 5}, "", 0, false},
        {{.key = SLICE_LIT("d")}, "d ", 1, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        struct buf got = {0};
        struct store_range_result result;
        expect_int(mvcc_range(mvcc, &wanted[i].range, add_key, &got, &result), STORE_OK);
        expect_slice(buf_slice(&got), wanted[i].keys);
        expect_int(result.count, wanted[i].count);
        expect_int(result.more, wanted[i].more);
        buf_deinit(&got);
    }
    mvcc_free(mvcc);
    rcu_deinit(&rcu);
}

/* -------- a failing allocation leaves the state as it was */

static int three_changes(struct mvcc *mvcc)
{
    const struct store_kv *prev;
    int result = mvcc_put(mvcc, SLICE_LIT("a"), SLICE_LIT("2"), 0, &prev);
    if (result == 0)
        result = mvcc_delete(mvcc, SLICE_LIT("b"), &prev);
    if (result == 0)
        result = mvcc_put(mvcc, SLICE_LIT("c"), SLICE_LIT("1"), 0, &prev);
    return result;
}

static int scenario_out_of_memory(void *arg)
{
    struct rcu_domain *rcu = arg;
    struct mvcc *mvcc;
    int result = mvcc_new(rcu, &mvcc);
    if (result < 0)
        return result;

    const struct store_kv *prev;
    mvcc_begin(mvcc, false, NULL);
    result = mvcc_put(mvcc, SLICE_LIT("b"), SLICE_LIT("1"), 0, &prev);
    if (result < 0)
        mvcc_rollback(mvcc);
    else
        mvcc_commit(mvcc, 0);
    if (result == 0) {
        mvcc_begin(mvcc, true, NULL);
        result = three_changes(mvcc);
        if (result < 0) {
            mvcc_rollback(mvcc);
            expect_int(mvcc_revision(mvcc), 2);
            expect_true(mvcc_get(mvcc, SLICE_LIT("a")) == NULL);
            expect_slice(mvcc_get(mvcc, SLICE_LIT("b"))->value, "1");
        } else {
            expect_int(mvcc_commit(mvcc, 0)->n_events, 3);
        }
    }
    struct store_root *root;
    if (result == 0)
        result = mvcc_seal(mvcc, &root);
    mvcc_free(mvcc);
    return result;
}

static void out_of_memory_changes_nothing(void)
{
    struct rcu_domain rcu;
    rcu_init(&rcu);
    expect_true(fault_alloc_sweep(scenario_out_of_memory, &rcu) > 10);
    rcu_deinit(&rcu);
}

/* -------- readers beside a writer */

struct beside {
    struct rcu_domain rcu;
    struct mvcc *mvcc;
    _Atomic bool stop;
    _Atomic int n_reads;
};

/* Every key has the same value in every revision: a reader that sees two has seen a torn state. */
static bool same_value(void *ctx, const struct store_kv *kv)
{
    struct slice *value = ctx;
    if (value->ptr)
        expect_true(slice_equal(*value, kv->value));
    *value = kv->value;
    return true;
}

static void *read_on_and_on(void *arg)
{
    struct beside *beside = arg;
    struct rcu_reader reader;
    rcu_register(&beside->rcu, &reader);
    rcu_online(&reader);
    struct store_view kept = {0};
    for (unsigned i = 0; !atomic_load(&beside->stop); i++) {
        struct store_view view;
        mvcc_view(beside->mvcc, false, &view);
        for (int64_t back = 0; back < 3; back++) {
            struct slice value = {0};
            struct store_range range = {.key = SLICE_LIT("k"), .end = SLICE_LIT("l"), .revision = view.revision - back};
            struct store_range_result result;
            int outcome = mvcc_view_range(&view, &range, same_value, &value, &result);
            expect_true(outcome == STORE_OK || outcome == STORE_COMPACTED);
        }
        if (i % 64 == 0) {
            if (kept.root)
                mvcc_release(beside->mvcc, &kept);
            mvcc_view(beside->mvcc, true, &kept);
        }
        struct slice value = {0};
        struct store_range_result result;
        struct store_range range = {.key = SLICE_LIT("k"), .end = SLICE_LIT("l")};
        expect_int(mvcc_view_range(&kept, &range, same_value, &value, &result), STORE_OK);
        atomic_fetch_add(&beside->n_reads, 1);
        rcu_quiescent(&reader);
    }
    mvcc_release(beside->mvcc, &kept);
    rcu_offline(&reader);
    rcu_unregister(&reader);
    return NULL;
}

static void readers_see_whole_revisions(void)
{
    struct beside beside = {0};
    rcu_init(&beside.rcu);
    expect_int(mvcc_new(&beside.rcu, &beside.mvcc), 0);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        expect_int(pthread_create(&threads[i], NULL, read_on_and_on, &beside), 0);

    for (int round = 1; round < 400 || atomic_load(&beside.n_reads) < 200; round++) {
        char value[32];
        int n_value = snprintf(value, sizeof(value), "round %d", round);
        mvcc_begin(beside.mvcc, false, NULL);
        for (int i = 0; i < 40; i++) {
            char key[32];
            const struct store_kv *prev;
            snprintf(key, sizeof(key), "k%02d", i);
            if ((round + i) % 5)
                expect_int(mvcc_put(beside.mvcc, slice_from_str(key), slice_from(value, (size_t)n_value), 0, &prev), 0);
            else
                mvcc_delete(beside.mvcc, slice_from_str(key), &prev);
        }
        mvcc_commit(beside.mvcc, round);
        publish(beside.mvcc);
        if (round % 10 == 0 && mvcc_revision(beside.mvcc) - 2 > mvcc_compacted(beside.mvcc))
            mvcc_compact(beside.mvcc, mvcc_revision(beside.mvcc) - 2);
        mvcc_compact_step(beside.mvcc, 100);
    }
    atomic_store(&beside.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    mvcc_free(beside.mvcc);
    rcu_deinit(&beside.rcu);
}

static const struct test_case cases[] = {
    {"the memory agrees with a model at every revision that is kept", agrees_with_the_model},
    {"ranges sort, filter, count and limit", ranges_sort_filter_and_limit},
    {"a failing allocation changes nothing", out_of_memory_changes_nothing},
    {"readers see whole revisions while a writer changes and compacts", readers_see_whole_revisions},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
