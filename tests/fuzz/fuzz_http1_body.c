/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunked body, in one piece and byte by byte: both must give the same data, the same end and the same verdict.
 */
#include "wire/http1.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum http1_body_step last;
    size_t consumed, data_bytes;
    uint64_t data_hash;
};

/* Feeds the bytes in pieces of `piece`. */
static struct outcome run(struct slice bytes, size_t piece)
{
    struct outcome outcome = {.last = HTTP1_BODY_MORE};
    struct http1_body body;
    http1_body_init(&body, HTTP_BODY_CHUNKED, 0);
    while (outcome.consumed < bytes.len && outcome.last != HTTP1_BODY_END && outcome.last != HTTP1_BODY_BAD) {
        struct slice rest = slice_skip(bytes, outcome.consumed), data;
        struct http1_fault fault;
        size_t consumed = 0;
        rest.len = rest.len < piece ? rest.len : piece;
        outcome.last = http1_body_step(&body, rest, &data, &consumed, &fault);
        if (outcome.last == HTTP1_BODY_DATA) {
            for (size_t i = 0; i < data.len; i++)
                outcome.data_hash = (outcome.data_hash ^ (uint8_t)data.ptr[i]) * 0x100000001b3;
            outcome.data_bytes += data.len;
        }
        if (outcome.last != HTTP1_BODY_BAD && consumed == 0)
            abort();
        outcome.consumed += outcome.last == HTTP1_BODY_BAD ? 0 : consumed;
    }
    /* A run that reaches the end of the bytes is followed by MORE or END only when asked again. */
    if (outcome.last == HTTP1_BODY_DATA)
        outcome.last = HTTP1_BODY_MORE;
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_from(data, size);
    struct outcome whole = run(bytes, size);
    struct outcome dripped = run(bytes, 1);
    if (whole.last != dripped.last || whole.data_bytes != dripped.data_bytes || whole.data_hash != dripped.data_hash)
        abort();
    if (whole.last != HTTP1_BODY_BAD && whole.consumed != dripped.consumed)
        abort();
    return 0;
}
