/* SPDX-License-Identifier: Apache-2.0 */
/* HPACK against the examples of RFC 7541 appendix C, what must be refused, and the bounds of what is kept. */
#include "support/test.h"
#include "wire/hpack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static char room[HPACK_ROOM_MIN + 4096];

struct reader {
    struct hpack_table table;
    char text[16 * 1024]; /* "name: value\n" each */
    bool is_overfull, is_malformed;
};

/* The result of the last call of hpack_block_next. */
static int read_bytes(struct reader *reader, struct slice bytes)
{
    struct hpack_block block;
    struct hpack_field field;
    size_t len = 0;
    int r;
    hpack_block_begin(&block, &reader->table, bytes, room, sizeof(room));
    reader->is_malformed = false;
    while ((r = hpack_block_next(&block, &field)) > 0) {
        reader->is_malformed |= !field.is_valid;
        len += (size_t)snprintf(reader->text + len, sizeof(reader->text) - len, "%.*s: %.*s\n", SLICE_ARG(field.name),
                                SLICE_ARG(field.value));
        expect_true(len < sizeof(reader->text));
    }
    reader->text[len] = '\0';
    reader->is_overfull = block.is_overfull;
    hpack_block_end(&block);
    return r;
}

/* Bytes in hexadecimal, blanks between them as one likes. */
static int read_hex(struct reader *reader, const char *hex)
{
    char bytes[512];
    size_t n = 0;
    for (; *hex; hex++) {
        if (*hex == ' ')
            continue;
        char digits[] = {hex[0], hex[1], '\0'};
        bytes[n++] = (char)strtoul(digits, NULL, 16);
        hex++;
    }
    return read_bytes(reader, slice_from(bytes, n));
}

struct example {
    const char *hex, *fields;
    size_t table_size;
};

static void expect_examples(size_t table_max, const struct example *examples, size_t n)
{
    struct reader reader = {.table.max = table_max};
    for (size_t i = 0; i < n; i++) {
        expect_int(read_hex(&reader, examples[i].hex), 0);
        expect_str(reader.text, examples[i].fields);
        expect_int(reader.table.size, examples[i].table_size);
        expect_false(reader.is_malformed);
    }
    hpack_table_deinit(&reader.table);
}

static void literals(void)
{
    static const struct example examples[] = {
        {"400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key: custom-header\n", 55},
        {"040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path\n", 55},
        {"1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret\n", 55},
        {"82", ":method: GET\n", 55},
    };
    expect_examples(HPACK_TABLE_MAX, examples, ARRAY_LEN(examples));
}

#define REQUEST_1 ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n"
#define REQUEST_2 REQUEST_1 "cache-control: no-cache\n"
#define REQUEST_3                                                                                                      \
    ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value\n"

static void requests(void)
{
    static const struct example examples[] = {
        {"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", REQUEST_1, 57},
        {"8286 84be 5808 6e6f 2d63 6163 6865", REQUEST_2, 110},
        {"8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", REQUEST_3, 164},
    };
    static const struct example in_code[] = {
        {"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", REQUEST_1, 57},
        {"8286 84be 5886 a8eb 1064 9cbf", REQUEST_2, 110},
        {"8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", REQUEST_3, 164},
    };
    expect_examples(HPACK_TABLE_MAX, examples, ARRAY_LEN(examples));
    expect_examples(HPACK_TABLE_MAX, in_code, ARRAY_LEN(in_code));
}

#define RESPONSE(status, second)                                                                                       \
    ":status: " status "\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:" second                                \
    " GMT\nlocation: https://www.example.com\n"
#define RESPONSE_3                                                                                                     \
    ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\n"                                      \
    "location: https://www.example.com\ncontent-encoding: gzip\n"                                                      \
    "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n"

/* With a table so small that entries are dropped. */
static void responses(void)
{
    static const struct example examples[] = {
        {"4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d"
         "546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
         RESPONSE("302", "21"), 222},
        {"4803 3330 37c1 c0bf", RESPONSE("307", "21"), 222},
        {"88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f"
         "6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b"
         "2076 6572 7369 6f6e 3d31",
         RESPONSE_3, 215},
    };
    static const struct example in_code[] = {
        {"4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7"
         "8f0b 97c8 e9ae 82ae 43d3",
         RESPONSE("302", "21"), 222},
        {"4883 640e ffc1 c0bf", RESPONSE("307", "21"), 222},
        {"88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335"
         "dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
         RESPONSE_3, 215},
    };
    expect_examples(256, examples, ARRAY_LEN(examples));
    expect_examples(256, in_code, ARRAY_LEN(in_code));
}

static void broken_blocks_are_refused(void)
{
    static const char *const blocks[] = {
        "80",                         /* index 0 */
        "be",                         /* an entry that is not there */
        "7f 00",                      /* … by its name */
        "ff",                         /* a number that is cut */
        "ff 80 80 80 80 80 00",       /* … that is longer than any need be */
        "ff ff ff ff ff ff 0f",       /* … too large */
        "40",                         /* no name */
        "40 01",                      /* a name that is cut */
        "40 01 61",                   /* no value */
        "40 01 61 7f ff ff ff 7f 61", /* a value longer than the block */
        "82 20",                      /* a table's size behind a field */
        "3f e2 1f",                   /* … larger than we allow: 4097 */
        "00 01 61 81 00",             /* Huffman: '0' and padding of zeros */
        "00 01 61 82 1f ff",          /* … padding of more than seven bits */
        "00 01 61 81 ff",             /* … of eight */
        "00 01 61 84 ff ff ff ff",    /* … the end of the string in it */
    };
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        struct reader reader = {.table.max = HPACK_TABLE_MAX};
        if (read_hex(&reader, blocks[i]) != -EBADMSG)
            test_fail(__FILE__, __LINE__, "%s is taken", blocks[i]);
        hpack_table_deinit(&reader.table);
    }
}

static void what_http2_forbids_is_marked(void)
{
    static const char *const fields[] = {
        "00 02 41 62 01 63",    /* Ab: c */
        "00 00 01 63",          /* no name */
        "00 02 61 20 01 63",    /* a blank in the name */
        "00 02 3a 61 01 63",    /* ":a" */
        "00 01 61 02 20 63",    /* a blank in front of the value */
        "00 01 61 02 63 09",    /* … a tab behind it */
        "00 01 61 03 63 0a 64", /* a line's end in it */
        "00 01 61 01 7f",
    };
    struct reader reader = {.table.max = HPACK_TABLE_MAX};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        expect_int(read_hex(&reader, fields[i]), 0);
        if (!reader.is_malformed)
            test_fail(__FILE__, __LINE__, "%s is valid", fields[i]);
    }
    expect_int(read_hex(&reader, "40 02 41 62 01 63"), 0); /* remembered, mark and all */
    expect_int(read_hex(&reader, "be"), 0);
    expect_true(reader.is_malformed);
    expect_int(read_hex(&reader, "00 01 61 03 63 09 ff"), 0);
    expect_false(reader.is_malformed);
    hpack_table_deinit(&reader.table);
}

static void a_field_may_outlive_its_entry_within_a_block(void)
{
    /* The table takes one of them; the second literal names the first's entry and drops it. */
    struct reader reader = {.table.max = 40};
    expect_int(read_hex(&reader, "40 01 61 01 62  be  7e 01 63  be"), 0);
    expect_str(reader.text, "a: b\na: b\na: c\na: c\n");
    expect_int(reader.table.n, 1);
    expect_int(read_hex(&reader, "20 82"), 0); /* size 0 */
    expect_int(reader.table.n, 0);
    expect_int(read_hex(&reader, "40 01 61 01 62"), 0); /* too large for it */
    expect_int(reader.table.n, 0);
    hpack_table_deinit(&reader.table);
}

/* Strings that unfold to more than the room do not overflow it, and the table stays alike. */
static void the_room_is_a_bound(void)
{
    char bytes[16 * 1024];
    struct reader reader = {.table.max = HPACK_TABLE_MAX};
    expect_int(read_hex(&reader, "40 01 78 01 79"), 0);

    /* One value of 12,800 zeros: five bits each. */
    static const char head[] = "\x00\x01z\xff\xc1\x3d"; /* 127 + 0x1ec1 = 8,000 bytes */
    memcpy(bytes, head, sizeof(head) - 1);
    memset(bytes + sizeof(head) - 1, 0, 8000);
    expect_int(read_bytes(&reader, slice_from(bytes, sizeof(head) - 1 + 8000)), 0);
    expect_true(reader.is_overfull);
    expect_int(reader.table.n, 1);

    /* The same, remembered: it empties the table. */
    bytes[0] = 0x40;
    expect_int(read_bytes(&reader, slice_from(bytes, sizeof(head) - 1 + 8000)), 0);
    expect_true(reader.is_overfull);
    expect_int(reader.table.n, 0);

    /* Many small ones. */
    size_t n = 0;
    for (int i = 0; i < 3000; i++, n += 5)
        memcpy(bytes + n, "\x00\x81\x07\x81\x07", 5); /* "0: 0" */
    expect_int(read_bytes(&reader, slice_from(bytes, 40)), 0);
    expect_false(reader.is_overfull);
    hpack_table_deinit(&reader.table);
}

/* --- writing --- */

static void write_answer(struct hpack_encoder *encoder, struct buf *out, const char *date)
{
    buf_reset(out);
    expect_int(hpack_write_begin(encoder, out), 0);
    expect_int(hpack_write_status(out, 200), 0);
    expect_int(hpack_write(encoder, out, SLICE_LIT("date"), slice_from_str(date), true), 0);
    expect_int(hpack_write(encoder, out, SLICE_LIT("x-own"), SLICE_LIT("value"), true), 0);
    expect_int(hpack_write(encoder, out, SLICE_LIT("content-length"), SLICE_LIT("12"), false), 0);
}

static void writes_what_it_reads(void)
{
    struct hpack_encoder encoder = {0};
    struct reader reader = {.table.max = HPACK_TABLE_MAX};
    struct buf out = {0};
    char expected[256], date[32];
    hpack_encoder_init(&encoder);
    for (int i = 0; i <= 1000; i++) {
        if (i == 300)
            hpack_encoder_limit(&encoder, 0);
        if (i == 400)
            hpack_encoder_limit(&encoder, 70);
        if (i == 500) { /* both must be told */
            hpack_encoder_limit(&encoder, 0);
            hpack_encoder_limit(&encoder, HPACK_TABLE_MAX);
        }
        (void)snprintf(date, sizeof(date), "second %d", i / 3);
        (void)snprintf(expected, sizeof(expected), ":status: 200\ndate: %s\nx-own: value\ncontent-length: 12\n", date);
        write_answer(&encoder, &out, date);
        expect_int(read_bytes(&reader, buf_slice(&out)), 0);
        expect_str(reader.text, expected);
        expect_int(reader.table.size, encoder.table.size);
    }
    expect_int(out.len, 1 + 1 + 1 + 5); /* what repeats is a byte each */
    buf_deinit(&out);
    hpack_encoder_deinit(&encoder);
    hpack_table_deinit(&reader.table);
}

static void writes_any_status(void)
{
    struct reader reader = {.table.max = HPACK_TABLE_MAX};
    struct buf out = {0};
    char expected[32];
    for (unsigned status = 100; status < 1000; status++) {
        buf_reset(&out);
        expect_int(hpack_write_status(&out, status), 0);
        expect_int(read_bytes(&reader, buf_slice(&out)), 0);
        (void)snprintf(expected, sizeof(expected), ":status: %u\n", status);
        expect_str(reader.text, expected);
    }
    buf_deinit(&out);
    hpack_table_deinit(&reader.table);
}

static const struct test_case cases[] = {
    {"RFC 7541 C.2: literals", literals},
    {"RFC 7541 C.3 and C.4: requests", requests},
    {"RFC 7541 C.5 and C.6: responses, with a small table", responses},
    {"broken blocks are refused", broken_blocks_are_refused},
    {"fields that HTTP/2 forbids are marked, also when they come back", what_http2_forbids_is_marked},
    {"a field may outlive its entry within its block", a_field_may_outlive_its_entry_within_a_block},
    {"the room for unpacked strings is a bound", the_room_is_a_bound},
    {"what is written is read, whatever the table's size", writes_what_it_reads},
    {"any status is written", writes_any_status},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
