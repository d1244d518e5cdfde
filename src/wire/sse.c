/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines end with LF, CR or CRLF; a CRLF may be cut between two pieces. A line that is whole in one piece is looked at
 * in place, any other is gathered first. An event is dispatched by an empty line, and only when it has data.
 */
#include "wire/sse.h"

#include <errno.h>

void sse_parser_init(struct sse_parser *parser, size_t max_bytes)
{
    *parser = (struct sse_parser){
        .max_bytes = max_bytes,
        .line.limit = max_bytes,
        .type.limit = max_bytes,
        .id.limit = max_bytes,
        .data.limit = max_bytes,
    };
}

void sse_parser_deinit(struct sse_parser *parser)
{
    buf_deinit(&parser->line);
    buf_deinit(&parser->type);
    buf_deinit(&parser->id);
    buf_deinit(&parser->data);
}

static int dispatch(struct sse_parser *parser, sse_event_fn fn, void *ctx)
{
    int r = 0;
    if (parser->has_data) {
        struct sse_event event = {buf_slice(&parser->type), buf_slice(&parser->id), buf_slice(&parser->data)};
        if (slice_is_empty(event.type))
            event.type = SLICE_LIT("message");
        r = fn(ctx, &event);
    }
    buf_reset(&parser->type);
    buf_reset(&parser->id);
    if (parser->data.cap > (size_t)64 * 1024) /* a large one now and then does not keep its room */
        buf_deinit(&parser->data);
    else
        buf_reset(&parser->data);
    parser->has_data = false;
    return r;
}

static int replace(struct buf *buf, struct slice value)
{
    buf_reset(buf);
    return buf_append(buf, value);
}

static int take_field(struct sse_parser *parser, struct slice name, struct slice value)
{
    if (slice_equal_str(name, "event"))
        return replace(&parser->type, value);
    if (slice_equal_str(name, "id") && slice_find(value, '\0') == value.len)
        return replace(&parser->id, value);
    if (!slice_equal_str(name, "data"))
        return 0; /* "retry", which is for the client to decide here, and what nobody knows */
    if (parser->has_data)
        buf_append_char(&parser->data, '\n');
    parser->has_data = true;
    return buf_append(&parser->data, value);
}

static int take_line(struct sse_parser *parser, struct slice line, sse_event_fn fn, void *ctx)
{
    if (!parser->is_begun && slice_starts_with(line, SLICE_LIT("\xEF\xBB\xBF")))
        line = slice_skip(line, 3);
    parser->is_begun = true;
    if (slice_is_empty(line))
        return dispatch(parser, fn, ctx);
    if (line.ptr[0] == ':')
        return 0;
    size_t colon = slice_find(line, ':');
    struct slice name = {line.ptr, colon}, value = slice_skip(line, colon);
    if (!slice_is_empty(value))
        value = slice_skip(value, 1);
    if (!slice_is_empty(value) && value.ptr[0] == ' ')
        value = slice_skip(value, 1);
    return take_field(parser, name, value);
}

/* Offset of the first byte that ends a line, or bytes.len. */
static size_t find_end(struct slice bytes)
{
    size_t lf = slice_find(bytes, '\n');
    return slice_find((struct slice){bytes.ptr, lf}, '\r');
}

int sse_parser_take(struct sse_parser *parser, struct slice bytes, sse_event_fn fn, void *ctx)
{
    while (!slice_is_empty(bytes)) {
        if (parser->after_cr && bytes.ptr[0] == '\n')
            bytes = slice_skip(bytes, 1);
        parser->after_cr = false;
        size_t end = find_end(bytes);
        if (end == bytes.len)
            return slice_is_empty(bytes) ? 0 : buf_append(&parser->line, bytes);
        struct slice line = {bytes.ptr, end};
        parser->after_cr = bytes.ptr[end] == '\r';
        bytes = slice_skip(bytes, end + 1);
        if (parser->line.len > 0) {
            int r = buf_append(&parser->line, line);
            if (r < 0)
                return r;
            line = buf_slice(&parser->line);
        }
        int r = take_line(parser, line, fn, ctx);
        if (parser->line.cap > (size_t)64 * 1024)
            buf_deinit(&parser->line);
        else
            buf_reset(&parser->line);
        if (r < 0)
            return r;
    }
    return 0;
}
