/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a stream of events, whole and cut in two anywhere: the events must be the same.
 */
#include "wire/sse.h"

#include <stdlib.h>

#define EVENT_BYTES_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int write_event(void *ctx, const struct sse_event *event)
{
    struct buf *out = ctx;
    if (event->type.len == 0 || event->data.len > EVENT_BYTES_MAX)
        abort();
    return buf_printf(out, "%zu %zu %zu;%.*s %.*s %.*s\n", event->type.len, event->id.len, event->data.len,
                      SLICE_ARG(event->type), SLICE_ARG(event->id), SLICE_ARG(event->data));
}

static int parse(struct slice bytes, size_t cut, struct buf *out)
{
    struct sse_parser parser;
    sse_parser_init(&parser, EVENT_BYTES_MAX);
    int r = sse_parser_take(&parser, (struct slice){bytes.ptr, cut}, write_event, out);
    if (r == 0)
        r = sse_parser_take(&parser, slice_skip(bytes, cut), write_event, out);
    sse_parser_deinit(&parser);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_from(data, size);
    struct buf whole = {0}, parts = {0};
    int r = parse(bytes, size, &whole);
    size_t cut = size > 0 ? data[0] % size : 0;
    /* Where a line is too long may be found out one piece earlier. */
    if (parse(bytes, cut, &parts) == 0 && r == 0 && !slice_equal(buf_slice(&whole), buf_slice(&parts)))
        abort();
    buf_deinit(&whole);
    buf_deinit(&parts);
    return 0;
}
