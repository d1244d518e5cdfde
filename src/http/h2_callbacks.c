/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nghttp2 tells while it reads and writes frames. Each callback finds the stream it is about and passes on; here
 * is judged only what concerns the connection: whether a stream may begin, and what costs points.
 *
 * A stream of nghttp2 without one of ours was refused, or has been settled; what still comes for it is dropped.
 */
#include "http/h2_fields.h"
#include "http/h2_stream.h"

#include <errno.h>

/* Answers that wait for the peer's windows, of all streams together. With more it is given no new streams. */
#define QUEUED_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* Room for a header block up to this size is kept for the next one. */
#define BLOCK_KEPT_BYTES 1024

/* An exchange that lived this long was not opened only to be reset. */
#define RAPID_RESET_NS (1 * NSEC_PER_SEC)

/* How long a reset of ours may take to become known to the peer. */
#define RESET_GRACE_NS (10 * NSEC_PER_SEC)

static struct h2_stream *find_stream(nghttp2_session *ng, int32_t id)
{
    return nghttp2_session_get_stream_user_data(ng, id);
}

/*
 * What a frame is charged as by its head alone; H2_OFFENCES_ for those that are free. Frames of unknown types never get
 * here: nghttp2 skips them, which costs no more than reading them.
 */
static enum h2_offence offence_of(const nghttp2_frame_hd *head)
{
    switch (head->type) {
    case NGHTTP2_DATA:
        return head->length == 0 && !(head->flags & NGHTTP2_FLAG_END_STREAM) ? H2_EMPTY_DATA : H2_OFFENCES_;
    case NGHTTP2_SETTINGS:
        return head->flags & NGHTTP2_FLAG_ACK ? H2_OFFENCES_ : H2_SETTINGS;
    case NGHTTP2_PING:
        return H2_PING; /* answers too: we send next to no pings */
    case NGHTTP2_PRIORITY:
        return H2_PRIORITY;
    case NGHTTP2_WINDOW_UPDATE:
        return H2_WINDOW_UPDATE;
    case NGHTTP2_CONTINUATION:
        return H2_CONTINUATION;
    default:
        return H2_OFFENCES_; /* HEADERS and RST_STREAM are judged by what they begin and end */
    }
}

/*
 * HEADERS for a stream that is gone (RFC 9113 5.1). nghttp2 ignores them all, since a stream that we have reset may
 * still get some from a peer that does not know yet; when we have reset none lately, there is no such excuse.
 */
static bool is_stale(const struct h2_session *session, const nghttp2_frame_hd *head)
{
    return head->type == NGHTTP2_HEADERS && head->stream_id % 2 == 1 &&
           head->stream_id <= nghttp2_session_get_last_proc_stream_id(session->ng) &&
           !nghttp2_session_find_stream(session->ng, head->stream_id) &&
           (session->reset_ns == 0 || h2_session_now(session) - session->reset_ns > RESET_GRACE_NS);
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *head, void *ctx)
{
    struct h2_session *session = ctx;
    if (head->type != NGHTTP2_CONTINUATION)
        session->block_began_ns = NSEC_NEVER;
    if (is_stale(session, head))
        h2_session_check(session, nghttp2_session_terminate_session(ng, NGHTTP2_STREAM_CLOSED));
    enum h2_offence offence = offence_of(head);
    if (offence != H2_OFFENCES_)
        h2_session_charge(session, offence);
    return 0;
}

static bool may_begin(const struct h2_session *session)
{
    return session->n_streams < h2_session_options(session)->h2_max_streams && session->n_queued < QUEUED_BYTES_MAX;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    struct h2_session *session = ctx;
    struct h2_stream *stream;
    int32_t id = frame->hd.stream_id;
    session->block_began_ns = h2_session_now(session);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers: nghttp2 checks them, nobody here wants them */
    if (!may_begin(session))
        return h2_session_check(session, nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM));
    buf_reset(&session->block);
    session->block.limit = h2_session_options(session)->limits.head_bytes;
    session->block_is_too_big = false;
    if (h2_stream_new(session, id, &stream) < 0)
        return h2_session_check(session, NGHTTP2_ERR_NOMEM);
    return h2_session_check(session, nghttp2_session_set_stream_user_data(ng, id, stream));
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
    struct h2_session *session = ctx;
    (void)flags;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST || session->block_is_too_big ||
        !find_stream(ng, frame->hd.stream_id))
        return 0;
    int r = h2_fields_append(&session->block, slice_from(name, name_len), slice_from(value, value_len));
    session->block_is_too_big = r == -EMSGSIZE;
    return h2_session_check(session, r == -ENOMEM ? NGHTTP2_ERR_NOMEM : 0);
}

/* A header block is complete. */
static void on_headers(struct h2_session *session, struct h2_stream *stream, const nghttp2_frame *frame)
{
    session->block_began_ns = NSEC_NEVER;
    bool end_stream = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        h2_stream_on_request(stream, end_stream);
    else if (end_stream)
        h2_stream_on_received(stream);
    if (session->block.cap > BLOCK_KEPT_BYTES)
        buf_deinit(&session->block);
}

static void on_ping_answer(struct h2_session *session, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) && frame->ping.opaque_data[0] == H2_PING_DRAIN)
        h2_session_end_drain(session);
}

static void on_reset(struct h2_session *session, const struct h2_stream *stream)
{
    if (!stream->is_answered && h2_session_now(session) - stream->began_ns < RAPID_RESET_NS)
        h2_session_charge(session, H2_PEER_RESET);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    struct h2_session *session = ctx;
    struct h2_stream *stream = find_stream(ng, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_PING)
        on_ping_answer(session, frame);
    else if (stream && frame->hd.type == NGHTTP2_HEADERS)
        on_headers(session, stream, frame);
    else if (stream && frame->hd.type == NGHTTP2_RST_STREAM)
        on_reset(session, stream);
    else if (stream && frame->hd.type == NGHTTP2_DATA && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        h2_stream_on_received(stream);
    return 0;
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len, void *ctx)
{
    struct h2_session *session = ctx;
    struct h2_stream *stream = find_stream(ng, id);
    (void)flags;
    if (!stream)
        return h2_session_check(session, nghttp2_session_consume(ng, id, len));
    h2_guard_credit(&session->guard);
    h2_stream_on_body(stream, slice_from(bytes, len));
    return 0;
}

/* Resets that the front end asked for have other codes. */
static bool is_provoked(uint32_t code)
{
    return code != NGHTTP2_NO_ERROR && code != NGHTTP2_CANCEL && code != NGHTTP2_INTERNAL_ERROR;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    struct h2_session *session = ctx;
    struct h2_stream *stream = find_stream(ng, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        session->reset_ns = h2_session_now(session);
        if (is_provoked(frame->rst_stream.error_code))
            h2_session_charge(session, H2_PROVOKED_RESET);
    }
    if (stream && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        h2_guard_credit(&session->guard);
        h2_stream_on_answered(stream);
    }
    return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ctx)
{
    struct h2_session *session = ctx;
    struct h2_stream *stream = find_stream(ng, id);
    (void)code;
    session->block_began_ns = NSEC_NEVER; /* a block that was refused half-way is not waited for */
    if (stream)
        h2_stream_on_closed(stream);
    return 0;
}

void h2_callbacks_set(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
