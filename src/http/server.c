/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set of connections of one worker: takes them on, runs at the end of each turn what they asked for, drains.
 *
 * Invariant: every connection is on exactly one of the lists open, woken and done. Those on woken and done are moved
 * back to open before they are run, and the lists are taken whole, so that a turn's end does a bounded amount of work.
 */
#include "base/assert.h"
#include "http/h1_session.h"
#include "http/h2_stream.h"
#include "http/server_impl.h"
#include "io/tcp.h"

#include <errno.h>
#include <stdlib.h>

void http_server_options_init(struct http_server_options *options)
{
    *options = (struct http_server_options){
        .limits = {.head_bytes = 32 * 1024, .target_bytes = 8 * 1024, .n_fields = 100},
        .head_timeout_ns = 10 * NSEC_PER_SEC,
        .body_timeout_ns = 30 * NSEC_PER_SEC,
        .idle_timeout_ns = 75 * NSEC_PER_SEC,
        .answer_timeout_ns = 75 * NSEC_PER_SEC,
        .send_timeout_ns = 30 * NSEC_PER_SEC,
        .rate_min_bytes = 100,
        .linger_ns = 2 * NSEC_PER_SEC,
        .body_drain_bytes = 256 * 1024,
        .send_high_bytes = 256 * 1024,
        .send_low_bytes = 64 * 1024,
        .unsent_bytes = 64 * 1024 * 1024,
        .h2_max_streams = 10000,
        .n_connections_max = 100000,
        .plain_allowed = true,
    };
}

typedef void (*connection_fn)(struct http_connection *connection);

/* Runs fn once for each connection now on the list; fn takes it off and may close it, but no other one. */
static void run_list(struct list *list, connection_fn fn)
{
    struct list taken;
    list_init(&taken);
    list_splice_back(&taken, list);
    while (!list_is_empty(&taken))
        fn(container_of(taken.next, struct http_connection, link));
}

/* At the end of the turn, when every connection is on one of the lists. */
static void begin_drain(struct http_server *server)
{
    server->drain_begun = true;
    list_splice_back(&server->open, &server->woken);
    list_for_each (link, &server->open)
        connection_drain(container_of(link, struct http_connection, link));
}

static void on_turn_end(struct loop_task *task)
{
    struct http_server *server = container_of(task, struct http_server, turn_end);
    run_list(&server->woken, connection_run_woken);
    server_flush_gathered(server);
    if (server->is_draining && !server->drain_begun)
        begin_drain(server);
    run_list(&server->done, connection_run_done);
    if (server->is_draining && server->n_connections == 0 && server->on_drained) {
        void (*on_drained)(void *ctx) = TAKE(server->on_drained);
        on_drained(server->drained_ctx); /* the server may be gone */
    }
}

int http_server_new(struct loop *loop, const struct http_server_options *options,
                    const struct exchange_handler *handler, struct http_metrics *metrics, unsigned slot,
                    struct http_server **ret_server)
{
    struct http_server *server = malloc(sizeof(*server));
    if (!server)
        return -ENOMEM;
    server->loop = loop;
    server->options = *options;
    loop_backlog(loop)->n_bytes_max = options->unsent_bytes;
    if (options->tls)
        (void)tls_config_ref(options->tls);
    server->handler = *handler;
    server->metrics = metrics;
    server->slot = slot;
    slab_init(&server->connections, sizeof(struct http_connection), _Alignof(struct http_connection));
    slab_init(&server->sessions, sizeof(struct h1_session), _Alignof(struct h1_session));
    slab_init(&server->streams, sizeof(struct h2_stream), _Alignof(struct h2_stream));
    pipes_init(&server->pipes);
    server->n_connections = 0;
    list_init(&server->open);
    list_init(&server->woken);
    list_init(&server->done);
    loop_task_init(&server->turn_end, on_turn_end);
    server->is_draining = server->drain_begun = false;
    server->on_drained = NULL;
    server->drained_ctx = NULL;
    server->on_closed = NULL;
    server->closed_ctx = NULL;
    server->gatherer = NULL;
    server->n_gathered = 0;
    *ret_server = server;
    return 0;
}

static void abort_connection(struct http_connection *connection)
{
    connection_abort(connection, EXCHANGE_SHUTDOWN);
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    server->is_draining = true;
    server->on_drained = NULL;
    /* More than once, since the end of one exchange may wake another's connection. */
    while (server->n_connections > 0) {
        list_splice_back(&server->open, &server->woken);
        list_splice_back(&server->open, &server->done);
        run_list(&server->open, abort_connection);
    }
    loop_undefer(&server->turn_end);
    slab_deinit(&server->connections);
    slab_deinit(&server->sessions);
    slab_deinit(&server->streams);
    pipes_deinit(&server->pipes);
    (void)tls_config_unref(server->options.tls);
    free(server);
}

void http_server_set_options(struct http_server *server, const struct http_server_options *options)
{
    struct tls_config *old = server->options.tls;
    server->options = *options;
    loop_backlog(server->loop)->n_bytes_max = options->unsent_bytes;
    if (options->tls)
        (void)tls_config_ref(options->tls);
    (void)tls_config_unref(old);
}

/* Whether one more connection is taken on; counts it when not. */
static bool has_room(struct http_server *server)
{
    if (!server->is_draining && server->n_connections < server->options.n_connections_max)
        return true;
    if (server->metrics)
        http_metrics_refused(server->metrics, server->slot);
    return false;
}

/* Until the connection has the stream no event can come: they are told from the next turn on. */
static void no_event(struct stream *stream, unsigned new_bits)
{
    (void)stream;
    (void)new_bits;
}

void server_tell_closed(struct http_server *server, const struct peer *peer)
{
    if (server->on_closed)
        server->on_closed(server->closed_ctx, peer);
}

void http_server_accept(struct http_server *server, int fd, const struct peer *peer)
{
    struct stream *stream;
    if (tcp_adopt(server->loop, fd, no_event, NULL, &stream) == 0)
        http_server_adopt(server, stream, peer);
    else
        server_tell_closed(server, peer);
}

/*
 * One send, and no wait. Whoever speaks TLS could not read it. A request that is on its way is met by a reset, behind
 * the answer; one that is here already is taken, so that it is not.
 */
static void turn_away(struct http_server *server, struct stream *stream, const struct peer *peer)
{
    static const struct slice answer =
        SLICE_LIT("HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 1\r\n"
                  "connection: close\r\ncontent-length: 75\r\n\r\n"
                  "there are too many connections, or the server is stopping: try again later\n");
    if (!server->options.tls) {
        (void)stream_recv(stream, loop_read_buffer(server->loop), LOOP_READ_BUFFER_BYTES);
        (void)stream_send(stream, answer);
        (void)stream_shutdown(stream);
    }
    stream_close(stream);
    server_tell_closed(server, peer);
}

void http_server_adopt(struct http_server *server, struct stream *stream, const struct peer *peer)
{
    if (!has_room(server)) {
        turn_away(server, stream, peer);
        return;
    }
    struct http_connection *connection = connection_new(server, stream, peer);
    if (connection)
        connection_start(connection);
    else
        server_tell_closed(server, peer);
}

void http_server_on_closed(struct http_server *server, void (*fn)(void *ctx, const struct peer *peer), void *ctx)
{
    server->on_closed = fn;
    server->closed_ctx = ctx;
}

void http_server_drain(struct http_server *server, void (*on_drained)(void *ctx), void *ctx)
{
    ASSERT(!server->is_draining);
    server->is_draining = true;
    server->on_drained = on_drained;
    server->drained_ctx = ctx;
    loop_defer(server->loop, &server->turn_end);
}

unsigned http_server_n_connections(const struct http_server *server)
{
    return server->n_connections;
}
