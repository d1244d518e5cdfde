/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes become frames. A frame that lies whole in what was received is dealt with where it lies; of one that does not,
 * the beginning is kept until the rest is there. DATA is the exception: its bytes are passed on as they come.
 *
 * What each kind of frame may look like and when it may come is in its handler (RFC 9113 6, which names the errors). A
 * peer that gets the framing wrong has lost the connection; what is wrong with a single request ends its stream.
 */
#include "http/h2_stream.h"

#include <errno.h>

/* How long a reset of ours may take to become known to the peer. */
#define RESET_GRACE_NS (10 * NSEC_PER_SEC)

/* An exchange that lived this long was not opened only to be reset. */
#define RAPID_RESET_NS (1 * NSEC_PER_SEC)

/* An empty buffer up to this size is kept for the next frame that comes in pieces. */
#define IN_KEPT_BYTES 256

static const struct slice preface = SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/* ------------------------------------------------------------------------------------------------ windows */

/* Gives back once it is worth a frame. What makes a window narrow stays with n_taken until there is no pressure. */
static void give_back(struct h2_session *session, struct h2_window *window, int32_t id, int32_t size, size_t n)
{
    int32_t size_now = backlog_is_pressed(h2_session_backlog(session)) ? size / H2_NARROW : size;
    window->n_taken += (int32_t)n;
    int32_t step = window->n_taken - (size - size_now);
    if (step < size_now / 2)
        return;
    h2_output_window_update(session, id, step);
    window->left += step;
    window->n_taken -= step;
}

void h2_input_consume(struct h2_session *session, size_t n)
{
    give_back(session, &session->window, 0, H2_CONNECTION_WINDOW_BYTES, n);
}

void h2_stream_consume(struct h2_stream *stream, size_t n)
{
    h2_input_consume(stream->session, n);
    if (!h2_stream_is_dead(stream) && !stream->is_received)
        give_back(stream->session, &stream->window, stream->id, H2_STREAM_WINDOW_BYTES, n);
}

/* ------------------------------------------------------------------------------------------------ streams */

static bool is_idle(const struct h2_session *session, int32_t id)
{
    return id > session->last_id || id % 2 == 0;
}

/*
 * A frame for a stream that is gone. One that we have reset may still get some from a peer that does not know yet, and
 * so may one that came when we were leaving; else there is no such excuse.
 */
static bool has_excuse(const struct h2_session *session)
{
    return session->is_leaving ||
           (session->reset_ns != 0 && h2_session_now(session) - session->reset_ns <= RESET_GRACE_NS);
}

static struct h2_stream *find_living(struct h2_session *session, int32_t id)
{
    struct h2_stream *stream = h2_session_find(session, id);
    return stream && !stream->is_closed ? stream : NULL;
}

/* ------------------------------------------------------------------------------------------------ DATA */

static void end_data(struct h2_session *session)
{
    struct h2_stream *stream = find_living(session, session->data.id);
    session->in_data = false;
    if (stream && session->data.flags & H2_FLAG_END_STREAM)
        h2_stream_on_received(stream);
}

/* What is there of a frame's body and padding. */
static void take_data(struct h2_session *session, struct slice *bytes)
{
    size_t n = min_size(bytes->len, session->data.len);
    struct slice body = slice_from(bytes->ptr, n);
    session->data.len -= (uint32_t)n;
    *bytes = slice_skip(*bytes, n);
    if (n > 0) {
        struct h2_stream *stream = find_living(session, session->data.id);
        h2_guard_credit(&session->guard);
        if (stream)
            h2_stream_on_body(stream, body);
        else
            h2_input_consume(session, n);
    }
    n = min_size(bytes->len, session->n_padding);
    session->n_padding = (uint8_t)(session->n_padding - n);
    *bytes = slice_skip(*bytes, n);
    if (session->data.len == 0 && session->n_padding == 0)
        end_data(session);
}

/* Whether the stream may get what the head announces. Else the stream, or the connection, is over. */
static bool may_take_data(struct h2_session *session, const struct h2_frame *head)
{
    struct h2_stream *stream = find_living(session, head->id);
    if (head->id == 0 || is_idle(session, head->id)) {
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
    } else if ((int32_t)head->len > session->window.left) {
        h2_session_terminate(session, H2_FLOW_CONTROL_ERROR);
    } else if (!stream && !has_excuse(session)) {
        h2_session_terminate(session, H2_STREAM_CLOSED);
    } else if (stream && stream->is_received) {
        h2_stream_reset(stream, H2_STREAM_CLOSED, EXCHANGE_ABORTED);
    } else if (stream && (int32_t)head->len > stream->window.left) {
        h2_stream_reset(stream, H2_FLOW_CONTROL_ERROR, EXCHANGE_ABORTED);
    }
    return !session->is_terminated;
}

/* The head, and the length of the padding if there is any: the rest comes by take_data. */
static void begin_data(struct h2_session *session, const struct h2_frame *head, const char *payload)
{
    if (!may_take_data(session, head))
        return;
    unsigned n_padding = head->flags & H2_FLAG_PADDED && head->len > 0 ? (uint8_t)*payload : 0;
    unsigned n_length = head->flags & H2_FLAG_PADDED ? 1 : 0;
    if (n_length + n_padding > head->len) {
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
        return;
    }
    struct h2_stream *stream = find_living(session, head->id);
    session->window.left -= (int32_t)head->len;
    if (stream) {
        stream->window.left -= (int32_t)head->len;
        h2_stream_consume(stream, n_length + n_padding);
    } else {
        h2_input_consume(session, n_length + n_padding);
    }
    session->data = *head;
    session->data.len = head->len - n_length - n_padding;
    session->n_padding = (uint8_t)n_padding;
    session->in_data = true;
    if (session->data.len == 0 && n_padding == 0)
        end_data(session);
}

/* ------------------------------------------------------------------------------------------------ header blocks */

/* Without padding and the priority that nobody heeds. False: the connection is over. */
static bool strip(struct h2_session *session, const struct h2_frame *head, struct slice *payload)
{
    enum { PRIORITY_BYTES = 5 };
    size_t n_front = 0, n_padding = 0;
    if (head->flags & H2_FLAG_PADDED && payload->len > 0)
        n_padding = (uint8_t)payload->ptr[n_front];
    if (head->flags & H2_FLAG_PADDED)
        n_front++;
    size_t priority_at = n_front;
    if (head->flags & H2_FLAG_PRIORITY)
        n_front += PRIORITY_BYTES;
    if (n_front + n_padding > payload->len ||
        (head->flags & H2_FLAG_PRIORITY && h2_read_number(payload->ptr + priority_at) == head->id)) {
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
        return false;
    }
    *payload = slice_from(payload->ptr + n_front, payload->len - n_front - n_padding);
    return true;
}

static void on_headers(struct h2_session *session, const struct h2_frame *head, struct slice payload)
{
    struct h2_stream *stream = find_living(session, head->id);
    if (head->id % 2 == 0) {
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
    } else if (head->id <= session->last_id && !stream && !has_excuse(session)) {
        h2_session_terminate(session, H2_STREAM_CLOSED);
    } else if (!strip(session, head, &payload)) {
        return;
    } else if (head->flags & H2_FLAG_END_HEADERS) {
        h2_head_take(session, *head, payload);
    } else {
        session->block_head = *head;
        session->block.limit = 2 * h2_session_options(session)->limits.head_bytes;
        if (buf_append(&session->block, payload) < 0)
            h2_session_fail(session, -ENOMEM);
    }
}

/* A block longer than any that could be taken when it is unpacked cannot be skipped: it may change the table. */
static void on_continuation(struct h2_session *session, const struct h2_frame *head, struct slice payload)
{
    int r = buf_append(&session->block, payload);
    if (r == -EMSGSIZE)
        h2_session_terminate(session, H2_ENHANCE_YOUR_CALM);
    else if (r < 0)
        h2_session_fail(session, r);
    if (r < 0 || !(head->flags & H2_FLAG_END_HEADERS))
        return;
    h2_head_take(session, session->block_head, buf_slice(&session->block));
    session->block_head.id = 0;
    buf_deinit(&session->block);
}

/* ------------------------------------------------------------------------------------------------ small frames */

static void on_priority(struct h2_session *session, const struct h2_frame *head, struct slice payload)
{
    if (payload.len != 5)
        h2_session_terminate(session, H2_FRAME_SIZE_ERROR);
    else if (head->id == 0 || h2_read_number(payload.ptr) == head->id)
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
}

static void on_reset(struct h2_session *session, const struct h2_frame *head, struct slice payload)
{
    struct h2_stream *stream = find_living(session, head->id);
    if (payload.len != 4) {
        h2_session_terminate(session, H2_FRAME_SIZE_ERROR);
    } else if (head->id == 0 || is_idle(session, head->id)) {
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
    } else if (stream) {
        if (!stream->is_answered && h2_session_now(session) - stream->began_ns < RAPID_RESET_NS)
            h2_session_charge(session, H2_PEER_RESET);
        h2_stream_on_closed(stream);
    } else {
        h2_session_charge(session, H2_USELESS);
    }
}

/* One setting; enum h2_error. */
static uint32_t take_setting(struct h2_session *session, unsigned id, uint32_t value)
{
    switch (id) {
    case H2_SETTING_HEADER_TABLE_SIZE:
        hpack_encoder_limit(&session->encoder, value);
        return H2_NO_ERROR;
    case H2_SETTING_ENABLE_PUSH:
        return value <= 1 ? H2_NO_ERROR : H2_PROTOCOL_ERROR;
    case H2_SETTING_INITIAL_WINDOW_SIZE:
        h2_session_charge(session, H2_SETTINGS); /* it goes through all streams, and a frame has room for thousands */
        return h2_answer_set_first_window(session, value);
    case H2_SETTING_MAX_FRAME_SIZE: /* ours are never larger than the least that may be said */
        return value >= H2_FRAME_BYTES_MAX && value <= H2_FRAME_BYTES_LIMIT ? H2_NO_ERROR : H2_PROTOCOL_ERROR;
    default:
        return H2_NO_ERROR;
    }
}

static void on_settings(struct h2_session *session, const struct h2_frame *head, struct slice payload)
{
    bool is_ack = head->flags & H2_FLAG_ACK;
    if (head->id != 0) {
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
        return;
    }
    if (payload.len % H2_SETTING_BYTES != 0 || (is_ack && payload.len > 0)) {
        h2_session_terminate(session, H2_FRAME_SIZE_ERROR);
        return;
    }
    for (; payload.len > 0 && !session->is_terminated; payload = slice_skip(payload, H2_SETTING_BYTES)) {
        unsigned id = (unsigned)(uint8_t)payload.ptr[0] << 8 | (uint8_t)payload.ptr[1];
        uint32_t error = take_setting(session, id, h2_read_u32(payload.ptr + 2));
        if (error != H2_NO_ERROR) {
            h2_session_terminate(session, error);
            return;
        }
    }
    if (!is_ack)
        h2_output_settings_ack(session);
}

static void on_ping(struct h2_session *session, const struct h2_frame *head, struct slice payload)
{
    if (head->id != 0)
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
    else if (payload.len != 8)
        h2_session_terminate(session, H2_FRAME_SIZE_ERROR);
    else if (!(head->flags & H2_FLAG_ACK))
        h2_output_ping(session, H2_FLAG_ACK, payload.ptr);
    else if (payload.ptr[0] == H2_PING_DRAIN)
        h2_session_end_drain(session);
}

static void on_goaway(struct h2_session *session, const struct h2_frame *head, struct slice payload)
{
    if (head->id != 0)
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
    else if (payload.len < 8)
        h2_session_terminate(session, H2_FRAME_SIZE_ERROR);
    else
        session->is_peer_leaving = true;
}

static void on_window_update(struct h2_session *session, const struct h2_frame *head, struct slice payload)
{
    struct h2_stream *stream = find_living(session, head->id);
    if (payload.len != 4) {
        h2_session_terminate(session, H2_FRAME_SIZE_ERROR);
        return;
    }
    if (head->id != 0 && is_idle(session, head->id)) {
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
        return;
    }
    int32_t step = h2_read_number(payload.ptr);
    if (head->id == 0) {
        uint32_t error = h2_answer_open_window(&session->send_window, step);
        if (error != H2_NO_ERROR)
            h2_session_terminate(session, error);
    } else if (stream) {
        h2_stream_on_window(stream, step);
    }
}

/* ------------------------------------------------------------------------------------------------ frames */

/* What a frame is charged as by its head alone; H2_OFFENCES_ for those that are free. */
static enum h2_offence offence_of(const struct h2_frame *head)
{
    switch (head->type) {
    case H2_FRAME_DATA:
        return head->len == 0 && !(head->flags & H2_FLAG_END_STREAM) ? H2_EMPTY_DATA : H2_OFFENCES_;
    case H2_FRAME_SETTINGS:
        return head->flags & H2_FLAG_ACK ? H2_USELESS : H2_SETTINGS;
    case H2_FRAME_PING:
        return H2_PING; /* answers too: we send next to no pings */
    case H2_FRAME_PRIORITY:
        return H2_PRIORITY;
    case H2_FRAME_WINDOW_UPDATE:
        return H2_WINDOW_UPDATE;
    case H2_FRAME_CONTINUATION:
        return H2_CONTINUATION;
    case H2_FRAME_HEADERS:
    case H2_FRAME_RST_STREAM:
    case H2_FRAME_PUSH_PROMISE:
        return H2_OFFENCES_; /* judged by what they begin and end */
    default:
        return H2_USELESS;
    }
}

/* SETTINGS come first, and nothing comes between HEADERS and the CONTINUATION of their block. */
static bool is_in_order(const struct h2_session *session, const struct h2_frame *head)
{
    if (!session->is_set_up)
        return head->type == H2_FRAME_SETTINGS && !(head->flags & H2_FLAG_ACK);
    if (session->block_head.id != 0)
        return head->type == H2_FRAME_CONTINUATION && head->id == session->block_head.id;
    return head->type != H2_FRAME_CONTINUATION;
}

/* What is asked of all frames. False: the connection is over. */
static bool may_come(struct h2_session *session, const struct h2_frame *head)
{
    enum h2_offence offence = offence_of(head);
    if (!is_in_order(session, head))
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
    else if (head->len > H2_FRAME_BYTES_MAX)
        h2_session_terminate(session, H2_FRAME_SIZE_ERROR);
    else if (offence != H2_OFFENCES_)
        h2_session_charge(session, offence);
    session->is_set_up = true;
    return !session->is_terminated;
}

static void on_frame(struct h2_session *session, struct slice frame)
{
    struct h2_frame head = h2_frame_read(frame.ptr);
    struct slice payload = slice_skip(frame, H2_FRAME_HEAD_BYTES);
    if (!may_come(session, &head))
        return;
    switch (head.type) {
    case H2_FRAME_DATA:
        begin_data(session, &head, payload.ptr);
        break;
    case H2_FRAME_HEADERS:
        on_headers(session, &head, payload);
        break;
    case H2_FRAME_PRIORITY:
        on_priority(session, &head, payload);
        break;
    case H2_FRAME_RST_STREAM:
        on_reset(session, &head, payload);
        break;
    case H2_FRAME_SETTINGS:
        on_settings(session, &head, payload);
        break;
    case H2_FRAME_PUSH_PROMISE:
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
        break;
    case H2_FRAME_PING:
        on_ping(session, &head, payload);
        break;
    case H2_FRAME_GOAWAY:
        on_goaway(session, &head, payload);
        break;
    case H2_FRAME_WINDOW_UPDATE:
        on_window_update(session, &head, payload);
        break;
    case H2_FRAME_CONTINUATION:
        on_continuation(session, &head, payload);
        break;
    default:
        break;
    }
}

/*
 * How many bytes on_frame needs of the frame that begins with these: the head; then all of it, but of DATA only the
 * length of its padding, and of a frame that is too large nothing more.
 */
static size_t n_wanted(struct slice begun)
{
    if (begun.len < H2_FRAME_HEAD_BYTES)
        return H2_FRAME_HEAD_BYTES;
    struct h2_frame head = h2_frame_read(begun.ptr);
    if (head.len > H2_FRAME_BYTES_MAX)
        return H2_FRAME_HEAD_BYTES;
    if (head.type == H2_FRAME_DATA)
        return (size_t)H2_FRAME_HEAD_BYTES + (head.flags & H2_FLAG_PADDED && head.len > 0);
    return (size_t)H2_FRAME_HEAD_BYTES + head.len;
}

/* Moves bytes over until session->in holds what is wanted. False: there are not so many. */
static bool hold(struct h2_session *session, struct slice *bytes)
{
    for (;;) {
        size_t n = n_wanted(buf_slice(&session->in)) - session->in.len;
        if (n == 0)
            return true;
        if (slice_is_empty(*bytes))
            return false;
        n = min_size(n, bytes->len);
        if (buf_append(&session->in, slice_from(bytes->ptr, n)) < 0) {
            h2_session_fail(session, -ENOMEM);
            return false;
        }
        *bytes = slice_skip(*bytes, n);
    }
}

static void take_frame(struct h2_session *session, struct slice *bytes)
{
    size_t n = n_wanted(*bytes);
    if (session->in.len == 0 && n <= bytes->len) {
        struct slice frame = slice_from(bytes->ptr, n);
        *bytes = slice_skip(*bytes, n);
        on_frame(session, frame);
    } else if (hold(session, bytes)) {
        on_frame(session, buf_slice(&session->in));
        buf_reset(&session->in);
        if (session->in.cap > IN_KEPT_BYTES)
            buf_deinit(&session->in);
    }
    bool is_incomplete = session->in.len > 0 || session->block_head.id != 0;
    if (!is_incomplete)
        session->begun_ns = NSEC_NEVER;
    else if (session->begun_ns == NSEC_NEVER)
        session->begun_ns = h2_session_now(session);
}

static void take_preface(struct h2_session *session, struct slice *bytes)
{
    struct slice due = slice_skip(preface, session->n_preface);
    size_t n = min_size(due.len, bytes->len);
    if (memcmp(due.ptr, bytes->ptr, n) != 0) {
        h2_session_terminate(session, H2_PROTOCOL_ERROR);
        return;
    }
    session->n_preface = (uint8_t)(session->n_preface + n);
    *bytes = slice_skip(*bytes, n);
}

void h2_input_take(struct h2_session *session, struct slice *bytes)
{
    if (session->n_preface < preface.len)
        take_preface(session, bytes);
    else if (session->in_data)
        take_data(session, bytes);
    else
        take_frame(session, bytes);
}
