/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the tree of the document: a mapping that is no key's value is a level of keys.
 */
#include "daemon/config_file.h"

#include "base/buf.h"
#include "base/util.h"
#include "daemon/config_keys.h"
#include "wire/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_BYTES_MAX (4 * 1024 * 1024)
#define PATH_TEXT_MAX  128

static const struct yaml_limits limits = {.n_bytes = FILE_BYTES_MAX, .n_nodes = 50000, .depth = 8};

static int read_file(const char *path, struct buf *text, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, -errno, "%s: cannot read", path);
    int r = 0;
    for (ssize_t n = 1; n > 0 && r == 0;) {
        char piece[4096];
        n = read(fd, piece, sizeof(piece));
        r = n < 0 ? -errno : buf_append(text, slice_from(piece, (size_t)n));
    }
    close(fd);
    return r < 0 ? err_set_errno(err, r, "%s: cannot read", path) : 0;
}

static int fail_expected(const struct config_key *key, const char *instead, struct err *err)
{
    char expected[128];
    config_key_expected(key, expected, sizeof(expected));
    return err_set(err, -EINVAL, "expected %s, not %s", expected, instead);
}

static bool is_list(const struct config_key *key)
{
    return key->type == CONFIG_ADDRESSES || key->type == CONFIG_TEXTS;
}

static int set_scalar(struct config *config, const struct config_key *key, const struct yaml_node *node,
                      struct err *err)
{
    if (yaml_node_is_null(node))
        return fail_expected(key, "nothing", err);
    return config_set(config, key, node->text, (struct config_origin){ORIGIN_FILE, node->place.line}, err);
}

static int set_list(struct config *config, const struct config_key *key, const struct yaml_node *node,
                    unsigned *ret_line, struct err *err)
{
    config_clear(config, key);
    config->origins[key - config_keys] = (struct config_origin){ORIGIN_FILE, node->place.line};
    for (const struct yaml_node *item = node->first; item; item = item->next) {
        *ret_line = item->place.line;
        int r = item->kind == YAML_SCALAR ? set_scalar(config, key, item, err)
                                          : fail_expected(key, "a list inside the list", err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* *ret_line is the line of what was wrong. */
static int set_value(struct config *config, const struct config_key *key, const struct yaml_node *node,
                     unsigned *ret_line, struct err *err)
{
    *ret_line = node->place.line;
    if (node->kind == YAML_SCALAR)
        return set_scalar(config, key, node, err);
    if (node->kind == YAML_SEQUENCE && is_list(key))
        return set_list(config, key, node, ret_line, err);
    return fail_expected(key, node->kind == YAML_MAPPING ? "a mapping" : "a list", err);
}

/* Whether keys begin with the path and a dot. */
static bool is_level(struct slice path)
{
    for (unsigned i = 0; i < n_config_keys; i++) {
        const char *key = config_keys[i].path;
        if (strlen(key) > path.len && memcmp(key, path.ptr, path.len) == 0 && key[path.len] == '.')
            return true;
    }
    return false;
}

static int walk(struct config *config, const struct yaml_node *level, struct slice prefix, struct err *err);

/* One member of a level. `path` is its whole key. */
static int take_member(struct config *config, const struct yaml_node *node, struct slice path, struct err *err)
{
    unsigned line = node->key_place.line;
    const struct config_key *key = config_key_find(path);
    if (key) {
        int r = set_value(config, key, node, &line, err);
        return r < 0 ? err_wrap(err, r, "%s:%u: %s", config->file, line, key->path) : 0;
    }
    if (!is_level(path)) {
        int r = config_key_fail_unknown(path, err);
        return err_wrap(err, r, "%s:%u", config->file, line);
    }
    if (node->kind == YAML_MAPPING)
        return walk(config, node, path, err);
    if (yaml_node_is_null(node)) /* all below it is commented out */
        return 0;
    return err_set(err, -EINVAL, "%s:%u: %.*s: expected the keys that begin with \"%.*s.\", one level deeper",
                   config->file, line, SLICE_ARG(path), SLICE_ARG(path));
}

static int walk(struct config *config, const struct yaml_node *level, struct slice prefix, struct err *err)
{
    for (const struct yaml_node *node = level->first; node; node = node->next) {
        char path[PATH_TEXT_MAX];
        int n = snprintf(path, sizeof(path), "%.*s%s%.*s", SLICE_ARG(prefix), slice_is_empty(prefix) ? "" : ".",
                         SLICE_ARG(node->key));
        int r = take_member(config, node, slice_from(path, min_size((size_t)n, sizeof(path) - 1)), err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int take_document(struct config *config, struct slice text, struct err *err)
{
    struct yaml_tree *tree CLEANUP(yaml_tree_freep) = NULL;
    int r = yaml_tree_new(text, config->file, &limits, &tree, err);
    if (r < 0)
        return r;
    const struct yaml_node *root = yaml_tree_root(tree);
    if (!root || yaml_node_is_null(root))
        return 0;
    if (root->kind != YAML_MAPPING)
        return err_set(err, -EINVAL, "%s:%u: expected a mapping of keys", config->file, root->place.line);
    return walk(config, root, (struct slice){0}, err);
}

int config_read_file(struct config *config, const char *path, struct err *err)
{
    config->file = slice_dup(slice_from_str(path));
    if (!config->file)
        return -ENOMEM;
    struct buf text = {.limit = FILE_BYTES_MAX};
    int r = read_file(path, &text, err);
    if (r == 0)
        r = take_document(config, buf_slice(&text), err);
    buf_deinit(&text);
    return r;
}
