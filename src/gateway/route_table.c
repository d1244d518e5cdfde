/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the tree. Routes are put in front of the list of their node, the least wanted first, so each list is in the
 * order in which its routes are tried. All memory but the hash's array is the arena's.
 */
#include "gateway/route_table.h"

#include "base/random.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>

#define CONDITIONS_MAX 2

/* The parent's own hash makes the key another one below each parent. */
static uint64_t hash_child(const struct route_table *table, const struct route_node *parent, struct slice name)
{
    const struct hash_key key = {table->key.k0 ^ parent->link.hash, table->key.k1};
    return hash_bytes(&key, name);
}

static struct route_node *find_child(const struct route_table *table, const struct route_node *parent,
                                     struct slice name)
{
    uint64_t hash = hash_child(table, parent, name);
    htab_for_each_match (link, &table->nodes, hash) {
        struct route_node *node = container_of(link, struct route_node, link);
        if (node->above == parent && slice_equal(slice_from(node->name, node->name_len), name))
            return node;
    }
    return NULL;
}

const struct route_node *route_table_child(const struct route_table *table, const struct route_node *parent,
                                           struct slice name)
{
    return find_child(table, parent, name);
}

static struct route_node *new_node(struct route_table *table, struct slice name)
{
    struct route_node *node = arena_alloc(&table->arena, sizeof(*node) + name.len);
    if (!node)
        return NULL;
    node->name_len = (unsigned)name.len;
    memcpy(node->name, name.ptr, name.len);
    return node;
}

static struct route_node *add_child(struct route_table *table, struct route_node *parent, struct slice name)
{
    struct route_node *node = find_child(table, parent, name);
    if (node)
        return node;
    node = new_node(table, name);
    if (!node)
        return NULL;
    node->above = parent;
    return htab_insert(&table->nodes, &node->link, hash_child(table, parent, name)) < 0 ? NULL : node;
}

/* The node from which the route's prefix goes down. */
static struct route_node *add_top(struct route_table *table, const struct route *route)
{
    struct route_node *node = table->root;
    struct slice host = route->host;
    while (node && host.len > 0) {
        size_t n = host.len;
        while (n > 0 && host.ptr[n - 1] != '.')
            n--;
        node = add_child(table, node, slice_skip(host, n));
        host.len = n > 0 ? n - 1 : 0;
        table->has_hosts = true;
    }
    if (!node)
        return NULL;
    /* Without a host it is one for all hosts: a wildcard at the root. */
    bool is_exact = route->host.len > 0 && !route->is_wildcard;
    struct route_node **top = is_exact ? &node->exact : &node->wildcard;
    if (!*top)
        *top = new_node(table, SLICE_LIT(""));
    if (*top)
        (*top)->link.hash = hash_child(table, node, is_exact ? SLICE_LIT("/") : SLICE_LIT("*")); /* no labels */
    return *top;
}

static int add_entry(struct route_table *table, struct route_entry *entry)
{
    struct route_node *node = add_top(table, &entry->route);
    struct slice rest = entry->route.prefix;
    while (node && rest.len > 0) {
        struct slice name;
        rest = slice_skip(rest, 1); /* the '/' */
        name = slice_from(rest.ptr, slice_find(rest, '/'));
        rest = slice_skip(rest, name.len);
        node = add_child(table, node, name);
        entry->n_elements++;
    }
    if (!node)
        return -ENOMEM;
    table->n_elements = (unsigned)max_size(table->n_elements, entry->n_elements);
    entry->next = node->entries;
    node->entries = entry;
    return 0;
}

static int copy_route(struct arena *arena, const struct route *route, struct route *ret_copy)
{
    *ret_copy = *route;
    struct slice *texts[] = {
        &ret_copy->text,         &ret_copy->host,    &ret_copy->prefix,        &ret_copy->header_name,
        &ret_copy->header_value, &ret_copy->service, &ret_copy->policy.sticky, &ret_copy->policy.hash.name};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int r = arena_copy(arena, *texts[i], texts[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static unsigned n_conditions(const struct route *route)
{
    return (route->methods != 0) + (route->header_name.len > 0);
}

/* The routes of one rank, the last one first. */
static int add_rank(struct route_table *table, const struct route *routes, unsigned n, unsigned rank)
{
    for (unsigned i = n; i-- > 0;) {
        if (2 * n_conditions(&routes[i]) + routes[i].is_configured != rank)
            continue;
        struct route_entry *entry = arena_alloc(&table->arena, sizeof(*entry));
        if (!entry)
            return -ENOMEM;
        int r = copy_route(&table->arena, &routes[i], &entry->route);
        if (r == 0)
            r = add_entry(table, entry);
        if (r < 0)
            return r;
    }
    return 0;
}

int route_table_new(const struct route *routes, unsigned n, struct route_table **ret_table)
{
    struct route_table *table = calloc(1, sizeof(*table));
    int r = table ? random_system(&table->key, sizeof(table->key)) : -ENOMEM;
    if (r == 0) {
        table->root = new_node(table, SLICE_LIT(""));
        r = table->root ? 0 : -ENOMEM;
    }
    for (unsigned rank = 0; r == 0 && rank <= 2 * CONDITIONS_MAX + 1; rank++)
        r = add_rank(table, routes, n, rank);
    if (r < 0) {
        route_table_free(table);
        return r;
    }
    *ret_table = table;
    return 0;
}

/* The nodes are the arena's: they are only taken out of the hash, which must be empty at its end. */
void route_table_free(struct route_table *table)
{
    if (!table)
        return;
    htab_for_each (node, &table->nodes)
        htab_remove(&table->nodes, node);
    htab_deinit(&table->nodes);
    arena_deinit(&table->arena);
    free(table);
}
