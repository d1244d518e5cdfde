/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log on a simulated disk beside a model of it: which records were appended, and up to where they were acknowledged
 * as durable. Opening it checks everything replayed against the model.
 */
#pragma once

#include "store/local/wal.h"
#include "support/sim_disk.h"
#include "support/test.h"

enum { WAL_KIT_RECORDS_MAX = 4096, WAL_KIT_SEGMENT_BYTES = 32 * 1024, WAL_KIT_LENGTH_MAX = 128 * 1024 };

struct wal_kit_record {
    uint64_t seed; /* of its bytes */
    uint32_t length;
};

struct wal_kit {
    struct sim_disk *disk;
    struct wal_options options; /* for the next opening */
    bool is_relaxed;            /* as it is open */
    struct wal *wal;            /* NULL: closed */
    uint64_t random;
    uint64_t from;       /* replayed from here on; what was forgotten is below */
    uint64_t n_appended; /* also the number of the newest record */
    uint64_t n_durable;
    uint64_t torn_bytes; /* at the last opening */
    uint64_t replay_next;
    struct err err;
    char bytes[WAL_KIT_LENGTH_MAX + 8];                 /* of the record in hand */
    struct wal_kit_record records[WAL_KIT_RECORDS_MAX]; /* by number */
};

/* An empty disk with a log in short segments, not yet open. */
void wal_kit_init(struct wal_kit *kit, uint64_t seed);
void wal_kit_deinit(struct wal_kit *kit);

/*
 * Opens the log. When that succeeds, the records from `from` on must have been replayed as they were appended, at least
 * those that were durable; newer ones that are missing are forgotten by the model. Gives the result of wal_open.
 */
int wal_kit_open(struct wal_kit *kit);
void wal_kit_close(struct wal_kit *kit);

/* Appends a record of this many random bytes, in pieces; the result of wal_append. */
int wal_kit_append(struct wal_kit *kit, size_t length);
/* A length as it comes: mostly short, now and then more than a page, rarely more than a segment. */
size_t wal_kit_length(struct wal_kit *kit);
void wal_kit_append_some(struct wal_kit *kit, unsigned n);

/* wal_sync, told to the model. */
int wal_kit_sync(struct wal_kit *kit);

/* Forgets the records below, as a snapshot would let it. */
void wal_kit_forget(struct wal_kit *kit, uint64_t number);
/* Closes the log without its knowing, loses the power, opens it again: that must succeed. */
void wal_kit_lose_power(struct wal_kit *kit);
