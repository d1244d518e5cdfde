/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer of a stream. Its head becomes a frame at once, and so does its body while the peer takes it: windows are
 * open, nothing waits in the socket, and there is room for one more send. What is beyond that waits in stream->out and
 * is framed bit by bit as there is room, each stream in its turn; trailers follow the last byte.
 */
#include "http/h2_fields.h"
#include "http/h2_stream.h"

#include <errno.h>
#include <stdio.h>

/* An empty queue up to this size is kept for the next message; a larger one is given back. */
enum { OUT_KEPT_BYTES = 512 };

size_t h2_answer_queued(const struct h2_stream *stream)
{
    return stream->out.len - stream->out_framed;
}

static bool is_overdrawn(const struct h2_session *session)
{
    return session->n_queued >= backlog_mark(h2_session_backlog(session), H2_QUEUED_BYTES_MAX);
}

bool h2_answer_is_low(const struct h2_stream *stream)
{
    const struct h2_session *session = stream->session;
    size_t low_bytes = backlog_mark(h2_session_backlog(session), h2_session_options(session)->send_low_bytes);
    return h2_answer_queued(stream) <= (is_overdrawn(session) ? 0 : low_bytes);
}

static bool is_high(const struct h2_stream *stream)
{
    const struct h2_session *session = stream->session;
    size_t high_bytes = backlog_mark(h2_session_backlog(session), h2_session_options(session)->send_high_bytes);
    return h2_answer_queued(stream) >= (is_overdrawn(session) ? 1 : high_bytes);
}

static void give_back_out(struct h2_stream *stream)
{
    backlog_note(h2_session_backlog(stream->session), stream->out.cap, 0);
    buf_deinit(&stream->out);
}

void h2_answer_drop(struct h2_stream *stream)
{
    stream->session->n_queued -= h2_answer_queued(stream);
    list_remove(&stream->writer_link);
    give_back_out(stream);
    buf_deinit(&stream->trailers);
    stream->out_framed = 0;
}

/* ------------------------------------------------------------------------------------------------ windows */

uint32_t h2_answer_open_window(int32_t *window, int32_t step)
{
    if (step == 0)
        return H2_PROTOCOL_ERROR;
    if ((int64_t)*window + step > H2_NUMBER_MAX)
        return H2_FLOW_CONTROL_ERROR;
    *window += step;
    return H2_NO_ERROR;
}

/* More of it may be framed when there is time. */
static void join_writers(struct h2_stream *stream)
{
    if (h2_answer_queued(stream) == 0 || stream->send_window <= 0 || list_is_linked(&stream->writer_link))
        return;
    list_push_back(&stream->session->writers, &stream->writer_link);
    h2_session_schedule(stream->session);
}

void h2_stream_on_window(struct h2_stream *stream, int32_t step)
{
    uint32_t error = h2_answer_open_window(&stream->send_window, step);
    if (error != H2_NO_ERROR)
        h2_stream_reset(stream, error, EXCHANGE_ABORTED);
    else
        join_writers(stream);
}

uint32_t h2_answer_set_first_window(struct h2_session *session, uint32_t size)
{
    if (size > H2_NUMBER_MAX)
        return H2_FLOW_CONTROL_ERROR;
    int64_t change = (int64_t)size - session->first_window;
    session->first_window = (int32_t)size;
    list_for_each (link, &session->streams) {
        struct h2_stream *stream = container_of(link, struct h2_stream, link);
        if (stream->send_window + change > H2_NUMBER_MAX)
            return H2_FLOW_CONTROL_ERROR;
        stream->send_window = (int32_t)(stream->send_window + change);
        join_writers(stream);
    }
    return H2_NO_ERROR;
}

/* ------------------------------------------------------------------------------------------------ frames */

/* Bytes of `n` that may become frames now. */
static size_t n_allowed(const struct h2_stream *stream, size_t n)
{
    const struct h2_session *session = stream->session;
    if (session->send_window <= 0 || stream->send_window <= 0 || session->out.len >= H2_OUT_BYTES_MAX)
        return 0;
    n = min_size(n, (size_t)session->send_window);
    n = min_size(n, (size_t)stream->send_window);
    return min_size(n, H2_OUT_BYTES_MAX - session->out.len);
}

static void write_data(struct h2_stream *stream, struct slice bytes)
{
    struct h2_session *session = stream->session;
    h2_output_data(session, stream->id, bytes);
    session->send_window -= (int32_t)bytes.len;
    stream->send_window -= (int32_t)bytes.len;
    h2_guard_credit(&session->guard);
}

static void write_kept_trailers(struct h2_stream *stream)
{
    struct slice rest = buf_slice(&stream->trailers), name, value;
    size_t at = h2_output_head(stream->session, stream->id, 0, true);
    while (h2_fields_next(&rest, &name, &value))
        h2_output_any_case(stream->session, name, value);
    h2_output_head_end(stream->session, at);
}

/* All of the body is framed, and the front end has given its last. */
static void write_end(struct h2_stream *stream)
{
    if (stream->trailers.len > 0)
        write_kept_trailers(stream);
    else
        h2_output_data_end(stream->session, stream->id);
    h2_stream_on_answered(stream);
}

/* Forgets what was framed, and tells a waiting writer when there is room again. */
static void note_framed(struct h2_stream *stream, size_t n)
{
    stream->out_framed += n;
    h2_stream_on_taken(stream, n);
    stream->session->n_queued -= n;
    if (h2_answer_queued(stream) == 0) {
        stream->out_framed = 0;
        buf_reset(&stream->out);
        if (stream->out.cap > OUT_KEPT_BYTES)
            give_back_out(stream);
    }
    if (stream->is_full && h2_answer_is_low(stream))
        h2_stream_note(stream);
    h2_stream_touch(stream);
}

/* A frame of what waits; the stream goes to the end of the row if there is more that may follow. */
static void frame_some(struct h2_stream *stream)
{
    size_t n = n_allowed(stream, min_size(h2_answer_queued(stream), H2_FRAME_BYTES_MAX));
    write_data(stream, slice_from(stream->out.ptr + stream->out_framed, n));
    note_framed(stream, n);
    if (h2_answer_queued(stream) > 0)
        join_writers(stream);
    else if (stream->has_answer)
        write_end(stream);
}

void h2_answer_frame_more(struct h2_session *session)
{
    struct list *link;
    while (!session->is_terminated && session->send_window > 0 && session->out.len < H2_OUT_BYTES_MAX &&
           (link = list_pop_front(&session->writers)))
        frame_some(container_of(link, struct h2_stream, writer_link));
}

/* ------------------------------------------------------------------------------------------------ what is given */

static void write_headers(struct h2_session *session, const struct header *headers, unsigned n_headers)
{
    for (unsigned i = 0; i < n_headers; i++)
        h2_output_field(session, headers[i].name, headers[i].value);
}

/* Gives the ids that were among them. */
static uint64_t write_carry(struct h2_session *session, const struct header_carry *carry)
{
    uint64_t carried = 0;
    for (unsigned i = 0; carry && i < carry->fields->n; i++) {
        const struct http_field *field = &carry->fields->items[i];
        if (!header_carry_has(carry, i) || !header_carry_allows(field->id))
            continue;
        carried |= CARRY_BIT(field->id);
        h2_output_any_case(session, field->name, field->value);
    }
    return carried;
}

/* stream->has_body: frames of DATA follow the head, else it ends the stream. */
static void write_head(struct h2_stream *stream, unsigned status, const struct header_carry *carry,
                       const struct header *headers, unsigned n_headers, uint64_t content_length)
{
    struct h2_session *session = stream->session;
    ASSERT(stream->status == 0 && status >= 200 && status <= 999 && n_headers <= HTTP_FIELDS_MAX);
    size_t at = h2_output_head(session, stream->id, status, !stream->has_body);
    if (!(write_carry(session, carry) & CARRY_BIT(HTTP_FIELD_DATE)))
        h2_output_field(session, SLICE_LIT("date"), loop_http_date(h2_session_loop(session)));
    if (content_length != EXCHANGE_LENGTH_UNKNOWN) {
        char text[24];
        int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)content_length);
        h2_output_field(session, SLICE_LIT("content-length"), slice_from(text, (size_t)n));
    }
    write_headers(session, headers, n_headers);
    h2_output_head_end(session, at);
    stream->status = (uint16_t)status;
    if (!stream->has_body)
        h2_stream_on_answered(stream);
    h2_stream_touch(stream);
}

void h2_answer_inform(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                      const struct header *headers, unsigned n_headers)
{
    struct h2_stream *stream = h2_stream_of(exchange);
    if (h2_stream_is_dead(stream) || stream->session->out.len > 2 * H2_OUT_BYTES_MAX)
        return;
    ASSERT(stream->status == 0);
    size_t at = h2_output_head(stream->session, stream->id, status, false);
    (void)write_carry(stream->session, carry);
    write_headers(stream->session, headers, n_headers);
    h2_output_head_end(stream->session, at);
    h2_stream_touch(stream);
    h2_session_flush(stream->session);
}

/* RFC 9110 6.4.1. */
static bool status_has_body(unsigned status)
{
    return status != 204 && status != 304;
}

static int enqueue(struct h2_stream *stream, struct slice bytes)
{
    struct buf *out = &stream->out;
    /* Moving the rest to the front only when it is the smaller half keeps the cost linear. */
    if (stream->out_framed > out->len / 2) {
        buf_consume(out, stream->out_framed);
        stream->out_framed = 0;
    }
    size_t cap = out->cap;
    int r = buf_append(out, bytes);
    backlog_note(h2_session_backlog(stream->session), cap, out->cap);
    if (r < 0)
        return r;
    stream->session->n_queued += bytes.len;
    join_writers(stream);
    return 0;
}

/*
 * Answers may come whole before their writers can be told to wait, a hundred of them from a frame each: what one peer
 * makes us keep so ends when all is full.
 */
static bool has_enough(const struct h2_session *session)
{
    return backlog_is_full(h2_session_backlog(session)) &&
           session->n_queued >= h2_session_options(session)->send_high_bytes;
}

/* Frames what may be, keeps the rest. 0, or a negative errno and the stream is reset. */
static int give(struct h2_stream *stream, struct slice bytes)
{
    struct h2_session *session = stream->session;
    if (stream->answer_left != EXCHANGE_LENGTH_UNKNOWN)
        stream->answer_left -= bytes.len;
    if (h2_answer_queued(stream) == 0 && http_connection_unsent(session->session.connection) == 0) {
        size_t n = n_allowed(stream, bytes.len);
        if (n > 0)
            write_data(stream, slice_from(bytes.ptr, n));
        bytes = slice_skip(bytes, n);
    }
    h2_stream_touch(stream);
    if (bytes.len > 0 && has_enough(session)) {
        h2_stream_reset(stream, H2_ENHANCE_YOUR_CALM, EXCHANGE_TIMEOUT);
        return -ECONNRESET;
    }
    int r = bytes.len > 0 ? enqueue(stream, bytes) : 0;
    if (r < 0)
        h2_stream_reset(stream, H2_INTERNAL_ERROR, EXCHANGE_ABORTED);
    return r;
}

void h2_answer_respond(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                       struct slice body)
{
    struct h2_stream *stream = h2_stream_of(exchange);
    ASSERT(!stream->has_answer);
    stream->has_answer = true;
    if (h2_stream_is_dead(stream))
        return;
    bool has_body = body.len > 0 && status_has_body(status);
    stream->has_body = stream->has_body && has_body;
    /* Without a body the head ends the stream, which says the length as well. */
    write_head(stream, status, NULL, headers, n_headers, has_body ? body.len : EXCHANGE_LENGTH_UNKNOWN);
    if (stream->has_body && give(stream, body) == 0 && h2_answer_queued(stream) == 0)
        write_end(stream);
}

int h2_answer_begin(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                    const struct header *headers, unsigned n_headers, uint64_t content_length)
{
    struct h2_stream *stream = h2_stream_of(exchange);
    ASSERT(!stream->has_answer);
    if (h2_stream_is_dead(stream))
        return 0; /* on_close is about to tell */
    stream->has_body = stream->has_body && status_has_body(status);
    stream->answer_left = content_length;
    write_head(stream, status, carry, headers, n_headers, content_length);
    return 0;
}

int h2_answer_write(struct exchange *exchange, struct slice bytes)
{
    struct h2_stream *stream = h2_stream_of(exchange);
    ASSERT(!stream->has_answer || stream->is_reset);
    if (h2_stream_is_dead(stream))
        return stream->has_body ? -ECONNRESET : 0;
    ASSERT(stream->status != 0);
    if (!stream->has_body)
        return 0;
    ASSERT(bytes.len <= stream->answer_left);
    int r = give(stream, bytes);
    if (r < 0)
        return r;
    if (is_high(stream))
        stream->is_full = true;
    return stream->is_full ? EXCHANGE_FULL : 0;
}

static int keep_trailers(struct h2_stream *stream, const struct header *trailers, unsigned n_trailers)
{
    ASSERT(n_trailers <= HTTP_FIELDS_MAX);
    int r = 0;
    for (unsigned i = 0; i < n_trailers && r == 0; i++)
        r = h2_fields_append(&stream->trailers, trailers[i].name, trailers[i].value);
    return r;
}

/* With nothing in front of them, trailers are written as they are given. */
static void write_trailers(struct h2_stream *stream, const struct header *trailers, unsigned n_trailers)
{
    size_t at = h2_output_head(stream->session, stream->id, 0, true);
    for (unsigned i = 0; i < n_trailers; i++)
        h2_output_any_case(stream->session, trailers[i].name, trailers[i].value);
    h2_output_head_end(stream->session, at);
    h2_stream_on_answered(stream);
}

void h2_answer_end(struct exchange *exchange, const struct header *trailers, unsigned n_trailers)
{
    struct h2_stream *stream = h2_stream_of(exchange);
    ASSERT(!stream->has_answer || stream->is_reset);
    stream->has_answer = true;
    if (stream->is_answered)
        h2_stream_note(stream); /* the head was all there was to send */
    if (h2_stream_is_dead(stream) || !stream->has_body)
        return;
    h2_stream_touch(stream);
    bool is_short = stream->answer_left != EXCHANGE_LENGTH_UNKNOWN && stream->answer_left > 0;
    if (!is_short && h2_answer_queued(stream) == 0 && n_trailers > 0)
        write_trailers(stream, trailers, n_trailers);
    else if (is_short || keep_trailers(stream, trailers, n_trailers) < 0)
        h2_stream_reset(stream, H2_INTERNAL_ERROR, EXCHANGE_ABORTED);
    else if (h2_answer_queued(stream) == 0)
        write_end(stream);
}
