/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header blocks, whole ones. Each is read to its end, whatever becomes of it, since it may change the table of fields
 * that the next one refers to.
 *
 * A request's fields are not copied: they point into the table, into the block, or into the room that all connections
 * of the thread share, and are valid while the front end's on_request runs.
 */
#include "http/h2_request.h"
#include "http/h2_stream.h"

#include <errno.h>

/* False: the connection is over. */
static bool read_fields(struct h2_session *session, struct hpack_block *block, struct h2_head *head)
{
    struct hpack_field field;
    int r;
    while ((r = hpack_block_next(block, &field)) > 0)
        h2_head_add(head, &field);
    head->is_too_large |= block->is_overfull;
    if (r == -EBADMSG)
        h2_session_terminate(session, H2_COMPRESSION_ERROR);
    else if (r < 0)
        h2_session_fail(session, r);
    return r == 0;
}

static bool may_begin(const struct h2_session *session)
{
    return session->n_streams < session->n_streams_max && session->n_queued < H2_QUEUED_BYTES_MAX;
}

static void begin_stream(struct h2_session *session, const struct h2_frame *frame, const struct h2_head *head)
{
    struct h2_stream *stream;
    session->last_id = frame->id;
    if (session->is_leaving) { /* our GOAWAY tells the peer that this one was not served */
        h2_session_charge(session, H2_USELESS);
        return;
    }
    if (!may_begin(session)) {
        h2_output_reset(session, frame->id, H2_REFUSED_STREAM);
        return;
    }
    int r = h2_stream_new(session, frame->id, &stream);
    if (r < 0)
        h2_session_fail(session, r);
    else
        h2_stream_on_request(stream, head, frame->flags & H2_FLAG_END_STREAM);
}

/* A second block on a stream ends it: trailers. */
static void end_stream(struct h2_stream *stream, const struct h2_frame *frame, const struct h2_head *head)
{
    if (stream->is_received)
        h2_stream_reset(stream, H2_STREAM_CLOSED, EXCHANGE_ABORTED);
    else if (!(frame->flags & H2_FLAG_END_STREAM) || !h2_head_is_trailers(head))
        h2_stream_reset(stream, H2_PROTOCOL_ERROR, EXCHANGE_ABORTED);
    else if (head->is_too_large || head->has_too_many)
        h2_stream_reset(stream, H2_ENHANCE_YOUR_CALM, EXCHANGE_ABORTED);
    else
        h2_stream_on_trailers(stream, head->fields);
}

void h2_head_take(struct h2_session *session, struct h2_frame frame, struct slice bytes)
{
    struct http_connection *connection = session->session.connection;
    size_t room_bytes;
    char *room = http_connection_room(connection, &room_bytes);
    struct hpack_block block;
    struct h2_head head;
    h2_head_init(&head, http_connection_fields(connection), &h2_session_options(session)->limits);
    hpack_block_begin(&block, &session->fields, bytes, room, room_bytes);
    if (read_fields(session, &block, &head)) {
        struct h2_stream *stream = h2_session_find(session, frame.id);
        if (frame.id > session->last_id)
            begin_stream(session, &frame, &head);
        else if (stream && !stream->is_closed)
            end_stream(stream, &frame, &head);
        else
            h2_session_charge(session, H2_USELESS);
    }
    hpack_block_end(&block);
}
