/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who needs whom, and why an instance is or is not given to clients.
 */
#include "base/util.h"
#include "client/client.h"
#include "client/event.h"

#include <errno.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------ the graph */

struct graph {
    struct muster_graph shown;
    struct muster_graph_service *services;
    struct muster_graph_edge *edges;
    struct muster_graph_call *calls;
    const char *const **cycles;
    const char **names; /* of the cycles, each ended by NULL */
    json_t *tree;
};

void muster_graph_free(struct muster_graph *shown)
{
    if (!shown)
        return;
    struct graph *graph = container_of(shown, struct graph, shown);
    free(graph->services);
    free(graph->edges);
    free(graph->calls);
    free((void *)graph->cycles);
    free((void *)graph->names);
    json_decref(graph->tree);
    free(graph);
}

static int read_services(struct graph *graph, const json_t *list)
{
    size_t n = json_array_size(list);
    graph->services = calloc(n + 1, sizeof(graph->services[0]));
    if (!graph->services)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        struct muster_graph_service *service = &graph->services[i];
        int64_t n_instances, n_offered;
        if (!client_read_text(item, "name", &service->name) || !client_read_number(item, "instances", &n_instances) ||
            !client_read_number(item, "offered", &n_offered))
            return -EINVAL;
        service->n_instances = (uint64_t)n_instances;
        service->n_offered = (uint64_t)n_offered;
        service->known = json_is_true(json_object_get(item, "known"));
    }
    graph->shown.services = graph->services;
    graph->shown.n_services = n;
    return 0;
}

static int read_edges(struct graph *graph, const json_t *list)
{
    size_t n = json_array_size(list);
    graph->edges = calloc(n + 1, sizeof(graph->edges[0]));
    if (!graph->edges)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        if (!client_read_text(item, "from", &graph->edges[i].from) ||
            !client_read_text(item, "to", &graph->edges[i].to))
            return -EINVAL;
    }
    graph->shown.edges = graph->edges;
    graph->shown.n_edges = n;
    return 0;
}

/* An older server tells of none. */
static int read_calls(struct graph *graph, const json_t *list)
{
    size_t n = json_array_size(list);
    graph->calls = calloc(n + 1, sizeof(graph->calls[0]));
    if (!graph->calls)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        struct muster_graph_call *call = &graph->calls[i];
        int64_t n_requests, n_errors, per_minute;
        if (!client_read_text(item, "from", &call->from) || !client_read_text(item, "kind", &call->kind) ||
            !client_read_text(item, "to", &call->to) || !client_read_number(item, "requests", &n_requests) ||
            !client_read_number(item, "errors", &n_errors) || !client_read_number(item, "per_minute", &per_minute))
            return -EINVAL;
        call->n_requests = (uint64_t)n_requests;
        call->n_errors = (uint64_t)n_errors;
        call->per_minute = (uint64_t)per_minute;
    }
    graph->shown.calls = graph->calls;
    graph->shown.n_calls = n;
    return 0;
}

static int read_cycles(struct graph *graph, const json_t *list)
{
    size_t n = json_array_size(list), n_names = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        n_names += json_array_size(json_array_get(list, i)) + 1;
    graph->cycles = calloc(n + 1, sizeof(graph->cycles[0]));
    graph->names = calloc(n_names + 1, sizeof(graph->names[0]));
    if (!graph->cycles || !graph->names)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *cycle = json_array_get(list, i);
        graph->cycles[i] = graph->names + at;
        for (size_t j = 0; j < json_array_size(cycle); j++) {
            graph->names[at] = json_string_value(json_array_get(cycle, j));
            if (!graph->names[at++])
                return -EINVAL;
        }
        at++; /* the NULL */
    }
    graph->shown.cycles = graph->cycles;
    graph->shown.n_cycles = n;
    return 0;
}

static int read_graph(struct graph *graph)
{
    int r = read_services(graph, json_object_get(graph->tree, "services"));
    if (r == 0)
        r = read_edges(graph, json_object_get(graph->tree, "edges"));
    if (r == 0)
        r = read_calls(graph, json_object_get(graph->tree, "calls"));
    return r == 0 ? read_cycles(graph, json_object_get(graph->tree, "cycles")) : r;
}

int muster_get_graph(struct muster_client *client, struct muster_graph **ret_graph)
{
    CLEANUP(buf_deinit) struct buf path = {0};
    if (client_misses(client, "ret_graph", ret_graph != NULL))
        return MUSTER_BAD_OPTIONS;
    struct graph *graph = calloc(1, sizeof(*graph));
    *ret_graph = NULL;
    buf_append_str(&path, "/api/v1/graph");
    client_lock(client);
    int result = graph ? client_ask_path(client, &path, &graph->tree) : client_fail_memory(client);
    int r = result == MUSTER_OK ? read_graph(graph) : 0;
    if (r < 0)
        result = client_fail_answer(client, r);
    client_unlock(client);
    if (result == MUSTER_OK)
        *ret_graph = &graph->shown;
    else if (graph)
        muster_graph_free(&graph->shown);
    return result;
}

/* ------------------------------------------------------------------------------------------------ explaining */

struct explanation {
    struct muster_explanation shown;
    struct muster_explain_step *steps;
    struct muster_event *history;
    json_t *tree;
};

void muster_explanation_free(struct muster_explanation *shown)
{
    if (!shown)
        return;
    struct explanation *explanation = container_of(shown, struct explanation, shown);
    free(explanation->steps);
    free(explanation->history);
    json_decref(explanation->tree);
    free(explanation);
}

static int read_explanation(struct explanation *explanation)
{
    struct muster_explanation *shown = &explanation->shown;
    const json_t *list = json_object_get(explanation->tree, "because");
    size_t n = json_array_size(list);
    explanation->steps = calloc(n + 1, sizeof(explanation->steps[0]));
    if (!explanation->steps)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        struct muster_explain_step *step = &explanation->steps[i];
        if (!client_read_text(item, "step", &step->step) || !client_read_text(item, "verdict", &step->verdict) ||
            !client_read_text(item, "why", &step->why))
            return -EINVAL;
    }
    int r = event_read_list(json_object_get(explanation->tree, "history"), &explanation->history, &shown->history.n);
    shown->in_answer = json_is_true(json_object_get(explanation->tree, "in_answer"));
    shown->n_steps = n;
    shown->steps = explanation->steps;
    shown->history.items = explanation->history;
    return r;
}

int muster_explain(struct muster_client *client, const char *service, const char *instance,
                   struct muster_explanation **ret_explanation)
{
    CLEANUP(buf_deinit) struct buf path = {0};
    if (client_misses(client, "ret_explanation", ret_explanation != NULL))
        return MUSTER_BAD_OPTIONS;
    *ret_explanation = NULL;
    if (client_misses_service(client, service) || client_misses_name(client, "instance", instance, CLIENT_ID_MAX))
        return MUSTER_BAD_OPTIONS;
    struct explanation *explanation = calloc(1, sizeof(*explanation));
    buf_append_str(&path, "/api/v1/explain?service=");
    client_append_escaped(&path, slice_from_str(service));
    buf_append_str(&path, "&instance=");
    client_append_escaped(&path, slice_from_str(instance));
    client_lock(client);
    int result = explanation ? client_ask_path(client, &path, &explanation->tree) : client_fail_memory(client);
    int r = result == MUSTER_OK ? read_explanation(explanation) : 0;
    if (r < 0)
        result = client_fail_answer(client, r);
    client_unlock(client);
    if (result == MUSTER_OK)
        *ret_explanation = &explanation->shown;
    else if (explanation)
        muster_explanation_free(&explanation->shown);
    return result;
}
