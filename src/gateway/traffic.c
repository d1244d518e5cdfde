/* SPDX-License-Identifier: Apache-2.0 */
/* Services without traffic are no news, and there may be many: they are passed over before anything is allocated. */
#include "gateway/traffic.h"

#include "base/array.h"
#include "base/util.h"

#include <stdlib.h>

struct gathering {
    struct slice service;
    const struct plan_service **used;
    size_t n_used, room;
};

static bool has_traffic(const struct plan_cell *cell)
{
    for (unsigned i = 0; i < cell->n_shares; i++)
        if (atomic_load_explicit(&cell->shares[i].n_requests, memory_order_relaxed) > 0)
            return true;
    return false;
}

static bool add_used(void *ctx, const struct plan_service *service)
{
    struct gathering *gathering = ctx;
    if (!has_traffic(service->cell))
        return true;
    if (gathering->service.len > 0 && !slice_equal(gathering->service, service->cell->name))
        return true;
    const struct plan_service **used =
        array_grow(gathering->used, gathering->n_used, &gathering->room, sizeof(gathering->used[0]));
    if (!used)
        return false;
    gathering->used = used;
    gathering->used[gathering->n_used++] = service;
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct plan_service *const *first = a, *const *second = b;
    return slice_compare((*first)->cell->name, (*second)->cell->name);
}

static void add_instances(struct traffic *traffic, struct traffic_service *row)
{
    const struct target *target;
    row->first_instance = traffic->n_instances;
    for (struct plan_cursor at = {.service = row->service}; (target = plan_next(&at));) {
        struct runtime_sum sum;
        runtime_sum(target->runtime, &sum);
        if (!sum.is_used)
            continue;
        if (traffic->n_instances == TRAFFIC_INSTANCES_MAX) {
            traffic->n_untold++;
            continue;
        }
        traffic->instances[traffic->n_instances++] =
            (struct traffic_instance){target->runtime, row->service->cell->name, sum};
    }
    row->n_instances = traffic->n_instances - row->first_instance;
}

void traffic_gather(const struct plan *plan, struct slice service, struct traffic *ret_traffic)
{
    struct traffic *traffic = ret_traffic;
    struct gathering gathering = {.service = service};
    *traffic = (struct traffic){0};
    plan_each_service(plan, add_used, &gathering);
    size_t n_told = min_size(gathering.n_used, TRAFFIC_SERVICES_MAX);
    traffic->services = calloc(n_told + 1, sizeof(traffic->services[0]));
    traffic->instances = calloc(TRAFFIC_INSTANCES_MAX, sizeof(traffic->instances[0]));
    if (gathering.n_used > 0)
        qsort(gathering.used, gathering.n_used, sizeof(gathering.used[0]), by_name);
    traffic->n_untold = gathering.n_used - n_told;
    for (size_t i = 0; traffic->services && traffic->instances && i < n_told; i++) {
        struct traffic_service *row = &traffic->services[traffic->n_services++];
        row->service = gathering.used[i];
        tally_sum(row->service->cell, &row->sum);
        add_instances(traffic, row);
    }
    free(gathering.used);
}

void traffic_deinit(struct traffic *traffic)
{
    free(traffic->services);
    free(traffic->instances);
}
