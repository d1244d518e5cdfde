/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole store, from store.h down to files in a real folder: restarts, transactions, leases, backups.
 */
#include "support/keeper_kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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
static void expect_keys(struct keeper_kit *kit, int64_t revision, const char *expected)
{
    struct store_view view;
    struct seen seen = {0};
    struct store_range all = {.key = SLICE_LIT("\0"), .end = SLICE_LIT("\0"), .revision = revision};
    struct store_range_result result;
    loop_settle(kit->loop);
    store_view(kit->store, true, &view);
    expect_int(store_range(kit->store, &view, &all, see, &seen, &result), STORE_OK);
    store_release(kit->store, &view);
    expect_slice(buf_slice(&seen.text), expected);
    buf_deinit(&seen.text);
}

/* -------- */

static void what_was_acknowledged_is_there_after_a_restart(void)
{
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    expect_keys(&kit, 0, "");
    expect_int(keeper_kit_put(&kit, "a", "1", 0), 2);
    expect_int(keeper_kit_put(&kit, "b", "2", 0), 3);
    expect_int(keeper_kit_put(&kit, "a", "3", 0), 4);
    struct store_identity before, after;
    store_identify(kit.store, &before);
    keeper_kit_reopen(&kit);
    store_identify(kit.store, &after);
    expect_true(before.member_id == after.member_id && before.cluster_id == after.cluster_id && after.member_id != 0);
    expect_keys(&kit, 0, "a=3@4 b=2@3 ");
    expect_keys(&kit, 3, "a=1@2 b=2@3 ");
    expect_int(keeper_kit_put(&kit, "c", "4", 0), 5);
    keeper_kit_deinit(&kit);
}

static void a_transaction_happens_wholly_or_not_at_all(void)
{
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    keeper_kit_put(&kit, "a", "1", 0);
    struct store_compare compare = {
        .target = STORE_CMP_VERSION, .test = STORE_CMP_EQUAL, .key = SLICE_LIT("a"), .number = 1};
    struct store_op ops[] = {
        {.type = STORE_OP_PUT, .put = {.key = SLICE_LIT("b"), .value = SLICE_LIT("2")}},
        {.type = STORE_OP_RANGE, .range = {.key = SLICE_LIT("a"), .end = SLICE_LIT("c")}},
        {.type = STORE_OP_DELETE, .del = {.key = SLICE_LIT("a"), .want_prev = true}},
    };
    struct keeper_asked asked = {
        .request = {.type = STORE_TXN, .txn = {.compares = &compare, .n_compares = 1, .success = ops, .n_success = 3}}};
    expect_int(keeper_kit_ask(&kit, &asked), STORE_OK);
    expect_true(asked.request.succeeded);
    expect_int(asked.request.n_results, 3);
    expect_int(asked.request.results[1].n_kvs, 2);
    expect_slice(asked.request.results[1].kvs[1].value, "2");
    expect_int(asked.request.results[2].count, 1);
    expect_slice(asked.request.results[2].kvs[0].value, "1");
    store_request_deinit(&asked.request);
    expect_keys(&kit, 0, "b=2@3 ");

    struct store_op bad[] = {
        {.type = STORE_OP_PUT, .put = {.key = SLICE_LIT("x"), .value = SLICE_LIT("1")}},
        {.type = STORE_OP_PUT, .put = {.key = SLICE_LIT("y"), .value = SLICE_LIT("1"), .lease = 77}},
    };
    asked = (struct keeper_asked){.request = {.type = STORE_TXN, .txn = {.success = bad, .n_success = 2}}};
    expect_int(keeper_kit_ask(&kit, &asked), STORE_NO_LEASE);
    bad[1] = bad[0];
    expect_int(keeper_kit_ask(&kit, &asked), STORE_DUPLICATE_KEY);
    expect_keys(&kit, 0, "b=2@3 ");
    keeper_kit_deinit(&kit);
}

static void a_lease_takes_its_keys_with_it(void)
{
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    int64_t lease = keeper_kit_grant(&kit, 0, 60000), other = keeper_kit_grant(&kit, 9, 60000);
    keeper_kit_put(&kit, "k1", "v", lease);
    keeper_kit_put(&kit, "k2", "v", lease);
    keeper_kit_put(&kit, "k3", "v", lease);
    keeper_kit_put(&kit, "k2", "v", 0);     /* let go of */
    keeper_kit_put(&kit, "k3", "v", other); /* moved */
    keeper_kit_reopen(&kit);

    struct keeper_asked asked = {.request = {.type = STORE_LEASE_INFO, .lease = {lease, 0}}};
    expect_int(keeper_kit_ask(&kit, &asked), STORE_OK);
    expect_int(asked.request.lease_ttl_ms, 60000);
    expect_int(asked.request.results[0].n_kvs, 1);
    expect_slice(asked.request.results[0].kvs[0].key, "k1");
    store_request_deinit(&asked.request);

    asked = (struct keeper_asked){.request = {.type = STORE_LEASE_REVOKE, .lease = {lease, 0}}};
    expect_int(keeper_kit_ask(&kit, &asked), STORE_OK);
    expect_int(asked.request.revision, 7);
    expect_keys(&kit, 0, "k2=v@5 k3=v@6 ");
    expect_int(keeper_kit_ask(&kit, &asked), STORE_NO_LEASE);
    keeper_kit_deinit(&kit);
}

static void on_news(struct store_subscriber *subscriber)
{
    (void)subscriber;
}

static void silence_ends_a_lease_and_heartbeats_do_not(void)
{
    const int64_t silent = 7, alive = 8, long_ms = 60000;
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    keeper_kit_grant(&kit, alive, long_ms);
    keeper_kit_put(&kit, "alive", "v", alive);
    keeper_kit_put_brief(&kit, "silent", "v", silent, 30);
    struct store_subscriber subscriber = {.loop = kit.loop, .on_news = on_news};
    store_subscribe(kit.store, &subscriber);
    while (keeper_kit_revision(&kit) < 4) { /* turns of this loop read its input, as expiry by arrival asks */
        expect_int(loop_turn(kit.loop, NSEC_PER_MSEC), 0);
        expect_int(store_lease_touch(kit.store, alive, loop_now(kit.loop)), long_ms);
    }
    expect_keys(&kit, 0, "alive=v@2 ");
    expect_int(store_lease_touch(kit.store, silent, loop_now(kit.loop)), 0);
    store_unsubscribe(kit.store, &subscriber);
    keeper_kit_deinit(&kit);
}

/* Whoever turns the loop may be the one who stops the keeper. */
static void it_stops_while_nobody_turns_a_loop_that_is_behind(void)
{
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    keeper_kit_grant(&kit, 0, 1);
    expect_int(loop_turn(kit.loop, NSEC_NEVER), 0); /* the lease is due: of the turns that are asked for, the first */
    keeper_kit_deinit(&kit);
}

/* Relaxed: answered before it is on the disk, and there soon after, without another request. */
static void relaxed_changes_reach_the_disk_soon(void)
{
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    kit.options.local.wal.relaxed = true;
    kit.options.local.wal.relaxed_ms = 20;
    keeper_kit_reopen(&kit);
    uint64_t n_syncs = local_n_syncs(keeper_local(kit.keeper));
    expect_int(keeper_kit_put(&kit, "a", "1", 0), 2);
    while (local_n_syncs(keeper_local(kit.keeper)) == n_syncs)
        expect_int(loop_turn(kit.loop, NSEC_PER_MSEC), 0);
    keeper_kit_reopen(&kit);
    expect_keys(&kit, 0, "a=1@2 ");
    keeper_kit_deinit(&kit);
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
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    keeper_kit_put(&kit, "a", "1", 0);
    keeper_kit_put(&kit, "b", "2", 0);
    struct keeper_asked first = {.request = {.type = STORE_BACKUP}}, second = {.request = {.type = STORE_BACKUP}};
    keeper_kit_submit(&kit, &first);
    keeper_kit_submit(&kit, &second);
    keeper_kit_put(&kit, "c", "3", 0); /* goes on meanwhile */
    keeper_kit_await(&kit, &first);
    keeper_kit_await(&kit, &second);
    struct keeper_asked *const both[] = {&first, &second};
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
    snprintf(name, sizeof(name), "%s/backup.new", kit.folder);
    expect_int(access(name, F_OK), -1);
    keeper_kit_deinit(&kit);
}

static void a_backup_that_comes_too_late_is_turned_away(void)
{
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    struct keeper_asked asked = {.request = {.type = STORE_BACKUP}};
    keeper_stop(kit.keeper);
    expect_int(keeper_kit_ask(&kit, &asked), STORE_STOPPED);
    keeper_kit_deinit(&kit);
}

/* -------- a full disk */

static const struct wal_files_ops *folder_ops;
static _Atomic bool is_disk_full;

static int allocate(void *ctx, struct wal_file *file, uint64_t offset, uint64_t bytes)
{
    return is_disk_full ? -ENOSPC : folder_ops->allocate(ctx, file, offset, bytes);
}

/* Puts until the outcome is that one. */
static void put_until(struct keeper_kit *kit, enum store_outcome outcome)
{
    static char value[100 * 1024];
    struct store_op op = {.type = STORE_OP_PUT, .put = {SLICE_LIT("key"), slice_from(value, sizeof(value))}};
    enum store_outcome seen;
    do {
        struct keeper_asked asked = {.request = {.type = STORE_TXN, .txn = {.success = &op, .n_success = 1}}};
        seen = keeper_kit_ask(kit, &asked);
        store_request_deinit(&asked.request);
    } while (seen != outcome);
}

/* How often the log of the process says so. */
static unsigned count_lines(int fd, const char *text)
{
    char bytes[8192];
    unsigned n = 0;
    ssize_t len = pread(fd, bytes, sizeof(bytes) - 1, 0);
    expect_true(len >= 0);
    bytes[len] = '\0';
    for (const char *at = bytes; (at = strstr(at, text)); at++)
        n++;
    return n;
}

static void a_full_disk_refuses_and_is_told(void)
{
    struct keeper_kit kit;
    keeper_kit_init(&kit);
    struct wal_files *folder;
    struct err err;
    char path[128];
    snprintf(path, sizeof(path), "%s/full", kit.folder);
    int fd = memfd_create("log", MFD_CLOEXEC);
    expect_int(log_new(&(struct log_options){.fd = fd, .format = LOG_FORMAT_LOGFMT}, &kit.options.log), 0);
    expect_int(wal_folder_open(path, &folder, &err), 0);
    folder_ops = folder->ops;
    struct wal_files_ops ops = *folder_ops;
    ops.allocate = allocate;
    struct wal_files files = {.ops = &ops, .ctx = folder->ctx, .path = folder->path};
    kit.options.files = &files;
    keeper_kit_reopen(&kit);
    is_disk_full = true;
    keeper_kit_reopen(&kit); /* a start is possible, too, and nobody waits for an answer */
    put_until(&kit, STORE_NO_SPACE);
    put_until(&kit, STORE_NO_SPACE); /* the turn that refused the first is over now */
    expect_int(count_lines(fd, "the disk is full"), 1);
    is_disk_full = false;
    put_until(&kit, STORE_OK);
    put_until(&kit, STORE_OK);
    expect_int(count_lines(fd, "the disk is full"), 1);
    expect_int(count_lines(fd, "room on the disk again"), 1);
    keeper_kit_deinit(&kit);
    wal_folder_close(folder);
    log_free(kit.options.log);
    close(fd);
}

static const struct test_case cases[] = {
    {"a full disk refuses changes and is told, as is its end", a_full_disk_refuses_and_is_told},
    {"a backup is a whole snapshot", a_backup_is_a_whole_snapshot},
    {"a backup that comes too late is turned away", a_backup_that_comes_too_late_is_turned_away},
    {"what was acknowledged is there after a restart", what_was_acknowledged_is_there_after_a_restart},
    {"a transaction happens wholly or not at all", a_transaction_happens_wholly_or_not_at_all},
    {"a lease takes its keys with it", a_lease_takes_its_keys_with_it},
    {"silence ends a lease, heartbeats keep it", silence_ends_a_lease_and_heartbeats_do_not},
    {"it stops while nobody turns a loop that is behind", it_stops_while_nobody_turns_a_loop_that_is_behind},
    {"with relaxed durability changes reach the disk soon", relaxed_changes_reach_the_disk_soon},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
