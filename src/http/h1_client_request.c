/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends requests on an HTTP/1 client connection.
 *
 * A failure to send does not end a call by itself: the server may have answered before it closed, so what it said is
 * read first, and the failure is found at the end of that, by the tick.
 */
#include "base/assert.h"
#include "http/h1_client_impl.h"

#include <errno.h>
#include <stdio.h>

static const struct slice crlf = SLICE_LIT("\r\n");

/* Found by the tick. */
static void fail(struct h1_client *client, int error)
{
    client->result = error;
    h1_client_tick_later(client);
}

/* Sends behind what waits; notes whether the system took something. A failure is found by the tick that reads. */
static void send_pieces(struct h1_client *client, const struct iovec *iov, int n_iov)
{
    bool was_empty = outq_is_empty(&client->queue);
    size_t n_bytes = outq_size(&client->queue);
    for (int i = 0; i < n_iov; i++)
        n_bytes += iov[i].iov_len;
    int r = outq_sendv(&client->queue, client->stream, iov, n_iov);
    if (r < 0) {
        fail(client, r);
    } else if (outq_size(&client->queue) < n_bytes) {
        h1_client_note_sent(client);
    }
    if (was_empty)
        h1_client_move_deadline(client);
}

static void append_length(struct buf *head, const struct client_request *request)
{
    bool needs_length = request->body.len > 0 || request->streamed || slice_equal_str(request->method, "POST") ||
                        slice_equal_str(request->method, "PUT") || slice_equal_str(request->method, "PATCH");
    if (!needs_length)
        return;
    if (request->streamed && request->content_length == EXCHANGE_LENGTH_UNKNOWN) {
        (void)buf_append_str(head, "transfer-encoding: chunked\r\n");
        return;
    }
    (void)buf_append_str(head, "content-length: ");
    (void)buf_append_u64(head, request->streamed ? request->content_length : request->body.len);
    (void)buf_append(head, crlf);
}

static void append_headers(struct buf *head, const struct header *headers, unsigned n_headers)
{
    for (unsigned i = 0; i < n_headers; i++) {
        (void)buf_append(head, headers[i].name);
        (void)buf_append_str(head, ": ");
        (void)buf_append(head, headers[i].value);
        (void)buf_append(head, crlf);
    }
}

static void append_carry(struct buf *head, const struct client_request *request)
{
    struct carry_walk walk;
    struct slice lines;
    const struct http_field *field;
    if (request->may_switch)
        (void)buf_append_str(head, "connection: upgrade\r\n");
    carry_walk_begin(&walk, request->carry, request->may_switch);
    while (carry_walk_next(&walk, &lines, &field)) {
        if (field)
            append_headers(head, &(struct header){field->name, field->value}, 1);
        else
            (void)buf_append(head, lines);
    }
}

/* Whether it is one request however it is read: values may come from a registration, that is from anybody. */
static bool is_sound(const struct client_request *request)
{
    for (size_t i = 0; i < request->target.len; i++)
        if ((unsigned char)request->target.ptr[i] <= ' ' || request->target.ptr[i] == 0x7f)
            return false;
    for (unsigned i = 0; i < request->n_headers; i++)
        if (!http_is_token(request->headers[i].name) || !http_is_field_value(request->headers[i].value))
            return false;
    return request->target.len > 0 && http_is_token(request->method) && http_is_authority(request->authority);
}

int client_request_write(struct buf *head, const struct client_request *request)
{
    if (!is_sound(request))
        return -EINVAL;
    (void)buf_append(head, request->method);
    (void)buf_append_char(head, ' ');
    (void)buf_append(head, request->target);
    (void)buf_append_str(head, " HTTP/1.1\r\nhost: ");
    (void)buf_append(head, request->authority);
    (void)buf_append(head, crlf);
    append_length(head, request);
    append_carry(head, request);
    append_headers(head, request->headers, request->n_headers);
    (void)buf_append(head, crlf);
    return buf_error(head);
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
    client->asked_to_close = asks_to_close(request);

    struct slice head = request->written;
    if (head.len == 0) {
        buf_reset(&client->room->head);
        client->result = client_request_write(&client->room->head, request);
        head = buf_slice(&client->room->head);
    }
    if (client->result == 0) {
        struct iovec iov[] = {
            {(void *)(uintptr_t)head.ptr, head.len},
            {(void *)(uintptr_t)request->body.ptr, request->body.len},
        };
        send_pieces(client, iov, request->body.len > 0 ? 2 : 1);
    }
    if (client->result < 0)
        h1_client_tick_later(client);
}

int h1_client_write(struct client_call *call, struct slice bytes)
{
    struct h1_client *client = h1_client_of(call->connection);
    ASSERT(client->call == call && !client->request_done);
    if (client->result < 0)
        return client->result;
    if (bytes.len == 0)
        return 0;
    struct iovec body = {(void *)(uintptr_t)bytes.ptr, bytes.len};
    if (client->chunked) {
        char size[2 * sizeof(bytes.len) + 3];
        int n = snprintf(size, sizeof(size), "%zx\r\n", bytes.len);
        struct iovec iov[] = {{size, (size_t)n}, body, {(void *)(uintptr_t)crlf.ptr, crlf.len}};
        send_pieces(client, iov, ARRAY_LEN(iov));
    } else {
        ASSERT(bytes.len <= client->request_left);
        client->request_left -= bytes.len;
        send_pieces(client, &body, 1);
    }
    if (client->result < 0)
        return client->result;
    client->writer_waits = outq_size(&client->queue) > client->room->options.send_high_bytes;
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
        struct buf *last = &client->room->head;
        buf_reset(last);
        (void)buf_append_str(last, "0\r\n");
        append_headers(last, trailers, n_trailers);
        (void)buf_append(last, crlf);
        if (buf_error(last) == 0)
            send_pieces(client, &(struct iovec){last->ptr, last->len}, 1);
        else
            fail(client, buf_error(last));
    }
}
