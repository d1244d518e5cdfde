/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a route table is, for the files that implement routing; users see route.h.
 *
 * One tree for hosts and paths: from the root down by the labels of hosts, from the last to the first; from each host
 * that has routes down by the elements of prefixes. Children are found in one hash of (parent, name), so a look-up
 * costs a hash per label and element, however many routes there are, and ends where no route goes further.
 */
#pragma once

#include "base/hash.h"
#include "base/htab.h"
#include "gateway/route.h"

/* A route in the table, with what is derived from it. */
struct route_entry {
    const struct route_entry *next; /* the next one to try of those with the same host and prefix */
    unsigned n_elements;            /* of its prefix */
    struct route route;
};

/* With its name beside it: with many routes what a look-up costs is the lines of memory that it touches. */
struct route_node {
    struct htab_node link;
    const struct route_node *above; /* NULL: the root, and the tops of paths */
    struct route_node *exact;       /* of a label: top of the paths of the host that ends here; NULL: none */
    struct route_node *wildcard;    /* of those that go on */
    const struct route_entry *entries;
    unsigned name_len;
    char name[]; /* of a label, or of an element */
};

struct route_table {
    struct hash_key key;
    struct arena arena;
    struct htab nodes;
    struct route_node *root;
    bool has_hosts;      /* some route names one */
    unsigned n_elements; /* of the longest prefix */
};

/* NULL: none. */
const struct route_node *route_table_child(const struct route_table *table, const struct route_node *parent,
                                           struct slice name);
