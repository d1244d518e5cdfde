/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml tells what it reads as a row of events; a stack of the open mappings and sequences makes a tree of them. The
 * events are used rather than libyaml's own documents because those resolve aliases and keep duplicate keys silently.
 *
 * Invariants:
 * 1. Each node is in tree->all from its creation, so that a half-built tree is freed like a whole one.
 * 2. Between events, `key` is set exactly when the innermost open node is a mapping that waits for a value.
 */
#include "wire/yaml.h"

#include "base/assert.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <yaml.h>

struct yaml_item {
    struct yaml_node node;  /* first: nodes are what callers see */
    struct yaml_node *last; /* child */
    struct yaml_item *next_of_all;
    char bytes[]; /* of key and text */
};

struct yaml_tree {
    struct yaml_node *root;
    struct yaml_item *all;
};

struct builder {
    yaml_parser_t parser;
    const char *name;
    const struct yaml_limits *limits;
    struct err *err;
    struct yaml_tree *tree;
    struct yaml_item *open[YAML_DEPTH_MAX]; /* outermost first */
    unsigned depth, n_nodes;
    bool has_document;
    struct yaml_item *key; /* a scalar that is not in the tree */
};

static struct yaml_place place_of(yaml_mark_t mark)
{
    return (struct yaml_place){(unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

static int refuse(const struct builder *builder, struct yaml_place place, const char *text)
{
    return err_set(builder->err, -EINVAL, "%s:%u:%u: %s", builder->name, place.line, place.column, text);
}

/* What libyaml could not read. */
static int fail(const struct builder *builder)
{
    const yaml_parser_t *parser = &builder->parser;
    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    const char *problem = parser->problem ? parser->problem : "this is not YAML";
    /* Of bytes that are no text libyaml knows only the offset. */
    if (parser->error == YAML_READER_ERROR)
        return err_set(builder->err, -EINVAL, "%s: byte %zu: %s", builder->name, parser->problem_offset + 1, problem);
    return refuse(builder, place_of(parser->problem_mark), problem);
}

static int item_new(struct builder *builder, const yaml_event_t *event, enum yaml_kind kind, struct slice text,
                    struct yaml_item **ret_item)
{
    struct slice key = builder->key ? builder->key->node.text : SLICE_LIT("");
    if (builder->n_nodes == builder->limits->n_nodes)
        return refuse(builder, place_of(event->start_mark), "the document has too many values");
    struct yaml_item *item = calloc(1, sizeof(*item) + key.len + text.len + 2);
    if (!item)
        return -ENOMEM;
    builder->n_nodes++;
    item->next_of_all = builder->tree->all;
    builder->tree->all = item;

    char *key_bytes = item->bytes, *text_bytes = item->bytes + key.len + 1;
    if (key.len > 0)
        memcpy(key_bytes, key.ptr, key.len);
    if (text.len > 0)
        memcpy(text_bytes, text.ptr, text.len);
    item->node = (struct yaml_node){
        .kind = kind,
        .place = place_of(event->start_mark),
        .key = slice_from(key_bytes, key.len),
        .text = slice_from(text_bytes, text.len),
    };
    *ret_item = item;
    return 0;
}

static struct yaml_item *innermost(const struct builder *builder)
{
    return builder->depth > 0 ? builder->open[builder->depth - 1] : NULL;
}

static bool expects_key(const struct builder *builder)
{
    struct yaml_item *parent = innermost(builder);
    return parent && parent->node.kind == YAML_MAPPING && !builder->key;
}

/* Puts a new node where the document has it. */
static void attach(struct builder *builder, struct yaml_item *item)
{
    struct yaml_item *parent = innermost(builder);
    if (builder->key) {
        item->node.key_place = builder->key->node.place;
        builder->key = NULL;
    }
    if (!parent)
        builder->tree->root = &item->node;
    else if (parent->last)
        parent->last->next = &item->node;
    else
        parent->node.first = &item->node;
    if (parent)
        parent->last = &item->node;
}

static int check_key(const struct builder *builder, const struct yaml_item *key)
{
    const struct yaml_node *twin = yaml_node_get(&innermost(builder)->node, key->node.text);
    if (!key->node.is_quoted && slice_equal_str(key->node.text, "<<"))
        return refuse(builder, key->node.place, "merge keys (<<) are not supported: write the values out");
    if (twin)
        return err_set(builder->err, -EINVAL, "%s:%u:%u: the key \"%.*s\" is here twice, first in line %u",
                       builder->name, key->node.place.line, key->node.place.column, SLICE_ARG(key->node.text),
                       twin->key_place.line);
    return 0;
}

static int on_scalar(struct builder *builder, const yaml_event_t *event)
{
    struct slice text = slice_from(event->data.scalar.value, event->data.scalar.length);
    if (memchr(text.ptr, '\0', text.len))
        return refuse(builder, place_of(event->start_mark), "a NUL character in a text");
    struct yaml_item *item;
    int r = item_new(builder, event, YAML_SCALAR, text, &item);
    if (r < 0)
        return r;
    item->node.is_quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!expects_key(builder)) {
        attach(builder, item);
        return 0;
    }
    builder->key = item;
    return check_key(builder, item);
}

static int on_start(struct builder *builder, const yaml_event_t *event, enum yaml_kind kind)
{
    if (expects_key(builder))
        return refuse(builder, place_of(event->start_mark), "a key must be a word, not a list or a mapping");
    if (builder->depth == min_size(builder->limits->depth, YAML_DEPTH_MAX))
        return refuse(builder, place_of(event->start_mark), "the document is nested too deeply");
    struct yaml_item *item;
    int r = item_new(builder, event, kind, SLICE_LIT(""), &item);
    if (r < 0)
        return r;
    attach(builder, item);
    builder->open[builder->depth++] = item;
    return 0;
}

/* Anchors and tags come with the event of the value that they belong to. */
static int check_properties(const struct builder *builder, const yaml_event_t *event, const yaml_char_t *anchor,
                            const yaml_char_t *tag)
{
    if (anchor)
        return refuse(builder, place_of(event->start_mark), "anchors (&name) are not supported: write the value out");
    if (tag)
        return refuse(builder, place_of(event->start_mark), "tags (!name) are not supported");
    return 0;
}

static int on_event(struct builder *builder, const yaml_event_t *event)
{
    int r;
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (builder->has_document)
            return refuse(builder, place_of(event->start_mark), "a second document begins here; only one is expected");
        builder->has_document = true;
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse(builder, place_of(event->start_mark), "aliases (*name) are not supported: write the value out");
    case YAML_SCALAR_EVENT:
        r = check_properties(builder, event, event->data.scalar.anchor, event->data.scalar.tag);
        return r < 0 ? r : on_scalar(builder, event);
    case YAML_SEQUENCE_START_EVENT:
        r = check_properties(builder, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        return r < 0 ? r : on_start(builder, event, YAML_SEQUENCE);
    case YAML_MAPPING_START_EVENT:
        r = check_properties(builder, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        return r < 0 ? r : on_start(builder, event, YAML_MAPPING);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        ASSERT(builder->depth > 0);
        builder->depth--;
        return 0;
    default:
        return 0;
    }
}

static int build(struct builder *builder)
{
    for (bool is_done = false; !is_done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&builder->parser, &event))
            return fail(builder);
        int r = on_event(builder, &event);
        is_done = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (r < 0)
            return r;
    }
    return 0;
}

int yaml_tree_new(struct slice text, const char *name, const struct yaml_limits *limits, struct yaml_tree **ret_tree,
                  struct err *err)
{
    if (text.len > limits->n_bytes)
        return err_set(err, -EINVAL, "%s: %zu bytes are more than the %zu that are accepted", name, text.len,
                       limits->n_bytes);
    CLEANUP(yaml_tree_freep) struct yaml_tree *tree = calloc(1, sizeof(*tree));
    if (!tree)
        return -ENOMEM;
    struct builder builder = {.name = name, .limits = limits, .err = err, .tree = tree};
    if (!yaml_parser_initialize(&builder.parser))
        return -ENOMEM;
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
    int r = build(&builder);
    yaml_parser_delete(&builder.parser);
    if (r < 0)
        return r;
    *ret_tree = TAKE(tree);
    return 0;
}

void yaml_tree_free(struct yaml_tree *tree)
{
    if (!tree)
        return;
    while (tree->all) {
        struct yaml_item *item = tree->all;
        tree->all = item->next_of_all;
        free(item);
    }
    free(tree);
}

void yaml_tree_freep(struct yaml_tree **tree)
{
    yaml_tree_free(*tree);
}

const struct yaml_node *yaml_tree_root(const struct yaml_tree *tree)
{
    return tree->root;
}

const struct yaml_node *yaml_node_get(const struct yaml_node *node, struct slice key)
{
    if (!node || node->kind != YAML_MAPPING)
        return NULL;
    for (const struct yaml_node *child = node->first; child; child = child->next)
        if (slice_equal(child->key, key))
            return child;
    return NULL;
}

bool yaml_node_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && !node->is_quoted &&
           (node->text.len == 0 || slice_equal_str(node->text, "~") || slice_equal_str(node->text, "null"));
}
