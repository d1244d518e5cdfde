/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of nodes in a power-of-two array that doubles when there are as many nodes as chains. Growing moves all nodes
 * at once: a million nodes take some milliseconds, once, and tables here hold thousands.
 *
 * Invariant: a node is in chain hash & (n_chains - 1).
 */
#include "base/htab.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

#define CHAINS_FIRST 8

static struct htab_node **chain_of(const struct htab *htab, uint64_t hash)
{
    return &htab->chains[hash & (htab->n_chains - 1)];
}

void htab_deinit(struct htab *htab)
{
    ASSERT(htab->len == 0);
    free(htab->chains);
    *htab = (struct htab){0};
}

static void push(struct htab *htab, struct htab_node *node)
{
    struct htab_node **chain = chain_of(htab, node->hash);
    node->next = *chain;
    *chain = node;
}

static int grow(struct htab *htab)
{
    struct htab bigger = {.n_chains = htab->n_chains ? htab->n_chains * 2 : CHAINS_FIRST, .len = htab->len};
    bigger.chains = calloc(bigger.n_chains, sizeof(*bigger.chains));
    if (!bigger.chains)
        return -ENOMEM;
    for (size_t i = 0; i < htab->n_chains; i++) {
        struct htab_node *next;
        for (struct htab_node *node = htab->chains[i]; node; node = next) {
            next = node->next;
            push(&bigger, node);
        }
    }
    free(htab->chains);
    *htab = bigger;
    return 0;
}

int htab_insert(struct htab *htab, struct htab_node *node, uint64_t hash)
{
    if (htab->len == htab->n_chains) {
        int r = grow(htab);
        if (r < 0)
            return r;
    }
    node->hash = hash;
    push(htab, node);
    htab->len++;
    return 0;
}

void htab_remove(struct htab *htab, struct htab_node *node)
{
    ASSERT(htab->len > 0);
    struct htab_node **at = chain_of(htab, node->hash);
    while (*at != node) {
        ASSERT(*at);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    htab->len--;
}

static struct htab_node *skip_other_hashes(struct htab_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct htab_node *htab_match_first(const struct htab *htab, uint64_t hash)
{
    return htab->len > 0 ? skip_other_hashes(*chain_of(htab, hash), hash) : NULL;
}

struct htab_node *htab_match_next(const struct htab_node *node)
{
    return skip_other_hashes(node->next, node->hash);
}

static struct htab_node *first_from(const struct htab *htab, size_t chain)
{
    for (; chain < htab->n_chains; chain++)
        if (htab->chains[chain])
            return htab->chains[chain];
    return NULL;
}

struct htab_node *htab_first(const struct htab *htab)
{
    return first_from(htab, 0);
}

struct htab_node *htab_next(const struct htab *htab, const struct htab_node *node)
{
    return node->next ? node->next : first_from(htab, (node->hash & (htab->n_chains - 1)) + 1);
}
