/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hub per loop, made for the first who waits. After each burst of commits it marks whom they touch, and then tells
 * each of those once.
 */
#include "fronts/etcd/await.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

/* How far one turn goes, so that other work of the loop gets its share. */
#define COMMITS_PER_TURN 4096

struct await_hub {
    struct etcd_worker *worker;
    struct store_subscriber subscriber;
    struct watch_index index;
    struct list all, touched;
    int64_t revision;      /* up to which commits have been looked at */
    struct loop_task task; /* goes on with what one turn could not do */
};

static void touch(struct await_hub *hub, struct await *await)
{
    if (!list_is_linked(&await->touched))
        list_push_back(&hub->touched, &await->touched);
}

static void touch_node(void *ctx, struct watch_node *node)
{
    touch(ctx, container_of(node, struct await, node));
}

/* Whoever may have missed a commit that is gone already. */
static void touch_all(struct await_hub *hub)
{
    list_for_each (link, &hub->all)
        touch(hub, container_of(link, struct await, link));
}

static void tell(struct await_hub *hub)
{
    struct list touched;
    list_init(&touched);
    list_splice_back(&touched, &hub->touched);
    while (!list_is_empty(&touched)) {
        struct await *await = container_of(touched.next, struct await, touched);
        list_remove(&await->touched);
        await->on_change(await);
    }
}

static void look(struct await_hub *hub)
{
    struct store *store = hub->worker->etcd->store;
    struct store_view view;
    store_view(store, false, &view);
    if (watch_index_is_empty(&hub->index))
        hub->revision = view.revision;
    for (unsigned n = 0; n < COMMITS_PER_TURN && hub->revision < view.revision; n++) {
        const struct store_commit *commit = store_commit(store, &view, hub->revision + 1);
        for (unsigned i = 0; commit && i < commit->n_events; i++)
            watch_index_match(&hub->index, commit->events[i].kv->key, touch_node, hub);
        if (!commit)
            touch_all(hub);
        hub->revision = commit ? commit->revision : view.revision;
    }
    if (hub->revision < view.revision)
        loop_defer(hub->worker->loop, &hub->task);
    tell(hub);
}

static void on_news(struct store_subscriber *subscriber)
{
    struct await_hub *hub = container_of(subscriber, struct await_hub, subscriber);
    if (watch_index_is_empty(&hub->index))
        store_mute(subscriber, true);
    else
        look(hub);
}

static void on_task(struct loop_task *task)
{
    look(container_of(task, struct await_hub, task));
}

static int hub_new(struct etcd_worker *worker)
{
    struct await_hub *hub = calloc(1, sizeof(*hub));
    if (!hub)
        return -ENOMEM;
    int r = watch_index_init(&hub->index);
    if (r < 0) {
        free(hub);
        return r;
    }
    hub->worker = worker;
    list_init(&hub->all);
    list_init(&hub->touched);
    loop_task_init(&hub->task, on_task);
    hub->subscriber = (struct store_subscriber){.loop = worker->loop, .on_news = on_news};
    store_subscribe(worker->etcd->store, &hub->subscriber);
    worker->awaits = hub;
    return 0;
}

void await_hub_free(struct await_hub *hub)
{
    if (!hub)
        return;
    ASSERT(list_is_empty(&hub->all));
    store_unsubscribe(hub->worker->etcd->store, &hub->subscriber);
    loop_undefer(&hub->task);
    watch_index_deinit(&hub->index);
    free(hub);
}

int await_begin(struct etcd_worker *worker, struct await *await, struct slice key, struct slice end, await_fn on_change)
{
    ASSERT(!await->hub);
    int r = worker->awaits ? 0 : hub_new(worker);
    if (r < 0)
        return r;
    struct await_hub *hub = worker->awaits;
    if (watch_index_is_empty(&hub->index)) {
        struct store_view view;
        store_mute(&hub->subscriber, false);
        store_view(worker->etcd->store, false, &view);
        hub->revision = view.revision;
    }
    await->node = (struct watch_node){0};
    r = watch_index_add(&hub->index, &await->node, key, end);
    if (r < 0)
        return r;
    await->hub = hub;
    await->on_change = on_change;
    list_init(&await->link);
    list_init(&await->touched);
    list_push_back(&hub->all, &await->link);
    return 0;
}

void await_end(struct await *await)
{
    if (!await->hub)
        return;
    watch_index_remove(&await->hub->index, &await->node);
    list_remove(&await->link);
    list_remove(&await->touched);
    await->hub = NULL;
}
