/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream from its first HEADERS frame to its end. What it answers is in h2_answer.c.
 *
 * Flow control follows the front end: bytes are given back to the peer's windows after on_body has had them, so a
 * paused exchange holds its peer back. At most the windows' bytes are held meanwhile.
 */
#include "http/h2_stream.h"

#include "http/h2_fields.h"

#include <errno.h>

void h2_stream_note(struct h2_stream *stream)
{
    if (list_is_linked(&stream->news_link))
        return;
    list_push_back(&stream->session->news, &stream->news_link);
    h2_session_schedule(stream->session);
}

/* What the stream waits for decides how long it may. */
static nsec_t find_timeout(const struct h2_stream *stream)
{
    const struct http_server_options *options = h2_session_options(stream->session);
    if (stream->is_answered)
        return options->linger_ns; /* for the rest of a body that nobody wants */
    if (stream->idle_timeout_ns != H2_TIMEOUT_DEFAULT)
        return stream->idle_timeout_ns;
    if (h2_answer_queued(stream) > 0)
        return options->send_timeout_ns;
    if (!stream->is_received && !stream->is_paused)
        return options->body_timeout_ns;
    return options->answer_timeout_ns;
}

/* As in h1_session.c: a peer whose turn it is earns its deadline by what it sends or takes. */
static void set_deadline(struct h2_stream *stream)
{
    bool may_be_slow = stream->is_answered || stream->idle_timeout_ns == NSEC_NEVER;
    bool takes = !may_be_slow && h2_answer_queued(stream) > 0;
    bool sends = !may_be_slow && !takes && !stream->is_received && !stream->is_paused && stream->status == 0;
    bool goes_on = (takes && stream->takes) || (sends && stream->sends);
    stream->takes = takes;
    stream->sends = sends;
    if (!goes_on)
        deadline_set_in(h2_session_loop(stream->session), &stream->deadline, find_timeout(stream));
}

static void earn(struct h2_stream *stream, size_t n)
{
    size_t rate_min = h2_session_options(stream->session)->rate_min_bytes;
    deadline_earn(h2_session_loop(stream->session), &stream->deadline, find_timeout(stream), n, rate_min);
}

void h2_stream_on_taken(struct h2_stream *stream, size_t n)
{
    if (stream->takes)
        earn(stream, n);
}

/* Most streams are over before the turn is: their deadline is never set. */
void h2_stream_touch(struct h2_stream *stream)
{
    stream->is_touched = true;
    h2_stream_note(stream);
}

static void on_timer(struct timer *timer)
{
    struct h2_stream *stream = container_of(deadline_of_timer(timer), struct h2_stream, deadline);
    if (!deadline_has_passed(h2_session_loop(stream->session), &stream->deadline))
        return;
    if (stream->is_answered)
        h2_stream_reset(stream, H2_NO_ERROR, EXCHANGE_DONE);
    else
        h2_stream_reset(stream, H2_CANCEL, EXCHANGE_TIMEOUT);
}

void h2_stream_reset(struct h2_stream *stream, uint32_t code, enum exchange_end end)
{
    if (h2_stream_is_dead(stream))
        return;
    stream->is_reset = true;
    stream->end = (uint8_t)end;
    h2_output_reset(stream->session, stream->id, code);
    h2_stream_on_closed(stream);
}

static void op_abort(struct exchange *exchange)
{
    h2_stream_reset(h2_stream_of(exchange), H2_INTERNAL_ERROR, EXCHANGE_ABORTED);
}

static void op_pause(struct exchange *exchange, bool paused)
{
    struct h2_stream *stream = h2_stream_of(exchange);
    stream->is_paused = paused;
    if (!paused)
        h2_stream_note(stream);
    h2_stream_touch(stream);
}

static void op_set_idle_timeout(struct exchange *exchange, nsec_t timeout_ns)
{
    struct h2_stream *stream = h2_stream_of(exchange);
    ASSERT(timeout_ns > 0);
    stream->idle_timeout_ns = timeout_ns;
    stream->sends = stream->takes = false; /* the deadline is set anew */
    h2_stream_touch(stream);
}

static void op_hold_continue(struct exchange *exchange)
{
    h2_stream_of(exchange)->holds_continue = true;
}

/* HTTP/2 has none (RFC 9113 8.6), so request->upgrade is never set. */
static int op_switch_over(struct exchange *exchange, const struct header_carry *carry, const struct header *headers,
                          unsigned n_headers, const struct tunnel *tunnel)
{
    (void)exchange, (void)carry, (void)headers, (void)n_headers;
    stream_close(tunnel->other);
    return -ENOTSUP;
}

static const struct h2_session *session_of(const struct exchange *exchange)
{
    _Static_assert(offsetof(struct h2_stream, exchange) == 0, "an exchange is the beginning of its stream");
    return ((const struct h2_stream *)exchange)->session;
}

static struct loop *op_loop(const struct exchange *exchange)
{
    return h2_session_loop(session_of(exchange));
}

static const struct peer *op_peer(const struct exchange *exchange)
{
    return http_connection_peer(session_of(exchange)->session.connection);
}

static struct stream *op_stream(const struct exchange *exchange)
{
    return http_connection_stream(session_of(exchange)->session.connection);
}

static const struct exchange_ops ops = {
    .respond = h2_answer_respond,
    .begin = h2_answer_begin,
    .inform = h2_answer_inform,
    .hold_continue = op_hold_continue,
    .switch_over = op_switch_over,
    .write = h2_answer_write,
    .end = h2_answer_end,
    .abort = op_abort,
    .pause = op_pause,
    .set_idle_timeout = op_set_idle_timeout,
    .loop = op_loop,
    .peer = op_peer,
    .stream = op_stream,
};

int h2_stream_new(struct h2_session *session, int32_t id, struct h2_stream **ret_stream)
{
    struct slab *slab = http_connection_streams(session->session.connection);
    struct h2_stream *stream = slab_alloc(slab);
    if (!stream)
        return -ENOMEM;
    *stream = (struct h2_stream){
        .exchange.ops = &ops,
        .session = session,
        .began_ns = h2_session_now(session),
        .idle_timeout_ns = H2_TIMEOUT_DEFAULT,
        .body_left = EXCHANGE_LENGTH_UNKNOWN,
        .answer_left = EXCHANGE_LENGTH_UNKNOWN,
        .id = id,
        .window.left = H2_STREAM_WINDOW_BYTES,
        .send_window = session->first_window,
        .end = EXCHANGE_ABORTED,
        .has_body = true,
    };
    list_init(&stream->link);
    list_init(&stream->news_link);
    list_init(&stream->writer_link);
    deadline_init(&stream->deadline, on_timer);
    if (h2_session_link(session, stream) < 0) {
        slab_free(slab, stream);
        return -ENOMEM;
    }
    *ret_stream = stream;
    return 0;
}

/* Keeps a piece of body that nobody takes now. 0 or -ENOMEM. */
static int hold(struct h2_stream *stream, struct slice bytes)
{
    size_t cap = stream->held.cap;
    int r = buf_append(&stream->held, bytes);
    backlog_note(h2_session_backlog(stream->session), cap, stream->held.cap);
    if (r == 0)
        stream->session->n_held += bytes.len;
    return r;
}

/* `held` is, or was, a stream's. */
static void give_back_held(struct h2_session *session, struct buf *held)
{
    backlog_note(h2_session_backlog(session), held->cap, 0);
    session->n_held -= held->len;
    buf_deinit(held);
}

/* The last that a front end hears. */
static void close_exchange(struct h2_stream *stream, enum exchange_end end)
{
    const struct exchange_app *app = stream->exchange.app;
    if (stream->is_over)
        return;
    stream->is_over = true;
    if (app && app->on_close)
        app->on_close(&stream->exchange, end);
}

void h2_stream_free(struct h2_stream *stream, enum exchange_end end)
{
    struct h2_session *session = stream->session;
    stream->is_closed = true;
    close_exchange(stream, end);
    deadline_cancel(h2_session_loop(session), &stream->deadline);
    h2_answer_drop(stream);
    give_back_held(session, &stream->held);
    buf_deinit(&stream->got_trailers);
    list_remove(&stream->news_link);
    h2_session_unlink(session, stream);
    slab_free(http_connection_streams(session->session.connection), stream);
}

/* Whether the front end still wants to hear of the request. */
static bool is_listening(const struct h2_stream *stream)
{
    return stream->exchange.app && !stream->is_over && !stream->has_answer && !h2_stream_is_dead(stream);
}

static void deliver(struct h2_stream *stream, struct slice bytes)
{
    if (is_listening(stream) && stream->exchange.app->on_body)
        stream->exchange.app->on_body(&stream->exchange, bytes);
    h2_stream_consume(stream, bytes.len);
}

/* What was held back while paused. */
static void deliver_held(struct h2_stream *stream)
{
    if (stream->held.len == 0 || (stream->is_paused && is_listening(stream)))
        return;
    struct buf held = stream->held; /* on_body may pause again, and more be held */
    stream->held = (struct buf){0};
    deliver(stream, buf_slice(&held));
    give_back_held(stream->session, &held);
}

static void deliver_trailers(struct h2_stream *stream)
{
    const struct exchange_app *app = stream->exchange.app;
    struct http_fields *trailers = http_connection_fields(stream->session->session.connection);
    struct slice rest = buf_slice(&stream->got_trailers);
    if (rest.len == 0)
        return;
    trailers->n = 0;
    trailers->lines = (struct slice){0};
    struct slice name, value;
    while (h2_fields_next(&rest, &name, &value))
        trailers->items[trailers->n++] = (struct http_field){.name = name, .value = value, .id = http_field_find(name)};
    app->on_trailers(&stream->exchange, trailers);
}

static void deliver_end(struct h2_stream *stream)
{
    if (!stream->is_received || stream->is_ended || stream->is_paused || stream->held.len > 0 || !is_listening(stream))
        return;
    deliver_trailers(stream);
    if (!is_listening(stream))
        return;
    stream->is_ended = true;
    if (stream->exchange.app->on_end)
        stream->exchange.app->on_end(&stream->exchange);
}

static void refuse_malformed(struct h2_stream *stream)
{
    http_connection_count_malformed(stream->session->session.connection);
    stream->is_over = true;
    h2_stream_reset(stream, H2_PROTOCOL_ERROR, EXCHANGE_ABORTED);
}

/* Runs the front end's on_request. */
static void hand_over(struct h2_stream *stream, struct http_request *request)
{
    const struct exchange_handler *handler = http_connection_handler(stream->session->session.connection);
    struct exchange *exchange = &stream->exchange;
    exchange->request = request;
    handler->on_request(handler->ctx, exchange);
    exchange->request = NULL;
    if (!exchange->app) {
        ASSERT(stream->has_answer || stream->is_reset);
        stream->is_over = true;
        return;
    }
    if (request->expect_continue && !stream->holds_continue && is_listening(stream) && stream->status == 0)
        exchange_inform(exchange, 100, NULL, NULL, 0); /* RFC 9110 10.1.1 */
    deliver_end(stream);
}

void h2_stream_on_request(struct h2_stream *stream, const struct h2_head *head, bool end_stream)
{
    struct http_request request;
    struct http1_fault fault;
    stream->is_received = end_stream;
    int r = h2_request_parse(head, end_stream, &request, &fault);
    if (r == H2_REQUEST_MALFORMED) {
        refuse_malformed(stream);
    } else if (r == H2_REQUEST_REFUSED) {
        exchange_respond_text(&stream->exchange, fault.status, "%s\n", fault.text);
        stream->is_over = true;
    } else {
        stream->has_body = request.method != HTTP_METHOD_HEAD;
        if (request.framing == HTTP_BODY_LENGTH)
            stream->body_left = request.content_length;
        hand_over(stream, &request);
    }
    h2_stream_touch(stream);
}

/*
 * Who still sends when the answer is there is given a while to see it and to end in order (some clients take a reset,
 * even one without an error, for a failure of the request), and is then told to stop (RFC 9113 8.1).
 */
static void drop_unwanted(struct h2_stream *stream, size_t n)
{
    h2_stream_consume(stream, n);
    stream->n_unwanted += n;
    if (stream->is_answered && stream->n_unwanted > h2_session_options(stream->session)->body_drain_bytes)
        h2_stream_reset(stream, H2_NO_ERROR, EXCHANGE_DONE);
}

/* The body is not as long as content-length says (RFC 9113 8.1.1). */
static bool has_wrong_length(struct h2_stream *stream, size_t n, bool is_last)
{
    if (stream->body_left == EXCHANGE_LENGTH_UNKNOWN)
        return false;
    if (n > stream->body_left || (is_last && n < stream->body_left)) {
        h2_stream_reset(stream, H2_PROTOCOL_ERROR, EXCHANGE_ABORTED);
        return true;
    }
    stream->body_left -= n;
    return false;
}

void h2_stream_on_body(struct h2_stream *stream, struct slice bytes)
{
    if (has_wrong_length(stream, bytes.len, false)) {
        h2_stream_consume(stream, bytes.len);
        return;
    }
    if (stream->has_answer) {
        drop_unwanted(stream, bytes.len);
        return;
    }
    if (stream->sends)
        earn(stream, bytes.len);
    bool must_wait = is_listening(stream) && (stream->is_paused || stream->held.len > 0);
    if (!must_wait) {
        deliver(stream, bytes);
    } else if (hold(stream, bytes) < 0) {
        h2_stream_reset(stream, H2_INTERNAL_ERROR, EXCHANGE_ABORTED);
        h2_stream_consume(stream, bytes.len);
    }
    h2_stream_touch(stream);
}

void h2_stream_on_trailers(struct h2_stream *stream, struct http_fields *trailers)
{
    http_trailers_clean(trailers);
    int r = 0;
    if (is_listening(stream) && stream->exchange.app->on_trailers)
        for (unsigned i = 0; i < trailers->n && r == 0; i++)
            r = h2_fields_append(&stream->got_trailers, trailers->items[i].name, trailers->items[i].value);
    if (r < 0)
        h2_stream_reset(stream, H2_INTERNAL_ERROR, EXCHANGE_ABORTED);
    else
        h2_stream_on_received(stream);
}

void h2_stream_on_received(struct h2_stream *stream)
{
    if (has_wrong_length(stream, 0, true))
        return;
    stream->is_received = true;
    if (stream->is_answered)
        h2_stream_on_closed(stream);
    deliver_end(stream);
}

void h2_stream_on_answered(struct h2_stream *stream)
{
    stream->is_answered = true;
    stream->end = EXCHANGE_DONE;
    http_connection_count(stream->session->session.connection, stream->status);
    if (stream->is_received)
        h2_stream_on_closed(stream);
    h2_stream_touch(stream);
}

void h2_stream_on_closed(struct h2_stream *stream)
{
    stream->is_closed = true;
    h2_answer_drop(stream);
    h2_stream_note(stream);
}

static bool may_drain(const struct h2_stream *stream)
{
    return stream->is_full && !h2_stream_is_dead(stream) && h2_answer_is_low(stream);
}

/* Order matters: each step may change what the next one finds. */
void h2_stream_settle(struct h2_stream *stream)
{
    deliver_held(stream);
    deliver_end(stream);
    if (may_drain(stream)) {
        const struct exchange_app *app = stream->exchange.app;
        stream->is_full = false;
        if (!stream->has_answer && app && app->on_drain)
            app->on_drain(&stream->exchange);
    }
    /* A front end that was asked by HEAD may still be writing when the head, and with it all, has gone out. */
    if (stream->is_answered ? stream->has_answer : stream->is_closed)
        close_exchange(stream, stream->end);
    if (stream->is_closed && stream->is_over) {
        h2_stream_free(stream, stream->end);
    } else if (stream->is_touched) {
        stream->is_touched = false;
        set_deadline(stream);
    }
}
