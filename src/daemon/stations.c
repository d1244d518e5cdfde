/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mail between the main thread and the workers lies in the stations themselves, so that stopping and asking for signs
 * of life never need memory.
 */
#include "daemon/stations.h"

#include "base/assert.h"
#include "base/util.h"
#include "io/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* One listener as seen by one worker. */
struct door {
    struct station *station;
    enum endpoint_kind kind;
    struct acceptor *acceptor;
};

/* What is behind the doors of one kind. */
struct hall {
    struct station *station;
    enum endpoint_kind kind;
    struct http_server *server; /* NULL: there is no endpoint of the kind */
};

struct station {
    struct stations *all;
    struct worker *worker;
    struct hall halls[ENDPOINT_KINDS_];
    struct door *doors;                    /* one for each endpoint */
    bool has_part;                         /* options.part was started */
    bool is_stopping;                      /* what is open still is cut off */
    unsigned n_draining;                   /* servers that still have connections */
    struct mail drain_mail;                /* main thread to station */
    struct mail halted_mail, drained_mail; /* station to main thread */
    struct mail ping_mail;                 /* there and back */
};

struct stations {
    struct stations_options options;
    unsigned n;
    struct station *items;
    /* main thread only */
    unsigned n_not_halted, n_not_drained, n_not_pinged;
    stations_event_fn on_event;
    void *event_ctx;
    void (*on_alive)(void *ctx);
    void *alive_ctx;
};

/* On the thread of the worker that the connection is to live on, which may be another one than that of the door. */
static void serve(void *ctx, struct worker *worker, int fd, const struct peer *peer)
{
    const struct door *door = ctx;
    const struct station *station = &door->station->all->items[worker_index(worker)];
    http_server_accept(station->halls[door->kind].server, fd, peer);
}

/* By a reset: nothing is left of it in the kernel, however many come. */
static void refuse(int fd)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    (void)close(fd);
}

static void on_accept(void *ctx, int fd, const struct peer *peer)
{
    struct door *door = ctx;
    const struct stations_options *options = &door->station->all->options;
    if (!options->enter || options->enter(options->ctx, door->kind, peer))
        worker_dispatch(door->station->worker, fd, peer, serve, door);
    else
        refuse(fd);
}

static bool on_need(void *ctx)
{
    const struct door *door = ctx;
    const struct stations_options *options = &door->station->all->options;
    return options->make_room && options->make_room(options->ctx, worker_index(door->station->worker));
}

static void on_shortage(void *ctx, int error, unsigned n_refused)
{
    const struct door *door = ctx;
    nsec_t now_ns = loop_now(worker_loop(door->station->worker));
    shortage_of_accept(door->station->all->options.shortage, error, n_refused, now_ns);
}

static void on_closed(void *ctx, const struct peer *peer)
{
    const struct hall *hall = ctx;
    const struct stations_options *options = &hall->station->all->options;
    char text[ADDR_TEXT_MAX];
    if (hall->station->is_stopping)
        log_warn(options->log, "connection cut off", log_str("client", peer_format(peer, text)));
    worker_add_connections(hall->station->worker, -1);
    if (options->leave)
        options->leave(options->ctx, hall->kind, peer);
}

static void close_doors(struct station *station)
{
    for (unsigned i = 0; i < station->all->options.endpoints->n; i++) {
        acceptor_free(station->doors[i].acceptor);
        station->doors[i].acceptor = NULL;
    }
}

static int open_doors(struct station *station)
{
    const struct endpoints *endpoints = station->all->options.endpoints;
    for (unsigned i = 0; i < endpoints->n; i++) {
        struct door *door = &station->doors[i];
        const struct listener *listener = endpoints->items[i].listener;
        *door = (struct door){station, endpoints->items[i].kind, NULL};
        int r = acceptor_new(worker_loop(station->worker), listener_fd(listener, worker_index(station->worker)),
                             on_accept, door, &door->acceptor);
        if (r < 0)
            return r;
        acceptor_on_need(door->acceptor, on_need);
        acceptor_on_shortage(door->acceptor, on_shortage);
        if (door->kind == ENDPOINT_REGISTRY || door->kind == ENDPOINT_REGISTRY_UNIX)
            acceptor_prefer(door->acceptor); /* heartbeats, and people who look what is wrong */
    }
    return 0;
}

static void station_stop(void *ctx, struct worker *worker)
{
    struct stations *stations = ctx;
    struct station *station = &stations->items[worker_index(worker)];
    close_doors(station);
    station->is_stopping = true;
    for (unsigned kind = 0; kind < ENDPOINT_KINDS_; kind++) {
        http_server_free(station->halls[kind].server);
        station->halls[kind].server = NULL;
    }
    if (station->has_part)
        stations->options.part->stop(stations->options.ctx, worker_index(worker));
    station->has_part = false;
}

static int start_part(struct station *station)
{
    const struct stations_options *options = &station->all->options;
    if (!options->part)
        return 0;
    int r = options->part->start(options->ctx, worker_index(station->worker), worker_loop(station->worker));
    station->has_part = r == 0;
    return r;
}

static int make_servers(struct station *station)
{
    const struct stations_options *options = &station->all->options;
    for (unsigned kind = 0; kind < ENDPOINT_KINDS_; kind++) {
        struct hall *hall = &station->halls[kind];
        *hall = (struct hall){station, (enum endpoint_kind)kind, NULL};
        if (!endpoints_have(options->endpoints, hall->kind))
            continue;
        unsigned index = worker_index(station->worker);
        const struct exchange_handler handler = options->handler(options->ctx, index, hall->kind);
        int r = http_server_new(worker_loop(station->worker), &options->servers[kind], &handler, options->metrics,
                                index, &hall->server);
        if (r < 0)
            return r;
        http_server_on_closed(hall->server, on_closed, hall);
    }
    return 0;
}

static int station_start(void *ctx, struct worker *worker)
{
    struct stations *stations = ctx;
    struct station *station = &stations->items[worker_index(worker)];
    int r = start_part(station);
    if (r == 0)
        r = make_servers(station);
    if (r == 0)
        r = open_doors(station);
    if (r < 0)
        station_stop(ctx, worker);
    return r;
}

struct worker_hooks stations_hooks(struct stations *stations)
{
    return (struct worker_hooks){station_start, station_stop, stations};
}

static void main_deliver_halted(struct mail *mail)
{
    struct stations *stations = container_of(mail, struct station, halted_mail)->all;
    if (--stations->n_not_halted == 0)
        stations->on_event(stations->event_ctx, STATIONS_HALTED);
}

static void main_deliver_drained(struct mail *mail)
{
    struct stations *stations = container_of(mail, struct station, drained_mail)->all;
    if (--stations->n_not_drained == 0)
        stations->on_event(stations->event_ctx, STATIONS_DRAINED);
}

static void on_server_drained(void *ctx)
{
    struct station *station = ctx;
    if (--station->n_draining == 0)
        loop_post(station->all->options.main_loop, &station->drained_mail);
}

static void station_deliver_drain(struct mail *mail)
{
    struct station *station = container_of(mail, struct station, drain_mail);
    close_doors(station);
    loop_post(station->all->options.main_loop, &station->halted_mail);
    for (unsigned kind = 0; kind < ENDPOINT_KINDS_; kind++)
        station->n_draining += station->halls[kind].server != NULL;
    for (unsigned kind = 0; kind < ENDPOINT_KINDS_; kind++) {
        if (station->halls[kind].server)
            http_server_drain(station->halls[kind].server, on_server_drained, station);
    }
}

void stations_drain(struct stations *stations, stations_event_fn on_event, void *ctx)
{
    ASSERT(!stations->on_event);
    stations->on_event = on_event;
    stations->event_ctx = ctx;
    stations->n_not_halted = stations->n_not_drained = stations->n;
    for (unsigned i = 0; i < stations->n; i++)
        loop_post(worker_loop(stations->items[i].worker), &stations->items[i].drain_mail);
}

unsigned stations_n_connections(const struct stations *stations)
{
    unsigned n = 0;
    for (unsigned i = 0; i < stations->n; i++)
        n += worker_n_connections(stations->items[i].worker);
    return n;
}

static void main_deliver_pong(struct mail *mail)
{
    struct stations *stations = container_of(mail, struct station, ping_mail)->all;
    if (--stations->n_not_pinged == 0)
        stations->on_alive(stations->alive_ctx);
}

static void station_deliver_ping(struct mail *mail)
{
    struct station *station = container_of(mail, struct station, ping_mail);
    station->ping_mail.deliver = main_deliver_pong;
    loop_post(station->all->options.main_loop, &station->ping_mail);
}

bool stations_ping(struct stations *stations, void (*on_alive)(void *ctx), void *ctx)
{
    if (stations->n_not_pinged > 0)
        return false;
    stations->on_alive = on_alive;
    stations->alive_ctx = ctx;
    stations->n_not_pinged = stations->n;
    for (unsigned i = 0; i < stations->n; i++) {
        stations->items[i].ping_mail.deliver = station_deliver_ping;
        loop_post(worker_loop(stations->items[i].worker), &stations->items[i].ping_mail);
    }
    return true;
}

/* New options on their way to a station. */
struct change {
    struct mail mail;
    struct station *station;
    struct http_server_options servers[ENDPOINT_KINDS_];
};

static void change_deliver(struct mail *mail)
{
    struct change *change = container_of(mail, struct change, mail);
    for (unsigned kind = 0; kind < ENDPOINT_KINDS_; kind++) {
        struct http_server *server = change->station->halls[kind].server;
        if (server)
            http_server_set_options(server, &change->servers[kind]);
        (void)tls_config_unref(change->servers[kind].tls);
    }
    free(change);
}

int stations_set_options(struct stations *stations, const struct http_server_options servers[ENDPOINT_KINDS_])
{
    for (unsigned i = 0; i < stations->n; i++) {
        struct change *change = malloc(sizeof(*change));
        if (!change)
            return -ENOMEM;
        *change = (struct change){.mail.deliver = change_deliver, .station = &stations->items[i]};
        for (unsigned kind = 0; kind < ENDPOINT_KINDS_; kind++) {
            change->servers[kind] = servers[kind];
            if (servers[kind].tls)
                (void)tls_config_ref(servers[kind].tls);
        }
        loop_post(worker_loop(stations->items[i].worker), &change->mail);
    }
    return 0;
}

static int station_init(struct station *station, struct stations *stations, struct worker *worker)
{
    *station = (struct station){
        .all = stations,
        .worker = worker,
        .doors = calloc(stations->options.endpoints->n, sizeof(*station->doors)),
        .drain_mail.deliver = station_deliver_drain,
        .halted_mail.deliver = main_deliver_halted,
        .drained_mail.deliver = main_deliver_drained,
    };
    return station->doors ? 0 : -ENOMEM;
}

int stations_new(const struct stations_options *options, struct stations **ret_stations)
{
    struct stations *stations = calloc(1, sizeof(*stations));
    if (!stations)
        return -ENOMEM;
    stations->options = *options;
    unsigned n = worker_group_size(options->group);
    stations->items = calloc(n, sizeof(*stations->items));
    int r = stations->items ? 0 : -ENOMEM;
    for (; r == 0 && stations->n < n; stations->n++)
        r = station_init(&stations->items[stations->n], stations, worker_group_get(options->group, stations->n));
    if (r < 0) {
        stations_free(stations);
        return r;
    }
    *ret_stations = stations;
    return 0;
}

void stations_free(struct stations *stations)
{
    if (!stations)
        return;
    for (unsigned i = 0; i < stations->n; i++)
        free(stations->items[i].doors);
    free(stations->items);
    free(stations);
}
