/* SPDX-License-Identifier: Apache-2.0 */
/* There are few workers, so finding one's own is a short walk; one is added by its thread, and stays until the end. */
#include "fronts/api/api_impl.h"
#include "fronts/api/api_stream.h"

#include <stdlib.h>

static void on_stop(struct mail *mail)
{
    struct api_worker *worker = container_of(mail, struct api_worker, stop_mail);
    api_streams_stop(&worker->hub);
    api_waits_stop(&worker->hub);
}

static struct api_worker *add_worker(struct api *api, struct loop *loop)
{
    struct api_worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return NULL;
    worker->api = api;
    worker->loop = loop;
    worker->stop_mail.deliver = on_stop;
    if (api_hub_init(&worker->hub, api->curator, loop) < 0) {
        free(worker);
        return NULL;
    }
    worker->next = atomic_load_explicit(&api->workers, memory_order_acquire);
    while (!atomic_compare_exchange_weak_explicit(&api->workers, &worker->next, worker, memory_order_acq_rel,
                                                  memory_order_acquire))
        ;
    return worker;
}

struct api_worker *api_worker_of(struct api *api, struct loop *loop)
{
    struct api_worker *worker = atomic_load_explicit(&api->workers, memory_order_acquire);
    while (worker && worker->loop != loop)
        worker = worker->next;
    return worker ? worker : add_worker(api, loop);
}

void api_worker_free(struct api_worker *worker)
{
    api_hub_deinit(&worker->hub);
    for (unsigned i = 0; i < API_CACHE_SLOTS; i++)
        api_text_unref(worker->cached[i]);
    api_text_unref(worker->cached_large);
    free(worker);
}
