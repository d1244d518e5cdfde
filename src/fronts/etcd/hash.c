/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash and HashKV: a checksum of all pairs at one revision, equal for equal states.
 *
 * A million pairs take longer than a turn of the loop may, so they are walked in steps over a view that is held
 * meanwhile.
 */
#include "base/crc32c.h"
#include "fronts/etcd/etcd_impl.h"

#include <stdlib.h>

#define KEYS_PER_TURN  2000
#define BYTES_PER_TURN ((size_t)4 * 1024 * 1024)

struct hash_walk {
    struct grpc_call *call; /* NULL: it is gone */
    struct etcd *etcd;
    struct store_view view;
    int64_t revision;
    bool is_kv; /* HashKV, which tells more */
    struct loop_task task;
    struct slice next_key; /* the view's: to go on from */
    size_t n_bytes;        /* hashed in this turn */
    uint32_t crc;
};

static void walk_free(struct hash_walk *walk)
{
    loop_undefer(&walk->task);
    store_release(walk->etcd->store, &walk->view);
    free(walk);
}

static void end(struct hash_walk *walk, enum etcd_error error)
{
    struct grpc_call *call = walk->call;
    call->state = NULL;
    if (error != ETCD_OK) {
        etcd_refuse(call, error);
        walk_free(walk);
        return;
    }
    struct buf *answer = etcd_answer_begin(call, walk->view.revision);
    if (answer) {
        pb_add_uint(answer, 2, walk->crc);
        if (walk->is_kv) {
            pb_add_int(answer, 3, walk->view.compacted);
            pb_add_int(answer, 4, walk->revision);
        }
        etcd_answer_end(call, answer);
    }
    walk_free(walk);
}

static bool add_pair(void *ctx, const struct store_kv *kv)
{
    struct hash_walk *walk = ctx;
    const int64_t numbers[] = {kv->create_revision, kv->mod_revision,     kv->version,
                               kv->lease,           (int64_t)kv->key.len, (int64_t)kv->value.len};
    walk->crc = crc32c(walk->crc, slice_from(numbers, sizeof(numbers)));
    walk->crc = crc32c(walk->crc, kv->key);
    walk->crc = crc32c(walk->crc, kv->value);
    walk->n_bytes += sizeof(numbers) + kv->key.len + kv->value.len;
    return walk->n_bytes < BYTES_PER_TURN;
}

/* One step. */
static void on_task(struct loop_task *task)
{
    struct hash_walk *walk = container_of(task, struct hash_walk, task);
    if (walk->call->is_finished)
        return; /* on_close is on its way */
    const struct store_range range = {
        .key = walk->next_key,
        .end = slice_from("", 1),
        .revision = walk->revision,
        .part = KEYS_PER_TURN,
    };
    struct store_range_result result;
    walk->n_bytes = 0;
    int r = store_range(walk->etcd->store, &walk->view, &range, add_pair, walk, &result);
    if (r != STORE_OK) {
        end(walk, etcd_error_from((enum store_outcome)r));
        return;
    }
    walk->next_key = result.next;
    if (slice_is_empty(result.next))
        end(walk, ETCD_OK);
    else
        loop_defer(exchange_loop(walk->call->exchange), &walk->task);
}

static void begin(struct grpc_call *call, int64_t revision, bool is_kv)
{
    struct hash_walk *walk = calloc(1, sizeof(*walk));
    if (!walk) {
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
        return;
    }
    walk->call = call;
    walk->etcd = call->ctx;
    walk->is_kv = is_kv;
    loop_task_init(&walk->task, on_task);
    store_view(walk->etcd->store, true, &walk->view);
    walk->revision = revision > 0 ? revision : walk->view.revision;
    walk->next_key = slice_from("", 1); /* the lowest there is */
    call->state = walk;
    loop_defer(exchange_loop(call->exchange), &walk->task);
}

void etcd_on_hash(struct grpc_call *call, struct slice message)
{
    (void)message;
    begin(call, 0, false);
}

void etcd_on_hash_kv(struct grpc_call *call, struct slice message)
{
    int64_t revision;
    enum etcd_error error = etcd_read_compaction(message, &revision); /* the same message: field 1 is a revision */
    if (error == ETCD_OK)
        begin(call, revision, true);
    else
        etcd_refuse(call, error);
}

void etcd_on_hash_close(struct grpc_call *call, enum exchange_end end_)
{
    (void)end_;
    if (call->state)
        walk_free(call->state);
}
