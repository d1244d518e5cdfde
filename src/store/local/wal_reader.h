/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the records of one segment after the other, and judges where one ends. A large window is read at a time; a
 * record is always whole in it. Memory grows to the longest record, which the size of its file bounds.
 */
#pragma once

#include "store/local/wal_files.h"
#include "store/local/wal_segment.h"

struct wal_reader {
    struct wal_files *files;
    struct wal_file *file; /* NULL: none is open */
    uint64_t file_bytes;
    struct segment_head head;
    uint32_t salt;
    uint64_t offset; /* of the next record, and its number */
    uint64_t number;
    uint64_t durable_end; /* the highest one that a record's head has named */
    char *window;
    size_t window_len, window_cap;
    uint64_t window_offset;
};

enum wal_found {
    WAL_FOUND_RECORD, /* and stepped over it */
    WAL_FOUND_END,    /* a whole END stands here */
    WAL_FOUND_BAD,    /* neither */
};

/* What stands behind a bad place. */
struct wal_behind {
    bool was_durable;    /* a later record says that this place was on the disk once: it is rot, no torn tail */
    uint64_t torn_bytes; /* of records that begin here or later, as far as can be told; at least 1 */
};

void wal_reader_init(struct wal_reader *reader, struct wal_files *files);
void wal_reader_deinit(struct wal_reader *reader);

/* Opens a segment and reads its head; closes the one before. 0, -EBADMSG, -ENOTSUP (see segment_head_read), -errno. */
int wal_reader_open(struct wal_reader *reader, uint64_t sequence);

/*
 * What is read from now on, from the segment's beginning, is what is on the disk. What records behind it prove to be
 * there need not be read from it again. For a segment just opened. 0 or -errno.
 */
int wal_reader_refresh(struct wal_reader *reader);

/* An enum wal_found, or -errno. The payload is valid until the next call. */
int wal_reader_next(struct wal_reader *reader, struct slice *ret_payload);

/* After WAL_FOUND_BAD. 0 or -errno. */
int wal_reader_look_behind(struct wal_reader *reader, struct wal_behind *ret_behind);
