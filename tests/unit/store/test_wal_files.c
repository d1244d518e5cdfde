/* SPDX-License-Identifier: Apache-2.0 */
/* The real folder, and the log and snapshots in one. */
#include "store/local/snapshot.h"
#include "store/local/wal.h"
#include "store/local/wal_files.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char path[64];
    struct wal_files *files;
};

static void fixture_init(struct fixture *fixture)
{
    snprintf(fixture->path, sizeof(fixture->path), "/tmp/muster-test-XXXXXX");
    expect_true(mkdtemp(fixture->path) != NULL);
    expect_int(wal_folder_open(fixture->path, &fixture->files, NULL), 0);
}

static void remove_name(void *ctx, const char *name)
{
    struct wal_files *files = ctx;
    if (name[0] != '.')
        expect_int(files->ops->remove(files->ctx, name), 0);
}

static void fixture_deinit(struct fixture *fixture)
{
    struct wal_files *files = fixture->files;
    expect_int(files->ops->list(files->ctx, remove_name, files), 0);
    wal_folder_close(files);
    expect_int(rmdir(fixture->path), 0);
}

static void files_are_made_once_and_found_again(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    const struct wal_files_ops *ops = fixture.files->ops;
    void *ctx = fixture.files->ctx;
    struct wal_file *file, *other;
    expect_int(ops->open(ctx, "a", false, &file), -ENOENT);
    expect_int(ops->open(ctx, "a", true, &file), 0);
    expect_int(ops->open(ctx, "a", true, &other), -EEXIST);
    ops->close(ctx, file);
    expect_int(ops->rename(ctx, "a", "b"), 0);
    expect_int(ops->open(ctx, "a", false, &file), -ENOENT);
    expect_int(ops->rename(ctx, "a", "b"), -ENOENT);
    expect_int(ops->remove(ctx, "a"), -ENOENT);
    fixture_deinit(&fixture);
}

/* More pieces than the kernel takes at once, some of them empty. */
static void many_pieces_are_written_as_one(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    const struct wal_files_ops *ops = fixture.files->ops;
    void *ctx = fixture.files->ctx;
    struct wal_file *file;
    static char bytes[30000], back[30000 + 10];
    static struct iovec iov[3000];
    uint64_t seed = test_seed();
    size_t len = 0;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)test_random(&seed);
    for (size_t i = 0; i < ARRAY_LEN(iov); i++) {
        iov[i] = (struct iovec){bytes + len, test_random(&seed) % 11};
        len += iov[i].iov_len;
    }
    expect_int(ops->open(ctx, "a", true, &file), 0);
    expect_int(ops->writev(ctx, file, 5, iov, ARRAY_LEN(iov)), 0);
    expect_int(ops->sync(ctx, file), 0);
    expect_int(ops->refresh(ctx, file, 0), 0);
    uint64_t size;
    expect_int(ops->size(ctx, file, &size), 0);
    expect_int(size, len + 5);
    expect_int(ops->read(ctx, file, 5, back, sizeof(back)), len);
    expect_bytes(slice_from(back, len), slice_from(bytes, len));
    expect_int(ops->read(ctx, file, size, back, 1), 0);
    ops->close(ctx, file);
    fixture_deinit(&fixture);
}

static void allocated_space_is_there_and_empty(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    const struct wal_files_ops *ops = fixture.files->ops;
    void *ctx = fixture.files->ctx;
    struct wal_file *file;
    static char zeroes[5 * 1024 * 1024], back[5 * 1024 * 1024];
    expect_int(ops->open(ctx, "a", true, &file), 0);
    expect_int(ops->allocate(ctx, file, 0, 4097), 0);
    expect_int(ops->allocate(ctx, file, 4097, sizeof(zeroes) - 4097), 0);
    expect_int(ops->read(ctx, file, 0, back, sizeof(back)), sizeof(back));
    expect_bytes(slice_from(back, sizeof(back)), slice_from(zeroes, sizeof(zeroes)));
    char path[128];
    struct stat st;
    snprintf(path, sizeof(path), "%s/a", fixture.path);
    expect_int(stat(path, &st), 0);
    expect_int(st.st_mode & 0777, 0600);
    expect_true((uint64_t)st.st_blocks * 512 >= sizeof(zeroes));
    ops->close(ctx, file);
    fixture_deinit(&fixture);
}

static void a_folder_has_one_owner(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct wal_files *second;
    struct err err;
    expect_int(wal_folder_open(fixture.path, &second, &err), -EBUSY);
    expect_true(strstr(err.text, "in use by another process") != NULL);
    wal_folder_close(fixture.files);
    expect_int(wal_folder_open(fixture.path, &fixture.files, &err), 0);
    fixture_deinit(&fixture);
}

static void a_folder_is_made_and_what_is_none_is_told(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    char path[128];
    snprintf(path, sizeof(path), "%s/store", fixture.path);
    struct fixture inner;
    expect_int(wal_folder_open(path, &inner.files, NULL), 0);
    struct stat st;
    expect_int(stat(path, &st), 0);
    expect_int(st.st_mode & 0777, 0700);
    wal_folder_close(inner.files);
    expect_int(rmdir(path), 0);

    struct err err;
    snprintf(path, sizeof(path), "%s/no/where", fixture.path);
    expect_int(wal_folder_open(path, &inner.files, &err), -ENOENT);
    expect_true(strstr(err.text, "cannot be made") != NULL);
    fixture_deinit(&fixture);
}

struct expectation {
    uint64_t next;
    size_t length;
};

static int check_record(void *ctx, uint64_t number, struct slice bytes, struct err *err)
{
    (void)err;
    struct expectation *expected = ctx;
    expect_int(number, expected->next++);
    expect_int(bytes.len, number == 50 ? expected->length : number);
    for (size_t i = 0; i < bytes.len; i += 4001)
        expect_int((unsigned char)bytes.ptr[i], (number + i) % 256);
    return 0;
}

/* The longest transaction there can be among short records, through a restart. */
static void a_log_lives_in_a_folder(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct expectation expected = {1, 200 * 1024 * 1024};
    char *bytes = malloc(expected.length);
    expect_true(bytes != NULL);
    struct wal *wal;
    uint64_t torn_bytes;
    struct err err;
    expect_int(wal_open(fixture.files, &(struct wal_options){0}, 0, check_record, &expected, &wal, &torn_bytes, &err),
               0);
    for (uint64_t number = 1; number <= 100; number++) {
        struct iovec iov = {bytes, number == 50 ? expected.length : number};
        for (size_t i = 0; i < iov.iov_len; i++)
            bytes[i] = (char)(number + i);
        expect_int(wal_append(wal, &iov, 1, &err), 0);
    }
    wal_close(wal);
    free(bytes);
    expect_int(wal_open(fixture.files, &(struct wal_options){0}, 0, check_record, &expected, &wal, &torn_bytes, &err),
               0);
    expect_int(expected.next, 101);
    expect_int(torn_bytes, 0);
    wal_close(wal);
    fixture_deinit(&fixture);
}

static int ignore_entry(void *ctx, const struct record_entry *entry, struct err *err)
{
    (void)err;
    expect_int(entry->lease.id, ++*(int64_t *)ctx);
    return 0;
}

/* Folder, log and snapshot; each allocation of theirs fails once. */
static int live(void *arg)
{
    struct fixture *fixture = arg;
    struct wal_files *files;
    int result = wal_folder_open(fixture->path, &files, NULL);
    if (result < 0)
        return result;
    struct snapshot_writer *writer;
    result = snapshot_writer_open(files, &(struct snapshot_head){.next_record = 1}, &writer, NULL);
    if (result < 0) {
        wal_folder_close(files);
        return result;
    }
    for (int64_t id = 1; result == 0 && id <= 3; id++)
        result = snapshot_writer_add(writer, &(struct record_entry){.type = RECORD_LEASE, .lease = {.id = id}}, NULL);
    int finished = snapshot_writer_finish(writer, NULL);
    result = result < 0 ? result : finished;
    expect_true(result == finished); /* one that lacks an entry is no snapshot */
    struct snapshot_head head;
    unsigned n_skipped;
    int64_t id = 0;
    if (result == 0)
        result = snapshot_load(files, ignore_entry, &id, &head, &n_skipped, NULL);
    wal_folder_close(files);
    return result;
}

static void running_out_of_memory_is_an_ordinary_error(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    wal_folder_close(fixture.files);
    expect_true(fault_alloc_sweep(live, &fixture) > 4);
    expect_int(wal_folder_open(fixture.path, &fixture.files, NULL), 0);
    fixture_deinit(&fixture);
}

static const struct test_case cases[] = {
    {"files are made once and found again", files_are_made_once_and_found_again},
    {"many pieces are written as one", many_pieces_are_written_as_one},
    {"allocated space is there and empty", allocated_space_is_there_and_empty},
    {"a folder has one owner", a_folder_has_one_owner},
    {"a folder is made, and what is none is told", a_folder_is_made_and_what_is_none_is_told},
    {"a log lives in a folder", a_log_lives_in_a_folder},
    {"running out of memory is an ordinary error", running_out_of_memory_is_an_ordinary_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
