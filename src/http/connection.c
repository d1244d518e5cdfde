/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one server connection: finds out what is spoken by looking at the first bytes, runs that session, sees
 * the last bytes off, and closes.
 *
 * Invariants:
 *  1. Only move() changes the state, along the edges drawn in server_impl.h.
 *  2. A session is never freed while a call of it runs: it ends by http_connection_done, which is acted upon at the end
 *     of the turn.
 *
 * A wait for the rest of the HTTP/2 preface needs no buffer: the bytes read so far are the preface's own first ones, so
 * their number says all.
 */
#include "http/server_impl.h"

#include "base/assert.h"
#include "http/h1_session.h"

#include <errno.h>

/* What is read to find out the protocol: it holds a TLS ClientHello or the first requests. */
enum { SNIFF_BYTES = 16 * 1024 };

/* Reads of one lingering connection per turn, so that one that keeps sending does not hold up the others. */
enum { LINGER_READS = 4 };

/* The first byte of a TLS record with a handshake message. */
enum { TLS_HANDSHAKE = 0x16 };

static const struct slice h2_preface = SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

static void on_event(struct stream *stream, unsigned new_bits);
static void sniff(struct http_connection *connection);

static void set_deadline_in(struct http_connection *connection, nsec_t timeout_ns)
{
    deadline_set_in(connection->server->loop, &connection->deadline, timeout_ns);
}

static void put_on_list(struct http_connection *connection, struct list *list)
{
    struct http_server *server = connection->server;
    list_remove(&connection->link);
    list_push_back(list, &connection->link);
    loop_defer(server->loop, &server->turn_end);
}

static bool may_move(unsigned from, enum connection_state to)
{
    switch (to) {
    case CONNECTION_SNIFF:
        return from == CONNECTION_HANDSHAKE;
    case CONNECTION_HANDSHAKE:
        return from == CONNECTION_SNIFF;
    case CONNECTION_SESSION:
        return from == CONNECTION_SNIFF || from == CONNECTION_HANDSHAKE || from == CONNECTION_REST;
    case CONNECTION_REST:
        return from == CONNECTION_SESSION;
    case CONNECTION_FLUSH:
        return from == CONNECTION_SNIFF || from == CONNECTION_SESSION || from == CONNECTION_REST;
    case CONNECTION_LINGER:
        return from == CONNECTION_FLUSH;
    case CONNECTION_CLOSED:
        return from != CONNECTION_CLOSED;
    }
    return false;
}

static void move(struct http_connection *connection, enum connection_state to)
{
    const struct http_server_options *options = &connection->server->options;
    ASSERT(may_move(connection->state, to));
    connection->state = (uint8_t)to;
    /* Until a request is there the deadline of its head, set when the connection was made, goes on. */
    if (to == CONNECTION_FLUSH)
        set_deadline_in(connection, options->send_timeout_ns);
    else if (to == CONNECTION_LINGER)
        set_deadline_in(connection, options->linger_ns);
}

/* -- the end -- */

static void connection_close(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    const struct peer peer = connection->peer;
    ASSERT(!connection->session);
    move(connection, CONNECTION_CLOSED);
    connection_drop_gathered(connection);
    outq_deinit(&connection->queue);
    deadline_cancel(server->loop, &connection->deadline);
    stream_close(connection->stream);
    list_remove(&connection->link);
    slab_free(&server->connections, connection);
    server->n_connections--;
    if (server->metrics)
        http_metrics_closed(server->metrics, server->slot);
    server_tell_closed(server, &peer);
    if (server->is_draining && server->n_connections == 0)
        loop_defer(server->loop, &server->turn_end);
}

static void free_session(struct http_connection *connection, enum exchange_end end)
{
    struct session *session = TAKE(connection->session);
    if (session)
        session->ops->free(session, end);
}

void connection_abort(struct http_connection *connection, enum exchange_end end)
{
    free_session(connection, end);
    connection_close(connection);
}

/* Throws away what the peer still sends, until it ends or fails: true then. */
static bool read_to_end(struct http_connection *connection)
{
    struct stream *stream = connection->stream;
    char *room = loop_read_buffer(stream->loop);
    for (int i = 0; i < LINGER_READS && stream->bits & STREAM_READABLE; i++) {
        ssize_t n = stream_recv(stream, room, LOOP_READ_BUFFER_BYTES);
        if (n <= 0 && n != -EAGAIN)
            return true;
    }
    if (stream->bits & STREAM_READABLE)
        put_on_list(connection, &connection->server->woken);
    return false;
}

/*
 * What waits, and behind it our end. 0; -EAGAIN: some of it waits still, perhaps in the stream, which had taken it; or
 * another -errno.
 */
static int send_last(struct http_connection *connection)
{
    size_t n_unsent = http_connection_unsent(connection);
    int r = http_connection_flush(connection);
    if (r < 0)
        return r;
    size_t n_left = http_connection_unsent(connection);
    if (n_left == 0)
        return stream_shutdown(connection->stream);
    http_connection_earn_deadline(connection, connection->server->options.send_timeout_ns,
                                  n_unsent - min_size(n_unsent, n_left));
    return -EAGAIN;
}

/* Sees the last bytes off: FLUSH, then LINGER, then closed. May free the connection. */
static void wind_up(struct http_connection *connection)
{
    if (connection->state == CONNECTION_FLUSH) {
        int r = send_last(connection);
        if (r == -EAGAIN)
            return;
        if (r < 0) {
            connection_close(connection);
            return;
        }
        move(connection, CONNECTION_LINGER);
    }
    if (read_to_end(connection))
        connection_close(connection);
}

/* -- what is spoken -- */

/* For what is refused before there is a session. May free the connection. */
static void refuse(struct http_connection *connection, unsigned status, const char *text)
{
    h1_put_refusal(connection, status, text);
    http_connection_count_malformed(connection);
    move(connection, CONNECTION_FLUSH);
    wind_up(connection);
}

typedef int (*session_new_fn)(struct http_connection *connection, struct slice early, struct session **ret_session);

/* After each call of a session: most connections of HTTP/1 do nothing most of the time, and cost no session then. */
static void rest(struct http_connection *connection)
{
    struct session *session = connection->session;
    if (connection->session_over || connection->broken || !session->ops->is_resting ||
        !session->ops->is_resting(session))
        return;
    if (connection->stream->bits & STREAM_READABLE || http_connection_unsent(connection) > 0 ||
        connection->server->gatherer == connection)
        return;
    free_session(connection, EXCHANGE_DONE);
    move(connection, CONNECTION_REST);
    const struct http_server_options *options = &connection->server->options;
    if (http_connection_is_sending(connection) && options->send_timeout_ns < options->idle_timeout_ns) {
        set_deadline_in(connection, options->send_timeout_ns);
        connection->posted = true;
    }
}

/* Who has taken the last answer is idle for the rest of the time; who has not is slow. May close the connection. */
static void end_rest(struct http_connection *connection)
{
    const struct http_server_options *options = &connection->server->options;
    if (!connection->posted || !(connection->stream->bits & STREAM_WRITABLE)) {
        connection_close(connection);
        return;
    }
    connection->posted = false;
    bool never = options->idle_timeout_ns == NSEC_NEVER;
    set_deadline_in(connection, never ? NSEC_NEVER : options->idle_timeout_ns - options->send_timeout_ns);
}

static void new_session(struct http_connection *connection, struct slice early)
{
    session_new_fn session_new = connection->protocol == HTTP_PROTOCOL_2 ? h2_session_new : h1_session_new;
    move(connection, CONNECTION_SESSION);
    connection->in_session = true;
    int r = session_new(connection, early, &connection->session);
    connection->in_session = false;
    if (r < 0)
        connection_close(connection);
    else
        rest(connection);
}

static void begin_session(struct http_connection *connection, enum http_protocol protocol, struct slice early)
{
    struct http_server *server = connection->server;
    connection->protocol = (uint8_t)protocol;
    if (server->metrics)
        http_metrics_recognised(server->metrics, server->slot, protocol);
    new_session(connection, early);
}

/* Something comes: a request, or the end. */
static void resume(struct http_connection *connection)
{
    const struct stream *stream = connection->stream;
    if (stream->bits & STREAM_FAILED)
        connection_close(connection);
    else if (stream->bits & STREAM_READABLE)
        new_session(connection, (struct slice){0});
}

static void continue_handshake(struct http_connection *connection)
{
    struct stream *stream = connection->stream;
    if (stream->bits & STREAM_FAILED) {
        if (connection->server->metrics)
            http_metrics_handshake_failed(connection->server->metrics, connection->server->slot);
        connection_close(connection);
        return;
    }
    if (!(stream->bits & STREAM_OPEN))
        return;
    struct slice alpn = tls_alpn(stream);
    if (slice_equal_str(alpn, "h2")) {
        begin_session(connection, HTTP_PROTOCOL_2, (struct slice){0});
    } else if (slice_equal_str(alpn, "http/1.1")) {
        begin_session(connection, HTTP_PROTOCOL_1, (struct slice){0});
    } else {
        move(connection, CONNECTION_SNIFF);
        sniff(connection);
    }
}

static void begin_handshake(struct http_connection *connection, struct slice early)
{
    move(connection, CONNECTION_HANDSHAKE);
    struct stream *lower = TAKE(connection->stream);
    int r = tls_accept(lower, connection->server->options.tls, early, on_event, connection, &connection->stream);
    if (r < 0)
        connection_close(connection);
}

/* Decides by the first bytes, all there are so far. */
static void recognise(struct http_connection *connection, struct slice bytes)
{
    const struct http_server_options *options = &connection->server->options;
    bool is_tls = stream_is_tls(connection->stream);
    if (bytes.ptr[0] == TLS_HANDSHAKE && options->tls && !is_tls) {
        begin_handshake(connection, bytes);
    } else if (options->tls && !options->plain_allowed && !is_tls) {
        refuse(connection, 400, "this port speaks TLS only, and the request came without it");
    } else if (slice_starts_with(bytes, h2_preface)) {
        begin_session(connection, HTTP_PROTOCOL_2, bytes);
    } else if (slice_starts_with(h2_preface, bytes)) {
        connection->n_preface = (uint8_t)(bytes.len & 31);
    } else {
        begin_session(connection, HTTP_PROTOCOL_1, bytes);
    }
}

/* Reads the first bytes; those of a preface that came earlier are put in front. May free the connection. */
static void sniff(struct http_connection *connection)
{
    struct stream *stream = connection->stream;
    if (!(stream->bits & STREAM_READABLE))
        return;
    char *room = loop_read_buffer(stream->loop);
    ssize_t n = stream_recv(stream, room, SNIFF_BYTES);
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        connection_close(connection);
        return;
    }
    size_t n_earlier = connection->n_preface;
    room -= n_earlier; /* into the headroom */
    memcpy(room, h2_preface.ptr, n_earlier);
    recognise(connection, slice_from(room, n_earlier + (size_t)n));
}

/* -- events -- */

static void call_session(struct http_connection *connection, unsigned new_bits)
{
    struct session *session = connection->session;
    if (connection->session_over || connection->in_session)
        return;
    connection->in_session = true;
    session->ops->on_event(session, new_bits);
    connection->in_session = false;
    rest(connection);
}

static void on_event(struct stream *stream, unsigned new_bits)
{
    struct http_connection *connection = stream->owner;
    switch ((enum connection_state)connection->state) {
    case CONNECTION_SNIFF:
        sniff(connection);
        break;
    case CONNECTION_HANDSHAKE:
        continue_handshake(connection);
        break;
    case CONNECTION_SESSION:
        call_session(connection, new_bits);
        break;
    case CONNECTION_REST:
        resume(connection);
        break;
    case CONNECTION_FLUSH:
    case CONNECTION_LINGER:
        wind_up(connection);
        break;
    case CONNECTION_CLOSED:
        break;
    }
}

static void on_timer(struct timer *timer)
{
    struct http_connection *connection = container_of(deadline_of_timer(timer), struct http_connection, deadline);
    if (!deadline_has_passed(connection->server->loop, &connection->deadline))
        return;
    if (connection->state == CONNECTION_SNIFF && connection->n_preface > 0) {
        refuse(connection, 408, "the request head did not come in time");
    } else if (connection->state == CONNECTION_REST) {
        end_rest(connection);
    } else if (connection->state != CONNECTION_SESSION) {
        connection_close(connection);
    } else if (!connection->session_over && connection->session->ops->on_deadline) {
        connection->in_session = true;
        connection->session->ops->on_deadline(connection->session);
        connection->in_session = false;
    }
}

void http_connection_wake(struct http_connection *connection)
{
    if (!connection->session_over)
        put_on_list(connection, &connection->server->woken);
}

void connection_run_woken(struct http_connection *connection)
{
    list_remove(&connection->link);
    list_push_back(&connection->server->open, &connection->link);
    if (connection->state == CONNECTION_SESSION)
        call_session(connection, 0);
    else if (connection->state == CONNECTION_REST)
        resume(connection);
    else
        wind_up(connection);
}

void http_connection_done(struct http_connection *connection, enum http_close how)
{
    ASSERT(connection->state == CONNECTION_SESSION && !connection->session_over);
    connection->session_over = true;
    connection->close_now = how == HTTP_CLOSE_NOW;
    put_on_list(connection, &connection->server->done);
}

void connection_run_done(struct http_connection *connection)
{
    list_remove(&connection->link);
    list_push_back(&connection->server->open, &connection->link);
    free_session(connection, EXCHANGE_ABORTED);
    if (connection->close_now) {
        connection_close(connection);
    } else {
        move(connection, CONNECTION_FLUSH);
        wind_up(connection);
    }
}

void connection_drain(struct http_connection *connection)
{
    switch ((enum connection_state)connection->state) {
    case CONNECTION_SNIFF:
    case CONNECTION_HANDSHAKE:
        connection_close(connection);
        break;
    case CONNECTION_SESSION:
        if (!connection->session_over)
            connection->session->ops->drain(connection->session);
        break;
    case CONNECTION_REST:
        move(connection, CONNECTION_FLUSH);
        wind_up(connection);
        break;
    default:
        break; /* it ends by itself */
    }
}

/* -- the beginning -- */

struct http_connection *connection_new(struct http_server *server, struct stream *stream, const struct peer *peer)
{
    struct http_connection *connection = slab_alloc(&server->connections);
    if (!connection) {
        stream_close(stream);
        return NULL;
    }
    *connection = (struct http_connection){
        .server = server,
        .stream = stream,
        .peer = *peer,
        .state = CONNECTION_SNIFF,
    };
    list_init(&connection->link);
    list_push_back(&server->open, &connection->link);
    deadline_init(&connection->deadline, on_timer);
    set_deadline_in(connection, server->options.head_timeout_ns);
    stream->on_event = on_event;
    stream->owner = connection;
    server->n_connections++;
    if (server->metrics)
        http_metrics_opened(server->metrics, server->slot);
    return connection;
}

void connection_start(struct http_connection *connection)
{
    if (connection->stream->bits & STREAM_READABLE)
        sniff(connection);
}
