/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"
#include "wire/pb.h"

#include <errno.h>

struct thing {
    struct slice name;
    int64_t number;
    uint32_t sort;
    bool is_on;
};

static const struct pb_member thing_members[] = {
    [1] = PB_MEMBER(struct thing, name, PB_BYTES),
    [2] = PB_MEMBER(struct thing, number, PB_INT64),
    [4] = PB_MEMBER(struct thing, sort, PB_INT32),
    [5] = PB_MEMBER(struct thing, is_on, PB_BOOL),
};

static int read_thing(struct slice message, struct thing *ret_thing)
{
    *ret_thing = (struct thing){0};
    return pb_read(message, thing_members, ARRAY_LEN(thing_members), ret_thing);
}

static void reads_what_it_wrote(void)
{
    struct buf buf = {0};
    struct thing thing;
    pb_add_str(&buf, 1, "name");
    pb_add_int(&buf, 2, INT64_MIN);
    pb_add_uint(&buf, 4, UINT32_MAX);
    pb_add_bool(&buf, 5, true);
    expect_int(buf_error(&buf), 0);
    expect_int(read_thing(buf_slice(&buf), &thing), 0);
    expect_slice(thing.name, "name");
    expect_int(thing.number, INT64_MIN);
    expect_int(thing.sort, UINT32_MAX);
    expect_true(thing.is_on);
    buf_deinit(&buf);
}

static void zero_is_left_out(void)
{
    struct buf buf = {0};
    pb_add_int(&buf, 1, 0);
    pb_add_bool(&buf, 2, false);
    pb_add_bytes(&buf, 3, (struct slice){0});
    expect_int(buf.len, 0);
    pb_add_element(&buf, 3, (struct slice){0});
    expect_bytes(buf_slice(&buf), SLICE_LIT("\x1a\x00"));
    buf_deinit(&buf);
}

static void passes_over_what_it_does_not_know(void)
{
    struct thing thing;
    /* 3: varint; 6: eight bytes; 7: four bytes; 100: bytes; then 2: 150 */
    struct slice message =
        SLICE_LIT("\x18\x05\x31\x01\x02\x03\x04\x05\x06\x07\x08\x3d\x01\x02\x03\x04\xa2\x06\x02hi\x10\x96\x01");
    expect_int(read_thing(message, &thing), 0);
    expect_int(thing.number, 150);
    expect_int(thing.name.len, 0);
}

static void the_last_one_counts(void)
{
    struct thing thing;
    expect_int(read_thing(SLICE_LIT("\x10\x01\x0a\x01x\x10\x02\x0a\x01y"), &thing), 0);
    expect_int(thing.number, 2);
    expect_slice(thing.name, "y");
}

static void long_numbers_are_cut_to_their_type(void)
{
    struct thing thing;
    expect_int(read_thing(SLICE_LIT("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &thing), 0); /* -1 */
    expect_int(thing.sort, UINT32_MAX);
    expect_int(read_thing(SLICE_LIT("\x28\x80\x80\x80\x80\x10"), &thing), 0); /* 2^32 is true, too */
    expect_true(thing.is_on);
}

static void refuses_what_is_no_message(void)
{
    static const struct {
        const char *words;
        struct slice message;
    } cases[] = {
        {"a number that does not end", SLICE_LIT("\x10\x80")},
        {"a number of eleven bytes", SLICE_LIT("\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")},
        {"a tag alone", SLICE_LIT("\x10")},
        {"a tag that does not end", SLICE_LIT("\x80")},
        {"field number 0", SLICE_LIT("\x00\x01")},
        {"a field number above 2^29", SLICE_LIT("\x80\x80\x80\x80\x10\x01")},
        {"bytes longer than the message", SLICE_LIT("\x0a\x05name")},
        {"bytes of a length beyond all memory", SLICE_LIT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
        {"bytes where a number should be", SLICE_LIT("\x12\x01x")},
        {"a number where bytes should be", SLICE_LIT("\x08\x01")},
        {"a fixed number where a varint should be", SLICE_LIT("\x15\x01\x02\x03\x04")},
        {"the begin of a group", SLICE_LIT("\x13\x14")},
        {"wire type 6", SLICE_LIT("\x16\x01")},
        {"eight bytes cut short", SLICE_LIT("\x11\x01\x02")},
        {"four bytes cut short", SLICE_LIT("\x35\x01")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct thing thing;
        int r = read_thing(cases[i].message, &thing);
        if (r != -EBADMSG)
            test_fail(__FILE__, __LINE__, "%s: %d", cases[i].words, r);
    }
}

static void nested_messages_get_their_length(void)
{
    static const size_t lengths[] = {0, 1, 127, 128, 16383, 16384, 300000};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct buf buf = {0};
        size_t outer = pb_begin(&buf, 3);
        size_t inner = pb_begin(&buf, 99);
        for (size_t k = 0; k < lengths[i]; k++)
            buf_append_char(&buf, (char)k);
        pb_end(&buf, inner);
        pb_end(&buf, outer);
        expect_int(buf_error(&buf), 0);

        struct slice message = buf_slice(&buf);
        struct pb_field field;
        expect_int(pb_next(&message, &field), 1);
        expect_int(message.len, 0);
        message = field.bytes;
        expect_int(pb_next(&message, &field), 1);
        expect_int(message.len, 0);
        expect_int(field.number, 99);
        expect_int(field.bytes.len, lengths[i]);
        for (size_t k = 0; k < lengths[i]; k++)
            expect_int(field.bytes.ptr[k], (char)k);
        buf_deinit(&buf);
    }
}

static void packed_numbers_are_walked(void)
{
    struct slice bytes = SLICE_LIT("\x01\x96\x01\x80");
    uint64_t value;
    expect_int(pb_next_packed(&bytes, &value), 1);
    expect_int(value, 1);
    expect_int(pb_next_packed(&bytes, &value), 1);
    expect_int(value, 150);
    expect_int(pb_next_packed(&bytes, &value), -EBADMSG);
    bytes = (struct slice){0};
    expect_int(pb_next_packed(&bytes, &value), 0);
}

static void a_full_buffer_is_told_at_the_end(void)
{
    struct buf buf = {.limit = 40};
    size_t outer = pb_begin(&buf, 1);
    for (unsigned i = 0; i < 20; i++)
        pb_add_uint(&buf, 2, UINT64_MAX);
    size_t inner = pb_begin(&buf, 1);
    pb_end(&buf, inner);
    pb_end(&buf, outer);
    expect_int(buf_error(&buf), -EMSGSIZE);
    buf_deinit(&buf);
}

static void messages_in_place_are_like_others(void)
{
    static const int64_t numbers[] = {0, 1, 127, 128, 16383, 16384, INT64_MAX, -1};
    static char value[300];
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct buf added = {0}, put = {0};
        const struct slice bytes = slice_from(value, (size_t)(numbers[i] & 255));
        size_t begin = pb_begin(&added, 300);
        pb_add_int(&added, 1, numbers[i]);
        pb_add_bytes(&added, 16, bytes);
        pb_add_int(&added, 2048, numbers[i]);
        pb_end(&added, begin);

        size_t size = pb_size_int(1, numbers[i]) + pb_size_bytes(16, bytes) + pb_size_int(2048, numbers[i]);
        char *room;
        expect_int(buf_reserve(&put, PB_HEAD_MAX + size, &room), 0);
        char *at = pb_put_head(room, 300, size), *body = at;
        at = pb_put_int(at, 1, numbers[i]);
        at = pb_put_bytes(at, 16, bytes);
        at = pb_put_int(at, 2048, numbers[i]);
        expect_int(at - body, size);
        buf_commit(&put, (size_t)(at - room));
        expect_true(slice_equal(buf_slice(&added), buf_slice(&put)));
        buf_deinit(&added);
        buf_deinit(&put);
    }
}

static const struct test_case cases[] = {
    {"what was written is read", reads_what_it_wrote},
    {"fields that are zero are left out", zero_is_left_out},
    {"unknown fields are passed over", passes_over_what_it_does_not_know},
    {"of a field that comes twice the last one counts", the_last_one_counts},
    {"numbers too long for their type are cut", long_numbers_are_cut_to_their_type},
    {"what is no message is refused", refuses_what_is_no_message},
    {"nested messages of any size get their length", nested_messages_get_their_length},
    {"packed numbers are walked", packed_numbers_are_walked},
    {"running out of room is told once, at the end", a_full_buffer_is_told_at_the_end},
    {"a message that is written in place is like others", messages_in_place_are_like_others},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
