/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes in and out.
 *
 * Everything there is to say at one time is gathered in `out` and leaves in one send. While the peer does not take what
 * was sent, no more body is framed, so that what waits is bounded. A peer that does not read is not read from either,
 * once answers to it pile up. One whose bodies wait for those who take them is read on: what it says next may open the
 * windows for the answers that these wait for. Its own windows bound what it sends, and under pressure they are narrow;
 * only who had a wide one before has to wait when all is full (io/backlog.h).
 */
#include "http/deadline.h"
#include "http/h2_session.h"

#include <errno.h>

enum {
    /* Frames other than DATA that may wait for a peer that does not read: beyond, it is not read from. */
    WAITING_BYTES_MAX = 4 * 1024,
    /* An empty buffer up to this size is kept for the next answer; a larger one is given back. */
    OUT_KEPT_BYTES = 512,
    /*
     * What is read of a connection before others have their turn. A peer that keeps to the rules has no more to send:
     * its body is bounded by the window, which is not given back before the reading ends. It does not cut that into
     * pieces of a byte either.
     */
    READ_BYTES_MAX = 2 * H2_CONNECTION_WINDOW_BYTES,
    READ_PIECES_MAX = 32 * 1024,
};

size_t h2_io_feed(struct h2_session *session, struct slice bytes)
{
    size_t n_pieces = 0;
    ASSERT(!session->is_busy);
    session->is_busy = true;
    for (; bytes.len > 0 && !session->is_terminated && session->error == 0; n_pieces++)
        h2_input_take(session, &bytes);
    session->is_busy = false;
    session->received_ns = h2_session_now(session);
    return n_pieces;
}

static bool holds_too_much(const struct h2_session *session)
{
    return session->n_held > H2_CONNECTION_WINDOW_BYTES / H2_NARROW && backlog_is_full(h2_session_backlog(session));
}

bool h2_io_is_held_up(const struct h2_session *session)
{
    return http_connection_stream(session->session.connection)->bits & STREAM_READABLE && holds_too_much(session);
}

static bool may_receive(const struct h2_session *session)
{
    const struct http_connection *connection = session->session.connection;
    return session->error == 0 && !session->is_terminated &&
           (http_connection_stream(connection)->bits & STREAM_READABLE) &&
           (http_connection_unsent(connection) == 0 || session->out.len < WAITING_BYTES_MAX) &&
           !holds_too_much(session);
}

bool h2_io_receive(struct h2_session *session)
{
    struct stream *stream = http_connection_stream(session->session.connection);
    char *room = loop_read_buffer(stream->loop);
    size_t n_read = 0, n_pieces = 0;
    while (n_read < READ_BYTES_MAX && n_pieces < READ_PIECES_MAX && may_receive(session)) {
        ssize_t n = stream_recv(stream, room, backlog_mark(h2_session_backlog(session), LOOP_READ_BUFFER_BYTES));
        if (n == 0)
            return true;
        if (n > 0)
            n_pieces += h2_io_feed(session, slice_from(room, (size_t)n));
        else if (n != -EAGAIN)
            h2_session_fail(session, (int)n);
        n_read += n > 0 ? (size_t)n : 0;
    }
    if (may_receive(session))
        h2_session_schedule(session);
    return false;
}

/* Keeps blocked_ns. */
static void note_progress(struct h2_session *session)
{
    size_t n_unsent = http_connection_unsent(session->session.connection);
    size_t n_taken = session->n_unsent - min_size(session->n_unsent, n_unsent);
    nsec_t now_ns = h2_session_now(session);
    if (!http_connection_is_sending(session->session.connection))
        session->blocked_ns = NSEC_NEVER;
    else
        session->blocked_ns =
            deadline_earned(session->blocked_ns, now_ns, n_taken, h2_session_options(session)->rate_min_bytes);
    session->n_unsent = n_unsent;
}

/* Until there is no more, or the peer does not take it. */
static int send_out(struct h2_session *session)
{
    struct http_connection *connection = session->session.connection;
    int r = http_connection_unsent(connection) > 0 ? http_connection_flush(connection) : 0;
    while (r == 0 && http_connection_unsent(connection) == 0) {
        h2_answer_frame_more(session);
        if (session->out.len == 0)
            break;
        r = http_connection_send(connection, buf_slice(&session->out));
        buf_reset(&session->out);
        session->data_id = 0;
    }
    return r;
}

void h2_io_send(struct h2_session *session)
{
    if (session->is_busy || session->error != 0)
        return;
    note_progress(session); /* of what was sent before */
    session->is_busy = true;
    int r = send_out(session);
    session->is_busy = false;
    if (r < 0)
        h2_session_fail(session, r);
    if (session->out.len == 0 && session->out.cap > OUT_KEPT_BYTES)
        buf_deinit(&session->out);
    note_progress(session);
}

bool h2_io_is_over(const struct h2_session *session)
{
    bool is_leaving = session->is_leaving || session->is_peer_leaving;
    return http_connection_unsent(session->session.connection) == 0 && session->out.len == 0 &&
           (session->is_terminated || (is_leaving && session->n_streams == 0));
}
