/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header blocks from anybody: nothing is read or written out of bounds, the table keeps its size, and what was read is
 * read again when it is written. The input is blocks, each behind a byte that says how long it is.
 */
#include "base/assert.h"
#include "wire/hpack.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ends {
    struct hpack_table table, again;
    struct hpack_encoder encoder;
    struct buf out;
    char room[HPACK_ROOM_MIN + 1024], room_again[HPACK_ROOM_MIN + 1024];
};

static void read_again(struct ends *ends, const struct hpack_field *field)
{
    struct hpack_block block;
    struct hpack_field same;
    buf_reset(&ends->out);
    ASSERT(hpack_write_begin(&ends->encoder, &ends->out) == 0);
    ASSERT(hpack_write(&ends->encoder, &ends->out, field->name, field->value, field->value.len % 2) == 0);
    hpack_block_begin(&block, &ends->again, buf_slice(&ends->out), ends->room_again, sizeof(ends->room_again));
    ASSERT(hpack_block_next(&block, &same) == 1);
    ASSERT(slice_equal(same.name, field->name) && slice_equal(same.value, field->value));
    ASSERT(same.id == field->id && same.is_valid == field->is_valid);
    ASSERT(hpack_block_next(&block, &same) == 0);
    hpack_block_end(&block);
}

static int read_block(struct ends *ends, struct slice bytes)
{
    struct hpack_block block;
    struct hpack_field field;
    int r;
    hpack_block_begin(&block, &ends->table, bytes, ends->room, sizeof(ends->room));
    while ((r = hpack_block_next(&block, &field)) > 0) {
        ASSERT(ends->table.size <= ends->table.max);
        read_again(ends, &field);
    }
    hpack_block_end(&block);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ends *ends = calloc(1, sizeof(*ends));
    if (!ends)
        return 0;
    struct slice rest = slice_from(data, size);
    ends->table.max = ends->again.max = HPACK_TABLE_MAX;
    hpack_encoder_init(&ends->encoder);
    while (rest.len > 0) {
        size_t n = min_size((uint8_t)rest.ptr[0], rest.len - 1);
        if (read_block(ends, slice_from(rest.ptr + 1, n)) < 0)
            break;
        rest = slice_skip(rest, 1 + n);
    }
    hpack_table_deinit(&ends->table);
    hpack_table_deinit(&ends->again);
    hpack_encoder_deinit(&ends->encoder);
    buf_deinit(&ends->out);
    free(ends);
    return 0;
}
