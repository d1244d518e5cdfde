/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of exchange.h: thin ones that go through the table of the protocol, and two that are made of them.
 */
#include "http/exchange.h"

#include "base/assert.h"
#include "base/buf.h"
#include "http/exchange_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Longer texts are cut: exchange_respond_text is for a line or two. */
enum { TEXT_MAX = 1024 };

struct loop *exchange_loop(const struct exchange *exchange)
{
    return exchange->ops->loop(exchange);
}

const struct peer *exchange_peer(const struct exchange *exchange)
{
    return exchange->ops->peer(exchange);
}

struct stream *exchange_stream(const struct exchange *exchange)
{
    return exchange->ops->stream(exchange);
}

void exchange_respond(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                      struct slice body)
{
    exchange->ops->respond(exchange, status, headers, n_headers, body);
}

void exchange_respond_text(struct exchange *exchange, unsigned status, const char *fmt, ...)
{
    static const struct header type = {SLICE_LIT("content-type"), SLICE_LIT("text/plain; charset=utf-8")};
    char text[TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ASSERT(n >= 0);
    exchange_respond(exchange, status, &type, 1, slice_from(text, min_size((size_t)n, sizeof(text) - 1)));
}

int exchange_begin(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                   uint64_t content_length)
{
    return exchange->ops->begin(exchange, status, NULL, headers, n_headers, content_length);
}

int exchange_begin_carry(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                         const struct header *headers, unsigned n_headers, uint64_t content_length)
{
    return exchange->ops->begin(exchange, status, carry, headers, n_headers, content_length);
}

void exchange_inform(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                     const struct header *headers, unsigned n_headers)
{
    ASSERT(status >= 100 && status < 200 && status != 101);
    exchange->ops->inform(exchange, status, carry, headers, n_headers);
}

void exchange_hold_continue(struct exchange *exchange)
{
    ASSERT(exchange->request);
    exchange->ops->hold_continue(exchange);
}

int exchange_switch(struct exchange *exchange, const struct header_carry *carry, const struct header *headers,
                    unsigned n_headers, const struct tunnel *tunnel)
{
    return exchange->ops->switch_over(exchange, carry, headers, n_headers, tunnel);
}

int exchange_write(struct exchange *exchange, struct slice bytes)
{
    return exchange->ops->write(exchange, bytes);
}

void exchange_end(struct exchange *exchange, const struct header *trailers, unsigned n_trailers)
{
    exchange->ops->end(exchange, trailers, n_trailers);
}

void exchange_abort(struct exchange *exchange)
{
    exchange->ops->abort(exchange);
}

void exchange_pause(struct exchange *exchange, bool paused)
{
    exchange->ops->pause(exchange, paused);
}

void exchange_set_idle_timeout(struct exchange *exchange, nsec_t timeout_ns)
{
    exchange->ops->set_idle_timeout(exchange, timeout_ns);
}

/* What exchange_collect keeps in exchange->state while it is the app. */
struct collector {
    struct buf body;
    exchange_whole_fn on_whole;
    const struct exchange_app *app; /* the front end's own, and its state */
    void *state;
};

static void collector_free(struct collector *collector)
{
    buf_deinit(&collector->body);
    free(collector);
}

/* Makes the exchange the front end's again; the caller frees the collector. */
static struct collector *hand_back(struct exchange *exchange)
{
    struct collector *collector = exchange->state;
    exchange->app = collector->app;
    exchange->state = collector->state;
    return collector;
}

static void refuse_too_large(struct exchange *exchange, size_t max_bytes)
{
    exchange_respond_text(exchange, 413, "the body is longer than the %zu bytes that are taken here\n", max_bytes);
}

static void collect_body(struct exchange *exchange, struct slice bytes)
{
    struct collector *collector = exchange->state;
    int r = buf_append(&collector->body, bytes);
    if (r == 0)
        return;
    size_t max_bytes = collector->body.limit;
    collector_free(hand_back(exchange));
    if (r == -EMSGSIZE)
        refuse_too_large(exchange, max_bytes);
    else
        exchange_respond_text(exchange, 503, "out of memory\n");
}

static void collect_end(struct exchange *exchange)
{
    struct collector *collector = hand_back(exchange);
    collector->on_whole(exchange, buf_slice(&collector->body));
    collector_free(collector);
}

static void collect_close(struct exchange *exchange, enum exchange_end end)
{
    collector_free(hand_back(exchange));
    if (exchange->app)
        exchange->app->on_close(exchange, end);
}

void exchange_collect(struct exchange *exchange, size_t max_bytes, exchange_whole_fn on_whole)
{
    static const struct exchange_app app = {
        .on_body = collect_body,
        .on_end = collect_end,
        .on_close = collect_close,
    };
    const struct http_request *request = exchange->request;
    ASSERT(request && max_bytes > 0);
    if (request->framing == HTTP_BODY_LENGTH && request->content_length > max_bytes) {
        refuse_too_large(exchange, max_bytes);
        return;
    }
    struct collector *collector = malloc(sizeof(*collector));
    if (!collector) {
        exchange_respond_text(exchange, 503, "out of memory\n");
        return;
    }
    *collector = (struct collector){
        .body.limit = max_bytes,
        .on_whole = on_whole,
        .app = exchange->app,
        .state = exchange->state,
    };
    exchange->app = &app;
    exchange->state = collector;
}
