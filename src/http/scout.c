/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See scout.h. What errands need is made on the scout's own thread and freed by the main thread when that has ended:
 * until then errands that were cancelled come back.
 */
#include "http/scout.h"

#include "io/tcp.h"
#include "io/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define RESOLVER_THREADS 2
#define RESOLVER_WAITING 4096

struct scout {
    struct worker_group *group; /* of one */
    struct list parts;
    struct errand_office office;
};

int scout_new(struct rcu_domain *rcu, struct scout **ret_scout, struct err *err)
{
    struct scout *scout = calloc(1, sizeof(*scout));
    if (!scout)
        return err_set(err, -ENOMEM, "out of memory");
    list_init(&scout->parts);
    int r = worker_group_new(1, rcu, &scout->group, err);
    if (r < 0) {
        free(scout);
        return r;
    }
    *ret_scout = scout;
    return 0;
}

void scout_free(struct scout *scout)
{
    if (!scout)
        return;
    worker_group_free(scout->group);
    free(scout);
}

void scout_add(struct scout *scout, struct scout_part *part)
{
    list_init(&part->link);
    part->is_started = false;
    list_push_back(&scout->parts, &part->link);
}

struct loop *scout_loop(struct scout *scout)
{
    return worker_loop(worker_group_get(scout->group, 0));
}

static void stop(void *ctx, struct worker *worker)
{
    struct scout *scout = ctx;
    (void)worker;
    list_for_each (link, &scout->parts) {
        struct scout_part *part = container_of(link, struct scout_part, link);
        if (part->is_started)
            part->stop(part);
        part->is_started = false;
    }
}

static int open_office(struct scout *scout, struct loop *loop)
{
    struct pool_options options;
    pool_options_init(&options);
    scout->office.loop = loop;
    scout->office.connect = tcp_connect;
    int r = pool_new(loop, &options, &scout->office.pool);
    return r < 0 ? r : resolver_new(RESOLVER_THREADS, RESOLVER_WAITING, NULL, NULL, &scout->office.resolver);
}

static int start(void *ctx, struct worker *worker)
{
    struct scout *scout = ctx;
    (void)pthread_setname_np(pthread_self(), "scout");
    int r = open_office(scout, worker_loop(worker));
    list_for_each (link, &scout->parts) {
        struct scout_part *part = container_of(link, struct scout_part, link);
        if (r == 0)
            r = part->start(part, &scout->office);
        part->is_started = r == 0;
    }
    if (r < 0)
        stop(scout, worker);
    return r;
}

static void close_office(struct scout *scout)
{
    pool_free(TAKE(scout->office.pool));
    resolver_free(TAKE(scout->office.resolver));
}

int scout_start(struct scout *scout, struct err *err)
{
    const struct worker_hooks hooks = {.start = start, .stop = stop, .ctx = scout};
    int r = worker_group_start(scout->group, &hooks, err);
    if (r < 0)
        close_office(scout);
    return r;
}

void scout_stop(struct scout *scout)
{
    if (!scout)
        return;
    worker_group_stop(scout->group);
    close_office(scout);
}
