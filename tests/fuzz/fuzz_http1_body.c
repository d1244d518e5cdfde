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
    uint64_t data_hash; /* of data and trailers */
};

static void hash(struct outcome *outcome, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        outcome->data_hash = (outcome->data_hash ^ (uint8_t)bytes.ptr[i]) * 0x100000001b3;
}

/* Feeds the bytes so that `piece` more are there at each step. */
static struct outcome run(struct slice bytes, size_t piece)
{
    static struct http_fields trailers;
    struct outcome outcome = {.last = HTTP1_BODY_MORE};
    struct http1_body body;
    size_t n_there = 0;
    http1_body_init(&body, HTTP_BODY_CHUNKED, 0);
    while (outcome.last != HTTP1_BODY_END && outcome.last != HTTP1_BODY_BAD) {
        struct slice rest = slice_from(bytes.ptr + outcome.consumed, n_there - outcome.consumed), data;
        struct http1_fault fault;
        size_t consumed = 0;
        outcome.last = http1_body_step(&body, rest, &data, &consumed, &trailers, &fault);
        if (outcome.last == HTTP1_BODY_DATA) {
            hash(&outcome, data);
            outcome.data_bytes += data.len;
        } else if (outcome.last == HTTP1_BODY_TRAILERS) {
            for (unsigned i = 0; i < trailers.n; i++) {
                hash(&outcome, trailers.items[i].name);
                hash(&outcome, trailers.items[i].value);
            }
        }
        if (outcome.last == HTTP1_BODY_DATA && consumed == 0)
            abort();
        outcome.consumed += outcome.last == HTTP1_BODY_BAD ? 0 : consumed;
        if (outcome.last == HTTP1_BODY_MORE) {
            if (n_there == bytes.len)
                break;
            n_there += piece < bytes.len - n_there ? piece : bytes.len - n_there;
        }
    }
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
