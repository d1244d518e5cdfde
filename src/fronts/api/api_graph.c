/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who needs whom: an edge from each service to those that its instances name as needed. Services that are needed and
 * not known are in it too: these are what somebody waits for.
 */
#include "base/array.h"
#include "base/util.h"
#include "fronts/api/api_cycles.h"
#include "fronts/api/api_impl.h"
#include "fronts/gateway_view.h"
#include "wire/json_writer.h"

#include <errno.h>
#include <stdlib.h>

struct node {
    struct slice name;
    const struct directory_service *service; /* NULL: only needed */
};

struct edge {
    struct slice from, to;
};

struct graph {
    struct node *nodes;
    struct edge *edges;
    size_t n_nodes, n_edges, room_nodes, room_edges;
    int result;
};

static void add_node(struct graph *graph, struct slice name, const struct directory_service *service)
{
    struct node *nodes = array_grow(graph->nodes, graph->n_nodes, &graph->room_nodes, sizeof(*nodes));
    if (!nodes) {
        graph->result = -ENOMEM;
        return;
    }
    graph->nodes = nodes;
    nodes[graph->n_nodes++] = (struct node){name, service};
}

static void add_edge(struct graph *graph, struct slice from, struct slice to)
{
    struct edge *edges = array_grow(graph->edges, graph->n_edges, &graph->room_edges, sizeof(*edges));
    if (!edges) {
        graph->result = -ENOMEM;
        return;
    }
    graph->edges = edges;
    edges[graph->n_edges++] = (struct edge){from, to};
}

/* Instances of a service mostly need the same: one that needs what the one before it did adds nothing. */
static bool needs_the_same(const struct instance_details *a, const struct instance_details *b)
{
    if (!a || a->n_needs != b->n_needs)
        return false;
    for (unsigned i = 0; i < a->n_needs; i++)
        if (!slice_equal(a->needs[i], b->needs[i]))
            return false;
    return true;
}

static bool add_service(void *ctx, const struct directory_service *service)
{
    struct graph *graph = ctx;
    struct directory_cursor at = {.service = service};
    const struct instance_details *before = NULL;
    add_node(graph, directory_name(service), service);
    for (const struct instance *instance; (instance = directory_next(&at));) {
        const struct instance_details *details = instance_details(&instance->record);
        bool is_told = needs_the_same(before, details);
        for (unsigned i = 0; graph->result == 0 && !is_told && i < details->n_needs; i++) {
            add_edge(graph, directory_name(service), details->needs[i]);
            add_node(graph, details->needs[i], NULL);
        }
        before = details;
    }
    return graph->result == 0;
}

/* ------------------------------------------------------------------------------------------------ putting in order */

/* Those that are known first, so that of doubles the first one is kept. */
static int compare_nodes(const void *a, const void *b)
{
    const struct node *first = a, *second = b;
    int order = slice_compare(first->name, second->name);
    return order ? order : (second->service != NULL) - (first->service != NULL);
}

static int compare_edges(const void *a, const void *b)
{
    const struct edge *first = a, *second = b;
    int order = slice_compare(first->from, second->from);
    return order ? order : slice_compare(first->to, second->to);
}

static void tidy(struct graph *graph)
{
    size_t n = 0;
    if (graph->n_nodes > 0)
        qsort(graph->nodes, graph->n_nodes, sizeof(graph->nodes[0]), compare_nodes);
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (n == 0 || !slice_equal(graph->nodes[n - 1].name, graph->nodes[i].name))
            graph->nodes[n++] = graph->nodes[i];
    graph->n_nodes = n;
    n = 0;
    if (graph->n_edges > 0)
        qsort(graph->edges, graph->n_edges, sizeof(graph->edges[0]), compare_edges);
    for (size_t i = 0; i < graph->n_edges; i++)
        if (n == 0 || compare_edges(&graph->edges[n - 1], &graph->edges[i]) != 0)
            graph->edges[n++] = graph->edges[i];
    graph->n_edges = n;
}

static int compare_name(const void *key, const void *item)
{
    const struct slice *name = key;
    const struct node *node = item;
    return slice_compare(*name, node->name);
}

static unsigned index_of(const struct graph *graph, struct slice name)
{
    const struct node *node = bsearch(&name, graph->nodes, graph->n_nodes, sizeof(*node), compare_name);
    ASSERT(node);
    return (unsigned)(node - graph->nodes);
}

/* ------------------------------------------------------------------------------------------------ circles */

struct circles {
    unsigned *first, *targets; /* the edges, as api_components wants them */
    unsigned *component;       /* of each node */
    unsigned *n_members;       /* of each component; one that needs itself counts twice */
};

static void circles_deinit(struct circles *circles)
{
    free(circles->first);
    free(circles->targets);
    free(circles->component);
    free(circles->n_members);
}

static int circles_init(struct circles *circles, const struct graph *graph)
{
    size_t n = graph->n_nodes;
    circles->first = calloc(n + 1, sizeof(unsigned));
    circles->targets = calloc(graph->n_edges + 1, sizeof(unsigned));
    circles->component = calloc(n + 1, sizeof(unsigned));
    circles->n_members = calloc(n + 1, sizeof(unsigned));
    if (!circles->first || !circles->targets || !circles->component || !circles->n_members)
        return -ENOMEM;
    /* Edges are in the order of their nodes already. */
    for (size_t i = 0; i < graph->n_edges; i++) {
        circles->targets[i] = index_of(graph, graph->edges[i].to);
        circles->first[index_of(graph, graph->edges[i].from) + 1]++;
    }
    for (size_t i = 0; i < n; i++)
        circles->first[i + 1] += circles->first[i];
    const struct api_edges edges = {(unsigned)n, circles->first, circles->targets};
    int r = api_components(&edges, circles->component);
    for (size_t i = 0; r == 0 && i < n; i++)
        circles->n_members[circles->component[i]]++;
    for (size_t i = 0; r == 0 && i < graph->n_edges; i++)
        if (slice_equal(graph->edges[i].from, graph->edges[i].to))
            circles->n_members[circles->component[circles->targets[i]]]++;
    return r;
}

static void write_circle(struct json_writer *json, const struct graph *graph, const struct circles *circles,
                         unsigned component)
{
    json_writer_begin_array(json);
    for (size_t i = 0; i < graph->n_nodes; i++)
        if (circles->component[i] == component)
            json_writer_str(json, graph->nodes[i].name);
    json_writer_end_array(json);
}

static void write_circles(struct json_writer *json, const struct graph *graph, struct circles *circles)
{
    json_writer_key(json, SLICE_LIT("cycles"));
    json_writer_begin_array(json);
    for (size_t i = 0; i < graph->n_nodes; i++) {
        unsigned component = circles->component[i];
        if (circles->n_members[component] > 1)
            write_circle(json, graph, circles, component);
        circles->n_members[component] = 0; /* it is written */
    }
    json_writer_end_array(json);
}

/* ------------------------------------------------------------------------------------------------ the answer */

/* What was seen, beside what was declared. */
static void write_calls(struct json_writer *json, const struct gateway_view *gateway)
{
    json_writer_key(json, SLICE_LIT("calls"));
    if (gateway && gateway->ctx) {
        gateway->write_calls(gateway->ctx, json);
        return;
    }
    json_writer_begin_array(json);
    json_writer_end_array(json);
}

static void write_graph(struct json_writer *json, const struct graph *graph, struct circles *circles,
                        const struct gateway_view *gateway)
{
    json_writer_begin_object(json);
    json_writer_key(json, SLICE_LIT("services"));
    json_writer_begin_array(json);
    for (size_t i = 0; i < graph->n_nodes; i++) {
        const struct directory_service *service = graph->nodes[i].service;
        json_writer_begin_object(json);
        json_writer_member_str(json, SLICE_LIT("name"), graph->nodes[i].name);
        json_writer_member_i64(json, SLICE_LIT("instances"), service ? service->n_instances : 0);
        json_writer_member_i64(json, SLICE_LIT("offered"), service ? service->n_offered : 0);
        json_writer_member_bool(json, SLICE_LIT("known"), service != NULL);
        json_writer_end_object(json);
    }
    json_writer_end_array(json);
    json_writer_key(json, SLICE_LIT("edges"));
    json_writer_begin_array(json);
    for (size_t i = 0; i < graph->n_edges; i++) {
        json_writer_begin_object(json);
        json_writer_member_str(json, SLICE_LIT("from"), graph->edges[i].from);
        json_writer_member_str(json, SLICE_LIT("to"), graph->edges[i].to);
        json_writer_member_str(json, SLICE_LIT("kind"), SLICE_LIT("needs"));
        json_writer_end_object(json);
    }
    json_writer_end_array(json);
    write_circles(json, graph, circles);
    write_calls(json, gateway);
    json_writer_end_object(json);
}

void api_graph(struct api_call *call)
{
    struct graph graph = {0};
    struct circles circles = {0};
    struct buf body = {0};
    struct json_writer json;
    if (!api_may(call, ACCESS_READ, (struct slice){0}))
        return;
    directory_each(api_directory(call->api), add_service, &graph);
    tidy(&graph);
    if (graph.result == 0)
        graph.result = circles_init(&circles, &graph);
    if (graph.result == 0) {
        json_writer_init(&json, &body);
        write_graph(&json, &graph, &circles, call->api->gateway);
        api_respond_json(call->exchange, &body);
    } else {
        api_refuse_memory(call->exchange);
    }
    circles_deinit(&circles);
    free(graph.nodes);
    free(graph.edges);
}
