/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer of a stream: its head goes to nghttp2 at once (which copies it), its body waits in stream->out until
 * nghttp2 asks for it, frame by frame, as the peer's windows and the socket allow; trailers follow the last byte.
 */
#include "http/h2_fields.h"
#include "http/h2_stream.h"

#include <errno.h>
#include <stdio.h>

enum {
    TRAILERS_MAX = 16,
    /* An empty queue up to this size is kept for the next message, so that a steady stream of small ones allocates
       nothing; a larger one is given back. */
    OUT_KEPT_BYTES = 512,
    OWN_FIELDS = 3, /* :status, date, content-length */
    /* Payload of a DATA frame which, with its head of 9 bytes, the connection still gathers with others. */
    FRAME_BYTES_MAX = HTTP_PUT_COPIED_MAX - 10,
};

static nghttp2_nv nv_of(struct slice name, struct slice value)
{
    value = slice_trim(value); /* RFC 9113 8.2.1 */
    /* nghttp2 has no const here, but only reads. */
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.ptr,
        .value = (uint8_t *)(uintptr_t)value.ptr,
        .namelen = name.len,
        .valuelen = value.len,
    };
}

size_t h2_answer_queued(const struct h2_stream *stream)
{
    return stream->out.len - stream->out_framed;
}

void h2_answer_drop(struct h2_stream *stream)
{
    stream->session->n_queued -= h2_answer_queued(stream);
    buf_deinit(&stream->out);
    buf_deinit(&stream->trailers);
    stream->out_framed = 0;
}

/*
 * Values come from front ends, and from instances behind a gateway. What must not be in one becomes a blank, as on
 * HTTP/1. `cleaned` holds the copies; nothing is copied in the ordinary case.
 */
static int clean_values(nghttp2_nv *nv, size_t n, struct buf *cleaned)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        if (!http_is_field_value(slice_from(nv[i].value, nv[i].valuelen)))
            total += nv[i].valuelen;
    char *room;
    if (total == 0)
        return 0;
    int r = buf_reserve(cleaned, total, &room);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        if (http_is_field_value(slice_from(nv[i].value, nv[i].valuelen)))
            continue;
        for (size_t k = 0; k < nv[i].valuelen; k++)
            room[k] = (char)(nv[i].value[k] < ' ' || nv[i].value[k] == 0x7f ? ' ' : nv[i].value[k]);
        nv[i].value = (uint8_t *)room;
        room += nv[i].valuelen;
    }
    return 0;
}

static void submit_trailers(struct h2_stream *stream)
{
    nghttp2_nv nv[TRAILERS_MAX];
    size_t n = 0;
    CLEANUP(buf_deinit) struct buf cleaned = {0};
    struct slice rest = buf_slice(&stream->trailers), name, value;
    while (h2_fields_next(&rest, &name, &value))
        nv[n++] = nv_of(name, value);
    int r = clean_values(nv, n, &cleaned) < 0 ? NGHTTP2_ERR_NOMEM
                                              : nghttp2_submit_trailer(stream->session->ng, stream->id, nv, n);
    h2_session_check(stream->session, r);
}

/* Forgets what was framed, and tells a waiting writer when there is room again. */
static void note_framed(struct h2_stream *stream, size_t n)
{
    stream->out_framed += n;
    stream->session->n_queued -= n;
    if (h2_answer_queued(stream) == 0) {
        stream->out_framed = 0;
        buf_reset(&stream->out);
        if (stream->out.cap > OUT_KEPT_BYTES)
            buf_deinit(&stream->out);
    }
    if (stream->is_full && h2_answer_queued(stream) <= h2_session_options(stream->session)->send_low_bytes)
        h2_stream_note(stream);
    h2_stream_touch(stream);
    h2_guard_credit(&stream->session->guard);
}

/* nghttp2 asks for the payload of the next DATA frame. */
static ssize_t on_read(nghttp2_session *ng, int32_t id, uint8_t *ret_bytes, size_t len, uint32_t *ret_flags,
                       nghttp2_data_source *source, void *ctx)
{
    struct h2_stream *stream = source->ptr;
    (void)ng, (void)id, (void)ctx;
    size_t n = min_size(min_size(len, FRAME_BYTES_MAX), h2_answer_queued(stream));
    if (n == 0 && !stream->has_answer) {
        stream->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n > 0) {
        memcpy(ret_bytes, stream->out.ptr + stream->out_framed, n);
        note_framed(stream, n);
    }
    if (stream->has_answer && h2_answer_queued(stream) == 0) {
        *ret_flags |= NGHTTP2_DATA_FLAG_EOF;
        if (stream->trailers.len > 0) {
            *ret_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(stream);
        }
    }
    return (ssize_t)n;
}

/* stream->has_body: frames of DATA follow the head, else it ends the stream. */
static void submit_head(struct h2_stream *stream, unsigned status, const struct header *headers, unsigned n_headers,
                        uint64_t content_length)
{
    struct h2_session *session = stream->session;
    nghttp2_nv nv[HTTP_FIELDS_MAX + OWN_FIELDS];
    const char status_text[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10)};
    char length_text[24];
    size_t n = 0;
    CLEANUP(buf_deinit) struct buf cleaned = {0};
    ASSERT(stream->status == 0 && status >= 200 && status <= 999 && n_headers <= HTTP_FIELDS_MAX);

    nv[n++] = nv_of(SLICE_LIT(":status"), slice_from(status_text, sizeof(status_text)));
    nv[n++] = nv_of(SLICE_LIT("date"), loop_http_date(h2_session_loop(session)));
    if (content_length != EXCHANGE_LENGTH_UNKNOWN) {
        (void)snprintf(length_text, sizeof(length_text), "%llu", (unsigned long long)content_length);
        nv[n++] = nv_of(SLICE_LIT("content-length"), slice_from_str(length_text));
    }
    for (unsigned i = 0; i < n_headers; i++)
        nv[n++] = nv_of(headers[i].name, headers[i].value);

    const nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = on_read};
    int r = clean_values(nv, n, &cleaned) < 0
                ? NGHTTP2_ERR_NOMEM
                : nghttp2_submit_response(session->ng, stream->id, nv, n, stream->has_body ? &provider : NULL);
    h2_session_check(session, r);
    stream->status = (uint16_t)status;
    h2_stream_touch(stream);
    h2_session_schedule(session);
}

void h2_answer_continue(struct h2_stream *stream)
{
    nghttp2_nv nv = nv_of(SLICE_LIT(":status"), SLICE_LIT("100"));
    h2_session_check(stream->session,
                     nghttp2_submit_headers(stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, NULL, &nv, 1, NULL));
    h2_session_schedule(stream->session);
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
    int r = buf_append(out, bytes);
    if (r < 0)
        return r;
    stream->session->n_queued += bytes.len;
    if (stream->answer_left != EXCHANGE_LENGTH_UNKNOWN)
        stream->answer_left -= bytes.len;
    return 0;
}

/* There is more for nghttp2 to ask for. */
static void resume(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;
    if (stream->is_deferred) {
        stream->is_deferred = false;
        h2_session_check(session, nghttp2_session_resume_data(session->ng, stream->id));
    }
    h2_stream_touch(stream);
    h2_session_schedule(session);
}

void h2_answer_respond(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                       struct slice body)
{
    struct h2_stream *stream = h2_stream_of(exchange);
    ASSERT(!stream->has_answer);
    stream->has_answer = true;
    if (h2_stream_is_dead(stream))
        return;
    stream->has_body = stream->has_body && status_has_body(status) && body.len > 0;
    if (stream->has_body && enqueue(stream, body) < 0) {
        h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR, EXCHANGE_ABORTED);
        return;
    }
    /* Without a body the head ends the stream, which says the length as well. */
    bool tell_length = body.len > 0 && status_has_body(status);
    submit_head(stream, status, headers, n_headers, tell_length ? body.len : EXCHANGE_LENGTH_UNKNOWN);
}

int h2_answer_begin(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                    uint64_t content_length)
{
    struct h2_stream *stream = h2_stream_of(exchange);
    ASSERT(!stream->has_answer);
    if (h2_stream_is_dead(stream))
        return 0; /* on_close is about to tell */
    stream->has_body = stream->has_body && status_has_body(status);
    stream->answer_left = content_length;
    submit_head(stream, status, headers, n_headers, content_length);
    return 0;
}

int h2_answer_write(struct exchange *exchange, struct slice bytes)
{
    struct h2_stream *stream = h2_stream_of(exchange);
    ASSERT(!stream->has_answer || stream->is_reset);
    if (h2_stream_is_dead(stream))
        return -ECONNRESET;
    ASSERT(stream->status != 0);
    if (!stream->has_body)
        return 0;
    ASSERT(bytes.len <= stream->answer_left);
    int r = enqueue(stream, bytes);
    if (r < 0) {
        h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR, EXCHANGE_ABORTED);
        return r;
    }
    resume(stream);
    if (h2_answer_queued(stream) >= h2_session_options(stream->session)->send_high_bytes)
        stream->is_full = true;
    return stream->is_full ? EXCHANGE_FULL : 0;
}

static int keep_trailers(struct h2_stream *stream, const struct header *trailers, unsigned n_trailers)
{
    ASSERT(n_trailers <= TRAILERS_MAX);
    int r = 0;
    for (unsigned i = 0; i < n_trailers && r == 0; i++)
        r = h2_fields_append(&stream->trailers, trailers[i].name, trailers[i].value);
    return r;
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
    bool is_short = stream->answer_left != EXCHANGE_LENGTH_UNKNOWN && stream->answer_left > 0;
    if (is_short || keep_trailers(stream, trailers, n_trailers) < 0)
        h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR, EXCHANGE_ABORTED);
    else
        resume(stream);
}
