/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a message: what is written as JSON is read again as a message that is written the same. And any bytes as
 * JSON: what is read is a message.
 */
#include "support/sample.pb-c.h"
#include "wire/pb_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_limits limits = {.n_bytes = 1 << 20, .depth = JSON_WRITER_DEPTH_MAX};

static int write(struct slice message, struct buf *text)
{
    struct json_writer json;
    json_writer_init(&json, text);
    int r = pb_json_write(&sample__sample__descriptor, message, &json);
    return r < 0 ? r : json_writer_finish(&json);
}

static void check_message(struct slice bytes)
{
    struct buf text = {0}, message = {0}, again = {0};
    struct err err = {""};
    /* Strings with a NUL are written, as they are strings, but not taken from clients. */
    if (write(bytes, &text) == 0 && !memmem(text.ptr, text.len, "\\u0000", 6)) {
        if (pb_json_read(&sample__sample__descriptor, buf_slice(&text), &limits, &message, &err) < 0) {
            fprintf(stderr, "%s: %.*s\n", err.text, SLICE_ARG(buf_slice(&text)));
            abort();
        }
        if (write(buf_slice(&message), &again) < 0 || !slice_equal(buf_slice(&again), buf_slice(&text)))
            abort();
    }
    buf_deinit(&text);
    buf_deinit(&message);
    buf_deinit(&again);
}

static void check_text(struct slice bytes)
{
    struct buf message = {0}, text = {0};
    struct err err = {""};
    int r = pb_json_read(&sample__sample__descriptor, bytes, &limits, &message, &err);
    if (r == -EINVAL ? err.text[0] == '\0' : r < 0)
        abort();
    if (r == 0 && write(buf_slice(&message), &text) < 0)
        abort();
    buf_deinit(&message);
    buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_message(slice_from(data, size));
    check_text(slice_from(data, size));
    return 0;
}
