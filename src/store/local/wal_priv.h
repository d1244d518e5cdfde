/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the log share: appending (wal.c), space and segments (wal_space.c), recovery (wal_open.c). */
#pragma once

#include "base/buf.h"
#include "store/local/wal.h"
#include "store/local/wal_files.h"
#include "store/local/wal_segment.h"

#include <errno.h>
#include <stdatomic.h>

/* Recycled files that are kept for the next segments; more are removed. */
#define WAL_SPARES_MAX 4

struct wal_part {
    uint64_t sequence;
    uint64_t first_number;
    uint64_t bytes; /* the size of its file */
};

struct wal_spare {
    uint64_t id;
    uint64_t bytes;
};

struct wal {
    struct wal_files *files;
    struct wal_options options;

    /* The segments, oldest first; records go to the last one while its file is open. */
    struct wal_part *parts;
    size_t n_parts, parts_cap;
    struct wal_file *file; /* NULL: the last segment is sealed, the next record begins a new one */
    uint32_t salt;
    uint64_t end;         /* where the next record goes in it */
    uint64_t durable_end; /* up to where it is on the disk: its end, once it is sealed */

    uint64_t next, durable_next; /* numbers: of the next record, of the first one that is not durable */
    struct buf unsynced;         /* relaxed: the records from durable_next on, as they stand in the segment */
    nsec_t synced_ns;            /* when everything was seen to be durable */

    struct wal_spare spares[WAL_SPARES_MAX]; /* the last one is used next */
    size_t n_spares;
    uint64_t next_spare_id;

    struct iovec *iov; /* room for the pieces of one record */
    size_t iov_cap;

    bool is_read_only;
    struct err why; /* it is read-only */

    uint64_t reserve; /* to be left free on the disk */
    bool is_short;    /* it is nearly full */
    _Atomic uint64_t room, bytes, n_syncs;
};

/* Nothing was written that is in doubt, and nothing lost: it may be tried again as it is. */
static inline bool wal_is_harmless(int result)
{
    return result == -ENOSPC || result == -ENOMEM;
}

/* Nothing more is written to the last segment; it ends where it was durable. */
void wal_seal(struct wal *wal);

/* wal_prepare for a record that is to be appended now: takes of the reserve, too. */
int wal_make_room(struct wal *wal, uint64_t bytes, struct err *err);

/* Bytes of records that fit into the last segment as it is. */
uint64_t wal_rest(const struct wal *wal);

/*
 * Seals the last segment and begins the next one in the spare that wal_prepare made ready, with what was not durable
 * written anew. 0; -errno: the log is sealed, its records are as they were, and it may be tried again.
 */
int wal_begin_part(struct wal *wal, struct err *err);

/* Adds a segment at the end of the list; 0 or -ENOMEM. */
int wal_add_part(struct wal *wal, const struct wal_part *part);

/* Tells other threads of a change of the room, of the segments. */
void wal_show_room(struct wal *wal);
void wal_show_bytes(struct wal *wal);

static inline int wal_remove(struct wal_files *files, uint64_t sequence, const char *suffix)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(sequence, suffix, name);
    return files->ops->remove(files->ctx, name);
}

static inline int wal_rename(struct wal_files *files, uint64_t from, const char *from_suffix, uint64_t to,
                             const char *to_suffix)
{
    char from_name[SEGMENT_NAME_MAX], to_name[SEGMENT_NAME_MAX];
    segment_name(from, from_suffix, from_name);
    segment_name(to, to_suffix, to_name);
    return files->ops->rename(files->ctx, from_name, to_name);
}
