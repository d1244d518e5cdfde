/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a configuration file: a tree within the limits, or one message.
 */
#include "wire/yaml.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct yaml_limits limits = {.n_bytes = 65536, .n_nodes = 1000, .depth = 16};

/* Walks the tree: every key is found again, nothing is nested more deeply than allowed. Gives the number of nodes. */
static unsigned walk(const struct yaml_node *node, unsigned depth)
{
    unsigned n = 1;
    if (depth > limits.depth + 1)
        abort();
    for (const struct yaml_node *child = node->first; child; child = child->next) {
        if (node->kind == YAML_MAPPING && yaml_node_get(node, child->key) != child)
            abort();
        if (child->place.line == 0 || child->text.ptr[child->text.len] != '\0')
            abort();
        n += walk(child, depth + 1);
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yaml_tree *tree;
    struct err err = {""};
    if (yaml_tree_new(slice_from(data, size), "f", &limits, &tree, &err) < 0) {
        if (err.text[0] == '\0')
            abort();
        return 0;
    }
    if (yaml_tree_root(tree) && walk(yaml_tree_root(tree), 1) > limits.n_nodes)
        abort();
    yaml_tree_free(tree);
    return 0;
}
