/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node is a file whatever its names are: its bytes as seen, its bytes on the disk, and which pages differ by a write
 * that no sync followed. Nodes live as long as the disk, so no name and no open file can outlive its node.
 */
#include "support/sim_disk.h"

#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

enum { PAGE = 4096, SECTOR = 512, NAMES_MAX = 64, NAME_BYTES = 40, PENDING_MAX = 8 };

struct node {
    struct node *next;
    char *seen, *kept; /* cap bytes each */
    bool *is_dirty;    /* a page each */
    size_t cap, seen_len, kept_len;
};

struct wal_file {
    struct node *node;
};

struct entry {
    char name[NAME_BYTES];
    struct node *node;
};

/* Sorted by name. */
struct folder {
    struct entry entries[NAMES_MAX];
    size_t n;
};

struct fault {
    uint64_t begin, end; /* op numbers, from 1 */
    int error;
};

struct sim_disk {
    struct wal_files files;
    struct node *nodes;
    struct folder seen, kept;
    struct folder pending[PENDING_MAX]; /* as it was seen after each change that is not kept yet, the oldest first */
    size_t n_pending;
    uint64_t random;
    uint64_t limit;
    uint64_t n_ops[SIM_DISK_ANY + 1];
    struct fault faults[SIM_DISK_ANY + 1], lies;
    uint64_t cut_at; /* number of the op; 0: none */
    bool is_off;
};

static uint64_t choose(struct sim_disk *disk, uint64_t n)
{
    return test_random(&disk->random) % n;
}

/* ------------------------------------------------------------------------------------------------ folders */

static struct entry *find_entry(struct folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->n; i++) {
        if (strcmp(folder->entries[i].name, name) == 0)
            return &folder->entries[i];
    }
    return NULL;
}

static void drop_entry(struct folder *folder, const char *name)
{
    struct entry *entry = find_entry(folder, name);
    if (!entry)
        return;
    size_t index = (size_t)(entry - folder->entries);
    memmove(entry, entry + 1, (folder->n - index - 1) * sizeof(*entry));
    folder->n--;
}

static void set_entry(struct folder *folder, const char *name, struct node *node)
{
    drop_entry(folder, name);
    expect_true(folder->n < NAMES_MAX && strlen(name) < NAME_BYTES);
    size_t at = folder->n;
    while (at > 0 && strcmp(folder->entries[at - 1].name, name) > 0)
        at--;
    memmove(&folder->entries[at + 1], &folder->entries[at], (folder->n - at) * sizeof(folder->entries[0]));
    struct entry entry = {.node = node};
    memcpy(entry.name, name, strlen(name));
    folder->entries[at] = entry;
    folder->n++;
}

/* After each change. Changes of a folder reach the disk in their order, but by themselves only some time later. */
static void note_folder(struct sim_disk *disk)
{
    if (disk->n_pending == PENDING_MAX) {
        disk->kept = disk->pending[0];
        memmove(disk->pending, disk->pending + 1, (PENDING_MAX - 1) * sizeof(disk->pending[0]));
        disk->n_pending--;
    }
    disk->pending[disk->n_pending++] = disk->seen;
}

static void sync_folder(struct sim_disk *disk)
{
    disk->kept = disk->seen;
    disk->n_pending = 0;
}

/* Some of the changes have reached the disk. */
static void settle_folder(struct sim_disk *disk)
{
    uint64_t n = choose(disk, disk->n_pending + 1);
    if (n > 0)
        disk->kept = disk->pending[n - 1];
    disk->seen = disk->kept;
    disk->n_pending = 0;
}

/* ------------------------------------------------------------------------------------------------ nodes */

static struct node *new_node(struct sim_disk *disk)
{
    struct node *node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->next = disk->nodes;
    disk->nodes = node;
    return node;
}

static void *grow_array(void *array, size_t old_bytes, size_t bytes)
{
    char *bigger = realloc(array, bytes);
    if (bigger)
        memset(bigger + old_bytes, 0, bytes - old_bytes);
    return bigger;
}

/* Room for so many bytes; 0 or -ENOMEM. */
static int reserve_node(struct node *node, size_t bytes)
{
    if (bytes <= node->cap)
        return 0;
    size_t cap = (max_size(bytes, 2 * node->cap) + PAGE - 1) / PAGE * PAGE;
    char *seen = grow_array(node->seen, node->cap, cap);
    node->seen = seen ? seen : node->seen;
    char *kept = seen ? grow_array(node->kept, node->cap, cap) : NULL;
    node->kept = kept ? kept : node->kept;
    bool *is_dirty = kept ? grow_array(node->is_dirty, node->cap / PAGE, cap / PAGE) : NULL;
    if (!is_dirty)
        return -ENOMEM;
    node->is_dirty = is_dirty;
    node->cap = cap;
    return 0;
}

static void write_node(struct node *node, size_t offset, const char *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(node->seen + offset, bytes, len);
    for (size_t page = offset / PAGE; page <= (offset + len - 1) / PAGE; page++)
        node->is_dirty[page] = true;
    node->seen_len = max_size(node->seen_len, offset + len);
}

static void sync_node(struct node *node)
{
    for (size_t page = 0; page < node->cap / PAGE; page++) {
        if (node->is_dirty[page])
            memcpy(node->kept + page * PAGE, node->seen + page * PAGE, PAGE);
        node->is_dirty[page] = false;
    }
    node->kept_len = node->seen_len;
}

/* Of what is dirty a part reaches the disk; nothing is dirty any more. */
static void settle_node(struct sim_disk *disk, struct node *node)
{
    for (size_t page = 0; page < node->cap / PAGE; page++) {
        uint64_t luck = node->is_dirty[page] ? choose(disk, 8) : 0;
        node->is_dirty[page] = false;
        for (size_t at = page * PAGE; luck >= 4 && at < (page + 1) * PAGE; at += SECTOR) {
            if (luck > 4 || choose(disk, 2))
                memcpy(node->kept + at, node->seen + at, SECTOR);
        }
    }
    if (choose(disk, 2))
        node->kept_len = node->seen_len;
}

/* What is on the disk is what is seen. Bytes beyond the end are zeroes. */
static void reset_node(struct node *node)
{
    if (node->cap == 0)
        return;
    memset(node->kept + node->kept_len, 0, node->cap - node->kept_len);
    memcpy(node->seen, node->kept, node->cap);
    memset(node->is_dirty, 0, node->cap / PAGE);
    node->seen_len = node->kept_len;
}

/* The same from the page of an offset on, of a node that has no dirty pages. */
static void reset_node_from(struct node *node, uint64_t offset)
{
    size_t page = offset - offset % PAGE;
    if (page >= node->cap)
        return;
    memset(node->kept + node->kept_len, 0, node->cap - node->kept_len);
    memcpy(node->seen + page, node->kept + page, node->cap - page);
    node->seen_len = node->kept_len;
}

/* ------------------------------------------------------------------------------------------------ faults */

static bool is_in(const struct fault *fault, uint64_t number)
{
    return number >= fault->begin && number < fault->end;
}

/* Counts an op. 0: do it; -errno: it fails; with ret_is_cut: the power goes in the middle of it. */
static int begin_op(struct sim_disk *disk, enum sim_disk_op op, bool *ret_is_cut)
{
    *ret_is_cut = false;
    if (disk->is_off)
        return -EIO;
    uint64_t number = ++disk->n_ops[op], any_number = ++disk->n_ops[SIM_DISK_ANY];
    if (any_number == disk->cut_at) {
        disk->is_off = true;
        *ret_is_cut = true;
        return -EIO;
    }
    if (is_in(&disk->faults[op], number))
        return -disk->faults[op].error;
    return is_in(&disk->faults[SIM_DISK_ANY], any_number) ? -disk->faults[SIM_DISK_ANY].error : 0;
}

static bool has_space(struct sim_disk *disk, const struct node *node, size_t end)
{
    uint64_t used = sim_disk_used(disk);
    return end <= node->seen_len || (used < disk->limit && disk->limit - used >= end - node->seen_len);
}

/* ------------------------------------------------------------------------------------------------ calls */

static int sim_open(void *ctx, const char *name, bool create, struct wal_file **ret_file)
{
    struct sim_disk *disk = ctx;
    struct entry *entry = find_entry(&disk->seen, name);
    bool is_cut;
    int result = create ? begin_op(disk, SIM_DISK_OTHER, &is_cut) : 0;
    if (result < 0 || disk->is_off)
        return disk->is_off ? -EIO : result;
    if (create == (entry != NULL))
        return create ? -EEXIST : -ENOENT;
    struct wal_file *file = malloc(sizeof(*file));
    struct node *node = file ? (entry ? entry->node : new_node(disk)) : NULL;
    if (!node) {
        free(file);
        return -ENOMEM;
    }
    if (create) {
        set_entry(&disk->seen, name, node);
        note_folder(disk);
    }
    file->node = node;
    *ret_file = file;
    return 0;
}

static void sim_close(void *ctx, struct wal_file *file)
{
    (void)ctx;
    free(file);
}

/* A write that fails or is cut off has written a part. */
static int sim_writev(void *ctx, struct wal_file *file, uint64_t offset, const struct iovec *iov, int n_iov)
{
    struct sim_disk *disk = ctx;
    size_t len = 0;
    for (int i = 0; i < n_iov; i++)
        len += iov[i].iov_len;
    bool is_cut;
    int result = begin_op(disk, SIM_DISK_WRITE, &is_cut);
    if (result < 0 && disk->is_off && !is_cut)
        return result;
    if (result == 0 && !has_space(disk, file->node, offset + len))
        return -ENOSPC;
    if (reserve_node(file->node, offset + len) < 0)
        return -ENOMEM;
    size_t left = result < 0 ? choose(disk, len + 1) : len;
    for (int i = 0; i < n_iov && left > 0; i++) {
        size_t part = min_size(left, iov[i].iov_len);
        write_node(file->node, offset, iov[i].iov_base, part);
        offset += part;
        left -= part;
    }
    return result;
}

static ssize_t sim_read(void *ctx, struct wal_file *file, uint64_t offset, void *ret_bytes, size_t len)
{
    struct sim_disk *disk = ctx;
    if (disk->is_off)
        return -EIO;
    if (offset >= file->node->seen_len || len == 0)
        return 0;
    size_t n = min_size(len, file->node->seen_len - offset);
    memcpy(ret_bytes, file->node->seen + offset, n);
    return (ssize_t)n;
}

static int sim_sync(void *ctx, struct wal_file *file)
{
    struct sim_disk *disk = ctx;
    bool is_cut;
    int result = begin_op(disk, SIM_DISK_SYNC, &is_cut);
    bool is_lie = result == 0 && is_in(&disk->lies, disk->n_ops[SIM_DISK_SYNC]);
    if ((result < 0 && !disk->is_off) || is_lie)
        settle_node(disk, file->node);
    else if (result == 0)
        sync_node(file->node);
    return result;
}

static int sim_refresh(void *ctx, struct wal_file *file, uint64_t offset)
{
    int result = sim_sync(ctx, file);
    if (result < 0)
        return result;
    reset_node_from(file->node, offset);
    sync_folder(ctx);
    return 0;
}

static int sim_allocate(void *ctx, struct wal_file *file, uint64_t offset, uint64_t bytes)
{
    static const char zeroes[PAGE];
    struct sim_disk *disk = ctx;
    bool is_cut;
    int result = begin_op(disk, SIM_DISK_ALLOCATE, &is_cut);
    if (result < 0 && disk->is_off && !is_cut)
        return result;
    expect_true(offset <= file->node->seen_len && bytes > 0 && offset + bytes > offset); /* posix_fallocate wants it */
    if (result == -ENOSPC || (result == 0 && !has_space(disk, file->node, offset + bytes)))
        return -ENOSPC;
    size_t end = offset + (result < 0 ? choose(disk, bytes + 1) : bytes);
    if (reserve_node(file->node, end) < 0)
        return -ENOMEM;
    size_t old = min_size(end, file->node->seen_len);
    for (size_t at = offset; at < old; at += PAGE)
        write_node(file->node, at, zeroes, min_size(PAGE, old - at));
    file->node->seen_len = max_size(file->node->seen_len, end);
    if (result == 0)
        sync_node(file->node);
    else if (!disk->is_off)
        settle_node(disk, file->node);
    return result;
}

static int sim_size(void *ctx, struct wal_file *file, uint64_t *ret_bytes)
{
    struct sim_disk *disk = ctx;
    if (disk->is_off)
        return -EIO;
    *ret_bytes = file->node->seen_len;
    return 0;
}

/* One that fails may have been done all the same, without being on the disk. */
static int sim_rename(void *ctx, const char *from, const char *to)
{
    struct sim_disk *disk = ctx;
    bool is_cut;
    int result = begin_op(disk, SIM_DISK_RENAME, &is_cut);
    if (result < 0 && ((disk->is_off && !is_cut) || choose(disk, 2)))
        return result;
    struct entry *entry = find_entry(&disk->seen, from);
    if (!entry)
        return -ENOENT;
    struct node *node = entry->node;
    drop_entry(&disk->seen, from);
    set_entry(&disk->seen, to, node);
    note_folder(disk);
    if (result == 0)
        sync_folder(disk);
    return result;
}

static int sim_remove(void *ctx, const char *name)
{
    struct sim_disk *disk = ctx;
    bool is_cut;
    int result = begin_op(disk, SIM_DISK_OTHER, &is_cut);
    if (result < 0)
        return result;
    if (!find_entry(&disk->seen, name))
        return -ENOENT;
    drop_entry(&disk->seen, name);
    note_folder(disk);
    return 0;
}

static int sim_free_bytes(void *ctx, uint64_t *ret_bytes)
{
    struct sim_disk *disk = ctx;
    uint64_t used = sim_disk_used(disk);
    *ret_bytes = used < disk->limit ? disk->limit - used : 0;
    return disk->is_off ? -EIO : 0;
}

static int sim_list(void *ctx, void (*on_name)(void *list_ctx, const char *name), void *list_ctx)
{
    struct sim_disk *disk = ctx;
    if (disk->is_off)
        return -EIO;
    struct folder names = disk->seen;
    for (size_t i = 0; i < names.n; i++)
        on_name(list_ctx, names.entries[i].name);
    return 0;
}

static const struct wal_files_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .writev = sim_writev,
    .read = sim_read,
    .sync = sim_sync,
    .refresh = sim_refresh,
    .allocate = sim_allocate,
    .size = sim_size,
    .rename = sim_rename,
    .remove = sim_remove,
    .free_bytes = sim_free_bytes,
    .list = sim_list,
};

/* ------------------------------------------------------------------------------------------------ the disk */

struct sim_disk *sim_disk_new(uint64_t seed)
{
    struct sim_disk *disk = calloc(1, sizeof(*disk));
    expect_true(disk != NULL);
    disk->files = (struct wal_files){.ops = &sim_ops, .ctx = disk, .path = "disk"};
    disk->random = seed;
    disk->limit = UINT64_MAX;
    return disk;
}

void sim_disk_free(struct sim_disk *disk)
{
    if (!disk)
        return;
    for (struct node *node = disk->nodes, *next; node; node = next) {
        next = node->next;
        free(node->seen);
        free(node->kept);
        free(node->is_dirty);
        free(node);
    }
    free(disk);
}

struct wal_files *sim_disk_files(struct sim_disk *disk)
{
    return &disk->files;
}

uint64_t sim_disk_n_ops(const struct sim_disk *disk, enum sim_disk_op op)
{
    return disk->n_ops[op];
}

void sim_disk_fail(struct sim_disk *disk, enum sim_disk_op op, uint64_t n, int error, uint64_t times)
{
    uint64_t begin = disk->n_ops[op] + n;
    disk->faults[op] = (struct fault){begin, times > UINT64_MAX - begin ? UINT64_MAX : begin + times, error};
}

void sim_disk_lie(struct sim_disk *disk, uint64_t n, uint64_t times)
{
    uint64_t begin = disk->n_ops[SIM_DISK_SYNC] + n;
    disk->lies = (struct fault){begin, begin + times, 0};
}

void sim_disk_cut_power_at(struct sim_disk *disk, uint64_t n)
{
    disk->cut_at = disk->n_ops[SIM_DISK_ANY] + n;
}

bool sim_disk_has_power(const struct sim_disk *disk)
{
    return !disk->is_off;
}

void sim_disk_lose_power(struct sim_disk *disk)
{
    for (struct node *node = disk->nodes; node; node = node->next) {
        settle_node(disk, node);
        reset_node(node);
    }
    settle_folder(disk);
    memset(disk->faults, 0, sizeof(disk->faults));
    disk->lies = (struct fault){0};
    disk->cut_at = 0;
    disk->is_off = false;
}

void sim_disk_limit(struct sim_disk *disk, uint64_t bytes)
{
    disk->limit = bytes;
}

uint64_t sim_disk_used(const struct sim_disk *disk)
{
    uint64_t used = 0;
    for (size_t i = 0; i < disk->seen.n; i++)
        used += disk->seen.entries[i].node->seen_len;
    return used;
}

/* ------------------------------------------------------------------------------------------------ looking */

static bool ends_with(const char *name, const char *suffix)
{
    return strlen(name) >= strlen(suffix) && strcmp(name + strlen(name) - strlen(suffix), suffix) == 0;
}

const char *sim_disk_name(const struct sim_disk *disk, const char *suffix, size_t n)
{
    for (size_t i = 0; i < disk->seen.n; i++) {
        if (ends_with(disk->seen.entries[i].name, suffix) && n-- == 0)
            return disk->seen.entries[i].name;
    }
    return NULL;
}

static struct node *node_named(const struct sim_disk *disk, const char *name)
{
    for (size_t i = 0; i < disk->seen.n; i++) {
        if (strcmp(disk->seen.entries[i].name, name) == 0)
            return disk->seen.entries[i].node;
    }
    test_fail(__FILE__, __LINE__, "the disk has no file %s", name);
}

struct slice sim_disk_bytes(const struct sim_disk *disk, const char *name)
{
    struct node *node = node_named(disk, name);
    return slice_from(node->seen, node->seen_len);
}

void sim_disk_flip(struct sim_disk *disk, const char *name, uint64_t bit)
{
    struct node *node = node_named(disk, name);
    expect_true(bit / 8 < node->seen_len);
    node->seen[bit / 8] ^= (char)(1 << bit % 8);
    node->kept[bit / 8] ^= (char)(1 << bit % 8);
}

void sim_disk_put(struct sim_disk *disk, const char *name, struct slice bytes)
{
    struct node *node = new_node(disk);
    expect_true(node != NULL);
    expect_int(reserve_node(node, bytes.len), 0);
    write_node(node, 0, bytes.ptr, bytes.len);
    sync_node(node);
    set_entry(&disk->seen, name, node);
    sync_folder(disk);
}
