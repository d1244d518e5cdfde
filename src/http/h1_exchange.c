/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the answers of HTTP/1. The calls of the front end put bytes and leave marks; the state machine (h1_session.c)
 * acts on the marks in its next tick, which a call from outside of one asks for by http_connection_wake.
 *
 * Inside a tick everything put is gathered, so that the answers to pipelined requests share one send. From outside, a
 * whole answer is sent at once, and pieces leave together at the end of the turn.
 */
#include "base/assert.h"
#include "http/h1_session.h"
#include "wire/scan.h"

#include <errno.h>

/* A copy of so much costs less than a send in two pieces. */
enum { COPIED_MAX = 2048 };

static const struct slice crlf = SLICE_LIT("\r\n");

/* The session as its owners know it, also where the front end may only look at the exchange. */
static struct h1_session *h1_of(const struct exchange *exchange)
{
    return container_of((uintptr_t)exchange, struct h1_session, exchange);
}

/* A head under construction: written where it is sent from, since it has a dozen pieces and each put has its price. */
struct text {
    struct http_connection *connection;
    char *begin, *at, *end;
};

static void begin_text(struct text *text, struct http_connection *connection)
{
    size_t n_max;
    text->connection = connection;
    text->begin = text->at = http_connection_put_begin(connection, &n_max);
    text->end = text->at + n_max;
}

static void end_text(struct text *text)
{
    http_connection_put_end(text->connection, (size_t)(text->at - text->begin));
}

/* A head that does not fit into what is left of the room leaves in several sends. */
static void add_beyond(struct text *text, struct slice bytes)
{
    end_text(text);
    http_connection_put(text->connection, bytes);
    begin_text(text, text->connection);
}

static inline void add(struct text *text, struct slice bytes)
{
    if (bytes.len > (size_t)(text->end - text->at))
        add_beyond(text, bytes);
    else if (bytes.len > 0)
        text->at = mempcpy(text->at, bytes.ptr, bytes.len);
}

static void add_u64(struct text *text, uint64_t value)
{
    char room[SLICE_U64_MAX];
    add(text, slice_of_u64(value, room));
}

static void add_status_line(struct text *text, unsigned status)
{
    struct slice known = http_status_line(status);
    add(text, known);
    if (known.len > 0)
        return;
    add(text, SLICE_LIT("HTTP/1.1 "));
    add_u64(text, status);
    add(text, SLICE_LIT(" \r\n"));
}

static void add_date(struct text *text)
{
    add(text, SLICE_LIT("date: "));
    add(text, loop_http_date(http_connection_loop(text->connection)));
    add(text, crlf);
}

static void add_length(struct text *text, uint64_t length)
{
    add(text, SLICE_LIT("content-length: "));
    add_u64(text, length);
    add(text, crlf);
}

void h1_put_refusal(struct http_connection *connection, unsigned status, const char *text)
{
    struct text head;
    begin_text(&head, connection);
    add_status_line(&head, status);
    add_date(&head);
    add(&head, SLICE_LIT("content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"));
    if (text)
        add_length(&head, strlen(text) + 1);
    add(&head, crlf);
    if (text) {
        add(&head, slice_from_str(text));
        add(&head, SLICE_LIT("\n"));
    }
    end_text(&head);
}

/* A value comes from a registration, that is from anybody: it must not end its line. */
static void add_value(struct text *text, struct slice value)
{
    while (value.len > 0) {
        size_t n = (size_t)(scan_value(value.ptr, value.ptr + value.len) - value.ptr);
        add(text, slice_from(value.ptr, n));
        if (n < value.len) {
            add(text, SLICE_LIT(" "));
            n++;
        }
        value = slice_skip(value, n);
    }
}

static void add_headers(struct text *text, const struct header *headers, unsigned n_headers)
{
    for (unsigned i = 0; i < n_headers; i++) {
        ASSERT(http_is_token(headers[i].name));
        add(text, headers[i].name);
        add(text, SLICE_LIT(": "));
        add_value(text, headers[i].value);
        add(text, crlf);
    }
}

/* Gives whether there was a date among them. */
static bool add_carry(struct text *text, const struct header_carry *carry, bool with_upgrade)
{
    struct carry_walk walk;
    struct slice lines;
    const struct http_field *field;
    carry_walk_begin(&walk, carry, with_upgrade);
    while (carry_walk_next(&walk, &lines, &field)) {
        if (field)
            add_headers(text, &(struct header){field->name, field->value}, 1);
        else
            add(text, lines);
    }
    return carry_walk_keeps(&walk, HTTP_FIELD_DATE);
}

static bool has_date(const struct header *headers, unsigned n_headers)
{
    for (unsigned i = 0; i < n_headers; i++)
        if (slice_equal_str(headers[i].name, "date"))
            return true;
    return false;
}

/* How the answer's body will be delimited. */
static enum h1_answer framing_of(const struct h1_session *h1, unsigned status, uint64_t length)
{
    if (h1->is_head || status == 204 || status == 304)
        return H1_ANSWER_NO_BODY;
    if (length != EXCHANGE_LENGTH_UNKNOWN)
        return H1_ANSWER_LENGTH;
    return h1->is_http10 ? H1_ANSWER_CLOSE : H1_ANSWER_CHUNKED;
}

/* Whether the client can be told that another request may follow. */
static bool can_keep_alive(const struct h1_session *h1)
{
    const struct http_connection *connection = h1->session.connection;
    if (!h1->keep_alive || h1->answer == H1_ANSWER_CLOSE || http_connection_is_draining(connection))
        return false;
    /* A client that was not told to go on may send the body or not: nobody can know where the next request begins. */
    if (h1->expecting)
        return false;
    bool body_is_long = h1->state != H1_ANSWER && h1->body.framing == HTTP_BODY_LENGTH &&
                        h1->body.left > http_connection_options(connection)->body_drain_bytes;
    return !body_is_long;
}

static void put_head(struct h1_session *h1, unsigned status, const struct header_carry *carry,
                     const struct header *headers, unsigned n_headers, uint64_t length)
{
    ASSERT(h1->is_running && h1->answer == H1_ANSWER_NONE);
    ASSERT(status >= 200 && status <= 999);
    h1->answer = (uint8_t)framing_of(h1, status, length);
    h1->keep_alive = can_keep_alive(h1);

    struct http_connection *connection = h1->session.connection;
    http_connection_count(connection, status);
    struct text head;
    begin_text(&head, connection);
    add_status_line(&head, status);
    if (!add_carry(&head, carry, false) && !has_date(headers, n_headers))
        add_date(&head);
    if (length != EXCHANGE_LENGTH_UNKNOWN && status != 204)
        add_length(&head, length);
    else if (h1->answer == H1_ANSWER_CHUNKED)
        add(&head, SLICE_LIT("transfer-encoding: chunked\r\n"));
    if (!h1->keep_alive)
        add(&head, SLICE_LIT("connection: close\r\n"));
    else if (h1->is_http10)
        add(&head, SLICE_LIT("connection: keep-alive\r\n"));
    add_headers(&head, headers, n_headers);
    add(&head, crlf);
    end_text(&head);
}

/* A mark was left: from outside of a tick, one is asked for. */
static void tick_later(struct h1_session *h1)
{
    if (!h1->in_tick)
        http_connection_wake(h1->session.connection);
}

static void h1_respond(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                       struct slice body)
{
    struct h1_session *h1 = h1_of(exchange);
    struct http_connection *connection = h1->session.connection;
    put_head(h1, status, NULL, headers, n_headers, status == 304 ? EXCHANGE_LENGTH_UNKNOWN : body.len);
    if (h1->answer == H1_ANSWER_LENGTH)
        http_connection_put(connection, body);
    h1->answer = H1_ANSWER_DONE;
    if (!h1->in_tick)
        (void)http_connection_flush(connection); /* a failure is seen by the tick */
    tick_later(h1);
}

static int broken(const struct h1_session *h1)
{
    return h1->aborted || http_connection_is_broken(h1->session.connection) ? -EPIPE : 0;
}

static int h1_begin(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                    const struct header *headers, unsigned n_headers, uint64_t content_length)
{
    struct h1_session *h1 = h1_of(exchange);
    put_head(h1, status, carry, headers, n_headers, content_length);
    h1->answer_left = content_length;
    return broken(h1);
}

static void h1_inform(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                      const struct header *headers, unsigned n_headers)
{
    struct h1_session *h1 = h1_of(exchange);
    ASSERT(h1->is_running && h1->answer == H1_ANSWER_NONE);
    struct http_connection *connection = h1->session.connection;
    bool is_awaited = status == 100 && h1->expecting;
    if (h1->is_http10)
        return;
    if (!is_awaited && http_connection_is_full(connection))
        return;
    if (status == 100)
        h1->expecting = false;
    struct text head;
    begin_text(&head, connection);
    add_status_line(&head, status);
    (void)add_carry(&head, carry, false);
    add_headers(&head, headers, n_headers);
    add(&head, crlf);
    end_text(&head);
    (void)http_connection_flush(connection); /* a failure is seen by the tick */
}

static void h1_hold_continue(struct exchange *exchange)
{
    h1_of(exchange)->holds_continue = true;
}

static void put_chunk(struct http_connection *connection, struct slice bytes)
{
    char room[HTTP1_CHUNK_HEAD_MAX];
    http_connection_put(connection, http1_chunk_head(bytes.len, room));
    http_connection_put(connection, bytes);
    http_connection_put(connection, crlf);
}

/* Of a promised length. Behind the last of it nothing is gathered, so it leaves uncopied, unless it is short. */
static void put_promised(struct h1_session *h1, struct slice bytes)
{
    struct http_connection *connection = h1->session.connection;
    ASSERT(bytes.len <= h1->answer_left);
    h1->answer_left -= bytes.len;
    if (h1->answer_left == 0 && bytes.len > COPIED_MAX)
        (void)http_connection_send(connection, bytes); /* a failure is seen by the tick */
    else
        http_connection_put(connection, bytes);
}

static int h1_write(struct exchange *exchange, struct slice bytes)
{
    struct h1_session *h1 = h1_of(exchange);
    struct http_connection *connection = h1->session.connection;
    ASSERT(h1->is_running);
    if (bytes.len == 0)
        return broken(h1);
    switch ((enum h1_answer)h1->answer) {
    case H1_ANSWER_LENGTH:
        put_promised(h1, bytes);
        break;
    case H1_ANSWER_CHUNKED:
        put_chunk(connection, bytes);
        break;
    case H1_ANSWER_CLOSE:
        http_connection_put(connection, bytes);
        break;
    case H1_ANSWER_NO_BODY:
        break;
    case H1_ANSWER_NONE:
    case H1_ANSWER_DONE:
        ASSERT(!"written before exchange_begin or after exchange_end");
    }
    if (broken(h1))
        return -EPIPE;
    if (http_connection_unsent(connection) == 0 && !h1->in_tick)
        h1_move_deadline(h1);
    h1->progressed = true;
    h1->writer_waits = http_connection_is_full(connection);
    return h1->writer_waits ? EXCHANGE_FULL : 0;
}

static struct pipes *h1_pour_begin(struct exchange *exchange)
{
    struct h1_session *h1 = h1_of(exchange);
    struct http_connection *connection = h1->session.connection;
    bool is_possible = h1->answer == H1_ANSWER_LENGTH && pipe_fits(http_connection_stream(connection));
    return is_possible ? http_connection_pipes(connection) : NULL;
}

static ssize_t h1_pour(struct exchange *exchange, struct pipe *pipe)
{
    struct h1_session *h1 = h1_of(exchange);
    ASSERT(h1->is_running && h1->answer == H1_ANSWER_LENGTH && pipe->n_bytes <= h1->answer_left);
    if (broken(h1))
        return -EPIPE;
    ssize_t n = http_connection_send_pipe(h1->session.connection, pipe);
    if (n > 0) {
        h1->answer_left -= (uint64_t)n;
        h1_earn(h1, H1_PACE_TAKES, (size_t)n);
        h1->progressed = true;
        if (!h1->in_tick)
            h1_move_deadline(h1);
    }
    if (pipe->n_bytes > 0) {
        h1->writer_waits = h1->pipe_waits = true;
        tick_later(h1);
    }
    return n;
}

static void h1_abort(struct exchange *exchange)
{
    struct h1_session *h1 = h1_of(exchange);
    h1->aborted = true;
    tick_later(h1);
}

static void h1_end(struct exchange *exchange, const struct header *trailers, unsigned n_trailers)
{
    struct h1_session *h1 = h1_of(exchange);
    struct http_connection *connection = h1->session.connection;
    ASSERT(h1->is_running && h1->answer != H1_ANSWER_NONE && h1->answer != H1_ANSWER_DONE);
    if (h1->answer == H1_ANSWER_LENGTH && h1->answer_left > 0) {
        h1_abort(exchange);
        return;
    }
    if (h1->answer == H1_ANSWER_CHUNKED) {
        struct text tail;
        begin_text(&tail, connection);
        add(&tail, SLICE_LIT("0\r\n"));
        add_headers(&tail, trailers, n_trailers);
        add(&tail, crlf);
        end_text(&tail);
    }
    h1->answer = H1_ANSWER_DONE;
    tick_later(h1);
}

static void h1_pause(struct exchange *exchange, bool paused)
{
    struct h1_session *h1 = h1_of(exchange);
    h1->paused = paused;
    h1->progressed = true;
    tick_later(h1);
}

void h1_set_answer_timeout(struct h1_session *h1, nsec_t timeout_ns)
{
    nsec_t timeout_ms = timeout_ns / NSEC_PER_MSEC + (timeout_ns % NSEC_PER_MSEC > 0);
    h1->answer_timeout_ms = timeout_ms < UINT32_MAX ? (uint32_t)timeout_ms : UINT32_MAX;
}

static void h1_set_idle_timeout(struct exchange *exchange, nsec_t timeout_ns)
{
    struct h1_session *h1 = h1_of(exchange);
    h1_set_answer_timeout(h1, timeout_ns);
    h1->progressed = true;
    tick_later(h1);
}

static int h1_switch_over(struct exchange *exchange, const struct header_carry *carry, const struct header *headers,
                          unsigned n_headers, const struct tunnel *tunnel)
{
    struct h1_session *h1 = h1_of(exchange);
    struct http_connection *connection = h1->session.connection;
    ASSERT(h1->is_running && h1->answer == H1_ANSWER_NONE && h1->may_switch && !h1->tunnel);
    int r = h1_tunnel_new(h1, tunnel, &h1->tunnel);
    if (r < 0)
        return r;
    h1->answer = H1_ANSWER_CLOSE;
    h1->keep_alive = false;
    h1_set_answer_timeout(h1, tunnel->idle_timeout_ns);
    h1->progressed = true;
    http_connection_count(connection, 101);
    struct text head;
    begin_text(&head, connection);
    add_status_line(&head, 101);
    add(&head, SLICE_LIT("connection: upgrade\r\n"));
    (void)add_carry(&head, carry, true);
    add_headers(&head, headers, n_headers);
    add(&head, crlf);
    end_text(&head);
    http_connection_put(connection, tunnel->early);
    tunnel->result->to_client += tunnel->early.len;
    tick_later(h1);
    return 0;
}

static struct loop *h1_loop(const struct exchange *exchange)
{
    return http_connection_loop(h1_of(exchange)->session.connection);
}

static const struct peer *h1_peer(const struct exchange *exchange)
{
    return http_connection_peer(h1_of(exchange)->session.connection);
}

static struct stream *h1_stream(const struct exchange *exchange)
{
    return http_connection_stream(h1_of(exchange)->session.connection);
}

const struct exchange_ops h1_exchange_ops = {
    .respond = h1_respond,
    .begin = h1_begin,
    .inform = h1_inform,
    .hold_continue = h1_hold_continue,
    .switch_over = h1_switch_over,
    .write = h1_write,
    .end = h1_end,
    .abort = h1_abort,
    .pause = h1_pause,
    .set_idle_timeout = h1_set_idle_timeout,
    .loop = h1_loop,
    .peer = h1_peer,
    .stream = h1_stream,
    .pour_begin = h1_pour_begin,
    .pour = h1_pour,
};
