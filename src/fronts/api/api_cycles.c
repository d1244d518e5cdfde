/* SPDX-License-Identifier: Apache-2.0 */
/* Tarjan's algorithm; what he does by recursion has its own stack here, since a chain of needs may be long. */
#include "fronts/api/api_cycles.h"

#include <errno.h>
#include <stdlib.h>

#define NONE (~0U)

struct search {
    const struct api_edges *edges;
    unsigned *order; /* in which it was come to; NONE: not yet */
    unsigned *low;   /* the least order that can be reached from it */
    unsigned *next;  /* of its edges: the one to follow */
    unsigned *path;  /* the nodes that the search is in */
    unsigned *open;  /* nodes whose component is not known yet */
    unsigned *component;
    unsigned n_found, n_path, n_open, n_components;
};

static void enter(struct search *search, unsigned node)
{
    search->order[node] = search->low[node] = search->n_found++;
    search->next[node] = search->edges->first[node];
    search->path[search->n_path++] = node;
    search->open[search->n_open++] = node;
}

/* All its edges were followed. */
static void leave(struct search *search)
{
    unsigned node = search->path[--search->n_path];
    if (search->low[node] == search->order[node]) {
        unsigned member;
        do {
            member = search->open[--search->n_open];
            search->component[member] = search->n_components;
        } while (member != node);
        search->n_components++;
    }
    if (search->n_path == 0)
        return;
    unsigned parent = search->path[search->n_path - 1];
    if (search->low[node] < search->low[parent])
        search->low[parent] = search->low[node];
}

static void search_from(struct search *search, unsigned start)
{
    enter(search, start);
    while (search->n_path > 0) {
        unsigned node = search->path[search->n_path - 1];
        if (search->next[node] == search->edges->first[node + 1]) {
            leave(search);
            continue;
        }
        unsigned target = search->edges->targets[search->next[node]++];
        if (search->order[target] == NONE)
            enter(search, target);
        else if (search->component[target] == NONE && search->order[target] < search->low[node])
            search->low[node] = search->order[target];
    }
}

int api_components(const struct api_edges *edges, unsigned *ret_component)
{
    unsigned n = edges->n_nodes;
    unsigned *memory = calloc((size_t)n * 5 + 1, sizeof(*memory));
    if (!memory)
        return -ENOMEM;
    struct search search = {
        .edges = edges,
        .order = memory,
        .low = memory + n,
        .next = memory + 2 * (size_t)n,
        .path = memory + 3 * (size_t)n,
        .open = memory + 4 * (size_t)n,
        .component = ret_component,
    };
    for (unsigned i = 0; i < n; i++)
        search.order[i] = ret_component[i] = NONE;
    for (unsigned i = 0; i < n; i++)
        if (search.order[i] == NONE)
            search_from(&search, i);
    free(memory);
    return 0;
}
