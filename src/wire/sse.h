/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a stream of Server-Sent Events apart as its bytes come (the format of the HTML standard, section 9.2.6). Pure.
 */
#pragma once

#include "base/buf.h"

struct sse_event {
    struct slice type; /* "message" when the stream does not say */
    struct slice id;   /* of this event; empty when it has none */
    struct slice data; /* lines joined by '\n' */
};

/* Takes an event, whose slices are valid during the call. 0, or -errno: the stream ends with it. */
typedef int (*sse_event_fn)(void *ctx, const struct sse_event *event);

struct sse_parser {
    struct buf line; /* the one that is not whole yet */
    struct buf type, id, data;
    bool has_data;
    bool after_cr;    /* a line feed that comes now belongs to the line before */
    bool is_begun;    /* a byte order mark would be behind us */
    size_t max_bytes; /* of one event */
};

/* An event that is longer than max_bytes ends the stream. */
void sse_parser_init(struct sse_parser *parser, size_t max_bytes);
void sse_parser_deinit(struct sse_parser *parser);

/* More bytes. 0, -EMSGSIZE, -ENOMEM, or what fn gave; then the parser is of no more use. */
int sse_parser_take(struct sse_parser *parser, struct slice bytes, sse_event_fn fn, void *ctx);
