/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway: takes HTTP traffic to the instances of services, by the plan (plan.h). Each worker has a part of its
 * own with its connections to instances; what workers know of each other is in the runtimes and cells of the plan.
 */
#pragma once

#include "gateway/access_log.h"
#include "gateway/planner.h"
#include "gateway/throttle.h"
#include "http/pool.h"
#include "io/shortage.h"

struct gateway;
struct gateway_worker;

struct gateway_options {
    struct planner *planner;
    struct curator *curator; /* who is told of instances that fail */
    struct log *log;
    struct shortage *shortage; /* told of connections for which there is no descriptor; NULL: nobody is */
    unsigned n_workers;
    struct loop *const *loops; /* of the workers; read by gateway_new only */
    pool_connect_fn connect;   /* NULL: tcp_connect */
};

/* Before the planner is started. 0 or -errno. */
int gateway_new(const struct gateway_options *options, struct gateway **ret_gateway);
/* The planner is stopped and no worker runs. Accepts NULL. */
void gateway_free(struct gateway *gateway);

/*
 * Before the servers of a worker are made, and after they are gone; on the worker's thread. 0 or -errno. What is
 * stopped has no exchange left.
 */
int gateway_start_worker(struct gateway *gateway, unsigned worker, struct loop *loop);
void gateway_stop_worker(struct gateway *gateway, unsigned worker);

/* What is behind the gateway's listeners on that worker. is_local: those of loopback and Unix sockets. */
struct exchange_handler gateway_handler(struct gateway *gateway, unsigned worker, bool is_local);

/* That worker, in a turn of its loop: closes an idle connection to an instance. False: it has none. */
bool gateway_make_room(struct gateway *gateway, unsigned worker);

/*
 * Any worker, in a turn of its loop: whether a connection that was accepted on a gateway listener is taken on; if so,
 * gateway_leave follows when it is closed. False: to be closed at once; it was counted and told.
 */
bool gateway_enter(struct gateway *gateway, const struct peer *peer);
void gateway_leave(struct gateway *gateway, const struct peer *peer);

/*
 * Main thread, when it starts and with each reload: opens the access log that the settings name, anew if it is the
 * same. 0, or -errno with the reason in err.
 */
int gateway_open_log(struct gateway *gateway, const struct gateway_settings *settings, struct err *err);

/* -- for the files of the gateway -- */

unsigned gateway_n_workers(const struct gateway *gateway);
/* Which others than its thread read only where that is said to be possible. */
const struct gateway_worker *gateway_worker_at(const struct gateway *gateway, unsigned worker);
struct shortage *gateway_shortage(const struct gateway *gateway); /* may be NULL */
struct throttle *gateway_throttle(const struct gateway *gateway);
uint64_t gateway_n_refused(const struct gateway *gateway); /* connections beyond client_connections */
struct access_log *gateway_access_log(const struct gateway *gateway);
struct planner *gateway_planner(const struct gateway *gateway);
pool_connect_fn gateway_connect_fn(const struct gateway *gateway); /* NULL: as pools do by themselves */
/* curator_report. */
int gateway_report(const struct gateway *gateway, const struct catalog_event *event);
