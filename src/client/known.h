/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance as the program sees it, and lists of them. Both are counted and never change, so they may be read by any
 * thread without a lock. Texts are those of the JSON tree that the server sent, which each keeps for itself.
 */
#pragma once

#include "muster.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>

/* How many use an instance now: shared by all the states in which the same instance was seen. */
struct load {
    atomic_uint refs;
    atomic_uint n_in_use;
};

struct known {
    struct muster_instance shown;
    atomic_uint refs;
    struct load *load;
    json_t *tree;
    struct muster_order orders[2];
    struct muster_pair *metadata;
    const char *texts[]; /* of reasons, tags and needs */
};

/* With no one using it; NULL: out of memory. */
struct load *load_new(void);
void load_unref(struct load *load); /* NULL is fine */

/*
 * From the JSON of an instance; takes a reference to the tree and to the load. 0; -EINVAL when it is none that a muster
 * gives; -ENOMEM.
 */
int known_new(json_t *tree, struct load *load, struct known **ret_known);
/* The same instance, now only one of last resort. NULL: out of memory. */
struct known *known_new_doubtful(const struct known *known);
struct known *known_ref(struct known *known);
void known_unref(struct known *known); /* NULL is fine */

/* For qsort over struct known *: by id. */
int known_compare(const void *a, const void *b);

/* A list with a reference to each; `items` is sorted here. NULL: out of memory. */
struct muster_instances *known_list_new(struct known **items, size_t n);
struct muster_instances *known_list_ref(struct muster_instances *instances);
