/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header blocks of answers. Our table is kept small whatever the peer allows: answers repeat few fields (the date, the
 * type, gRPC's status), a small table is searched from end to end in no time, and thousands of connections have one.
 * Strings go out as they are, since those that repeat are sent once.
 */
#include "wire/hpack.h"

/* Three fields of a gRPC answer and the next date. */
enum { OWN_TABLE_MAX = 256 };

/* Bytes of a number in a block, at most: one, and 32 bits in steps of seven. */
enum { NUMBER_BYTES_MAX = 6 };

void hpack_encoder_init(struct hpack_encoder *encoder)
{
    encoder->table.max = OWN_TABLE_MAX;
    encoder->told_max = HPACK_TABLE_MAX;
    encoder->smallest_max = OWN_TABLE_MAX;
}

void hpack_encoder_deinit(struct hpack_encoder *encoder)
{
    hpack_table_deinit(&encoder->table);
}

void hpack_encoder_limit(struct hpack_encoder *encoder, size_t max)
{
    hpack_table_resize(&encoder->table, min_size(max, OWN_TABLE_MAX), NULL);
    encoder->smallest_max = min_size(encoder->smallest_max, encoder->table.max);
}

/* Its first byte has `kind` above the n_bits low bits. */
static char *put_number(char *at, uint8_t kind, unsigned n_bits, size_t number)
{
    const size_t prefix_max = (1u << n_bits) - 1;
    if (number < prefix_max) {
        *at++ = (char)(kind | number);
        return at;
    }
    *at++ = (char)(kind | prefix_max);
    for (number -= prefix_max; number >= 0x80; number >>= 7)
        *at++ = (char)(0x80 | (number & 0x7f));
    *at++ = (char)number;
    return at;
}

static char *put_string(char *at, struct slice string)
{
    at = put_number(at, 0, 7, string.len);
    if (string.len > 0)
        memcpy(at, string.ptr, string.len);
    return at + string.len;
}

int hpack_write_begin(struct hpack_encoder *encoder, struct buf *out)
{
    char *room;
    if (encoder->told_max == encoder->table.max && encoder->smallest_max == encoder->table.max)
        return 0;
    int r = buf_reserve(out, 2 * NUMBER_BYTES_MAX, &room);
    if (r < 0)
        return r;
    char *at = room;
    if (encoder->smallest_max < encoder->table.max)
        at = put_number(at, 0x20, 5, encoder->smallest_max);
    at = put_number(at, 0x20, 5, encoder->table.max);
    buf_commit(out, (size_t)(at - room));
    encoder->told_max = encoder->smallest_max = encoder->table.max;
    return 0;
}

static int write_index(struct buf *out, size_t index)
{
    char *room;
    int r = buf_reserve(out, NUMBER_BYTES_MAX, &room);
    if (r == 0)
        buf_commit(out, (size_t)(put_number(room, 0x80, 7, index) - room));
    return r;
}

int hpack_write_status(struct buf *out, unsigned status)
{
    static const uint16_t known[] = {200, 204, 206, 304, 400, 404, 500}; /* 8 and on in the static table */
    enum { STATUS_200 = 8 };
    char *at;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i] == status)
            return write_index(out, STATUS_200 + i);
    const char text[] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10), (char)('0' + status % 10)};
    int r = buf_reserve(out, 1 + 1 + sizeof(text), &at);
    if (r < 0)
        return r;
    *at++ = STATUS_200; /* a literal that is not remembered, with this name */
    (void)put_string(at, slice_from(text, sizeof(text)));
    buf_commit(out, 1 + 1 + sizeof(text));
    return 0;
}

/* The index of the name in the static table; 0 when it is not there. */
static size_t find_static_name(struct slice name)
{
    for (size_t i = 1; i <= HPACK_STATIC; i++)
        if (slice_equal(hpack_static_get(i)->name, name))
            return i;
    return 0;
}

static int write_literal(struct buf *out, struct slice name, struct slice value, bool is_remembered)
{
    char *room;
    int r = buf_reserve(out, 3 * NUMBER_BYTES_MAX + name.len + value.len, &room);
    if (r < 0)
        return r;
    size_t index = find_static_name(name);
    char *at = is_remembered ? put_number(room, 0x40, 6, index) : put_number(room, 0, 4, index);
    if (index == 0)
        at = put_string(at, name);
    at = put_string(at, value);
    buf_commit(out, (size_t)(at - room));
    return 0;
}

int hpack_write(struct hpack_encoder *encoder, struct buf *out, struct slice name, struct slice value, bool is_lasting)
{
    const struct hpack_field *known;
    for (size_t i = 0; is_lasting && (known = hpack_table_get(&encoder->table, i)); i++)
        if (slice_equal(known->value, value) && slice_equal(known->name, name))
            return write_index(out, HPACK_STATIC + 1 + i);
    const struct hpack_field field = {.name = name, .value = value};
    bool is_remembered = is_lasting && encoder->table.max > 0;
    int r = write_literal(out, name, value, is_remembered);
    return r == 0 && is_remembered ? hpack_table_add(&encoder->table, &field, NULL) : r;
}
