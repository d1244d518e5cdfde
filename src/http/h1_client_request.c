/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends requests on an HTTP/1 client connection.
 *
 * What belongs together leaves in one send: the head of a request and small pieces of its body are gathered in a room
 * that the connections of a loop share, until the request is whole, the room is full, another connection needs it, or
 * the turn is over.
 *
 * A failure to send does not end a call by itself: the server may have answered before it closed, so what it said is
 * read first, and the failure is found at the end of that, by the tick.
 */
#include "base/assert.h"
#include "base/pen.h"
#include "http/h1_client_impl.h"
#include "wire/scan.h"

#include <errno.h>

/* Pieces of this size and more are not copied. */
enum { GATHER_PIECE_MAX = 16 * 1024, GATHER_BYTES = 16 * 1024 };

static const struct slice crlf = SLICE_LIT("\r\n");

/* Found by the tick. */
static void fail(struct h1_client *client, int error)
{
    client->result = error;
    h1_client_tick_later(client);
}

/*
 * Sends what the connection has gathered, then `bytes`, behind what waits; notes whether the system took something. A
 * failure is found by the tick that reads.
 */
static void send_out(struct h1_client *client, struct slice bytes)
{
    struct h1_client_room *room = client->room;
    struct iovec iov[2];
    int n_iov = 0;
    size_t n_bytes = outq_size(&client->queue) + bytes.len;
    if (room->gatherer == client) {
        iov[n_iov++] = (struct iovec){room->gathered.ptr, room->gathered.len};
        n_bytes += room->gathered.len;
    }
    if (bytes.len > 0)
        iov[n_iov++] = (struct iovec){(void *)(uintptr_t)bytes.ptr, bytes.len};
    bool was_empty = outq_is_empty(&client->queue);
    h1_client_drop_gathered(client);
    if (n_iov == 0 || client->result < 0)
        return;
    int r = client->is_repeatable ? outq_postv(&client->queue, client->stream, iov, n_iov)
                                  : outq_sendv(&client->queue, client->stream, iov, n_iov);
    if (r < 0)
        fail(client, r);
    else if (outq_size(&client->queue) < n_bytes)
        h1_client_note_sent(client);
    if (was_empty)
        h1_client_move_deadline(client);
}

void h1_client_flush_gathered(struct h1_client *client)
{
    if (client->room->gatherer == client)
        send_out(client, (struct slice){0});
}

void h1_client_drop_gathered(struct h1_client *client)
{
    if (client->room->gatherer == client)
        client->room->gatherer = NULL;
}

/* The room, to append to; the end of the turn sends what nothing else has sent. */
static struct buf *gather(struct h1_client *client)
{
    struct h1_client_room *room = client->room;
    if (room->gatherer && room->gatherer != client)
        h1_client_flush_gathered(room->gatherer);
    if (!room->gatherer) {
        room->gatherer = client;
        buf_reset(&room->gathered);
    }
    return &room->gathered;
}

/* Nothing else will be appended now: is it to be sent? */
static void gathered(struct h1_client *client)
{
    size_t n_max = min_size(GATHER_BYTES, client->room->options.send_high_bytes);
    bool is_due = h1_client_request_is_whole(client) || client->room->gathered.len > n_max;
    if (buf_error(&client->room->gathered) < 0) {
        h1_client_drop_gathered(client);
        fail(client, -ENOMEM);
    } else if (is_due || !outq_is_empty(&client->queue)) {
        send_out(client, (struct slice){0});
    } else {
        h1_client_tick_later(client);
    }
}

static void put_body(struct h1_client *client, struct slice bytes)
{
    if (bytes.len >= GATHER_PIECE_MAX)
        send_out(client, bytes);
    else if (bytes.len > 0)
        (void)buf_append(gather(client), bytes);
}

/* A line of a head, at most so many bytes. */
static size_t line_bytes(const struct header *header)
{
    return header->name.len + header->value.len + strlen(": \r\n");
}

static void put_line(struct pen *pen, const struct header *header)
{
    pen_put(pen, header->name);
    pen_put(pen, SLICE_LIT(": "));
    pen_put(pen, header->value);
    pen_put(pen, crlf);
}

static void append_headers(struct buf *buf, const struct header *headers, unsigned n_headers)
{
    struct pen pen;
    for (unsigned i = 0; i < n_headers; i++) {
        if (pen_begin(&pen, buf, line_bytes(&headers[i])) < 0)
            return; /* the buf remembers */
        put_line(&pen, &headers[i]);
        pen_end(&pen, buf);
    }
}

static void put_length(struct pen *pen, const struct client_request *request)
{
    bool needs_length = request->body.len > 0 || request->streamed || slice_equal_str(request->method, "POST") ||
                        slice_equal_str(request->method, "PUT") || slice_equal_str(request->method, "PATCH");
    if (!needs_length)
        return;
    if (request->streamed && request->content_length == EXCHANGE_LENGTH_UNKNOWN) {
        pen_put(pen, SLICE_LIT("transfer-encoding: chunked\r\n"));
        return;
    }
    pen_put(pen, SLICE_LIT("content-length: "));
    pen_put_u64(pen, request->streamed ? request->content_length : request->body.len);
    pen_put(pen, crlf);
}

static void put_carry(struct pen *pen, const struct client_request *request)
{
    struct carry_walk walk;
    struct slice lines;
    const struct http_field *field;
    if (request->may_switch)
        pen_put(pen, SLICE_LIT("connection: upgrade\r\n"));
    carry_walk_begin(&walk, request->carry, request->may_switch);
    while (carry_walk_next(&walk, &lines, &field)) {
        if (field)
            put_line(pen, &(struct header){field->name, field->value});
        else
            pen_put(pen, lines);
    }
}

/* As strict as the parser is, for what did not come from it. */
static bool is_sound_start(const struct client_request *request)
{
    const char *end = request->target.ptr + request->target.len;
    return request->target.len > 0 && scan_target(request->target.ptr, end) == end && http_is_token(request->method) &&
           http_is_authority(request->authority);
}

/* Whether it is one request however it is read: values may come from a registration, that is from anybody. */
static bool is_sound(const struct client_request *request)
{
    for (unsigned i = 0; i < request->n_headers; i++)
        if (!http_is_token(request->headers[i].name) || !http_is_field_value(request->headers[i].value))
            return false;
    return request->is_checked || is_sound_start(request);
}

/* What the words of our own in a head take together, and more. */
#define OWN_BYTES_MAX 192

static size_t head_bytes_max(const struct client_request *request)
{
    size_t n = OWN_BYTES_MAX + request->method.len + request->target.len + request->authority.len;
    n += header_carry_bytes_max(request->carry) + request->lines.len;
    for (unsigned i = 0; i < request->n_headers; i++)
        n += line_bytes(&request->headers[i]);
    return n;
}

int client_request_write(struct buf *head, const struct client_request *request)
{
    struct pen pen;
    if (!is_sound(request))
        return -EINVAL;
    int r = pen_begin(&pen, head, head_bytes_max(request));
    if (r < 0)
        return r;
    pen_put(&pen, request->method);
    pen_put(&pen, SLICE_LIT(" "));
    pen_put(&pen, request->target);
    pen_put(&pen, SLICE_LIT(" HTTP/1.1\r\nhost: "));
    pen_put(&pen, request->authority);
    pen_put(&pen, crlf);
    put_length(&pen, request);
    put_carry(&pen, request);
    for (unsigned i = 0; i < request->n_headers; i++)
        put_line(&pen, &request->headers[i]);
    pen_put(&pen, request->lines);
    pen_put(&pen, crlf);
    pen_end(&pen, head);
    return 0;
}

static bool asks_to_close(const struct client_request *request)
{
    for (unsigned i = 0; i < request->n_headers; i++)
        if (slice_equal_nocase(request->headers[i].name, SLICE_LIT("connection")) &&
            http_list_has(request->headers[i].value, SLICE_LIT("close")))
            return true;
    return false;
}

void h1_client_start(struct client_connection *connection, struct client_call *call,
                     const struct client_request *request)
{
    struct h1_client *client = h1_client_of(connection);
    ASSERT(client->state == H1_CLIENT_IDLE && !client->call && outq_is_empty(&client->queue));
    client->call = call;
    call->reused = client->has_served;
    if (call->reused)
        call->idle_ns = loop_now(client->room->loop) - connection->idle_since_ns;
    client->has_served = true;
    client->state = H1_CLIENT_HEAD;
    client->result = 0;
    client->searched = false;
    client->method = http_method_find(request->method);
    client->request_done = !request->streamed;
    client->chunked = request->streamed && request->content_length == EXCHANGE_LENGTH_UNKNOWN;
    client->request_left = client->chunked || !request->streamed ? 0 : request->content_length;
    client->keep_alive = client->paused = client->writer_waits = false;
    client->may_switch = request->may_switch;
    client->is_repeatable = request->is_repeatable;
    client->asked_to_close = asks_to_close(request);

    if (request->written.len > 0 && request->body.len == 0 && !request->streamed) {
        send_out(client, request->written);
        return;
    }
    int r = 0;
    if (request->written.len > 0)
        (void)buf_append(gather(client), request->written);
    else
        r = client_request_write(gather(client), request);
    if (r < 0) {
        h1_client_drop_gathered(client);
        fail(client, r);
        return;
    }
    put_body(client, request->body);
    gathered(client);
}

int h1_client_write(struct client_call *call, struct slice bytes)
{
    struct h1_client *client = h1_client_of(call->connection);
    ASSERT(client->call == call && !client->request_done);
    if (client->result < 0)
        return client->result;
    if (bytes.len == 0)
        return 0;
    if (client->chunked) {
        char room[HTTP1_CHUNK_HEAD_MAX];
        (void)buf_append(gather(client), http1_chunk_head(bytes.len, room));
        put_body(client, bytes);
        (void)buf_append(gather(client), crlf);
    } else {
        ASSERT(bytes.len <= client->request_left);
        client->request_left -= bytes.len;
        put_body(client, bytes);
    }
    gathered(client);
    if (client->result < 0)
        return client->result;
    size_t n_unsent = outq_size(&client->queue);
    size_t high_bytes = client->room->options.send_high_bytes;
    client->writer_waits = n_unsent > 0 && n_unsent > backlog_mark(loop_backlog(client->room->loop), high_bytes);
    return client->writer_waits ? EXCHANGE_FULL : 0;
}

void h1_client_end(struct client_call *call, const struct header *trailers, unsigned n_trailers)
{
    struct h1_client *client = h1_client_of(call->connection);
    ASSERT(client->call == call && !client->request_done);
    if (client->request_left > 0) {
        fail(client, -ECONNABORTED);
        return;
    }
    client->request_done = true;
    if (client->chunked && client->result == 0) {
        struct buf *last = gather(client);
        (void)buf_append(last, SLICE_LIT("0\r\n"));
        append_headers(last, trailers, n_trailers);
        (void)buf_append(last, crlf);
        gathered(client);
    }
}
