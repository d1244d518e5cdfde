/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a segment of the log (docs/store-format.md): its head, the heads of its records, its name. Pure.
 *
 * A segment is a head, then records, each a record head and its payload, padded to 8 bytes. Behind the last record
 * stands a record head of kind END, written together with that record and overwritten by the next: so the end of a log
 * is something that is there, not something that is missing, even in a recycled segment full of old records.
 */
#pragma once

#include "base/slice.h"

#include <stdint.h>

#define SEGMENT_VERSION           2
#define SEGMENT_VERSION_OLDEST    1 /* that can be read */
#define SEGMENT_HEAD_BYTES        64
#define SEGMENT_RECORD_HEAD_BYTES 32
/* What stands behind the last record. */
#define SEGMENT_END_BYTES SEGMENT_RECORD_HEAD_BYTES
/* Files are written to the end of the page, so that the kernel need never read one before it changes a part of it. */
#define SEGMENT_PAGE_BYTES 4096
#define SEGMENT_NAME_MAX   32

struct segment_head {
    uint64_t sequence;
    uint64_t random;       /* so that nobody can write bytes into a record that pass for a head */
    uint64_t first_number; /* of its first record */
    uint64_t before_end; /* where the segment before this one ends, whatever stands behind; 0: this one is the first */
};

enum segment_record_kind { SEGMENT_RECORD = 1, SEGMENT_END = 2 };

struct segment_record {
    enum segment_record_kind kind;
    uint32_t length;      /* of the payload; END: 0 */
    uint32_t payload_crc; /* segment_payload_crc over the payload; END: 0 */
    uint64_t number;      /* END: what the next record will have */
    uint64_t durable_end; /* everything before this offset was known to be durable when this was written */
};

void segment_head_write(const struct segment_head *head, char ret_bytes[SEGMENT_HEAD_BYTES]);
/* 0; -EBADMSG: damaged; -ENOTSUP: of a version that this program does not know. */
int segment_head_read(const char bytes[SEGMENT_HEAD_BYTES], struct segment_head *ret_head);

/* What the checksums of a segment's records begin with: another one for each life of a recycled file. */
uint32_t segment_salt(const struct segment_head *head);

void segment_record_write(uint32_t salt, const struct segment_record *record,
                          char ret_bytes[SEGMENT_RECORD_HEAD_BYTES]);
/* Whether the bytes are a record head of the segment with this salt. */
bool segment_record_read(uint32_t salt, const char bytes[SEGMENT_RECORD_HEAD_BYTES], struct segment_record *ret_record);

/*
 * Makes a whole record, head and payload at `bytes`, one of another segment: with its salt, and what is durable there.
 * Gives what it takes.
 */
uint64_t segment_record_move(uint32_t salt, uint64_t durable_end, char *bytes);

/* The bytes that a record with a payload of this length takes. */
static inline uint64_t segment_record_bytes(uint64_t length)
{
    return SEGMENT_RECORD_HEAD_BYTES + ((length + 7) & ~(uint64_t)7);
}

/* "<16 hexadecimal digits>.<suffix>", the sequence in front, so that names sort by age. */
void segment_name(uint64_t sequence, const char *suffix, char ret_name[SEGMENT_NAME_MAX]);

/* Whether it is such a name with this suffix. */
bool segment_name_parse(const char *name, const char *suffix, uint64_t *ret_sequence);
