/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an HTTP/2 connection. See h2_session.h for how an event goes.
 */
#include "http/h2_stream.h"

#include <errno.h>
#include <stdlib.h>

/* How long the first GOAWAY of a drain may take to reach the peer and its last requests to reach us. */
#define DRAIN_NOTICE_NS (1 * NSEC_PER_SEC)

static struct h2_session *session_of(struct session *session)
{
    return container_of(session, struct h2_session, session);
}

/* While nghttp2 runs there is no need: whoever runs it sends and settles afterwards. */
void h2_session_schedule(struct h2_session *session)
{
    if (!session->is_busy && !session->is_done)
        http_connection_wake(session->session.connection);
}

int h2_session_check(struct h2_session *session, int ng_result)
{
    if (ng_result < 0 && nghttp2_is_fatal(ng_result) && session->error == 0) {
        session->error = ng_result == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
        h2_session_schedule(session);
    }
    return ng_result;
}

static void say_goodbye(struct h2_session *session, uint32_t code)
{
    h2_session_check(session, nghttp2_session_terminate_session(session->ng, code));
}

void h2_session_charge(struct h2_session *session, enum h2_offence offence)
{
    if (!h2_guard_charge(&session->guard, offence, h2_session_now(session)))
        say_goodbye(session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void settle_news(struct h2_session *session)
{
    struct list *link;
    while ((link = list_pop_front(&session->news)))
        h2_stream_settle(container_of(link, struct h2_stream, news_link));
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

static nsec_t block_deadline(const struct h2_session *session)
{
    return after(session->block_began_ns, h2_session_options(session)->head_timeout_ns);
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
    return earlier(earlier(send_deadline(session), block_deadline(session)),
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
    if (session->error != 0)
        finish(session, HTTP_CLOSE_NOW);
    else if (h2_io_is_over(session))
        finish(session, HTTP_CLOSE_LINGER);
    else
        http_connection_set_deadline(session->session.connection, next_deadline(session));
}

static void tick(struct h2_session *session)
{
    settle_news(session); /* first, so that streams which ended in this turn do not count any more */
    if (h2_io_receive(session)) {
        /* What can be answered still is; but a peer that cannot open windows any more is as good as gone. */
        h2_io_send(session);
        say_goodbye(session, NGHTTP2_NO_ERROR);
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
    const uint8_t payload[8] = {(uint8_t)kind};
    h2_session_check(session, nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, payload));
}

static void on_silence(struct h2_session *session)
{
    if (session->n_streams == 0) {
        say_goodbye(session, NGHTTP2_NO_ERROR);
    } else if (session->pinged_ns == NSEC_NEVER) {
        session->pinged_ns = h2_session_now(session);
        ping(session, H2_PING_LIVENESS);
    } else {
        session->error = -ETIMEDOUT;
    }
}

static void on_deadline(struct session *base)
{
    struct h2_session *session = session_of(base);
    nsec_t now = h2_session_now(session);
    if (now >= send_deadline(session))
        session->error = -ETIMEDOUT;
    else if (now >= block_deadline(session))
        say_goodbye(session, NGHTTP2_NO_ERROR);
    else if (now >= drain_deadline(session))
        h2_session_end_drain(session);
    else if (now >= silence_deadline(session))
        on_silence(session);
    wrap_up(session);
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
 * so has read it, one that names the last stream. Requests that were on their way are thus served.
 */
static void drain(struct session *base)
{
    struct h2_session *session = session_of(base);
    if (session->is_draining || session->is_done)
        return;
    session->is_draining = true;
    session->drain_began_ns = h2_session_now(session);
    h2_session_check(session, nghttp2_submit_shutdown_notice(session->ng));
    ping(session, H2_PING_DRAIN);
    h2_session_schedule(session);
}

void h2_session_end_drain(struct h2_session *session)
{
    if (session->drain_began_ns == NSEC_NEVER)
        return;
    session->drain_began_ns = NSEC_NEVER;
    int32_t last_id = nghttp2_session_get_last_proc_stream_id(session->ng);
    h2_session_check(session,
                     nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE, last_id, NGHTTP2_NO_ERROR, NULL, 0));
}

static void session_free(struct session *base, enum exchange_end end)
{
    struct h2_session *session = session_of(base);
    session->is_done = true;
    list_for_each (link, &session->streams)
        h2_stream_free(container_of(link, struct h2_stream, link), end);
    ASSERT(list_is_empty(&session->streams) && list_is_empty(&session->news));
    nghttp2_session_del(session->ng);
    buf_deinit(&session->block);
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
    h2_guard_init(&session->guard, h2_session_now(session));
    session->received_ns = h2_session_now(session);
    session->block_began_ns = session->received_ns; /* the preface is a head to wait for, too */
    session->blocked_ns = session->pinged_ns = session->drain_began_ns = NSEC_NEVER;
    if (h2_io_open(session) < 0) {
        session_free(&session->session, EXCHANGE_ABORTED);
        return -ENOMEM;
    }

    *ret_session = &session->session;
    if (http_connection_is_draining(connection))
        drain(&session->session);
    h2_io_feed(session, early);
    tick(session);
    return 0;
}
