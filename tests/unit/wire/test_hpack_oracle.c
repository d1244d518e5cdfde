/* SPDX-License-Identifier: Apache-2.0 */
/* HPACK against nghttp2's: each reads what the other writes, for any fields, any bytes and any size of the table. */
#include "support/test.h"
#include "wire/hpack.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BLOCKS = 2000,
    FIELDS_MAX = 12,
    BYTES_MAX = 300,
};

struct source {
    uint64_t state;
};

static unsigned draw(struct source *source, unsigned below)
{
    source->state = source->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(source->state >> 33) % below;
}

/* A field that often was there before. */
struct field {
    char name[32], value[BYTES_MAX];
    size_t n_value;
};

static void make_field(struct source *source, struct field *ret_field)
{
    static const char *const names[] = {"content-type", "date", "grpc-status", "x-own", ":path", "cookie", "te"};
    (void)snprintf(ret_field->name, sizeof(ret_field->name), "%s", names[draw(source, ARRAY_LEN(names))]);
    ret_field->n_value = draw(source, 4) == 0 ? draw(source, BYTES_MAX) : draw(source, 6);
    bool is_wild = draw(source, 4) == 0;
    for (size_t i = 0; i < ret_field->n_value; i++)
        ret_field->value[i] = (char)(is_wild ? draw(source, 256) : 'a' + draw(source, 3));
}

static uint64_t seed(void)
{
    const char *text = getenv("SEED");
    uint64_t number = text ? strtoull(text, NULL, 10) : 4711;
    printf("# SEED=%llu\n", (unsigned long long)number);
    return number;
}

static void reads_what_nghttp2_writes(void)
{
    struct source source = {seed()};
    struct hpack_table table = {.max = HPACK_TABLE_MAX};
    static char room[64 * 1024];
    nghttp2_hd_deflater *deflater;
    expect_int(nghttp2_hd_deflate_new(&deflater, HPACK_TABLE_MAX), 0);
    for (int i = 0; i < BLOCKS; i++) {
        struct field fields[FIELDS_MAX];
        nghttp2_nv nv[FIELDS_MAX];
        uint8_t bytes[FIELDS_MAX * 2 * BYTES_MAX];
        size_t n = draw(&source, FIELDS_MAX);
        for (size_t k = 0; k < n; k++) {
            make_field(&source, &fields[k]);
            nv[k] = (nghttp2_nv){(uint8_t *)fields[k].name, (uint8_t *)fields[k].value, strlen(fields[k].name),
                                 fields[k].n_value, draw(&source, 5) == 0 ? NGHTTP2_NV_FLAG_NO_INDEX : 0};
        }
        if (draw(&source, 50) == 0)
            expect_int(nghttp2_hd_deflate_change_table_size(deflater, draw(&source, HPACK_TABLE_MAX)), 0);
        ssize_t len = nghttp2_hd_deflate_hd(deflater, bytes, sizeof(bytes), nv, n);
        expect_true(len >= 0);

        struct hpack_block block;
        struct hpack_field field;
        hpack_block_begin(&block, &table, slice_from(bytes, (size_t)len), room, sizeof(room));
        for (size_t k = 0; k < n; k++) {
            expect_int(hpack_block_next(&block, &field), 1);
            expect_true(slice_equal_str(field.name, fields[k].name));
            expect_true(slice_equal(field.value, slice_from(fields[k].value, fields[k].n_value)));
        }
        expect_int(hpack_block_next(&block, &field), 0);
        expect_false(block.is_overfull);
        hpack_block_end(&block);
        expect_int(table.size, nghttp2_hd_deflate_get_dynamic_table_size(deflater));
    }
    nghttp2_hd_deflate_del(deflater);
    hpack_table_deinit(&table);
}

/* The next field of the block; false at its end. */
static bool inflate(nghttp2_hd_inflater *inflater, struct slice *rest, nghttp2_nv *ret_nv)
{
    for (;;) {
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(inflater, ret_nv, &flags, (const uint8_t *)rest->ptr, rest->len, 1);
        expect_true(n >= 0);
        *rest = slice_skip(*rest, (size_t)n);
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            return true;
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            return false;
    }
}

static void nghttp2_reads_what_is_written(void)
{
    struct source source = {seed()};
    struct hpack_encoder encoder = {0};
    struct buf out = {0};
    nghttp2_hd_inflater *inflater;
    hpack_encoder_init(&encoder);
    expect_int(nghttp2_hd_inflate_new(&inflater), 0);
    for (int i = 0; i < BLOCKS; i++) {
        struct field fields[FIELDS_MAX];
        size_t n = draw(&source, FIELDS_MAX);
        if (draw(&source, 50) == 0) {
            size_t max = draw(&source, 300);
            hpack_encoder_limit(&encoder, max);
            expect_int(nghttp2_hd_inflate_change_table_size(inflater, max), 0);
        }
        buf_reset(&out);
        expect_int(hpack_write_begin(&encoder, &out), 0);
        for (size_t k = 0; k < n; k++) {
            make_field(&source, &fields[k]);
            expect_int(hpack_write(&encoder, &out, slice_from_str(fields[k].name),
                                   slice_from(fields[k].value, fields[k].n_value), draw(&source, 3) > 0),
                       0);
        }
        struct slice rest = buf_slice(&out);
        nghttp2_nv nv;
        for (size_t k = 0; k < n; k++) {
            expect_true(inflate(inflater, &rest, &nv));
            expect_true(slice_equal_str(slice_from(nv.name, nv.namelen), fields[k].name));
            expect_true(slice_equal(slice_from(nv.value, nv.valuelen), slice_from(fields[k].value, fields[k].n_value)));
        }
        expect_false(inflate(inflater, &rest, &nv));
        expect_int(nghttp2_hd_inflate_end_headers(inflater), 0);
        expect_int(nghttp2_hd_inflate_get_dynamic_table_size(inflater), encoder.table.size);
    }
    buf_deinit(&out);
    nghttp2_hd_inflate_del(inflater);
    hpack_encoder_deinit(&encoder);
}

static const struct test_case cases[] = {
    {"what nghttp2 writes is read", reads_what_nghttp2_writes},
    {"nghttp2 reads what is written", nghttp2_reads_what_is_written},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
