/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What requests do to the memory, and what they leave in the batch.
 *
 * The rule of this file: a change first gets all memory it may need (its steps), then is made, then is entered in the
 * batch, so that memory and log never disagree. A request that fails leaves nothing behind but its answer.
 */
#include "base/assert.h"
#include "store/local/guard.h"
#include "store/local/local_priv.h"
#include "store/local/txn.h"

#include <errno.h>
#include <stdlib.h>

/* What entries and notes take besides keys and values. */
enum { STEP_BYTES = 64, NOTE_BYTES = 256 };

/* ------------------------------------------------------------------------------------------------ the batch */

struct local_batch *local_batch_open(struct local *local)
{
    if (!local->batch) {
        struct local_batch *batch = calloc(1, sizeof(*batch));
        if (!batch)
            return NULL;
        batch->local = local;
        batch->last_step = &batch->first_step;
        batch->last_request = &batch->first_request;
        local->batch = batch;
    }
    return local->batch;
}

struct batch_step *local_step_new(struct local *local)
{
    struct local_batch *batch = local_batch_open(local);
    return batch ? arena_alloc(&batch->arena, sizeof(struct batch_step)) : NULL;
}

/* What a step takes in the log, with its notes: about, but not less. */
static uint64_t step_bytes(const struct batch_step *step)
{
    uint64_t bytes = STEP_BYTES + step->n_notes * NOTE_BYTES;
    if (step->type == STEP_DOC)
        bytes += step->doc->key.len + step->doc->value.len;
    for (unsigned i = 0; step->type == STEP_COMMIT && i < step->commit->n_events; i++) {
        const struct store_kv *kv = step->commit->events[i].kv;
        bytes += STEP_BYTES + kv->key.len + (kv->version ? kv->value.len : NOTE_BYTES + kv->key.len);
    }
    return bytes;
}

void local_step_add(struct local *local, struct batch_step *step)
{
    local->applied_bytes += step_bytes(step);
    *local->batch->last_step = step;
    local->batch->last_step = &step->next;
}

void local_link_leases(struct local *local, const struct store_commit *commit)
{
    for (unsigned i = 0; i < commit->n_events; i++) {
        const struct store_event *event = &commit->events[i];
        if (event->prev && event->prev->lease)
            lease_detach(version_of(event->prev));
        struct lease *lease = event->kv->lease ? lease_find(local->leases, event->kv->lease) : NULL;
        if (lease)
            lease_attach(lease, version_of(event->kv));
    }
}

/* Closes the open revision and enters it in the batch. `step` is the one taken for it. */
static void commit_revision(struct local *local, struct batch_step *step, int64_t wall_ms)
{
    const struct store_commit *commit = mvcc_commit(local->mvcc, wall_ms);
    if (!commit)
        return;
    local_link_leases(local, commit);
    step->type = STEP_COMMIT;
    step->commit = commit;
    local_step_add(local, step);
}

/* ------------------------------------------------------------------------------------------------ requests */

/* Whether it may do anything of that kind: write at all, or put. */
static bool txn_may(const struct store_txn *txn, bool only_put)
{
    const struct store_op *branches[] = {txn->success, txn->failure};
    unsigned sizes[] = {txn->n_success, txn->n_failure};
    for (unsigned branch = 0; branch < 2; branch++) {
        for (unsigned i = 0; i < sizes[branch]; i++) {
            const struct store_op *op = &branches[branch][i];
            bool is_write = op->type == STORE_OP_PUT || (!only_put && op->type == STORE_OP_DELETE);
            if (op->type == STORE_OP_TXN ? txn_may(op->txn, only_put) : is_write)
                return true;
        }
    }
    return false;
}

static enum store_outcome apply_txn(struct local *local, struct store_request *request, int64_t wall_ms)
{
    enum store_outcome refusal = local_refusal_of(local, !txn_may(&request->txn, true));
    if (refusal != STORE_OK && txn_may(&request->txn, false))
        return refusal;
    struct batch_step *step = local_step_new(local);
    if (!step)
        return STORE_OUT_OF_MEMORY;
    struct store_note why = {
        .kind = STORE_NOTE_CHANGED, .actor = request->origin.actor, .cause = request->origin.cause};
    enum store_outcome outcome = txn_run(request, &why, local->mvcc, local->leases);
    if (outcome == STORE_OK)
        commit_revision(local, step, wall_ms);
    return outcome;
}

static enum store_outcome apply_compact(struct local *local, struct store_request *request)
{
    int64_t revision = request->compact_revision;
    if (revision > mvcc_revision(local->mvcc))
        return STORE_FUTURE_REVISION;
    if (revision <= mvcc_compacted(local->mvcc))
        return STORE_COMPACTED;
    if (local_refusal_of(local, true) != STORE_OK)
        return local_refusal_of(local, true);
    struct batch_step *step = local_step_new(local);
    if (!step)
        return STORE_OUT_OF_MEMORY;
    mvcc_compact(local->mvcc, revision);
    step->type = STEP_COMPACT;
    step->compact_revision = revision;
    local_step_add(local, step);
    return STORE_OK;
}

static enum store_outcome apply_grant(struct local *local, struct store_request *request, nsec_t now_ns)
{
    if (local_refusal_of(local, false) != STORE_OK)
        return local_refusal_of(local, false);
    struct batch_step *step = local_step_new(local);
    if (!step)
        return STORE_OUT_OF_MEMORY;
    int64_t ttl_ms = request->lease.ttl_ms;
    if (ttl_ms < local->options.min_ttl_ms)
        ttl_ms = local->options.min_ttl_ms;
    struct lease *lease;
    int result = lease_grant(local->leases, request->lease.id, ttl_ms, now_ns, &lease);
    if (result != STORE_OK)
        return result < 0 ? STORE_OUT_OF_MEMORY : (enum store_outcome)result;

    step->type = STEP_GRANT;
    step->lease = lease;
    step->lease_id = request->lease_id = lease_id(lease);
    step->ttl_ms = request->lease_ttl_ms = ttl_ms;
    local_step_add(local, step);
    return STORE_OK;
}

/*
 * Deletes the keys of a lease that is dead or about to die in one revision, and takes the lease away. `kill`: it must
 * be killed when nothing can fail any more. 0 or -ENOMEM: then nothing has changed.
 */
static int remove_lease(struct local *local, struct lease *lease, const struct store_note *why, int64_t wall_ms)
{
    struct slice *keys;
    size_t n_keys;
    struct batch_step *commit_step = local_step_new(local), *gone_step = local_step_new(local);
    if (!commit_step || !gone_step || lease_keys(lease, &keys, &n_keys) < 0)
        return -ENOMEM;

    int result = 0;
    mvcc_begin(local->mvcc, n_keys > 1, why);
    for (size_t i = 0; result == 0 && i < n_keys; i++) {
        const struct store_kv *prev;
        result = mvcc_delete(local->mvcc, keys[i], &prev);
        ASSERT(result != -ENOENT);
    }
    free(keys);
    if (result < 0) {
        mvcc_rollback(local->mvcc);
        return result;
    }
    lease_kill(lease);
    commit_revision(local, commit_step, wall_ms);
    gone_step->type = STEP_GONE;
    gone_step->lease_id = lease_id(lease);
    gone_step->why = *why;
    gone_step->why.revision = mvcc_revision(local->mvcc);
    gone_step->why.wall_ms = wall_ms;
    local_step_add(local, gone_step);
    lease_remove(local->leases, lease);
    return 0;
}

static enum store_outcome apply_revoke(struct local *local, struct store_request *request, int64_t wall_ms)
{
    struct lease *lease = lease_find(local->leases, request->lease.id);
    if (!lease)
        return STORE_NO_LEASE;
    if (local_refusal_of(local, true) != STORE_OK)
        return local_refusal_of(local, true);
    struct store_note why = {
        .kind = STORE_NOTE_REVOKED,
        .lease = request->lease.id,
        .actor = request->origin.actor,
        .cause = request->origin.cause,
    };
    return remove_lease(local, lease, &why, wall_ms) < 0 ? STORE_OUT_OF_MEMORY : STORE_OK;
}

/* One result with n key-value pairs, in the request's arena. */
static struct store_kv *make_kvs(struct store_request *request, size_t n)
{
    request->results = arena_alloc(&request->arena, sizeof(request->results[0]));
    struct store_kv *kvs = request->results ? arena_alloc(&request->arena, (n ? n : 1) * sizeof(*kvs)) : NULL;
    if (kvs) {
        request->n_results = 1;
        request->results[0].kvs = kvs;
        request->results[0].n_kvs = n;
    }
    return kvs;
}

static enum store_outcome apply_info(struct local *local, struct store_request *request, nsec_t now_ns)
{
    struct lease *lease = lease_find(local->leases, request->lease.id);
    request->lease_id = request->lease.id;
    request->lease_left_ms = -1;
    if (!lease)
        return STORE_OK;
    request->lease_left_ms = lease_left_ms(lease, now_ns);
    request->lease_ttl_ms = lease_ttl_ms(lease);

    struct slice *keys;
    size_t n_keys;
    if (lease_keys(lease, &keys, &n_keys) < 0)
        return STORE_OUT_OF_MEMORY;
    struct store_kv *kvs = make_kvs(request, n_keys);
    int result = kvs ? 0 : -ENOMEM;
    for (size_t i = 0; result == 0 && i < n_keys; i++)
        result = arena_copy(&request->arena, keys[i], &kvs[i].key);
    free(keys);
    return result < 0 ? STORE_OUT_OF_MEMORY : STORE_OK;
}

struct listing {
    struct store_kv *next;
};

static void list_lease(void *ctx, struct lease *lease)
{
    ((struct listing *)ctx)->next++->lease = lease_id(lease);
}

static enum store_outcome apply_list(struct local *local, struct store_request *request)
{
    struct listing listing = {make_kvs(request, lease_table_size(local->leases))};
    if (!listing.next)
        return STORE_OUT_OF_MEMORY;
    lease_each(local->leases, list_lease, &listing);
    return STORE_OK;
}

static enum store_outcome apply_notes(struct local *local, struct store_request *request, int64_t wall_ms)
{
    if (local_refusal_of(local, false) != STORE_OK)
        return local_refusal_of(local, false);
    struct batch_step *step = local_step_new(local);
    if (!step)
        return STORE_OUT_OF_MEMORY;
    step->type = STEP_NOTES;
    step->notes = request->notes.all;
    step->n_notes = request->notes.n;
    step->revision = mvcc_revision(local->mvcc);
    step->wall_ms = wall_ms;
    local_step_add(local, step);
    return STORE_OK;
}

static enum store_outcome apply_doc(struct local *local, struct store_request *request)
{
    struct slice name = request->doc.name, value = request->doc.value;
    const struct store_kv *doc = docs_get(local->docs, name);
    request->doc_version = doc ? doc->version : 0;
    if (request->doc.expected_version >= 0 && request->doc.expected_version != request->doc_version)
        return STORE_CONFLICT;
    if (request->doc.remove && !doc)
        return STORE_OK;
    if (local_refusal_of(local, request->doc.remove) != STORE_OK)
        return local_refusal_of(local, request->doc.remove);
    if (!request->doc.remove && !docs_has_room(local->docs, name, value))
        return STORE_DOCS_FULL;

    struct batch_step *step = local_step_new(local);
    if (!step)
        return STORE_OUT_OF_MEMORY;
    int result = request->doc.remove ? docs_remove(local->docs, name, &step->doc)
                                     : docs_put(local->docs, name, value, &step->doc);
    if (result < 0)
        return STORE_OUT_OF_MEMORY;
    step->type = STEP_DOC;
    local_step_add(local, step);
    request->doc_version = step->doc->version;
    return STORE_OK;
}

static enum store_outcome apply(struct local *local, struct store_request *request, nsec_t now_ns, int64_t wall_ms)
{
    switch (request->type) {
    case STORE_TXN:
        return apply_txn(local, request, wall_ms);
    case STORE_COMPACT:
        return apply_compact(local, request);
    case STORE_LEASE_GRANT:
        return apply_grant(local, request, now_ns);
    case STORE_LEASE_REVOKE:
        return apply_revoke(local, request, wall_ms);
    case STORE_LEASE_INFO:
        return apply_info(local, request, now_ns);
    case STORE_NOTES:
        return apply_notes(local, request, wall_ms);
    case STORE_DOC:
        return apply_doc(local, request);
    case STORE_LEASE_LIST:
        return apply_list(local, request);
    case STORE_BACKUP:
        break; /* the keeper does not pass it on */
    }
    ASSERT(false);
    return STORE_STOPPED;
}

int local_apply(struct local *local, struct store_request *request, nsec_t now_ns, int64_t wall_ms)
{
    struct local_batch *batch = local_batch_open(local);
    if (!batch)
        return -ENOMEM;
    request->outcome = guard_check(request, local->leases);
    if (request->outcome == STORE_OK)
        request->outcome = apply(local, request, now_ns, wall_ms);
    request->revision = mvcc_revision(local->mvcc);
    request->next = NULL;
    *batch->last_request = request;
    batch->last_request = &request->next;
    return 0;
}

/*
 * ------------------------------------------------------------------------------------------------ the passing of time
 */

unsigned local_expire(struct local *local, nsec_t now_ns, nsec_t read_until_ns, int64_t wall_ms, unsigned max)
{
    ASSERT(max <= LOCAL_EXPIRE_MAX);
    if (local_refusal_of(local, true) != STORE_OK)
        return 0; /* their removal could not be written: they stay, and what is dead is dead */
    if (local->n_expired == 0)
        local->n_expired = lease_expire(local->leases, now_ns, read_until_ns, local->expired, max);

    unsigned n_removed = 0;
    while (local->n_expired > 0 && local_refusal_of(local, true) == STORE_OK) {
        struct lease *lease = local->expired[local->n_expired - 1];
        struct store_note why = {
            .kind = STORE_NOTE_EXPIRED,
            .lease = lease_id(lease),
            .silence_ms = lease_silence_ms(lease, now_ns),
        };
        if (remove_lease(local, lease, &why, wall_ms) < 0)
            break; /* no memory: the rest next time */
        local->n_expired--;
        n_removed++;
    }
    return n_removed;
}

struct checkpoint {
    struct local *local;
    nsec_t now_ns;
};

static void checkpoint_lease(void *ctx, struct lease *lease)
{
    struct checkpoint *checkpoint = ctx;
    int64_t left_ms = lease_left_ms(lease, checkpoint->now_ns);
    if (lease_ttl_ms(lease) <= LOCAL_FULL_TTL_MS)
        return; /* gets its full TTL again anyway */
    struct batch_step *step = local_step_new(checkpoint->local);
    if (!step)
        return; /* the last checkpoint stands */
    step->type = STEP_LEFT;
    step->lease_id = lease_id(lease);
    step->left_ms = left_ms;
    local_step_add(checkpoint->local, step);
}

void local_checkpoint(struct local *local, nsec_t now_ns)
{
    struct checkpoint checkpoint = {local, now_ns};
    if (local_refusal_of(local, false) == STORE_OK)
        lease_each(local->leases, checkpoint_lease, &checkpoint);
}

/* The revision below which history has become too old or too large; 0: none. */
static int64_t trim_aim(const struct local *local, int64_t wall_ms)
{
    struct mvcc_stats stats;
    mvcc_stats(local->mvcc, &stats);
    int64_t revision = mvcc_revision(local->mvcc), oldest = mvcc_oldest(local->mvcc);
    if (stats.oldest_wall_ms == 0 || revision <= oldest)
        return 0;
    bool too_old = wall_ms - stats.oldest_wall_ms > local->options.history_ms;
    uint64_t history_bytes = stats.bytes - stats.live_bytes;
    if (history_bytes > local->history_cap)
        return oldest + 1 + (revision - oldest) / 8; /* in haste */
    bool too_large = history_bytes > local->options.history_bytes;
    /* A hundredth at a time: small enough not to be noticed, large enough to get ahead of what comes in. */
    return too_old || too_large ? oldest + 1 + (revision - oldest) / 100 : 0;
}

bool local_trim(struct local *local, int64_t wall_ms)
{
    if (local->is_snapshotting)
        return false;
    int64_t oldest = mvcc_oldest(local->mvcc);
    bool has_more = mvcc_compact_step(local->mvcc, LOCAL_TRIM_EVENTS);
    if (mvcc_oldest(local->mvcc) != oldest && local_batch_open(local))
        local->batch->wants_root = true;
    if (has_more)
        return true;

    int64_t aim = trim_aim(local, wall_ms);
    if (aim <= mvcc_compacted(local->mvcc))
        return false;
    if (local->is_short) { /* the snapshot is the record of it */
        mvcc_compact(local->mvcc, aim);
        return true;
    }
    if (local_refusal_of(local, true) != STORE_OK)
        return false;
    struct batch_step *step = local_step_new(local);
    if (!step)
        return false;
    mvcc_compact(local->mvcc, aim);
    step->type = STEP_COMPACT;
    step->compact_revision = aim;
    local_step_add(local, step);
    return true;
}
