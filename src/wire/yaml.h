/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One YAML document as a tree of what people write in configuration files: mappings, sequences and scalars, each with
 * the place where it stands, so that whoever reads the tree can point at what is wrong. Pure.
 *
 * What makes a file mean something else than what it seems to say is refused: duplicate keys, anchors and aliases,
 * tags, merge keys, keys that are no scalars, a second document. Scalars stay text; what "yes" or "10s" means is for
 * the reader to decide.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

#include <stdbool.h>

enum yaml_kind {
    YAML_SCALAR,
    YAML_SEQUENCE,
    YAML_MAPPING,
};

/* Counted from 1, as editors do. */
struct yaml_place {
    unsigned line, column;
};

struct yaml_node {
    enum yaml_kind kind;
    bool is_quoted; /* "null" is text, null is none */
    struct yaml_place place;
    struct yaml_place key_place;
    struct slice key;        /* of a mapping's value; NUL follows */
    struct slice text;       /* of a scalar; NUL follows */
    struct yaml_node *first; /* what a mapping or sequence holds, in its order */
    struct yaml_node *next;  /* in the same mapping or sequence */
};

#define YAML_DEPTH_MAX 64

struct yaml_limits {
    size_t n_bytes;
    unsigned n_nodes;
    unsigned depth; /* of mappings and sequences in each other; at most YAML_DEPTH_MAX */
};

/* Owns its nodes and their text; independent of the bytes that were parsed. */
struct yaml_tree;

/*
 * `name` (of the file) begins the messages: "muster.yaml:3:5: ...". 0; -EINVAL with err filled; -ENOMEM.
 */
int yaml_tree_new(struct slice text, const char *name, const struct yaml_limits *limits, struct yaml_tree **ret_tree,
                  struct err *err);
void yaml_tree_free(struct yaml_tree *tree);
void yaml_tree_freep(struct yaml_tree **tree);

/* NULL for a document without content. */
const struct yaml_node *yaml_tree_root(const struct yaml_tree *tree);

/* The value of that key; NULL when there is none, or when `node` is NULL or no mapping. */
const struct yaml_node *yaml_node_get(const struct yaml_node *node, struct slice key);

/* A scalar that says that there is no value: nothing, ~ or null, unquoted. */
bool yaml_node_is_null(const struct yaml_node *node);
