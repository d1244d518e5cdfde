/* SPDX-License-Identifier: Apache-2.0 */
/* Maintenance.Snapshot: the copy in pieces, and clients that do not take them. */
#include "support/etcd_kit.h"

#include "fronts/backup.h"

#include <openssl/sha.h>
#include <stdlib.h>

#define PIECE_BYTES (32 * 1024)

static struct etcd_call *ask_snapshot(struct etcd_kit *kit)
{
    Etcdserverpb__SnapshotRequest request = ETCDSERVERPB__SNAPSHOT_REQUEST__INIT;
    return etcd_ask(kit, "Maintenance/Snapshot", &request.base);
}

static Etcdserverpb__SnapshotResponse *hear(struct etcd_call *call)
{
    return etcd_hear(call, &etcdserverpb__snapshot_response__descriptor);
}

/* All that the call has brought: n_bytes of copy, padding, the hash. */
static void expect_copy(struct etcd_call *call, size_t n_bytes)
{
    size_t total = (n_bytes + 511) / 512 * 512, at = 0;
    unsigned char *bytes = calloc(1, total + 1), digest[SHA256_DIGEST_LENGTH];
    while (at < total) {
        Etcdserverpb__SnapshotResponse *piece = hear(call);
        expect_true(piece && piece->blob.len > 0 && piece->blob.len <= PIECE_BYTES);
        expect_true(at + piece->blob.len <= total);
        memcpy(bytes + at, piece->blob.data, piece->blob.len);
        at += piece->blob.len;
        expect_int(piece->remaining_bytes, total - at);
        expect_str(piece->version, "3.6.0");
        expect_int(piece->header->revision, 2);
    }
    for (size_t i = 0; i < total; i++)
        expect_int(bytes[i], i < n_bytes ? i % 256 : 0);
    SHA256(bytes, total, digest);
    Etcdserverpb__SnapshotResponse *last = hear(call);
    expect_int(last->blob.len, sizeof(digest));
    expect_int(memcmp(last->blob.data, digest, sizeof(digest)), 0);
    expect_true(hear(call) == NULL);
    free(bytes);
}

static void a_copy_comes_in_pieces_with_its_hash(void)
{
    static const size_t sizes[] = {1, 512, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 20 * PIECE_BYTES + 77};
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        struct etcd_kit *kit = etcd_kit_new();
        fake_store_put(kit->store, "k", "v");
        fake_store_set_backup(kit->store, sizes[i]);
        struct etcd_call *call = ask_snapshot(kit);
        expect_error(call, GRPC_OK, "");
        expect_copy(call, sizes[i]);
        etcd_kit_free(kit);
    }
}

static void a_client_that_does_not_read_is_waited_for(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    fake_store_put(kit->store, "k", "v");
    fake_store_set_backup(kit->store, 20 * PIECE_BYTES);
    struct etcd_call *call = etcd_call_new(kit, "Maintenance/Snapshot");
    call->is_full = true;
    etcd_say_bytes(call, (struct slice){0});
    etcd_end(call);
    expect_int(call->n_written_full, 2); /* one message: its prefix, and itself */
    expect_int(call->status, ETCD_NO_STATUS);
    etcd_drain(call);
    expect_error(call, GRPC_OK, "");
    expect_copy(call, 20 * PIECE_BYTES);
    etcd_kit_free(kit);
}

static void clients_may_go_away(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    fake_store_set_backup(kit->store, 20 * PIECE_BYTES);
    struct etcd_call *slow = etcd_call_new(kit, "Maintenance/Snapshot");
    slow->is_full = true;
    etcd_say_bytes(slow, (struct slice){0});
    etcd_abort(slow); /* in the middle */

    fake_store_hold(kit->store, true);
    struct etcd_call *early = ask_snapshot(kit);
    expect_int(early->status, ETCD_NO_STATUS);
    etcd_abort(early); /* before there is a copy */
    fake_store_hold(kit->store, false);
    etcd_kit_free(kit);
}

static void there_are_only_so_many_at_a_time(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *calls[BACKUPS_MAX];
    fake_store_hold(kit->store, true);
    for (unsigned i = 0; i < BACKUPS_MAX; i++)
        calls[i] = ask_snapshot(kit);
    expect_error(ask_snapshot(kit), GRPC_RESOURCE_EXHAUSTED, "etcdserver: too many requests");
    fake_store_hold(kit->store, false);
    etcd_kit_run(kit);
    for (unsigned i = 0; i < BACKUPS_MAX; i++)
        expect_error(calls[i], GRPC_OK, "");
    expect_error(ask_snapshot(kit), GRPC_OK, "");
    etcd_kit_free(kit);
}

static void a_copy_that_cannot_be_made_is_told(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    fake_store_refuse(kit->store, STORE_BACKUP_FAILED);
    expect_error(ask_snapshot(kit), GRPC_INTERNAL, "the snapshot could not be written: see the log of muster");
    fake_store_refuse(kit->store, STORE_NO_SPACE);
    expect_error(ask_snapshot(kit), GRPC_RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded");
    etcd_kit_free(kit);
}

static void it_ends_with_the_server(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    fake_store_hold(kit->store, true);
    struct etcd_call *call = ask_snapshot(kit);
    etcd_front.stop(kit->front);
    etcd_kit_run(kit);
    expect_error(call, GRPC_UNAVAILABLE, "etcdserver: server stopped");
    fake_store_hold(kit->store, false);
    etcd_kit_free(kit);
}

static const struct test_case cases[] = {
    {"a copy comes in pieces with its hash", a_copy_comes_in_pieces_with_its_hash},
    {"a client that does not read is waited for", a_client_that_does_not_read_is_waited_for},
    {"clients may go away", clients_may_go_away},
    {"there are only so many at a time", there_are_only_so_many_at_a_time},
    {"a copy that cannot be made is told", a_copy_that_cannot_be_made_is_told},
    {"it ends with the server", it_ends_with_the_server},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
