/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as JSON; and as a string that our writer puts into JSON, which must then be readable.
 */
#include "wire/json.h"
#include "wire/json_writer.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_limits limits = {.n_bytes = 65536, .depth = 16};

static void check_reader(struct slice bytes)
{
    json_t *value;
    struct err err = {""};
    if (json_parse(bytes, &limits, &value, &err) == 0)
        json_decref(value);
    else if (err.text[0] == '\0')
        abort();
}

static void check_writer(struct slice bytes)
{
    struct buf out = {0};
    struct json_writer json;
    json_writer_init(&json, &out);
    json_writer_begin_object(&json);
    json_writer_key(&json, SLICE_LIT("bytes"));
    json_writer_str(&json, bytes);
    json_writer_end_object(&json);
    if (json_writer_finish(&json) < 0)
        abort();

    json_error_t error;
    json_t *value = json_loadb(out.ptr, out.len, JSON_ALLOW_NUL, &error);
    if (!value) {
        fprintf(stderr, "%s: %.*s\n", error.text, SLICE_ARG(buf_slice(&out)));
        abort();
    }
    json_decref(value);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_reader(slice_from(data, size));
    check_writer(slice_from(data, size));
    return 0;
}
