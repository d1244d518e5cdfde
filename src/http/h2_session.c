/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an HTTP/2 connection. See h2_session.h for how an event goes.
 */
#include "http/h2_stream.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

/* How long the first GOAWAY of a drain may take to reach the peer and its last requests to reach us. */
#define DRAIN_NOTICE_NS (1 * NSEC_PER_SEC)
/* Nobody tells a connection that is held up when there is room again. */
#define LOOK_AGAIN_NS (100 * NSEC_PER_MSEC)

static struct h2_session *session_of(struct session *session)
{
    return container_of(session, struct h2_session, session);
}

/* The hash of a number: spread over all bits, since the numbers of a connection's streams go in steps of two. */
struct h2_stream *h2_session_find(struct h2_session *session, int32_t id)
{
    if (session->found && session->found->id == id)
        return session->found;
    if (session->by_id.len == 0)
        return NULL;
    htab_for_each_match (node, &session->by_id, hash_number((uint64_t)id)) {
        struct h2_stream *stream = container_of(node, struct h2_stream, by_id);
        if (stream->id == id)
            return session->found = stream;
    }
    return NULL;
}

int h2_session_link(struct h2_session *session, struct h2_stream *stream)
{
    int r = htab_insert(&session->by_id, &stream->by_id, hash_number((uint64_t)stream->id));
    if (r < 0)
        return r;
    list_push_back(&session->streams, &stream->link);
    session->n_streams++;
    return 0;
}

void h2_session_unlink(struct h2_session *session, struct h2_stream *stream)
{
    if (session->found == stream)
        session->found = NULL;
    htab_remove(&session->by_id, &stream->by_id);
    list_remove(&stream->link);
    session->n_streams--;
}

/* While it is busy there is no need: it sends and settles afterwards. */
void h2_session_schedule(struct h2_session *session)
{
    if (!session->is_busy && !session->is_done)
        http_connection_wake(session->session.connection);
}

void h2_session_fail(struct h2_session *session, int error)
{
    ASSERT(error < 0);
    if (session->error != 0)
        return;
    session->error = error;
    h2_session_schedule(session);
}

void h2_session_terminate(struct h2_session *session, uint32_t code)
{
    if (session->is_terminated)
        return;
    h2_output_goaway(session, session->last_id, code);
    session->is_terminated = true;
}

void h2_session_charge(struct h2_session *session, enum h2_offence offence)
{
    if (!h2_guard_charge(&session->guard, offence, h2_session_now(session)))
        h2_session_terminate(session, H2_ENHANCE_YOUR_CALM);
}

static void settle_news(struct h2_session *session)
{
    struct list *link;
    session->is_busy = true;
    while ((link = list_pop_front(&session->news)))
        h2_stream_settle(container_of(link, struct h2_stream, news_link));
    session->is_busy = false;
}

/* Front ends may have written more on being told the news. */
static bool may_send_more(const struct h2_session *session)
{
    return http_connection_unsent(session->session.connection) == 0 &&
           (session->out.len > 0 ||
            (!session->is_terminated && session->send_window > 0 && !list_is_empty(&session->writers)));
}

static nsec_t after(nsec_t moment, nsec_t timeout)
{
    return moment == NSEC_NEVER || timeout >= NSEC_NEVER - moment ? NSEC_NEVER : moment + timeout;
}

static nsec_t earlier(nsec_t a, nsec_t b)
{
    return a < b ? a : b;
}

static nsec_t send_deadline(const struct h2_session *session)
{
    return after(session->blocked_ns, h2_session_options(session)->send_timeout_ns);
}

static nsec_t input_deadline(const struct h2_session *session)
{
    return after(session->begun_ns, h2_session_options(session)->head_timeout_ns);
}

static nsec_t drain_deadline(const struct h2_session *session)
{
    return after(session->drain_began_ns, DRAIN_NOTICE_NS);
}

/* An idle connection is closed; with exchanges on it we first ask whether the peer is still there. */
static nsec_t silence_deadline(const struct h2_session *session)
{
    const struct http_server_options *options = h2_session_options(session);
    if (session->pinged_ns != NSEC_NEVER)
        return after(session->pinged_ns, options->send_timeout_ns);
    return after(session->received_ns, options->idle_timeout_ns);
}

static nsec_t next_deadline(const struct h2_session *session)
{
    if (session->is_terminated)
        return send_deadline(session);
    if (session->is_held_up)
        return earlier(earlier(send_deadline(session), drain_deadline(session)),
                       after(h2_session_now(session), LOOK_AGAIN_NS));
    return earlier(earlier(send_deadline(session), input_deadline(session)),
                   earlier(drain_deadline(session), silence_deadline(session)));
}

static void finish(struct h2_session *session, enum http_close how)
{
    session->is_done = true;
    http_connection_done(session->session.connection, how);
}

/* Sends, settles, and finds out whether this was the end. */
static void wrap_up(struct h2_session *session)
{
    h2_io_send(session);
    settle_news(session);
    session->is_held_up = h2_io_is_held_up(session);
    if (session->error != 0)
        finish(session, HTTP_CLOSE_NOW);
    else if (h2_io_is_over(session))
        finish(session, HTTP_CLOSE_LINGER);
    else
        http_connection_set_deadline(session->session.connection, next_deadline(session));
    if (may_send_more(session))
        h2_session_schedule(session);
}

static void tick(struct h2_session *session)
{
    settle_news(session); /* first, so that streams which ended in this turn do not count any more */
    if (h2_io_receive(session)) {
        /* What can be answered still is; but a peer that cannot open windows any more is as good as gone. */
        h2_io_send(session);
        h2_session_terminate(session, H2_NO_ERROR);
    }
    if (session->received_ns > session->pinged_ns)
        session->pinged_ns = NSEC_NEVER;
    wrap_up(session);
}

static void on_event(struct session *base, unsigned new_bits)
{
    (void)new_bits; /* the stream remembers them */
    tick(session_of(base));
}

static void ping(struct h2_session *session, enum h2_ping kind)
{
    const char payload[8] = {(char)kind};
    h2_output_ping(session, 0, payload);
}

static void on_silence(struct h2_session *session)
{
    if (session->n_streams == 0) {
        h2_session_terminate(session, H2_NO_ERROR);
    } else if (session->pinged_ns == NSEC_NEVER) {
        session->pinged_ns = h2_session_now(session);
        ping(session, H2_PING_LIVENESS);
    } else {
        session->error = -ETIMEDOUT;
    }
}

static void judge_peer(struct h2_session *session, nsec_t now)
{
    if (now >= input_deadline(session))
        h2_session_terminate(session, H2_NO_ERROR);
    else if (now >= silence_deadline(session))
        on_silence(session);
}

static void on_deadline(struct session *base)
{
    struct h2_session *session = session_of(base);
    nsec_t now = h2_session_now(session);
    h2_io_send(session); /* which finds out what the peer has taken meanwhile */
    if (now >= send_deadline(session))
        session->error = -ETIMEDOUT;
    else if (now >= drain_deadline(session))
        h2_session_end_drain(session);
    else if (!session->is_held_up) /* else it is we who did not read */
        judge_peer(session, now);
    tick(session);
}

void h2_session_flush(struct h2_session *session)
{
    if (session->is_done)
        return;
    h2_io_send(session);
    h2_session_schedule(session); /* for the news that sending may have made */
}

/*
 * Two steps (RFC 9113 6.8): a GOAWAY that refuses nothing, then, when the peer has answered a PING sent behind it and
 * so has read it, one that names the last stream. Requests that were on their way are thus served. Where nothing runs
 * there is no telling whether more is on its way: one GOAWAY says at once what was served, and the rest is safe to ask
 * for again elsewhere.
 */
static void drain(struct session *base)
{
    struct h2_session *session = session_of(base);
    if (session->is_draining || session->is_done)
        return;
    session->is_draining = true;
    h2_session_schedule(session);
    if (session->n_streams == 0) {
        h2_session_terminate(session, H2_NO_ERROR);
        return;
    }
    session->drain_began_ns = h2_session_now(session);
    h2_output_goaway(session, H2_NUMBER_MAX, H2_NO_ERROR);
    ping(session, H2_PING_DRAIN);
}

void h2_session_end_drain(struct h2_session *session)
{
    if (session->drain_began_ns == NSEC_NEVER)
        return;
    session->drain_began_ns = NSEC_NEVER;
    session->is_leaving = true;
    h2_output_goaway(session, session->last_id, H2_NO_ERROR);
}

static void session_free(struct session *base, enum exchange_end end)
{
    struct h2_session *session = session_of(base);
    session->is_done = true;
    list_for_each (link, &session->streams)
        h2_stream_free(container_of(link, struct h2_stream, link), end);
    ASSERT(list_is_empty(&session->streams) && list_is_empty(&session->news));
    htab_deinit(&session->by_id);
    hpack_table_deinit(&session->fields);
    hpack_encoder_deinit(&session->encoder);
    buf_deinit(&session->in);
    buf_deinit(&session->block);
    buf_deinit(&session->out);
    free(session);
}

static const struct session_ops ops = {
    .name = "h2",
    .on_event = on_event,
    .on_deadline = on_deadline,
    .drain = drain,
    .free = session_free,
};

int h2_session_new(struct http_connection *connection, struct slice early, struct session **ret_session)
{
    struct h2_session *session = calloc(1, sizeof(*session));
    if (!session)
        return -ENOMEM;
    session->session = (struct session){.ops = &ops, .connection = connection};
    list_init(&session->streams);
    list_init(&session->news);
    list_init(&session->writers);
    h2_guard_init(&session->guard, h2_session_now(session));
    session->n_streams_max = http_connection_options(connection)->h2_max_streams;
    session->fields.max = HPACK_TABLE_MAX;
    hpack_encoder_init(&session->encoder);
    session->window = (struct h2_window){H2_WINDOW_BYTES, H2_CONNECTION_WINDOW_BYTES - H2_WINDOW_BYTES};
    session->send_window = session->first_window = H2_WINDOW_BYTES;
    session->received_ns = h2_session_now(session);
    session->begun_ns = session->received_ns; /* the preface is waited for, too */
    session->blocked_ns = session->pinged_ns = session->drain_began_ns = NSEC_NEVER;

    *ret_session = &session->session;
    h2_output_open(session);
    h2_input_consume(session, 0); /* opens the connection's window */
    if (http_connection_is_draining(connection))
        drain(&session->session);
    (void)h2_io_feed(session, early);
    tick(session);
    return 0;
}
