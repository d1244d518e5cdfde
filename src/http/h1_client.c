/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of a user send, and leave marks; what follows happens in tick(), on an event of the stream or of the task
 * that such a call defers. Input is treated as in h1_session.c: it lives in the loop's read buffer during a tick, and
 * what cannot be used yet is held between ticks.
 *
 * A failure to send does not end a call by itself: the server may have answered before it closed, so what it said is
 * read first, and the failure is found at the end of that.
 *
 * Invariants:
 *  1. A call runs exactly in the states SENDING, HEAD, BODY.
 *  2. finish() is the last thing that a tick does: the owner may close the connection in it, the user may start another
 *     call.
 */
#include "http/h1_client.h"

#include "base/assert.h"
#include "http/deadline.h"
#include "io/outq.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* As in h1_session.c. */
enum { READ_AHEAD_BYTES = 32 * 1024, READS_PER_TICK = 4 };

enum h1_client_state {
    H1_CLIENT_IDLE,
    H1_CLIENT_HEAD, /* waits for the response's head; the request may still be on its way */
    H1_CLIENT_BODY, /* and for the rest of the body */
    H1_CLIENT_DONE, /* the response is complete; finish() is due */
};

struct h1_client {
    struct client_connection connection;
    struct h1_client_room *room;
    struct stream *stream;
    struct client_call *call; /* NULL: none, or cancelled inside a tick */
    struct outq queue;
    struct buf *held;
    struct http1_body body;
    uint64_t request_left; /* of a promised length */
    struct deadline deadline;
    struct loop_task task;
    uint32_t n_searched;
    int result; /* of a call that is over or broken */
    enum http_method method;
    uint8_t state;         /* enum h1_client_state */
    bool has_served : 1;   /* a call was started on it before */
    bool chunked : 1;      /* the request's body is */
    bool request_done : 1; /* the user has given all of the request */
    bool keep_alive : 1;   /* the response allows another call */
    bool paused : 1;
    bool writer_waits : 1;
    bool cancelled : 1;
    bool in_tick : 1;
    bool progressed : 1;
};

/* The unread input of the running tick, inside the shared read buffer. */
struct input {
    struct slice bytes;
    int reads_left;
};

static const struct slice crlf = SLICE_LIT("\r\n");

void h1_client_options_init(struct h1_client_options *options)
{
    *options = (struct h1_client_options){
        .limits = {.head_bytes = 32 * 1024, .target_bytes = 8 * 1024, .n_fields = 100},
        .send_timeout_ns = 30 * NSEC_PER_SEC,
        .head_timeout_ns = 60 * NSEC_PER_SEC,
        .body_timeout_ns = 30 * NSEC_PER_SEC,
        .idle_timeout_ns = 50 * NSEC_PER_SEC,
        .send_high_bytes = 256 * 1024,
        .send_low_bytes = 64 * 1024,
    };
}

void h1_client_room_init(struct h1_client_room *room, struct loop *loop, const struct h1_client_options *options)
{
    room->loop = loop;
    room->options = *options;
    room->head = (struct buf){0};
}

void h1_client_room_deinit(struct h1_client_room *room)
{
    buf_deinit(&room->head);
}

static struct h1_client *h1_of(struct client_connection *connection)
{
    return container_of(connection, struct h1_client, connection);
}

static void tick_later(struct h1_client *client)
{
    if (!client->in_tick)
        loop_defer(client->room->loop, &client->task);
}

/* --- the end of a call ------------------------------------------------------------------------------------------ */

/* Whether another call may be made on this connection. The one place where that is decided. */
static bool may_be_reused(const struct h1_client *client)
{
    return client->state == H1_CLIENT_DONE && client->result == 0 && !client->cancelled &&
           client->keep_alive &&                                    /* both sides want it */
           client->request_done && outq_is_empty(&client->queue) && /* the server is not owed anything */
           client->body.framing != HTTP_BODY_STREAM &&              /* the end of the body was not the end */
           !client->held &&                                         /* no bytes behind the response */
           !(client->stream->bits & (STREAM_PEER_DONE | STREAM_FAILED));
}

/* Asks the stream, unless it is known to have nothing: bytes behind the response would be taken for the next one. */
static bool is_quiet(struct h1_client *client)
{
    char byte;
    return !(client->stream->bits & STREAM_READABLE) || stream_recv(client->stream, &byte, 1) == -EAGAIN;
}

/* Gives the connection back, then tells the user. Nothing may be touched after it. */
static void finish(struct h1_client *client)
{
    struct client_call *call = TAKE(client->call);
    int result = client->result;
    bool reusable = may_be_reused(client) && is_quiet(client);
    client->state = H1_CLIENT_IDLE;
    client->cancelled = false;
    if (reusable)
        deadline_set_in(client->room->loop, &client->deadline, client->room->options.idle_timeout_ns);
    if (call)
        call->connection = NULL;
    client->connection.owner_ops->on_free(&client->connection, reusable);
    if (call)
        call->events->on_done(call, result);
}

/* The call is over, with this result. */
static bool done(struct h1_client *client, int result)
{
    client->state = H1_CLIENT_DONE;
    client->result = result;
    return true;
}

static bool fault(struct h1_client *client, const struct http1_fault *why)
{
    client->call->fault = why->text;
    return done(client, -EBADMSG);
}

/* --- the request ------------------------------------------------------------------------------------------------ */

static void move_deadline(struct h1_client *client)
{
    const struct h1_client_options *options = &client->room->options;
    nsec_t timeout_ns = options->body_timeout_ns;
    if (!outq_is_empty(&client->queue))
        timeout_ns = options->send_timeout_ns;
    else if (client->paused || !client->request_done)
        timeout_ns = NSEC_NEVER; /* it is the user who is slow */
    else if (client->state == H1_CLIENT_HEAD)
        timeout_ns = options->head_timeout_ns;
    deadline_set_in(client->room->loop, &client->deadline, timeout_ns);
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
        client->result = r;
        tick_later(client);
    } else if (outq_size(&client->queue) < n_bytes) {
        client->call->sent = true;
    }
    if (was_empty)
        move_deadline(client);
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

/* 0 or -ENOMEM. */
static int write_head(struct buf *head, const struct client_request *request)
{
    buf_reset(head);
    (void)buf_append(head, request->method);
    (void)buf_append_char(head, ' ');
    (void)buf_append(head, request->target);
    (void)buf_append_str(head, " HTTP/1.1\r\nhost: ");
    (void)buf_append(head, request->authority);
    (void)buf_append(head, crlf);
    append_length(head, request);
    for (unsigned i = 0; i < request->n_headers; i++) {
        (void)buf_append(head, request->headers[i].name);
        (void)buf_append_str(head, ": ");
        (void)buf_append(head, request->headers[i].value);
        (void)buf_append(head, crlf);
    }
    (void)buf_append(head, crlf);
    return buf_error(head);
}

static void h1_start(struct client_connection *connection, struct client_call *call,
                     const struct client_request *request)
{
    struct h1_client *client = h1_of(connection);
    ASSERT(client->state == H1_CLIENT_IDLE && !client->call && outq_is_empty(&client->queue));
    client->call = call;
    call->reused = client->has_served;
    client->has_served = true;
    client->state = H1_CLIENT_HEAD;
    client->result = 0;
    client->n_searched = 0;
    client->method = http_method_find(request->method);
    client->request_done = !request->streamed;
    client->chunked = request->streamed && request->content_length == EXCHANGE_LENGTH_UNKNOWN;
    client->request_left = client->chunked || !request->streamed ? 0 : request->content_length;
    client->keep_alive = client->paused = client->writer_waits = false;

    struct buf *head = &client->room->head;
    client->result = write_head(head, request);
    if (client->result == 0) {
        struct iovec iov[] = {
            {head->ptr, head->len},
            {(void *)(uintptr_t)request->body.ptr, request->body.len},
        };
        send_pieces(client, iov, request->body.len > 0 ? 2 : 1);
    }
    if (client->result < 0)
        tick_later(client);
}

static int h1_write(struct client_call *call, struct slice bytes)
{
    struct h1_client *client = h1_of(call->connection);
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

static void h1_end(struct client_call *call)
{
    struct h1_client *client = h1_of(call->connection);
    ASSERT(client->call == call && !client->request_done);
    if (client->request_left > 0) {
        client->result = -ECONNABORTED;
        tick_later(client);
        return;
    }
    client->request_done = true;
    if (client->chunked && client->result == 0) {
        static const struct slice last = SLICE_LIT("0\r\n\r\n");
        send_pieces(client, &(struct iovec){(void *)(uintptr_t)last.ptr, last.len}, 1);
    }
}

static void h1_pause(struct client_call *call, bool paused)
{
    struct h1_client *client = h1_of(call->connection);
    client->paused = paused;
    client->progressed = true;
    tick_later(client);
}

static void h1_cancel(struct client_call *call)
{
    struct h1_client *client = h1_of(call->connection);
    ASSERT(client->call == call);
    call->connection = NULL;
    client->call = NULL;
    client->cancelled = true;
    if (!client->in_tick)
        finish(client);
}

/* --- the response: steps, true when something came of it ---------------------------------------------------------- */

static bool at_end_of_input(struct h1_client *client)
{
    bool is_complete = client->state == H1_CLIENT_BODY && http1_body_close(&client->body) == 0;
    return done(client, is_complete ? 0 : -ECONNRESET);
}

/* Reads behind the input that is there. */
static bool fill(struct h1_client *client, struct input *in)
{
    struct stream *stream = client->stream;
    if (!(stream->bits & STREAM_READABLE))
        return false;
    if (in->reads_left-- == 0) {
        loop_defer(stream->loop, &client->task);
        return false;
    }
    char *room = loop_read_buffer(stream->loop);
    if (in->bytes.len > 0 && in->bytes.ptr != room)
        memmove(room, in->bytes.ptr, in->bytes.len);
    in->bytes.ptr = room;

    uint64_t wanted = client->state == H1_CLIENT_BODY ? client->body.left : 0;
    size_t n_room = LOOP_READ_BUFFER_BYTES - in->bytes.len;
    n_room = wanted < n_room - READ_AHEAD_BYTES ? READ_AHEAD_BYTES + (size_t)wanted : n_room;
    ssize_t n = stream_recv(stream, room + in->bytes.len, n_room);
    if (n == -EAGAIN)
        return false;
    if (n == 0)
        return at_end_of_input(client);
    if (n < 0)
        return done(client, (int)n);
    in->bytes.len += (size_t)n;
    client->call->responded = true;
    client->progressed = true;
    return true;
}

static bool take_head(struct h1_client *client, struct input *in, size_t n_head)
{
    struct client_call *call = client->call;
    struct http_response response;
    struct http1_fault why;
    int r = http1_parse_response(slice_from(in->bytes.ptr, n_head), &client->room->options.limits, client->method,
                                 &client->room->fields, &response, &why);
    in->bytes = slice_skip(in->bytes, n_head);
    client->n_searched = 0;
    if (r < 0)
        return fault(client, &why);
    if (response.status == 101)
        return fault(client, &(struct http1_fault){502, "101 Switching Protocols, which nobody had asked for"});
    if (response.status < 200) {
        if (call->events->on_info)
            call->events->on_info(call, &response);
        return true;
    }
    http1_body_init(&client->body, response.framing, response.content_length);
    client->keep_alive = response.keep_alive;
    client->state = H1_CLIENT_BODY;
    call->events->on_head(call, &response);
    return true;
}

static bool step_head(struct h1_client *client, struct input *in)
{
    if (in->bytes.len > client->n_searched) {
        size_t n_head = http1_head_end(in->bytes, client->n_searched);
        if (n_head > 0)
            return take_head(client, in, n_head);
        struct http1_fault why;
        if (http1_check_partial_response(in->bytes, &client->room->options.limits, &why) < 0)
            return fault(client, &why);
        client->n_searched = (uint32_t)in->bytes.len;
    }
    return fill(client, in);
}

static bool step_body(struct h1_client *client, struct input *in)
{
    if (client->paused)
        return false;
    struct http1_fault why;
    struct slice data;
    size_t n_consumed;
    enum http1_body_step step = http1_body_step(&client->body, in->bytes, &data, &n_consumed, &why);
    in->bytes = slice_skip(in->bytes, n_consumed);
    switch (step) {
    case HTTP1_BODY_DATA:
        client->call->events->on_body(client->call, data);
        return true;
    case HTTP1_BODY_MORE:
        return fill(client, in);
    case HTTP1_BODY_END:
        return done(client, 0);
    case HTTP1_BODY_BAD:
        return fault(client, &why);
    }
    return false;
}

static bool step(struct h1_client *client, struct input *in)
{
    if (!client->call)
        return false;
    if (client->state == H1_CLIENT_HEAD)
        return step_head(client, in);
    return client->state == H1_CLIENT_BODY && step_body(client, in);
}

/* --- the tick ------------------------------------------------------------------------------------------------------ */

static void flush(struct h1_client *client)
{
    size_t n_before = outq_size(&client->queue);
    if (n_before == 0)
        return;
    int r = outq_flush(&client->queue, client->stream);
    if (r < 0)
        client->result = r;
    if (outq_size(&client->queue) == n_before)
        return;
    client->progressed = true;
    client->call->sent = true;
    if (client->writer_waits && outq_size(&client->queue) <= client->room->options.send_low_bytes) {
        client->writer_waits = false;
        if (client->call->events->on_drain)
            client->call->events->on_drain(client->call);
    }
}

static void free_held(struct h1_client *client)
{
    if (client->held)
        buf_deinit(client->held);
    free(TAKE(client->held));
}

static int hold(struct h1_client *client, const struct input *in)
{
    if (in->bytes.len == 0) {
        free_held(client);
        return 0;
    }
    if (!client->held)
        client->held = calloc(1, sizeof(*client->held));
    return client->held ? buf_append(client->held, in->bytes) : -ENOMEM;
}

static void take_held(struct h1_client *client, struct input *in)
{
    if (!client->held)
        return;
    char *room = loop_read_buffer(client->room->loop);
    in->bytes = slice_from(memcpy(room, client->held->ptr, client->held->len), client->held->len);
    buf_reset(client->held);
}

/* Something happens on a connection that nobody uses. */
static void look_while_idle(struct h1_client *client)
{
    char byte;
    ssize_t n = stream_recv(client->stream, &byte, 1);
    if (n != -EAGAIN)
        client->connection.owner_ops->on_lost(&client->connection, n > 0 ? CLIENT_LOSS_UNASKED : CLIENT_LOSS_CLOSED);
}

static void tick(struct h1_client *client)
{
    if (client->state == H1_CLIENT_IDLE) {
        look_while_idle(client);
        return;
    }
    struct input in = {.reads_left = READS_PER_TICK};
    client->in_tick = true;
    flush(client);
    take_held(client, &in);
    while (step(client, &in))
        continue;
    int r = hold(client, &in);
    client->in_tick = false;

    bool is_stuck = !(client->stream->bits & STREAM_READABLE) || r < 0;
    if (r == 0)
        r = client->result;
    if (client->state != H1_CLIENT_DONE && r < 0 && is_stuck)
        (void)done(client, r);
    if (client->state == H1_CLIENT_DONE || client->cancelled) {
        finish(client);
        return;
    }
    if (client->progressed)
        move_deadline(client);
    client->progressed = false;
}

static void on_event(struct stream *stream, unsigned new_bits)
{
    (void)new_bits;
    tick(stream->owner);
}

static void on_task(struct loop_task *task)
{
    tick(container_of(task, struct h1_client, task));
}

static void on_deadline(struct timer *timer)
{
    struct h1_client *client = container_of(deadline_of_timer(timer), struct h1_client, deadline);
    if (!deadline_has_passed(client->room->loop, &client->deadline))
        return;
    if (client->state == H1_CLIENT_IDLE) {
        client->connection.owner_ops->on_lost(&client->connection, CLIENT_LOSS_IDLE_LONG);
        return;
    }
    (void)done(client, -ETIMEDOUT);
    finish(client);
}

static void h1_close(struct client_connection *connection)
{
    struct h1_client *client = h1_of(connection);
    ASSERT(!client->call && !client->in_tick && !list_is_linked(&connection->link));
    deadline_cancel(client->room->loop, &client->deadline);
    loop_undefer(&client->task);
    outq_deinit(&client->queue);
    free_held(client);
    stream_close(client->stream);
    free(client);
}

static const struct client_connection_ops h1_client_ops = {
    .name = "h1",
    .start = h1_start,
    .write = h1_write,
    .end = h1_end,
    .pause = h1_pause,
    .cancel = h1_cancel,
    .close = h1_close,
};

int h1_client_new(struct h1_client_room *room, struct stream *stream, const struct client_owner_ops *owner_ops,
                  void *owner, struct client_connection **ret_connection)
{
    struct h1_client *client = calloc(1, sizeof(*client));
    if (!client) {
        stream_close(stream);
        return -ENOMEM;
    }
    client->connection = (struct client_connection){.ops = &h1_client_ops, .owner_ops = owner_ops, .owner = owner};
    list_init(&client->connection.link);
    client->room = room;
    client->stream = stream;
    outq_init(&client->queue);
    deadline_init(&client->deadline, on_deadline);
    deadline_set_in(room->loop, &client->deadline, room->options.idle_timeout_ns);
    loop_task_init(&client->task, on_task);
    stream->on_event = on_event;
    stream->owner = client;
    *ret_connection = &client->connection;
    return 0;
}
