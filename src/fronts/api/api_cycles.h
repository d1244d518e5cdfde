/* SPDX-License-Identifier: Apache-2.0 */
/* Circles in a directed graph: its strongly connected components. Pure. */
#pragma once

#include <stdbool.h>

/* Node i has the edges targets[first[i]] up to, not including, targets[first[i + 1]]. */
struct api_edges {
    unsigned n_nodes;
    const unsigned *first; /* n_nodes + 1 of them */
    const unsigned *targets;
};

/*
 * Gives each node the number of its component, from 0 on. Nodes of one can all reach each other. 0 or -ENOMEM. Takes
 * time and memory in proportion to nodes and edges, and no stack.
 */
int api_components(const struct api_edges *edges, unsigned *ret_component);
