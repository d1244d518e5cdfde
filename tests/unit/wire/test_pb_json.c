/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pb_json.h"

#include "support/fault_alloc.h"
#include "support/sample.pb-c.h"
#include "support/test.h"
#include "wire/pb.h"

#include <errno.h>

static const struct json_limits limits = {.n_bytes = 64 * 1024, .depth = JSON_WRITER_DEPTH_MAX};

static int to_json(struct slice message, struct buf *text)
{
    struct json_writer json;
    json_writer_init(&json, text);
    int r = pb_json_write(&sample__sample__descriptor, message, &json);
    return r < 0 ? r : json_writer_finish(&json);
}

static int to_message(struct slice text, struct buf *message, struct err *err)
{
    return pb_json_read(&sample__sample__descriptor, text, &limits, message, err);
}

/* Messages and how they are written; read again, they are the same. */
static const struct {
    struct slice message;
    const char *text;
} samples[] = {
    {SLICE_LIT(""), "{}"},
    {SLICE_LIT("\x08\x01"), "{\"i64\":\"1\"}"},
    {SLICE_LIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "{\"i64\":\"-1\"}"},
    {SLICE_LIT("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "{\"i64\":\"-9223372036854775808\"}"},
    {SLICE_LIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "{\"i64\":\"9223372036854775807\"}"},
    {SLICE_LIT("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "{\"u64\":\"18446744073709551615\"}"},
    {SLICE_LIT("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "{\"i32\":-1}"},
    {SLICE_LIT("\x20\xff\xff\xff\xff\x0f"), "{\"u32\":4294967295}"},
    {SLICE_LIT("\x28\x01"), "{\"is_set\":true}"},
    {SLICE_LIT("\x30\x05"), "{\"color\":\"DARK_BLUE\"}"},
    {SLICE_LIT("\x30\x03"), "{\"color\":3}"},
    {SLICE_LIT("\x3a\x03"
               "a\"b"),
     "{\"some_text\":\"a\\\"b\"}"},
    {SLICE_LIT("\x42\x02\x00\xff"), "{\"raw_bytes\":\"AP8=\"}"},
    {SLICE_LIT("\x4a\x00"), "{\"inner\":{}}"},
    {SLICE_LIT("\x4a\x07\x0a\x01k\x10\x02\x1a\x00"), "{\"inner\":{\"key\":\"aw==\",\"the_count\":\"2\",\"inner\":{}}}"},
    {SLICE_LIT("\x52\x00\x52\x02\x10\x01"), "{\"inners\":[{},{\"the_count\":\"1\"}]}"},
    {SLICE_LIT("\x58\x00\x58\x07"), "{\"numbers\":[\"0\",\"7\"]}"},
    {SLICE_LIT("\x60\x00\x60\x01"), "{\"colors\":[\"RED\",\"GREEN\"]}"},
    {SLICE_LIT("\x6a\x00\x6a\x01x"), "{\"texts\":[\"\",\"x\"]}"},
    {SLICE_LIT("\x72\x00\x72\x01x"), "{\"pieces\":[\"\",\"eA==\"]}"},
    {SLICE_LIT("\x78\x00"), "{\"number\":\"0\"}"}, /* an alternative: that it is there says something */
    {SLICE_LIT("\x82\x01\x00"), "{\"word\":\"\"}"},
    {SLICE_LIT("\x8a\x01\x00"), "{\"thing\":{}}"},
    {SLICE_LIT("\x80\x04\x09"), "{\"ID\":\"9\"}"},
};

static void writes_and_reads_messages(void)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct buf text = {0}, message = {0};
        expect_int(to_json(samples[i].message, &text), 0);
        expect_slice(buf_slice(&text), samples[i].text);
        expect_int(to_message(buf_slice(&text), &message, NULL), 0);
        expect_bytes(buf_slice(&message), samples[i].message);
        buf_deinit(&text);
        buf_deinit(&message);
    }
}

/* What others may write in another way than we do. */
static void writes_what_is_written_otherwise(void)
{
    static const struct {
        struct slice message;
        const char *text;
    } others[] = {
        {SLICE_LIT("\x08\x00\x28\x00\x30\x00\x3a\x00\x42\x00"), "{}"}, /* zeros */
        {SLICE_LIT("\x08\x01\x08\x02"), "{\"i64\":\"2\"}"},            /* the last one counts */
        {SLICE_LIT("\x80\x04\x09\x08\x01"), "{\"i64\":\"1\",\"ID\":\"9\"}"},
        {SLICE_LIT("\x5a\x02\x00\x07"), "{\"numbers\":[\"0\",\"7\"]}"}, /* packed */
        {SLICE_LIT("\x5a\x01\x05\x08\x01\x58\x06"), "{\"i64\":\"1\",\"numbers\":[\"5\",\"6\"]}"},
        {SLICE_LIT("\x5a\x00\x62\x00"), "{}"},
        {SLICE_LIT("\x62\x02\x01\x09"), "{\"colors\":[\"GREEN\",9]}"},
        {SLICE_LIT("\xf8\x3f\x01\x28\x01"), "{\"is_set\":true}"}, /* unknown */
        {SLICE_LIT("\x3a\x01\xff"), "{\"some_text\":\"\xef\xbf\xbd\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct buf text = {0};
        expect_int(to_json(others[i].message, &text), 0);
        expect_slice(buf_slice(&text), others[i].text);
        buf_deinit(&text);
    }
}

static void what_is_no_message_is_not_written(void)
{
    static const struct slice messages[] = {
        SLICE_LIT("\x08"),         /* cut */
        SLICE_LIT("\x0a\x01x"),    /* bytes for a number */
        SLICE_LIT("\x38\x01"),     /* a number for a string */
        SLICE_LIT("\x4a\x01\x08"), /* cut inside */
        SLICE_LIT("\x5a\x01\x80"), /* cut in a packed run */
        SLICE_LIT("\x58\x01\x0b"), /* a group */
    };
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        struct buf text = {0};
        expect_int(to_json(messages[i], &text), -EBADMSG);
        buf_deinit(&text);
    }
}

static void messages_too_deep_are_not_written(void)
{
    struct buf message = {0}, text = {0};
    size_t begins[JSON_WRITER_DEPTH_MAX];
    begins[0] = pb_begin(&message, 9);
    for (size_t i = 1; i < ARRAY_LEN(begins); i++)
        begins[i] = pb_begin(&message, 3);
    for (size_t i = ARRAY_LEN(begins); i-- > 0;)
        pb_end(&message, begins[i]);
    expect_int(to_json(buf_slice(&message), &text), -EBADMSG);
    buf_deinit(&message);
    buf_deinit(&text);
}

/* All the ways in which a client may say the same. */
static void reads_liberally(void)
{
    static const struct {
        const char *text;
        struct slice message;
    } texts[] = {
        {"{\"i64\":1,\"u64\":\"2\",\"i32\":\"-1\"}",
         SLICE_LIT("\x08\x01\x10\x02\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},
        {"{\"i64\":1.0}", SLICE_LIT("\x08\x01")},
        {"{\"i64\":1e2}", SLICE_LIT("\x08\x64")},
        {"{\"color\":5}", SLICE_LIT("\x30\x05")},
        {"{\"isSet\":true,\"someText\":\"x\",\"rawBytes\":\"eA\"}", SLICE_LIT("\x28\x01\x3a\x01x\x42\x01x")},
        {"{\"raw_bytes\":\"_-8\"}", SLICE_LIT("\x42\x02\xff\xef")},
        {"{\"i64\":null,\"inner\":null,\"inners\":null}", SLICE_LIT("")},
        {"{\"nothing\":{\"known\":[1,2]},\"is_set\":true}", SLICE_LIT("\x28\x01")},
        {"{\"ID\":3,\"i64\":2}", SLICE_LIT("\x08\x02\x80\x04\x03")},
        {"{\"inner\":{\"theCount\":3}}", SLICE_LIT("\x4a\x02\x10\x03")},
        {"{\"inners\":[],\"numbers\":[]}", SLICE_LIT("")},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct buf message = {0};
        struct err err = {""};
        expect_int(to_message(slice_from_str(texts[i].text), &message, &err), 0);
        expect_bytes(buf_slice(&message), texts[i].message);
        buf_deinit(&message);
    }
}

static void refused_texts_say_where_and_why(void)
{
    static const struct {
        const char *text, *words;
    } texts[] = {
        {"", "line 1, column 0: '[' or '{' expected near end of file"},
        {"[]", "expected an object"},
        {"{\"i64\":\"\"}", "i64: expected an integer of 64 bits"},
        {"{\"i64\":\"1x\"}", "i64: expected an integer of 64 bits"},
        {"{\"i64\":true}", "i64: expected an integer of 64 bits"},
        {"{\"i64\":1.5}", "i64: expected an integer of 64 bits"},
        {"{\"i64\":1e30}", "i64: expected an integer of 64 bits"},
        {"{\"i64\":\"9223372036854775808\"}", "i64: expected an integer of 64 bits"},
        {"{\"i64\":\"-9223372036854775809\"}", "i64: expected an integer of 64 bits"},
        {"{\"u64\":\"-1\"}", "u64: expected an unsigned integer of 64 bits"},
        {"{\"u64\":-1}", "u64: expected an unsigned integer of 64 bits"},
        {"{\"u64\":-1.0}", "u64: expected an unsigned integer of 64 bits"},
        {"{\"i32\":2147483648}", "i32: expected an integer of 32 bits"},
        {"{\"u32\":4294967296}", "u32: expected an unsigned integer of 32 bits"},
        {"{\"is_set\":\"true\"}", "is_set: expected true or false"},
        {"{\"color\":\"BLUE\"}", "color: unknown value \"BLUE\" for enum sample.Color"},
        {"{\"color\":true}", "color: expected the name or the number of an enum"},
        {"{\"some_text\":1}", "some_text: expected a string"},
        {"{\"raw_bytes\":1}", "raw_bytes: expected bytes as base64"},
        {"{\"rawBytes\":\"!\"}", "raw_bytes: expected bytes as base64"},
        {"{\"inner\":[]}", "inner: expected an object"},
        {"{\"inners\":{}}", "inners: expected an array"},
        {"{\"inners\":[{\"key\":1}]}", "inners: key: expected bytes as base64"},
        {"{\"numbers\":[null]}", "numbers: expected an integer of 64 bits"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct buf message = {0};
        struct err err = {""};
        expect_int(to_message(slice_from_str(texts[i].text), &message, &err), -EINVAL);
        expect_str(err.text, texts[i].words);
        buf_deinit(&message);
    }
}

static void the_limit_of_the_message_holds(void)
{
    struct buf message = {.limit = 16};
    expect_int(to_message(SLICE_LIT("{\"some_text\":\"0123456789abcdef\"}"), &message, NULL), -EMSGSIZE);
    buf_deinit(&message);
}

/* --- random messages --- */

static void add_random_bytes(struct buf *buf, uint32_t number, bool is_text, uint64_t *seed)
{
    char bytes[40];
    size_t len = 1 + test_random(seed) % (sizeof(bytes) - 1);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(is_text ? ' ' + test_random(seed) % 95 : test_random(seed));
    pb_add_element(buf, number, slice_from(bytes, len));
}

static uint64_t random_number(ProtobufCType type, uint64_t *seed)
{
    uint64_t number = test_random(seed) >> test_random(seed) % 64;
    switch (type) {
    case PROTOBUF_C_TYPE_BOOL:
        return 1;
    case PROTOBUF_C_TYPE_UINT32:
        return (uint32_t)number | 1;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        return (uint64_t)(int32_t)((uint32_t)number | 1);
    default:
        return number | 1;
    }
}

static void add_random(const ProtobufCMessageDescriptor *type, unsigned depth, struct buf *buf, uint64_t *seed)
{
    bool has_choice = false;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        bool is_choice = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
        unsigned n = test_random(seed) % (field->label == PROTOBUF_C_LABEL_REPEATED ? 4 : 2);
        if (is_choice && has_choice)
            n = 0;
        has_choice |= is_choice && n > 0;
        for (; n > 0; n--) {
            if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
                size_t begin = pb_begin(buf, field->id);
                if (depth < 4)
                    add_random(field->descriptor, depth + 1, buf, seed);
                pb_end(buf, begin);
            } else if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES) {
                add_random_bytes(buf, field->id, field->type == PROTOBUF_C_TYPE_STRING, seed);
            } else {
                pb_add_varint(buf, field->id, random_number(field->type, seed));
            }
        }
    }
}

static void random_messages_come_back(void)
{
    uint64_t seed = test_seed();
    for (unsigned i = 0; i < 2000; i++) {
        struct buf message = {0}, text = {0}, again = {0};
        add_random(&sample__sample__descriptor, 0, &message, &seed);
        expect_int(to_json(buf_slice(&message), &text), 0);
        struct err err = {""};
        expect_int(to_message(buf_slice(&text), &again, &err), 0);
        expect_bytes(buf_slice(&again), buf_slice(&message));
        buf_deinit(&message);
        buf_deinit(&text);
        buf_deinit(&again);
    }
}

static int there_and_back(void *arg)
{
    (void)arg;
    struct buf message = {0}, text = {0};
    int r =
        to_message(SLICE_LIT("{\"inners\":[{\"key\":\"eA==\"}],\"some_text\":\"a\",\"numbers\":[1]}"), &message, NULL);
    if (r == 0)
        r = to_json(buf_slice(&message), &text);
    buf_deinit(&message);
    buf_deinit(&text);
    return r;
}

static void lack_of_memory_is_told(void)
{
    expect_true(fault_alloc_sweep(there_and_back, NULL) > 0);
}

static const struct test_case cases[] = {
    {"messages are written as JSON, and read they are the same", writes_and_reads_messages},
    {"messages written in another way than ours are understood", writes_what_is_written_otherwise},
    {"what is no message is not written", what_is_no_message_is_not_written},
    {"messages that are nested too deep are not written", messages_too_deep_are_not_written},
    {"all ways to say a thing in JSON are taken", reads_liberally},
    {"a text that is refused says where and why", refused_texts_say_where_and_why},
    {"a message is no longer than its buf allows", the_limit_of_the_message_holds},
    {"random messages come back byte by byte", random_messages_come_back},
    {"lack of memory is told at every point", lack_of_memory_is_told},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
