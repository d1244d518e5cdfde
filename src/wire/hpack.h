/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header compression for HTTP/2: HPACK, RFC 7541. Each direction of a connection has a table of fields that were sent
 * before, which both ends keep alike; a field that is in it, or in the RFC's static table, is one byte on the wire.
 *
 * Each entry remembers what was found out when it came in: its id, and whether HTTP/2 allows its bytes. So a field that
 * is sent again and again is looked at once.
 *
 * Pure. A table, its encoder or decoder included, belongs to one thread. Blocks must be read whole and in order, those
 * of requests that are refused included.
 */
#pragma once

#include "base/buf.h"
#include "wire/http.h"

/* The largest table that a peer's encoder may ask us to keep: the protocol's default, which we leave as it is. */
#define HPACK_TABLE_MAX 4096

struct hpack_field {
    struct slice name, value;
    enum http_field_id id;
    bool is_valid; /* a lower-case token, or the name of a pseudo-field; the value as RFC 9113 8.2.1 wants it */
};

struct hpack_entry {
    struct hpack_field field;
    struct hpack_entry *next; /* of those that were dropped */
    char bytes[];
};

/* The fields, the newest first. Zero-initialised is empty, owns nothing, and takes nothing: set `max`. */
struct hpack_table {
    struct hpack_entry **ring;
    unsigned n_slots, i_newest, n; /* n_slots: 0 or a power of two */
    size_t size, max;              /* as RFC 7541 4.1 counts */
};

void hpack_table_deinit(struct hpack_table *table);

/* The n-th newest, from 0; NULL when there are not so many. */
const struct hpack_field *hpack_table_get(const struct hpack_table *table, size_t n);

/* The field of the static table, 1 to HPACK_STATIC. */
enum { HPACK_STATIC = 61 };
const struct hpack_field *hpack_static_get(size_t index);

/*
 * Changes `max`, and puts a copy of the field in front; both drop the oldest as needed. What is dropped is freed, or,
 * with `dropped`, put in front of that list. 0 or -ENOMEM. A field that is larger than the table empties it.
 */
void hpack_table_resize(struct hpack_table *table, size_t max, struct hpack_entry **dropped);
int hpack_table_add(struct hpack_table *table, const struct hpack_field *field, struct hpack_entry **dropped);

/* ------------------------------------------------------------------------------------------------ reading */

/*
 * A header block that is being read:
 *
 *     hpack_block_begin(&block, &table, bytes, room, room_bytes);
 *     while ((r = hpack_block_next(&block, &field)) > 0)
 *         …
 *     hpack_block_end(&block);
 *
 * Fields point into the table, into the block's bytes, or into the room, where strings in Huffman code are unpacked;
 * they are valid until hpack_block_end and as long as bytes and room are. When less than HPACK_ROOM_MIN of the room is
 * left it is used again from its beginning, and `is_overfull` is set: the fields so far are not to be used any more.
 */
struct hpack_block {
    struct hpack_table *table;
    struct slice rest;
    char *room, *free, *room_end;
    struct hpack_entry *dropped;
    bool has_fields;
    bool is_overfull;
};

/* For one field: all that the table takes, and as much again, so that what is cut is surely too large for it. */
#define HPACK_ROOM_MIN (2 * HPACK_TABLE_MAX)

void hpack_block_begin(struct hpack_block *block, struct hpack_table *table, struct slice bytes, char *room,
                       size_t room_bytes);
/* 1: a field; 0: there are no more; -EBADMSG, -ENOMEM: the table cannot be kept alike, and the connection must end. */
int hpack_block_next(struct hpack_block *block, struct hpack_field *ret_field);
void hpack_block_end(struct hpack_block *block);

/* ------------------------------------------------------------------------------------------------ writing */

/* Zero-initialised and then hpack_encoder_init. */
struct hpack_encoder {
    struct hpack_table table;
    size_t told_max;     /* what the peer knows of table.max */
    size_t smallest_max; /* since it was told */
};

void hpack_encoder_init(struct hpack_encoder *encoder);
void hpack_encoder_deinit(struct hpack_encoder *encoder);

/* The peer's SETTINGS_HEADER_TABLE_SIZE. */
void hpack_encoder_limit(struct hpack_encoder *encoder, size_t max);

/* Before the first field of a block. These append to `out`, or fail as buf does: then the connection must end. */
int hpack_write_begin(struct hpack_encoder *encoder, struct buf *out);
int hpack_write_status(struct buf *out, unsigned status);
/* Names are lower case. is_lasting: it is expected in other blocks, too, and worth a place in the table. */
int hpack_write(struct hpack_encoder *encoder, struct buf *out, struct slice name, struct slice value, bool is_lasting);
