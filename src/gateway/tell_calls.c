/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workers' edges (edges.h) become one list: callers are named, those of one name added up, the busiest told.
 *
 * An address is that of a service when instances of one service alone have it. Where several services share a machine's
 * address, or a caller has none, it is not guessed.
 */
#include "gateway/gateway_worker.h"
#include "gateway/tell.h"

#include "base/array.h"

#include <stdio.h>
#include <stdlib.h>

struct owner {
    struct peer peer;
    struct slice service; /* "": several */
};

struct callee {
    uint64_t hash;
    struct slice service;
};

struct call {
    enum edge_kind kind;
    bool is_service;
    char caller[EDGE_CALLER_MAX + 1]; /* or the address as text */
    struct slice from, to;
    uint64_t n_requests, n_errors;
    double rate;
};

struct gathering {
    struct owner *owners; /* by address */
    size_t n_owners, owners_room;
    struct callee *callees; /* by hash */
    size_t n_callees, callees_room;
    struct call *calls;
    size_t n_calls, calls_room;
    bool has_failed;
};

/* ------------------------------------------------------------------------------------------------ who is who */

static int by_peer(const void *a, const void *b)
{
    const struct owner *first = a, *second = b;
    int order = first->peer.family - second->peer.family;
    return order ? order : memcmp(first->peer.ip, second->peer.ip, sizeof(first->peer.ip));
}

static int by_hash(const void *a, const void *b)
{
    const struct callee *first = a, *second = b;
    return (first->hash > second->hash) - (first->hash < second->hash);
}

static void add_owner(struct gathering *gathering, const struct runtime *runtime)
{
    struct owner owner = {.service = runtime->service};
    if (!runtime->is_addressable || addr_is_loopback(&runtime->addr))
        return; /* at a loopback address is whoever runs on this machine */
    peer_from_addr(&runtime->addr, &owner.peer);
    owner.peer.port = 0;
    struct owner *owners = array_grow(gathering->owners, gathering->n_owners, &gathering->owners_room, sizeof(*owners));
    gathering->has_failed |= !owners;
    if (!owners)
        return;
    gathering->owners = owners;
    gathering->owners[gathering->n_owners++] = owner;
}

static bool add_service(void *ctx, const struct plan_service *service)
{
    struct gathering *gathering = ctx;
    const struct target *target;
    struct callee *callees =
        array_grow(gathering->callees, gathering->n_callees, &gathering->callees_room, sizeof(*callees));
    gathering->has_failed |= !callees;
    if (!callees)
        return false;
    gathering->callees = callees;
    gathering->callees[gathering->n_callees++] = (struct callee){service->cell->hash, service->cell->name};
    for (struct plan_cursor at = {.service = service}; (target = plan_next(&at));)
        add_owner(gathering, target->runtime);
    return true;
}

/* One for each address. */
static void settle_owners(struct gathering *gathering)
{
    size_t n = 0;
    if (gathering->n_owners > 0)
        qsort(gathering->owners, gathering->n_owners, sizeof(gathering->owners[0]), by_peer);
    for (size_t i = 0; i < gathering->n_owners; i++) {
        struct owner *owner = &gathering->owners[i];
        if (n == 0 || by_peer(&gathering->owners[n - 1], owner) != 0)
            gathering->owners[n++] = *owner;
        else if (!slice_equal(gathering->owners[n - 1].service, owner->service))
            gathering->owners[n - 1].service = (struct slice){0};
    }
    gathering->n_owners = n;
}

/* ------------------------------------------------------------------------------------------------ calls */

static const char *const kinds[] = {
    [EDGE_CERTIFICATE] = "certificate", [EDGE_ADDRESS] = "address", [EDGE_LOCAL] = "local",
    [EDGE_PRIVATE] = "private",         [EDGE_OTHER] = "other",
};

static void name_caller(const struct gathering *gathering, const struct edge *edge, struct call *call)
{
    const struct owner key = {.peer = edge->peer};
    const struct owner *owner = edge->kind == EDGE_ADDRESS && gathering->n_owners > 0
                                    ? bsearch(&key, gathering->owners, gathering->n_owners, sizeof(key), by_peer)
                                    : NULL;
    call->kind = edge->kind;
    call->is_service = owner && owner->service.len > 0;
    if (call->is_service)
        call->from = owner->service;
    else if (edge->kind == EDGE_ADDRESS)
        (void)peer_format_ip(&edge->peer, call->caller);
    else if (edge->kind == EDGE_CERTIFICATE)
        (void)snprintf(call->caller, sizeof(call->caller), "%.*s", SLICE_ARG(edge->caller));
    else
        (void)snprintf(call->caller, sizeof(call->caller), "%s", kinds[edge->kind]);
}

static void add_call(void *ctx, const struct edge *edge)
{
    struct gathering *gathering = ctx;
    const struct callee key = {.hash = edge->service};
    const struct callee *callee =
        gathering->n_callees > 0 ? bsearch(&key, gathering->callees, gathering->n_callees, sizeof(key), by_hash) : NULL;
    if (!callee)
        return; /* the service is not known any more */
    struct call *calls = array_grow(gathering->calls, gathering->n_calls, &gathering->calls_room, sizeof(*calls));
    gathering->has_failed |= !calls;
    if (!calls)
        return;
    gathering->calls = calls;
    struct call *call = &gathering->calls[gathering->n_calls++];
    *call = (struct call){
        .to = callee->service, .n_requests = edge->n_requests, .n_errors = edge->n_errors, .rate = edge->rate};
    name_caller(gathering, edge, call);
}

static struct slice from_of(const struct call *call)
{
    return call->is_service ? call->from : slice_from_str(call->caller);
}

static int by_ends(const void *a, const void *b)
{
    const struct call *first = a, *second = b;
    int order = slice_compare(from_of(first), from_of(second));
    if (order == 0)
        order = (int)first->is_service - (int)second->is_service;
    if (order == 0 && !first->is_service)
        order = (int)first->kind - (int)second->kind;
    return order ? order : slice_compare(first->to, second->to);
}

static int by_rate(const void *a, const void *b)
{
    const struct call *first = a, *second = b;
    int order = (first->rate < second->rate) - (first->rate > second->rate);
    return order ? order : (first->n_requests < second->n_requests) - (first->n_requests > second->n_requests);
}

static void settle_calls(struct gathering *gathering)
{
    size_t n = 0;
    if (gathering->n_calls == 0)
        return;
    qsort(gathering->calls, gathering->n_calls, sizeof(gathering->calls[0]), by_ends);
    for (size_t i = 0; i < gathering->n_calls; i++) {
        const struct call *call = &gathering->calls[i];
        if (n > 0 && by_ends(&gathering->calls[n - 1], call) == 0) {
            gathering->calls[n - 1].n_requests += call->n_requests;
            gathering->calls[n - 1].n_errors += call->n_errors;
            gathering->calls[n - 1].rate += call->rate;
        } else {
            gathering->calls[n++] = *call;
        }
    }
    gathering->n_calls = n;
    qsort(gathering->calls, n, sizeof(gathering->calls[0]), by_rate);
}

static void write_calls(const struct gathering *gathering, struct json_writer *json)
{
    json_writer_begin_array(json);
    for (size_t i = 0; i < gathering->n_calls && i < TELL_CALLS_MAX; i++) {
        const struct call *call = &gathering->calls[i];
        const char *kind = call->is_service ? "service" : kinds[call->kind];
        json_writer_begin_object(json);
        json_writer_member_str(json, SLICE_LIT("from"), from_of(call));
        json_writer_member_str(json, SLICE_LIT("kind"), slice_from_str(kind));
        json_writer_member_str(json, SLICE_LIT("to"), call->to);
        json_writer_member_i64(json, SLICE_LIT("requests"), (int64_t)call->n_requests);
        json_writer_member_i64(json, SLICE_LIT("errors"), (int64_t)call->n_errors);
        json_writer_member_i64(json, SLICE_LIT("per_minute"), (int64_t)(call->rate * 60 + 0.5));
        json_writer_end_object(json);
    }
    json_writer_end_array(json);
}

void tell_calls(const struct gateway *gateway, struct json_writer *json)
{
    struct gathering gathering = {0};
    plan_each_service(planner_plan(gateway_planner(gateway)), add_service, &gathering);
    settle_owners(&gathering);
    if (gathering.n_callees > 0)
        qsort(gathering.callees, gathering.n_callees, sizeof(gathering.callees[0]), by_hash);
    nsec_t now_ns = time_now();
    for (unsigned i = 0; i < gateway_n_workers(gateway); i++)
        edges_each(gateway_worker_at(gateway, i)->edges, now_ns, add_call, &gathering);
    settle_calls(&gathering);
    write_calls(&gathering, json);
    free(gathering.owners);
    free(gathering.callees);
    free(gathering.calls);
}
