/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded engine against a model of a few lines, thousands of random steps: transactions with compares, leases,
 * compaction, snapshots and restarts, while allocations, writes and syncs fail, the disk fills and the power goes. What
 * was published is there after each start; of the batch that was being written there is all or nothing; and every
 * revision that is not compacted reads as it was.
 */
#include "store/local/local.h"

#include "support/fault_alloc.h"
#include "support/sim_disk.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    KEYS = 12,
    LEASES = 6, /* 1 to 6 */
    REVISIONS = 6000,
    BATCH_MAX = 5,
    OPS_MAX = 3,
    VALUE_MAX = 6000,
    TTL_MS = 50 * 1000, /* all of it again after a restart */
    WALL_MS = 1000,
};

/* ------------------------------------------------------------------------------------------------ the model */

struct pair {
    int64_t create, mod, version, lease, value; /* version 0: there is none */
};

struct model {
    int64_t revision, compacted;
    bool leases[LEASES + 1];
    struct pair pairs[KEYS];
};

/* Key by key: keys are numbers, values too. `end` 0: one key. */
struct plan {
    enum { PUT, DELETE, GET } kind;
    unsigned key, end;
    int64_t value, lease;
};

static void model_do(struct model *model, const struct plan *plan)
{
    struct pair *pair = &model->pairs[plan->key];
    if (plan->kind == PUT)
        *pair = (struct pair){
            .create = pair->version ? pair->create : model->revision + 1,
            .mod = model->revision + 1,
            .version = pair->version + 1,
            .lease = plan->lease,
            .value = plan->value,
        };
    for (unsigned i = plan->key; plan->kind == DELETE && (i == plan->key || i < plan->end); i++)
        model->pairs[i] = (struct pair){0};
}

/* Whether a revision was made. */
static bool model_txn(struct model *model, const struct plan *plans, unsigned n)
{
    struct model before = *model;
    for (unsigned i = 0; i < n; i++)
        model_do(model, &plans[i]);
    bool has_changed = memcmp(before.pairs, model->pairs, sizeof(before.pairs)) != 0;
    model->revision += has_changed;
    return has_changed;
}

static void model_end_lease(struct model *model, int64_t lease)
{
    struct plan plans[KEYS];
    unsigned n = 0;
    for (unsigned key = 0; key < KEYS; key++) {
        if (model->pairs[key].version && model->pairs[key].lease == lease)
            plans[n++] = (struct plan){.kind = DELETE, .key = key};
    }
    model_txn(model, plans, n);
    model->leases[lease] = false;
}

/* ------------------------------------------------------------------------------------------------ the trial */

struct asked {
    struct store_request request;
    struct store_compare compare;
    struct store_op ops[OPS_MAX];
    struct plan plans[OPS_MAX];
    char keys[OPS_MAX][2][8], values[OPS_MAX][VALUE_MAX];
};

struct trial {
    struct sim_disk *disk;
    struct rcu_domain rcu;
    struct local *local;
    struct err err;
    uint64_t random;
    nsec_t now_ns;
    int64_t n_values;
    bool is_disturbed;       /* something was made to fail since the last start */
    struct model now, known; /* with all that was applied; with all that was published */
    struct pair history[REVISIONS][KEYS];
    struct asked batch[BATCH_MAX];
    unsigned n_starts, n_lost, n_refused;
};

static unsigned choose(struct trial *trial, unsigned n)
{
    return (unsigned)(test_random(&trial->random) % n);
}

static struct slice key_text(unsigned key, char room[8])
{
    return slice_from(room, (size_t)snprintf(room, 8, "k%02u", key));
}

/* A number and a filling that follows from it: mostly short, now and then longer than a page. */
static struct slice value_text(int64_t value, char room[VALUE_MAX])
{
    size_t len = (size_t)snprintf(room, VALUE_MAX, "%" PRId64 ":", value);
    size_t more = value % 20 == 0 ? 5000 : (size_t)value % 50;
    memset(room + len, 'x', more);
    return slice_from(room, len + more);
}

/* ------------------------------------------------------------------------------------------------ comparing */

struct reading {
    const struct pair *pairs;
    unsigned next;
};

static bool compare_pair(void *ctx, const struct store_kv *kv)
{
    struct reading *reading = ctx;
    static char value[VALUE_MAX];
    char key[8];
    while (reading->next < KEYS && reading->pairs[reading->next].version == 0)
        reading->next++;
    expect_true(reading->next < KEYS);
    const struct pair *pair = &reading->pairs[reading->next];
    expect_true(slice_equal(kv->key, key_text(reading->next++, key)));
    expect_true(slice_equal(kv->value, value_text(pair->value, value)));
    expect_int(kv->create_revision, pair->create);
    expect_int(kv->mod_revision, pair->mod);
    expect_int(kv->version, pair->version);
    expect_int(kv->lease, pair->lease);
    return true;
}

static void expect_pairs(const struct store_view *view, int64_t revision, const struct pair *pairs)
{
    struct reading reading = {.pairs = pairs};
    struct store_range all = {.key = SLICE_LIT("k"), .end = SLICE_LIT("l"), .revision = revision};
    struct store_range_result result;
    int64_t n = 0;
    for (unsigned key = 0; key < KEYS; key++)
        n += pairs[key].version > 0;
    expect_int(mvcc_view_range(view, &all, compare_pair, &reading, &result), STORE_OK);
    expect_int(result.count, n);
}

/* What is published, now and at some revision of the past. */
static void compare_published(struct trial *trial)
{
    struct store_view view;
    mvcc_view(local_mvcc(trial->local), true, &view);
    expect_int(view.revision, trial->known.revision);
    expect_pairs(&view, 0, trial->known.pairs);
    int64_t oldest = trial->known.compacted > 1 ? trial->known.compacted : 1;
    int64_t past = oldest + choose(trial, (unsigned)(trial->known.revision - oldest + 1));
    /* What is compacted in memory is gone before the batch that says so is published. */
    if (past >= trial->now.compacted)
        expect_pairs(&view, past, trial->history[past]);
    mvcc_release(local_mvcc(trial->local), &view);
}

/* The leases and their keys, of what was applied. */
static void compare_leases(struct trial *trial)
{
    size_t n = 0;
    for (int64_t id = 1; id <= LEASES; id++) {
        struct lease *lease = lease_find(local_leases(trial->local), id);
        expect_int(lease != NULL, trial->now.leases[id]);
        n += trial->now.leases[id];
        if (!lease)
            continue;
        struct slice *keys;
        size_t n_keys, n_expected = 0;
        expect_int(lease_keys(lease, &keys, &n_keys), 0);
        free(keys);
        for (unsigned key = 0; key < KEYS; key++)
            n_expected += trial->now.pairs[key].version > 0 && trial->now.pairs[key].lease == id;
        expect_int(n_keys, n_expected);
    }
    expect_int(lease_table_size(local_leases(trial->local)), n);
}

/* ------------------------------------------------------------------------------------------------ starts */

static void start(struct trial *trial)
{
    struct local_options options;
    struct local_recovery recovery;
    local_options_init(&options);
    options.wal.segment_bytes = 64 * 1024;
    if (local_open(sim_disk_files(trial->disk), &options, &trial->rcu, trial->now_ns, &trial->local, &recovery,
                   &trial->err) < 0)
        test_fail(__FILE__, __LINE__, "start %u: %s", trial->n_starts, trial->err.text);
    local_start(trial->local, trial->now_ns);
    trial->n_starts++;
    trial->is_disturbed = false;
}

static bool is_state(struct trial *trial, const struct model *model)
{
    bool is_same = mvcc_revision(local_mvcc(trial->local)) == model->revision;
    for (int64_t id = 1; id <= LEASES; id++)
        is_same = is_same && (lease_find(local_leases(trial->local), id) != NULL) == model->leases[id];
    return is_same && mvcc_compacted(local_mvcc(trial->local)) == model->compacted;
}

/* Ends it without a word, and the power with it or not; what fails and what is full is well again. */
static void start_again(struct trial *trial, bool loses_power)
{
    local_close(trial->local);
    bool had_power = sim_disk_has_power(trial->disk);
    for (int op = 0; op <= SIM_DISK_ANY; op++)
        sim_disk_fail(trial->disk, (enum sim_disk_op)op, 1, EIO, 0);
    sim_disk_cut_power_at(trial->disk, UINT64_MAX / 2);
    sim_disk_limit(trial->disk, UINT64_MAX);
    if (loses_power || !had_power)
        sim_disk_lose_power(trial->disk);
    start(trial);
    /* The batch that was being written is there as a whole, or not at all. */
    if (is_state(trial, &trial->now))
        trial->known = trial->now;
    else
        trial->n_lost++;
    expect_true(is_state(trial, &trial->known));
    trial->now = trial->known;
    compare_published(trial);
    compare_leases(trial);
}

/* Writes and publishes what was applied; starts again when that is not possible. */
static void finish_batch(struct trial *trial)
{
    struct local_batch *batch = local_seal(trial->local);
    fault_alloc_disarm();
    if (!batch && !(batch = local_seal(trial->local)))
        return;
    int result = local_write(trial->local, batch, &trial->err);
    if (result == -ENOSPC) {
        sim_disk_limit(trial->disk, UINT64_MAX);
        result = local_write(trial->local, batch, &trial->err);
    }
    expect_true(result == 0 || trial->is_disturbed);
    if (result == 0) {
        local_publish(trial->local, batch, trial->now_ns);
        trial->known = trial->now;
    }
    for (struct store_request *request = local_batch_free(batch), *next; request; request = next) {
        next = request->next;
        store_request_deinit(request);
    }
    local_reclaim(trial->local);
    local_prove_room(trial->local);
    if (result < 0)
        start_again(trial, choose(trial, 2));
}

/* ------------------------------------------------------------------------------------------------ steps */

/* Puts into the history what the model has become. */
static void remember(struct trial *trial, const struct model *next)
{
    if (next->revision > trial->now.revision)
        memcpy(trial->history[next->revision], next->pairs, sizeof(next->pairs));
    trial->now = *next;
}

/* `next`: what becomes of the model when it is done; `expected`: its outcome when nothing fails. */
static void submit(struct trial *trial, struct asked *asked, const struct model *next, enum store_outcome expected)
{
    int result = local_apply(trial->local, &asked->request, trial->now_ns, WALL_MS);
    if (result == 0 && asked->request.outcome == expected) {
        if (expected == STORE_OK) {
            expect_int(asked->request.revision, next->revision);
            remember(trial, next);
        }
        return;
    }
    trial->n_refused++;
    expect_true(trial->is_disturbed);
    if (result == 0)
        expect_true(asked->request.outcome == STORE_OUT_OF_MEMORY || asked->request.outcome == STORE_NO_SPACE ||
                    asked->request.outcome == STORE_READ_ONLY);
    else
        expect_int(result, -ENOMEM);
    store_request_deinit(&asked->request);
}

static struct plan choose_plan(struct trial *trial, unsigned key)
{
    unsigned luck = choose(trial, 10);
    struct plan plan = {.kind = luck < 6 ? PUT : luck < 8 ? DELETE : GET, .key = key};
    if (plan.kind == PUT) {
        plan.value = ++trial->n_values;
        plan.lease = choose(trial, 3) ? 0 : 1 + choose(trial, LEASES);
    }
    return plan;
}

static struct store_op make_op(struct asked *asked, unsigned i)
{
    const struct plan *plan = &asked->plans[i];
    struct slice key = key_text(plan->key, asked->keys[i][0]);
    struct slice end = plan->end ? key_text(plan->end, asked->keys[i][1]) : (struct slice){0};
    if (plan->kind == PUT)
        return (struct store_op){
            .type = STORE_OP_PUT,
            .put = {.key = key, .value = value_text(plan->value, asked->values[i]), .lease = plan->lease}};
    if (plan->kind == DELETE)
        return (struct store_op){.type = STORE_OP_DELETE, .del = {.key = key, .end = end}};
    return (struct store_op){.type = STORE_OP_RANGE, .range = {.key = key, .end = end}};
}

/* Up to OPS_MAX operations on keys of their own, if a compare holds; else nothing. */
static void do_txn(struct trial *trial, struct asked *asked)
{
    unsigned first = choose(trial, KEYS), n = 1 + choose(trial, OPS_MAX);
    bool is_range = choose(trial, 10) == 0;
    for (unsigned i = 0; i < n; i++)
        asked->plans[i] = choose_plan(trial, (first + i * (KEYS / OPS_MAX)) % KEYS);
    if (is_range) {
        n = 1;
        asked->plans[0] = (struct plan){.kind = DELETE, .key = first, .end = first + 1 + choose(trial, 4)};
    }
    struct model next = trial->now;
    bool has_leases = true;
    const struct pair *pair = &next.pairs[first];
    asked->compare = (struct store_compare){.target = STORE_CMP_MOD,
                                            .test = STORE_CMP_EQUAL,
                                            .key = key_text(first, asked->keys[0][0]),
                                            .number = choose(trial, 4) ? pair->mod : pair->mod + 1};
    bool holds = asked->compare.number == pair->mod;
    for (unsigned i = 0; i < n; i++) {
        if (asked->plans[i].end > KEYS)
            asked->plans[i].end = KEYS;
        asked->ops[i] = make_op(asked, i);
        has_leases = has_leases && (asked->plans[i].lease == 0 || next.leases[asked->plans[i].lease]);
    }
    asked->request.type = STORE_TXN;
    asked->request.txn =
        (struct store_txn){.compares = &asked->compare, .n_compares = 1, .success = asked->ops, .n_success = n};
    if (holds && has_leases)
        model_txn(&next, asked->plans, n);
    submit(trial, asked, &next, holds && !has_leases ? STORE_NO_LEASE : STORE_OK);
}

static void do_lease(struct trial *trial, struct asked *asked)
{
    struct model next = trial->now;
    int64_t id = 1 + choose(trial, LEASES);
    bool is_grant = choose(trial, 3) > 0;
    asked->request.type = is_grant ? STORE_LEASE_GRANT : STORE_LEASE_REVOKE;
    asked->request.lease.id = id;
    asked->request.lease.ttl_ms = TTL_MS;
    enum store_outcome expected = STORE_OK;
    if (is_grant && next.leases[id])
        expected = STORE_LEASE_EXISTS;
    else if (is_grant)
        next.leases[id] = true;
    else if (next.leases[id])
        model_end_lease(&next, id);
    else
        expected = STORE_NO_LEASE;
    submit(trial, asked, &next, expected);
}

static void do_compaction(struct trial *trial, struct asked *asked)
{
    struct model next = trial->now;
    int64_t revision = next.revision - choose(trial, 60);
    asked->request.type = STORE_COMPACT;
    asked->request.compact_revision = revision;
    enum store_outcome expected = revision > next.compacted ? STORE_OK : STORE_COMPACTED;
    if (expected == STORE_OK)
        next.compacted = revision;
    submit(trial, asked, &next, expected);
}

/* All leases run out, one after the other. */
static void let_leases_expire(struct trial *trial)
{
    trial->now_ns += 2 * TTL_MS * NSEC_PER_MSEC;
    while (local_expire(trial->local, trial->now_ns, trial->now_ns, WALL_MS, 1) == 1) {
        int64_t id = 1;
        while (!trial->now.leases[id] || lease_find(local_leases(trial->local), id))
            expect_true(++id <= LEASES);
        struct model next = trial->now;
        model_end_lease(&next, id);
        remember(trial, &next);
    }
    compare_leases(trial);
    finish_batch(trial);
}

static void take_snapshot(struct trial *trial)
{
    struct local_snapshot *snapshot;
    if (local_snapshot_begin(trial->local, false, trial->now_ns, WALL_MS, &snapshot) == 0)
        local_snapshot_end(snapshot, local_snapshot_write(snapshot, &trial->err) == 0);
    while (local_forget_log(trial->local))
        continue;
}

static void disturb(struct trial *trial)
{
    trial->is_disturbed = true;
    switch (choose(trial, 4)) {
    case 0:
        fault_alloc_arm(1 + choose(trial, 20));
        break;
    case 1:
        sim_disk_fail(trial->disk, (enum sim_disk_op)choose(trial, SIM_DISK_ANY + 1), 1 + choose(trial, 4), EIO,
                      1 + choose(trial, 4));
        break;
    case 2:
        sim_disk_limit(trial->disk, sim_disk_used(trial->disk) + choose(trial, 20000));
        break;
    case 3:
        sim_disk_cut_power_at(trial->disk, 1 + choose(trial, 6));
        break;
    default:
        break;
    }
}

static void do_batch(struct trial *trial)
{
    unsigned n = 1 + choose(trial, BATCH_MAX);
    for (unsigned i = 0; i < n; i++) {
        struct asked *asked = &trial->batch[i];
        asked->request = (struct store_request){.origin = {SLICE_LIT("a test"), SLICE_LIT("chance")}};
        unsigned luck = choose(trial, 20);
        if (luck < 16)
            do_txn(trial, asked);
        else if (luck < 19)
            do_lease(trial, asked);
        else
            do_compaction(trial, asked);
    }
    finish_batch(trial);
}

static void step(struct trial *trial, bool may_disturb)
{
    unsigned luck = choose(trial, 100);
    if (luck < 3)
        let_leases_expire(trial);
    else if (luck < 7)
        take_snapshot(trial);
    else if (luck < 10)
        start_again(trial, luck < 8);
    else if (luck < 15)
        sim_disk_limit(trial->disk, UINT64_MAX);
    if (may_disturb && choose(trial, 12) == 0)
        disturb(trial);
    do_batch(trial);
    compare_published(trial);
    compare_leases(trial);
    while (mvcc_compact_step(local_mvcc(trial->local), 1 + choose(trial, 50)) && choose(trial, 2)) {
    }
}

static struct trial *begin(uint64_t seed)
{
    static struct trial trial;
    memset(&trial, 0, sizeof(trial));
    trial.disk = sim_disk_new(seed);
    trial.random = seed;
    trial.now = trial.known = (struct model){.revision = 1};
    rcu_init(&trial.rcu);
    start(&trial);
    return &trial;
}

static void end(struct trial *trial)
{
    local_close(trial->local);
    rcu_deinit(&trial->rcu);
    sim_disk_free(trial->disk);
}

static void live(bool may_disturb, unsigned rounds)
{
    uint64_t seed = test_seed();
    unsigned n_starts = 0, n_lost = 0, n_refused = 0;
    for (unsigned round = 0; round < rounds; round++) {
        struct trial *trial = begin(test_random(&seed));
        for (unsigned i = 0; i < 500 && trial->now.revision < REVISIONS - 100; i++)
            step(trial, may_disturb);
        n_starts += trial->n_starts;
        n_lost += trial->n_lost;
        n_refused += trial->n_refused;
        end(trial);
    }
    printf("# %u starts, %u batches lost on the way to the disk, %u requests refused\n", n_starts, n_lost, n_refused);
    expect_int(n_lost > 0, may_disturb);
    expect_int(n_refused > 0, may_disturb);
}

static void agrees_with_the_model(void)
{
    live(false, 3);
}

static void agrees_with_the_model_whatever_fails(void)
{
    live(true, 8);
}

/* It makes a difference to the snapshot, though there is nothing to forget. */
static void the_first_revision_may_be_compacted(void)
{
    struct trial *trial = begin(1);
    struct model next = trial->now;
    struct asked *asked = &trial->batch[0];
    next.compacted = 1;
    asked->request = (struct store_request){.type = STORE_COMPACT, .compact_revision = 1};
    submit(trial, asked, &next, STORE_OK);
    finish_batch(trial);
    take_snapshot(trial);
    start_again(trial, false);
    do_batch(trial);
    start_again(trial, true);
    end(trial);
}

static const struct test_case cases[] = {
    {"the first revision may be compacted", the_first_revision_may_be_compacted},
    {"the engine agrees with a model", agrees_with_the_model},
    {"the engine agrees with a model whatever fails", agrees_with_the_model_whatever_fails},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
