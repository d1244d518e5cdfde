/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads HTTP/1 requests and moves the session's state machine.
 *
 * All that happens to a session ends in tick(): it takes the input, steps as long as a step gets somewhere, keeps the
 * input that could not be used, sends what was put, and moves the deadline.
 *
 * Invariants:
 *  1. A session has a running exchange exactly in H1_BODY and H1_ANSWER.
 *  2. The next request is looked at only when nothing is unsent: a peer that does not read its answers is not served
 *     more of them.
 *  3. on_close is called from tick() or from free only, never inside a call of the front end.
 */
#include "http/h1_session.h"

#include "base/assert.h"
#include "http/input.h"

#include <errno.h>

static struct h1_session *h1_of(struct session *session)
{
    return container_of(session, struct h1_session, session);
}

/* -- endings -- */

static void over(struct h1_session *h1, enum http_close how)
{
    ASSERT(h1->state != H1_OVER && !h1->is_running);
    h1->state = H1_OVER;
    h1_tunnel_free(TAKE(h1->tunnel));
    http_connection_done(h1->session.connection, how);
}

/* The last call to the front end. */
static void end_exchange(struct h1_session *h1, enum exchange_end end)
{
    if (!h1->is_running)
        return;
    h1->is_running = false;
    const struct exchange_app *app = h1->exchange.app;
    if (app)
        app->on_close(&h1->exchange, end);
}

/* The connection is of no more use. */
static void break_off(struct h1_session *h1, enum exchange_end end)
{
    end_exchange(h1, end);
    over(h1, HTTP_CLOSE_NOW);
}

/* Says what is wrong, if an answer has not begun, and closes. */
static void refuse(struct h1_session *h1, enum exchange_end end, unsigned status, const char *text)
{
    struct http_connection *connection = h1->session.connection;
    if (h1->is_running && h1->answer != H1_ANSWER_NONE) {
        break_off(h1, end);
        return;
    }
    bool is_head = h1->is_running && h1->is_head;
    end_exchange(h1, end);
    h1_put_refusal(connection, status, is_head ? NULL : text);
    http_connection_count(connection, status);
    if (status != 503)
        http_connection_count_malformed(connection);
    over(h1, HTTP_CLOSE_LINGER);
}

/* -- input -- */

/* The peer has ended where more was due, or between requests. */
static void at_end_of_input(struct h1_session *h1, const struct input *in)
{
    switch ((enum h1_state)h1->state) {
    case H1_HEAD:
        if (in->bytes.len == 0)
            over(h1, HTTP_CLOSE_LINGER); /* who has only ended his side still gets what is on its way */
        else
            refuse(h1, EXCHANGE_ABORTED, 400, "the connection ended inside the request head");
        break;
    case H1_BODY:
        refuse(h1, EXCHANGE_ABORTED, 400, "the connection ended inside the request body");
        break;
    case H1_DRAIN:
        over(h1, HTTP_CLOSE_LINGER);
        break;
    case H1_ANSWER:
    case H1_TUNNEL:
    case H1_OVER:
        ASSERT(!"nothing is read in this state");
    }
}

/* Reads more. True when something came of it: bytes, or an end. */
static bool fill(struct h1_session *h1, struct input *in)
{
    switch (input_fill(in, h1->state == H1_HEAD ? 0 : h1->body.left)) {
    case INPUT_MORE:
        return true;
    case INPUT_NONE:
        return false;
    case INPUT_LATER:
        http_connection_wake(h1->session.connection);
        return false;
    case INPUT_END:
        at_end_of_input(h1, in);
        return true;
    default:
        break_off(h1, EXCHANGE_ABORTED);
        return true;
    }
}

/* -- steps: true when something came of it -- */

static void begin_exchange(struct h1_session *h1, struct http_request *request)
{
    h1->exchange = (struct exchange){.ops = &h1_exchange_ops, .request = request};
    http1_body_init(&h1->body, request->framing, request->content_length);
    h1_set_answer_timeout(h1, http_connection_options(h1->session.connection)->answer_timeout_ns);
    h1->state = H1_BODY;
    h1->answer = H1_ANSWER_NONE;
    h1->pace = H1_PACE_NONE;
    h1->is_running = true;
    h1->is_head = request->method == HTTP_METHOD_HEAD;
    h1->is_http10 = request->version_minor == 0;
    /* Who asks for a tunnel may send through it before he hears that there is none: these are no requests. */
    h1->keep_alive = request->keep_alive && request->method != HTTP_METHOD_CONNECT;
    h1->expecting = request->expect_continue;
    h1->may_switch = request->upgrade;
    h1->holds_continue = h1->paused = h1->writer_waits = h1->pipe_waits = false;
    h1->progressed = true;
}

static void take_request(struct h1_session *h1, struct input *in, struct http_request *request)
{
    struct http_connection *connection = h1->session.connection;
    const struct exchange_handler *handler = http_connection_handler(connection);
    begin_exchange(h1, request);
    if (in->bytes.len > 0)
        h1->expecting = false; /* the client did not wait */
    handler->on_request(handler->ctx, &h1->exchange);
    h1->exchange.request = NULL;
    ASSERT(h1->exchange.app || h1->answer == H1_ANSWER_DONE || h1->aborted);
    if (h1->expecting && !h1->holds_continue && h1->answer == H1_ANSWER_NONE) {
        h1->expecting = false;
        http_connection_put(connection, SLICE_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
    }
}

/* Whether there is a head, which is taken, or something that can never become one. */
static bool take_head(struct h1_session *h1, struct input *in)
{
    struct http_connection *connection = h1->session.connection;
    struct http_request request;
    struct http1_fault fault;
    ssize_t n_head = http1_take_request(in->bytes, in->n_searched, &http_connection_options(connection)->limits,
                                        http_connection_fields(connection), &request, &fault);
    if (n_head < 0) {
        refuse(h1, EXCHANGE_ABORTED, fault.status, fault.text);
    } else if (n_head > 0) {
        input_consume(in, (size_t)n_head);
        take_request(h1, in, &request);
    }
    return n_head != 0;
}

static bool step_head(struct h1_session *h1, struct input *in)
{
    struct http_connection *connection = h1->session.connection;
    if (http_connection_unsent(connection) > 0)
        return false;
    if (http_connection_is_draining(connection) && in->bytes.len == 0) {
        over(h1, HTTP_CLOSE_LINGER);
        return true;
    }
    if (in->bytes.len > in->n_searched) {
        if (take_head(h1, in))
            return true;
        h1->progressed |= in->n_searched == 0; /* the head's deadline counts from its first byte */
        in->n_searched = in->bytes.len;
    }
    return fill(h1, in);
}

static bool step_body(struct h1_session *h1, struct input *in)
{
    struct http_connection *connection = h1->session.connection;
    if (h1->paused || http_connection_is_full(connection))
        return false;
    const struct exchange_app *app = h1->exchange.app;
    struct http1_fault fault;
    struct slice data;
    size_t n_consumed = 0;
    struct http_fields *trailers = http_connection_fields(h1->session.connection);
    enum http1_body_step step = http1_body_step(&h1->body, in->bytes, &data, &n_consumed, trailers, &fault);
    input_consume(in, n_consumed);
    switch (step) {
    case HTTP1_BODY_DATA:
        h1->progressed = true;
        h1_earn(h1, H1_PACE_SENDS, data.len);
        h1->expecting = false; /* it waits no longer */
        if (app->on_body)
            app->on_body(&h1->exchange, data);
        return true;
    case HTTP1_BODY_TRAILERS:
        if (app->on_trailers)
            app->on_trailers(&h1->exchange, trailers);
        return true;
    case HTTP1_BODY_MORE:
        return fill(h1, in);
    case HTTP1_BODY_END:
        h1->state = H1_ANSWER;
        h1->progressed = true;
        if (app->on_end)
            app->on_end(&h1->exchange);
        ASSERT(h1->exchange.app || h1->answer == H1_ANSWER_DONE || h1->aborted);
        return true;
    case HTTP1_BODY_BAD:
        refuse(h1, EXCHANGE_ABORTED, fault.status, fault.text);
        return true;
    }
    return false;
}

static bool step_drain(struct h1_session *h1, struct input *in)
{
    struct http1_fault fault;
    struct slice data;
    size_t n_consumed = 0;
    struct http_fields *trailers = http_connection_fields(h1->session.connection);
    enum http1_body_step step = http1_body_step(&h1->body, in->bytes, &data, &n_consumed, trailers, &fault);
    input_consume(in, n_consumed);
    if (step == HTTP1_BODY_END) {
        h1->state = H1_HEAD;
        h1->progressed = true;
        return true;
    }
    if (step == HTTP1_BODY_BAD || n_consumed > h1->answer_left) {
        over(h1, HTTP_CLOSE_LINGER);
        return true;
    }
    h1->answer_left -= n_consumed;
    return step == HTTP1_BODY_MORE ? fill(h1, in) : true;
}

/* The answer is complete: what comes next? */
static void finish_exchange(struct h1_session *h1)
{
    struct http_connection *connection = h1->session.connection;
    end_exchange(h1, EXCHANGE_DONE);
    h1->progressed = true;
    if (!h1->keep_alive) {
        over(h1, HTTP_CLOSE_LINGER);
    } else if (h1->state == H1_BODY) {
        h1->state = H1_DRAIN;
        h1->answer_left = http_connection_options(connection)->body_drain_bytes;
    } else {
        h1->state = H1_HEAD;
    }
}

/* A client that has closed its side still gets its answer, unless that may never be complete: nobody would notice. */
static bool has_left(const struct h1_session *h1)
{
    const struct stream *stream = http_connection_stream(h1->session.connection);
    return h1->answer_timeout_ms == UINT32_MAX && stream->bits & STREAM_PEER_DONE;
}

/* What the client sent behind its request goes first. What is there when the front end ends it still goes. */
static bool step_tunnel(struct h1_session *h1, struct input *in)
{
    h1->state = H1_TUNNEL;
    if (http_connection_flush(h1->session.connection) < 0) { /* the answer's head */
        break_off(h1, EXCHANGE_ABORTED);
        return false;
    }
    int r = h1_tunnel_take(h1->tunnel, in->bytes);
    input_consume(in, in->bytes.len);
    if (r == 0)
        r = h1_tunnel_move(h1->tunnel);
    h1->progressed |= r == H1_TUNNEL_MOVED;
    if (r < 0 || r == H1_TUNNEL_OVER)
        break_off(h1, r < 0 ? EXCHANGE_ABORTED : EXCHANGE_DONE);
    if (h1->is_running && h1->answer == H1_ANSWER_DONE) {
        h1_tunnel_end(h1->tunnel);
        finish_exchange(h1);
    }
    return false;
}

static bool step(struct h1_session *h1, struct input *in)
{
    if (h1->state == H1_OVER)
        return false;
    if (h1->aborted || http_connection_is_broken(h1->session.connection)) {
        break_off(h1, EXCHANGE_ABORTED);
        return false;
    }
    if (h1->tunnel)
        return step_tunnel(h1, in);
    if (h1->is_running && h1->answer == H1_ANSWER_DONE) {
        finish_exchange(h1);
        return true;
    }
    switch ((enum h1_state)h1->state) {
    case H1_HEAD:
        return step_head(h1, in);
    case H1_BODY:
        return step_body(h1, in);
    case H1_DRAIN:
        return step_drain(h1, in);
    case H1_ANSWER:
        if (has_left(h1))
            break_off(h1, EXCHANGE_ABORTED);
        break;
    case H1_TUNNEL:
    case H1_OVER:
        break;
    }
    return false;
}

/* -- the tick -- */

/*
 * Only who is alone to blame is measured: not where the front end takes nothing now, nor where it has begun to answer
 * or has no time-out, since a client may then speak when it has something to say.
 */
static enum h1_pace find_pace(const struct h1_session *h1)
{
    if (h1->blocked && !h1->tunnel)
        return H1_PACE_TAKES;
    bool is_due = h1->state == H1_BODY && !h1->paused && h1->answer == H1_ANSWER_NONE;
    return is_due && h1->answer_timeout_ms != UINT32_MAX ? H1_PACE_SENDS : H1_PACE_NONE;
}

void h1_move_deadline(struct h1_session *h1)
{
    struct http_connection *connection = h1->session.connection;
    const struct http_server_options *options = http_connection_options(connection);
    nsec_t timeout_ns = NSEC_NEVER;
    if (h1->blocked && !h1->tunnel)
        timeout_ns = options->send_timeout_ns;
    else if (h1->state == H1_HEAD)
        timeout_ns = h1->held ? options->head_timeout_ns : options->idle_timeout_ns;
    else if (h1->state == H1_DRAIN || (h1->state == H1_BODY && !h1->paused))
        timeout_ns = options->body_timeout_ns;
    else
        timeout_ns = h1->answer_timeout_ms == UINT32_MAX ? NSEC_NEVER : h1->answer_timeout_ms * NSEC_PER_MSEC;
    enum h1_pace pace = find_pace(h1);
    if (pace != H1_PACE_NONE && pace == h1->pace)
        return; /* h1_earn moves it */
    h1->pace = pace;
    bool never = timeout_ns == NSEC_NEVER;
    nsec_t now_ns = loop_now(http_connection_loop(connection));
    http_connection_set_deadline(connection, never ? NSEC_NEVER : now_ns + timeout_ns);
}

void h1_earn(struct h1_session *h1, enum h1_pace pace, size_t n)
{
    struct http_connection *connection = h1->session.connection;
    const struct http_server_options *options = http_connection_options(connection);
    if (h1->pace == pace)
        http_connection_earn_deadline(connection,
                                      pace == H1_PACE_TAKES ? options->send_timeout_ns : options->body_timeout_ns, n);
}

/* Sends; what the client took of the bytes that waited counts. */
static void flush(struct h1_session *h1)
{
    struct http_connection *connection = h1->session.connection;
    size_t n_unsent = http_connection_unsent(connection);
    (void)http_connection_flush(connection); /* a failure is seen by the next step */
    size_t n_left = http_connection_unsent(connection);
    if (n_left < n_unsent)
        h1_earn(h1, H1_PACE_TAKES, n_unsent - n_left);
    if (n_left == 0 && n_unsent > 0)
        h1->pace = H1_PACE_NONE; /* it has caught up: what waits next is another matter */
}

static bool may_write_on(const struct h1_session *h1)
{
    const struct http_connection *connection = h1->session.connection;
    if (!h1->writer_waits || !h1->is_running || h1->answer == H1_ANSWER_DONE)
        return false;
    if (h1->pipe_waits && !(http_connection_stream(connection)->bits & STREAM_WRITABLE))
        return false;
    return http_connection_has_room(connection);
}

/* Sends; then lets a writer go on that waited for that, once per tick. */
static void send_out(struct h1_session *h1, size_t n_unsent_before)
{
    struct http_connection *connection = h1->session.connection;
    flush(h1);
    if (may_write_on(h1)) {
        h1->writer_waits = h1->pipe_waits = false;
        if (h1->exchange.app->on_drain)
            h1->exchange.app->on_drain(&h1->exchange);
        (void)http_connection_flush(connection);
        http_connection_wake(connection);
    }
    size_t n_unsent = http_connection_unsent(connection);
    bool is_blocked = n_unsent > 0 || h1->pipe_waits;
    h1->progressed |= n_unsent < n_unsent_before || is_blocked != h1->blocked;
    h1->blocked = is_blocked;
}

static void tick(struct h1_session *h1, struct slice early)
{
    struct http_connection *connection = h1->session.connection;
    struct input in;
    ASSERT(!h1->in_tick && h1->state != H1_OVER);
    h1->in_tick = true;
    size_t n_unsent = http_connection_unsent(connection);
    if (n_unsent > 0)
        flush(h1);
    input_begin(&in, http_connection_stream(connection), early, h1->held, h1->searched);
    while (step(h1, &in))
        continue;
    h1->searched = in.n_searched > 0;
    if (h1->state != H1_OVER && input_hold(&in, &h1->held) < 0)
        break_off(h1, EXCHANGE_ABORTED);
    if (h1->state != H1_OVER)
        send_out(h1, n_unsent);
    if (h1->state != H1_OVER && h1->progressed)
        h1_move_deadline(h1);
    h1->progressed = false;
    h1->in_tick = false;
}

static void h1_on_event(struct session *session, unsigned new_bits)
{
    struct h1_session *h1 = h1_of(session);
    if (new_bits & STREAM_FAILED)
        break_off(h1, EXCHANGE_ABORTED);
    else
        tick(h1, (struct slice){0});
}

static void h1_on_deadline(struct session *session)
{
    struct h1_session *h1 = h1_of(session);
    if (h1->blocked || h1->tunnel)
        break_off(h1, EXCHANGE_TIMEOUT);
    else if (h1->state == H1_HEAD && h1->held)
        refuse(h1, EXCHANGE_TIMEOUT, 408, "the request head did not come in time");
    else if (h1->state == H1_BODY && !h1->paused)
        refuse(h1, EXCHANGE_TIMEOUT, 408, "the request body did not come in time");
    else if (h1->is_running)
        refuse(h1, EXCHANGE_TIMEOUT, 503, "no answer was found in time");
    else
        over(h1, h1->state == H1_DRAIN ? HTTP_CLOSE_LINGER : HTTP_CLOSE_NOW);
}

static bool h1_is_resting(struct session *session)
{
    const struct h1_session *h1 = h1_of(session);
    return h1->state == H1_HEAD && !h1->is_running && !h1->held;
}

static void h1_drain(struct session *session)
{
    http_connection_wake(session->connection); /* an idle one ends in its tick, a busy one after its answer */
}

static void h1_free(struct session *session, enum exchange_end end)
{
    struct h1_session *h1 = h1_of(session);
    end_exchange(h1, end);
    h1_tunnel_free(h1->tunnel);
    input_free_held(http_connection_loop(session->connection), &h1->held);
    slab_free(http_connection_sessions(session->connection), h1);
}

static const struct session_ops h1_session_ops = {
    .name = "h1",
    .on_event = h1_on_event,
    .on_deadline = h1_on_deadline,
    .is_resting = h1_is_resting,
    .drain = h1_drain,
    .free = h1_free,
};

int h1_session_new(struct http_connection *connection, struct slice early, struct session **ret_session)
{
    struct h1_session *h1 = slab_alloc(http_connection_sessions(connection));
    if (!h1)
        return -ENOMEM;
    *h1 = (struct h1_session){.session = {.ops = &h1_session_ops, .connection = connection}};
    h1->state = H1_HEAD;
    *ret_session = &h1->session;
    tick(h1, early);
    return 0;
}
