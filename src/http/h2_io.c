/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nghttp2 knows frames, the connection knows bytes; here they meet.
 *
 * Everything nghttp2 has to say at one time is gathered by the connection and leaves in one send. While the peer does
 * not take what was sent, nghttp2 is asked for nothing more, so frames are chosen as late as possible and what waits
 * is bounded by one send. A peer that does not read is not read from either, once answers to it pile up.
 */
#include "http/h2_session.h"

#include "base/util.h"

#include <errno.h>
#include <stdlib.h>

enum {
    STREAM_WINDOW_BYTES = 256 * 1024,
    /* All that a peer can make us hold for exchanges that are paused. */
    CONNECTION_WINDOW_BYTES = 1024 * 1024,
    /* Acknowledgements that may wait; a peer that reads never makes so many. */
    OUTBOUND_ACKS_MAX = 256,
    /* Frames other than DATA that may wait for a peer that does not read; beyond, it is not read from. */
    WAITING_FRAMES_MAX = 128,
};

static void *mem_malloc(size_t size, void *ctx)
{
    (void)ctx;
    return malloc(size);
}

static void mem_free(void *ptr, void *ctx)
{
    (void)ctx;
    free(ptr);
}

static void *mem_calloc(size_t n, size_t size, void *ctx)
{
    (void)ctx;
    return calloc(n, size);
}

static void *mem_realloc(void *ptr, size_t size, void *ctx)
{
    (void)ctx;
    return realloc(ptr, size);
}

/* What we tell the peer of ourselves. */
static int submit_settings(struct h2_session *session)
{
    const struct http_server_options *options = h2_session_options(session);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options->h2_max_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)options->limits.head_bytes},
    };
    int r = nghttp2_submit_settings(session->ng, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
    if (r == 0)
        r = nghttp2_session_set_local_window_size(session->ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES);
    return r;
}

/*
 * How much to bear is decided by the guard in one place, so the library's own count of resets is set out of reach.
 *
 * The tree of priorities is left on, without memory for closed streams: switched off by SETTINGS_NO_RFC7540_PRIORITIES,
 * nghttp2 1.52 frees an answer's DATA twice when it runs out of memory in queueing it.
 */
static void set_options(nghttp2_option *option)
{
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_max_outbound_ack(option, OUTBOUND_ACKS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, UINT32_MAX, UINT32_MAX);
}

int h2_io_open(struct h2_session *session)
{
    /* malloc and friends as muster's own code calls them, so that tests make them fail here too. */
    nghttp2_mem mem = {NULL, mem_malloc, mem_free, mem_calloc, mem_realloc};
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int r = nghttp2_session_callbacks_new(&callbacks);
    if (r == 0)
        r = nghttp2_option_new(&option);
    if (r == 0) {
        h2_callbacks_set(callbacks);
        set_options(option);
        r = nghttp2_session_server_new3(&session->ng, callbacks, session, option, &mem);
    }
    if (r == 0)
        r = submit_settings(session);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return r == 0 ? 0 : -ENOMEM;
}

static void note_error(struct h2_session *session, int error)
{
    if (error < 0 && session->error == 0)
        session->error = error;
}

static int errno_of(ssize_t ng_error)
{
    return ng_error == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
}

void h2_io_feed(struct h2_session *session, struct slice bytes)
{
    ASSERT(!session->is_busy);
    session->is_busy = true;
    ssize_t n = nghttp2_session_mem_recv(session->ng, (const uint8_t *)bytes.ptr, bytes.len);
    session->is_busy = false;
    session->received_ns = h2_session_now(session);
    if (n < 0)
        note_error(session, errno_of(n));
}

static bool may_receive(const struct h2_session *session)
{
    const struct http_connection *connection = session->session.connection;
    return session->error == 0 && (http_connection_stream(connection)->bits & STREAM_READABLE) &&
           (http_connection_unsent(connection) == 0 ||
            nghttp2_session_get_outbound_queue_size(session->ng) < WAITING_FRAMES_MAX);
}

bool h2_io_receive(struct h2_session *session)
{
    struct stream *stream = http_connection_stream(session->session.connection);
    char *room = loop_read_buffer(stream->loop);
    while (may_receive(session)) {
        ssize_t n = stream_recv(stream, room, LOOP_READ_BUFFER_BYTES);
        if (n == 0)
            return true;
        if (n > 0)
            h2_io_feed(session, slice_from(room, (size_t)n));
        else if (n != -EAGAIN)
            note_error(session, (int)n);
    }
    return false;
}

/* Keeps blocked_ns. */
static void note_progress(struct h2_session *session)
{
    size_t n_unsent = http_connection_unsent(session->session.connection);
    if (n_unsent == 0)
        session->blocked_ns = NSEC_NEVER;
    else if (n_unsent != session->n_unsent)
        session->blocked_ns = h2_session_now(session);
    session->n_unsent = n_unsent;
}

/* Hands frames to the connection until there are no more, or until the peer does not take them. */
static void put_frames(struct h2_session *session)
{
    struct http_connection *connection = session->session.connection;
    while (http_connection_unsent(connection) == 0) {
        const uint8_t *frame;
        ssize_t len = nghttp2_session_mem_send(session->ng, &frame);
        if (len < 0)
            note_error(session, errno_of(len));
        if (len <= 0)
            break;
        http_connection_put(connection, slice_from(frame, (size_t)len));
    }
}

void h2_io_send(struct h2_session *session)
{
    struct http_connection *connection = session->session.connection;
    if (session->is_busy || session->error != 0)
        return;
    session->is_busy = true;
    if (http_connection_unsent(connection) > 0)
        note_error(session, http_connection_flush(connection));
    put_frames(session);
    note_error(session, http_connection_flush(connection));
    note_progress(session);
    session->is_busy = false;
}

bool h2_io_is_over(const struct h2_session *session)
{
    return http_connection_unsent(session->session.connection) == 0 && !nghttp2_session_want_read(session->ng) &&
           !nghttp2_session_want_write(session->ng);
}
