/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maintenance.Snapshot: the store as a file, in pieces; the last one is the SHA-256 of all before it. etcd's tools want
 * the data in whole sectors, so zeroes are put behind it, which readers of muster's snapshots pass over.
 *
 * A call waits for its copy, then sends pieces from a task of the loop, a few in a turn, as long as the client reads.
 */
#include "base/assert.h"
#include "fronts/backup.h"
#include "fronts/etcd/etcd_impl.h"
#include "fronts/etcd_version.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define PIECE_BYTES     ((size_t)32 * 1024)
#define PIECES_PER_TURN 8
#define SECTOR_BYTES    512
/* A client that takes nothing for so long gives up its copy. Writing one takes no longer either. */
#define IDLE_NS (600 * NSEC_PER_SEC)

struct snapshot {
    struct etcd_stream stream;
    struct backup *backup;
    EVP_MD_CTX *digest;
    uint64_t sent, total; /* with padding */
    struct loop_task task;
    bool is_full; /* the client does not read */
};

static void snapshot_free(struct snapshot *snapshot)
{
    loop_undefer(&snapshot->task);
    backup_free(snapshot->backup);
    EVP_MD_CTX_free(snapshot->digest);
    etcd_stream_close(&snapshot->stream);
    free(snapshot);
}

static bool is_over(const struct snapshot *snapshot)
{
    return snapshot->stream.call->is_finished;
}

static void send_blob(struct snapshot *snapshot, struct slice blob)
{
    struct grpc_call *call = snapshot->stream.call;
    struct buf *answer = etcd_answer_begin(call, backup_revision(snapshot->backup));
    if (!answer)
        return;
    pb_add_uint(answer, 2, snapshot->total - snapshot->sent);
    pb_add_bytes(answer, 3, blob);
    pb_add_str(answer, 4, ETCD_STORAGE_VERSION);
    if (buf_error(answer) < 0)
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
    else if (grpc_send(call, buf_slice(answer)) == EXCHANGE_FULL)
        snapshot->is_full = true;
}

static void send_digest(struct snapshot *snapshot)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_DigestFinal_ex(snapshot->digest, bytes, &len) != 1) {
        etcd_refuse(snapshot->stream.call, ETCD_TOO_MANY_REQUESTS);
        return;
    }
    send_blob(snapshot, slice_from(bytes, len));
    grpc_finish(snapshot->stream.call, GRPC_OK, NULL);
}

/* The copy's bytes, then zeroes. */
static int read_piece(const struct snapshot *snapshot, char *ret_bytes, size_t len)
{
    uint64_t n_bytes = backup_bytes(snapshot->backup);
    size_t n_copy = snapshot->sent < n_bytes ? (size_t)min_size(len, n_bytes - snapshot->sent) : 0;
    memset(ret_bytes + n_copy, 0, len - n_copy);
    return backup_read(snapshot->backup, snapshot->sent, ret_bytes, n_copy);
}

static void send_piece(struct snapshot *snapshot)
{
    struct grpc_call *call = snapshot->stream.call;
    char *bytes = loop_read_buffer(exchange_loop(call->exchange));
    size_t len = (size_t)min_size(PIECE_BYTES, snapshot->total - snapshot->sent);
    if (read_piece(snapshot, bytes, len) < 0)
        etcd_refuse(call, ETCD_SNAPSHOT_FAILED);
    else if (EVP_DigestUpdate(snapshot->digest, bytes, len) != 1)
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
    if (is_over(snapshot))
        return;
    snapshot->sent += len;
    send_blob(snapshot, slice_from(bytes, len));
}

static void on_task(struct loop_task *task)
{
    struct snapshot *snapshot = container_of(task, struct snapshot, task);
    for (unsigned i = 0; i < PIECES_PER_TURN && !snapshot->is_full && !is_over(snapshot); i++) {
        if (snapshot->sent < snapshot->total)
            send_piece(snapshot);
        else
            send_digest(snapshot);
    }
    if (!snapshot->is_full && !is_over(snapshot))
        loop_defer(exchange_loop(snapshot->stream.call->exchange), &snapshot->task);
}

static void on_ready(void *ctx, enum store_outcome outcome)
{
    struct snapshot *snapshot = ctx;
    struct grpc_call *call = snapshot->stream.call;
    if (is_over(snapshot))
        return;
    if (outcome != STORE_OK) {
        etcd_refuse(call, etcd_error_from(outcome));
        return;
    }
    uint64_t n_bytes = backup_bytes(snapshot->backup);
    snapshot->total = (n_bytes + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
    loop_defer(exchange_loop(call->exchange), &snapshot->task);
}

void etcd_on_snapshot_drain(struct grpc_call *call)
{
    struct snapshot *snapshot = call->state;
    snapshot->is_full = false;
    loop_defer(exchange_loop(call->exchange), &snapshot->task);
}

void etcd_on_snapshot_close(struct grpc_call *call, enum exchange_end end)
{
    (void)end;
    if (call->state)
        snapshot_free(call->state);
}

static int begin(struct snapshot *snapshot)
{
    struct grpc_call *call = snapshot->stream.call;
    struct etcd *etcd = call->ctx;
    snapshot->digest = EVP_MD_CTX_new();
    if (!snapshot->digest || EVP_DigestInit_ex(snapshot->digest, EVP_sha256(), NULL) != 1)
        return -ENOMEM;
    return backup_new(etcd->store, exchange_loop(call->exchange), &etcd->n_backups, on_ready, snapshot,
                      &snapshot->backup);
}

void etcd_on_snapshot(struct grpc_call *call, struct slice message)
{
    (void)message;
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (!snapshot) {
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
        return;
    }
    if (etcd_stream_open(&snapshot->stream, call) < 0) {
        free(snapshot);
        return;
    }
    loop_task_init(&snapshot->task, on_task);
    call->state = snapshot;
    exchange_set_idle_timeout(call->exchange, IDLE_NS);
    if (begin(snapshot) < 0)
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
}
