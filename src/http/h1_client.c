/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads responses, and moves the state machine of an HTTP/1 client connection.
 *
 * The calls of a user send, and leave marks; what follows happens in tick(), on an event of the stream or of the task
 * that such a call defers.
 *
 * Invariants:
 *  1. A call runs exactly in the states HEAD and BODY.
 *  2. finish() is the last thing that a tick does: the owner may close the connection in it, the user may start another
 *     call.
 */
#include "base/assert.h"
#include "http/h1_client_impl.h"
#include "http/input.h"

#include <errno.h>
#include <stdlib.h>

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
    room->gatherer = NULL;
    room->gathered = (struct buf){0};
}

void h1_client_room_deinit(struct h1_client_room *room)
{
    buf_deinit(&room->gathered);
}

struct h1_client *h1_client_of(struct client_connection *connection)
{
    return container_of(connection, struct h1_client, connection);
}

void h1_client_tick_later(struct h1_client *client)
{
    if (!client->in_tick)
        loop_defer(client->room->loop, &client->task);
}

/* -- the end of a call -- */

bool h1_client_request_is_whole(const struct h1_client *client)
{
    return client->request_done || (!client->chunked && client->request_left == 0);
}

/* All that was written is in the system's hands. */
static bool owes_nothing(const struct h1_client *client)
{
    return outq_is_empty(&client->queue) && client->room->gatherer != client;
}

void h1_client_note_sent(struct h1_client *client)
{
    client->call->sent = true;
    client->call->sent_whole = h1_client_request_is_whole(client) && owes_nothing(client);
}

/* Whether another call may be made on this connection. The one place where that is decided. */
static bool may_be_reused(const struct h1_client *client)
{
    return client->state == H1_CLIENT_DONE && client->result == 0 && !client->cancelled && client->keep_alive &&
           !client->asked_to_close &&                                    /* both sides want it */
           h1_client_request_is_whole(client) && owes_nothing(client) && /* the server is not owed anything */
           client->body.framing != HTTP_BODY_STREAM &&                   /* the end of the body was not the end */
           !client->held;                                                /* no bytes behind the response */
}

/* Asks the stream, unless it is known to have nothing: bytes behind the response would be taken for the next one. */
static bool is_quiet(struct h1_client *client)
{
    char byte;
    unsigned bits = client->stream->bits;
    ssize_t n = bits & (STREAM_PEER_DONE | STREAM_FAILED) ? 0 : -EAGAIN;
    if (n < 0 && bits & STREAM_READABLE)
        n = stream_recv(client->stream, &byte, 1);
    client->connection.was_left = n <= 0 && n != -EAGAIN;
    return n == -EAGAIN;
}

/* Gives the connection back, then tells the user. Nothing may be touched after it. */
static void finish(struct h1_client *client)
{
    struct client_call *call = TAKE(client->call);
    int result = client->result;
    bool reusable = may_be_reused(client) && is_quiet(client);
    h1_client_drop_gathered(client);
    client->state = H1_CLIENT_IDLE;
    client->cancelled = false;
    client->connection.idle_since_ns = loop_now(client->room->loop);
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

static void h1_pause(struct client_call *call, bool paused)
{
    struct h1_client *client = h1_client_of(call->connection);
    client->paused = paused;
    client->progressed = true;
    h1_client_tick_later(client);
}

static void h1_cancel(struct client_call *call)
{
    struct h1_client *client = h1_client_of(call->connection);
    ASSERT(client->call == call);
    call->connection = NULL;
    client->call = NULL;
    client->cancelled = true;
    if (!client->in_tick)
        finish(client);
}

/* -- the response: steps, true when something came of it -- */

static bool at_end_of_input(struct h1_client *client)
{
    bool is_complete = client->state == H1_CLIENT_BODY && http1_body_close(&client->body) == 0;
    return done(client, is_complete ? 0 : -ECONNRESET);
}

/* Reads more. True when something came of it: bytes, or an end. */
static bool fill(struct h1_client *client, struct input *in)
{
    int r = input_fill(in, client->state == H1_CLIENT_BODY ? client->body.left : 0);
    switch (r) {
    case INPUT_MORE:
        client->call->responded = true;
        client->progressed = true;
        return true;
    case INPUT_NONE:
        return false;
    case INPUT_LATER:
        loop_defer(client->room->loop, &client->task);
        return false;
    case INPUT_END:
        return at_end_of_input(client);
    default:
        return done(client, r);
    }
}

static bool take_switch(struct h1_client *client, const struct http_response *response)
{
    if (!client->may_switch)
        return fault(client, &(struct http1_fault){502, "101 Switching Protocols, which nobody had asked for"});
    if (!h1_client_request_is_whole(client) || !owes_nothing(client))
        return fault(client, &(struct http1_fault){502, "101 Switching Protocols in the middle of the request"});
    client->room->response = *response;
    client->switched = true;
    return done(client, 0);
}

static bool take_response(struct h1_client *client, const struct http_response *response)
{
    struct client_call *call = client->call;
    if (response->status == 101)
        return take_switch(client, response);
    if (response->status < 200) {
        if (call->events->on_info)
            call->events->on_info(call, response);
        return true;
    }
    http1_body_init(&client->body, response->framing, response->content_length);
    client->keep_alive = response->keep_alive;
    client->connection.idle_timeout_s = response->idle_timeout_s;
    client->state = H1_CLIENT_BODY;
    call->events->on_head(call, response);
    return true;
}

static bool step_head(struct h1_client *client, struct input *in)
{
    if (in->bytes.len > in->n_searched) {
        struct http_response response;
        struct http1_fault why;
        ssize_t n_head = http1_take_response(in->bytes, in->n_searched, &client->room->options.limits, client->method,
                                             &client->room->fields, &response, &why);
        if (n_head < 0)
            return fault(client, &why);
        if (n_head > 0) {
            input_consume(in, (size_t)n_head);
            return take_response(client, &response);
        }
        in->n_searched = in->bytes.len;
    }
    return fill(client, in);
}

static uint64_t h1_pour_left(const struct client_call *call)
{
    const struct h1_client *client = h1_client_of(call->connection);
    bool is_possible = client->body.framing == HTTP_BODY_LENGTH && client->request_done && pipe_fits(client->stream);
    return is_possible ? client->body.left : 0;
}

static ssize_t h1_pour(struct client_call *call, struct pipe *pipe)
{
    struct h1_client *client = h1_client_of(call->connection);
    if (client->state != H1_CLIENT_BODY || client->body.left == 0 || !(client->stream->bits & STREAM_READABLE))
        return -EAGAIN;
    size_t len = client->body.left < PIPE_BYTES ? (size_t)client->body.left : PIPE_BYTES;
    ssize_t n = pipe_fill(pipe, client->stream, len);
    if (n > 0) {
        http1_body_skip(&client->body, (uint64_t)n);
        call->n_body_bytes += (uint64_t)n;
        client->progressed = true;
    } else if (n != -EAGAIN) {
        (void)done(client, n == 0 ? -ECONNRESET : (int)n);
    }
    if (n != -EAGAIN)
        h1_client_tick_later(client);
    return n;
}

/* The user takes the body by h1_pour. True when that was the last of it. */
static bool let_pour(struct h1_client *client)
{
    if (!(client->stream->bits & STREAM_READABLE))
        return false;
    client->call->events->on_readable(client->call);
    if (!client->call || client->state != H1_CLIENT_BODY)
        return false;
    if (client->body.left > 0 && !client->paused && client->stream->bits & STREAM_READABLE)
        loop_defer(client->room->loop, &client->task); /* it is the turn of others */
    return client->body.left == 0;
}

static bool step_body(struct h1_client *client, struct input *in)
{
    if (client->paused)
        return false;
    struct http1_fault why;
    struct slice data;
    size_t n_consumed = 0;
    struct http_fields *trailers = &client->room->fields;
    enum http1_body_step step = http1_body_step(&client->body, in->bytes, &data, &n_consumed, trailers, &why);
    input_consume(in, n_consumed);
    switch (step) {
    case HTTP1_BODY_DATA:
        client->call->n_body_bytes += data.len;
        client->call->events->on_body(client->call, data);
        return true;
    case HTTP1_BODY_TRAILERS:
        if (client->call->events->on_trailers)
            client->call->events->on_trailers(client->call, trailers);
        return true;
    case HTTP1_BODY_MORE:
        return client->call->events->on_readable ? let_pour(client) : fill(client, in);
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

/* -- the tick -- */

static void flush(struct h1_client *client)
{
    h1_client_flush_gathered(client);
    size_t n_before = outq_size(&client->queue);
    if (n_before == 0 || !(client->stream->bits & STREAM_WRITABLE))
        return;
    int r = outq_flush(&client->queue, client->stream);
    if (r < 0)
        client->result = r;
    if (outq_size(&client->queue) == n_before)
        return;
    client->progressed = true;
    h1_client_note_sent(client);
    size_t low_bytes = backlog_mark(loop_backlog(client->room->loop), client->room->options.send_low_bytes);
    if (client->writer_waits && outq_size(&client->queue) <= low_bytes) {
        client->writer_waits = false;
        if (client->call->events->on_drain)
            client->call->events->on_drain(client->call);
    }
}

void h1_client_move_deadline(struct h1_client *client)
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

/* Something happens on a connection that nobody uses. */
static void look_while_idle(struct h1_client *client)
{
    char byte;
    ssize_t n = stream_recv(client->stream, &byte, 1);
    if (n != -EAGAIN)
        client->connection.owner_ops->on_lost(&client->connection, n > 0 ? CLIENT_LOSS_UNASKED : CLIENT_LOSS_CLOSED);
}

static void no_event(struct stream *stream, unsigned new_bits)
{
    (void)stream, (void)new_bits;
}

/* The connection is spent, its stream goes on without it. */
static void hand_over(struct h1_client *client, struct slice early)
{
    struct client_call *call = TAKE(client->call);
    struct stream *stream = TAKE(client->stream);
    struct h1_client_room *room = client->room;
    stream->on_event = no_event;
    client->state = H1_CLIENT_IDLE;
    call->connection = NULL;
    client->connection.owner_ops->on_free(&client->connection, false);
    call->events->on_switch(call, &room->response, stream, early);
}

static void tick(struct h1_client *client)
{
    if (client->state == H1_CLIENT_IDLE) {
        look_while_idle(client);
        return;
    }
    struct input in;
    client->in_tick = true;
    flush(client);
    input_begin(&in, client->stream, (struct slice){0}, client->held, client->searched);
    while (step(client, &in))
        continue;
    h1_client_flush_gathered(client); /* what callbacks wrote */
    if (client->switched) {
        client->in_tick = false;
        hand_over(client, in.bytes);
        return;
    }
    client->searched = in.n_searched > 0;
    int r = input_hold(&in, &client->held);
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
        h1_client_move_deadline(client);
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
    struct h1_client *client = h1_client_of(connection);
    ASSERT(!client->call && !client->in_tick && !list_is_linked(&connection->link));
    deadline_cancel(client->room->loop, &client->deadline);
    loop_undefer(&client->task);
    outq_deinit(&client->queue);
    input_free_held(client->room->loop, &client->held);
    stream_close(client->stream);
    free(client);
}

static const struct client_connection_ops h1_client_ops = {
    .name = "h1",
    .start = h1_client_start,
    .write = h1_client_write,
    .end = h1_client_end,
    .pause = h1_pause,
    .cancel = h1_cancel,
    .close = h1_close,
    .pour_left = h1_pour_left,
    .pour = h1_pour,
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
    client->connection.idle_since_ns = loop_now(room->loop);
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
