/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON is read as the YAML that it is, so that there is one reader, which knows lines. What it gives is written as the
 * JSON of a record and read by the one who knows records: words, limits and defaults are those of all registrations.
 * Only which members are numbers must be known here, as YAML's scalars do not say.
 *
 * A record's reader knows no lines. So when it finds a fault, the members are tried one by one to see whose it is.
 */
#include "sources/file/file_entries.h"

#include "base/suggest.h"
#include "wire/json_writer.h"
#include "wire/yaml.h"

#include <errno.h>
#include <stdlib.h>

#define DEPTH_MAX 8
#define NODES_MAX 200000

static const char *const members[] = {"service", "id",   "address", "protocol", "host",     "port",
                                      "weight",  "zone", "tags",    "needs",    "metadata", "check"};
static const char *const numbers[] = {"port",       "weight",  "interval_ms", "retry_ms",
                                      "timeout_ms", "to_fail", "to_pass",     "remove_after_ms"};

struct reader {
    const char *name;
    struct file_entries *entries;
    struct err *err;
};

static bool is_one_of(struct slice word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (slice_equal_str(word, words[i]))
            return true;
    return false;
}

/* Puts the place before the words that are there. */
static int refuse(const struct reader *reader, struct yaml_place place)
{
    return err_wrap(reader->err, -EINVAL, "%s:%u:%u", reader->name, place.line, place.column);
}

/* ------------------------------------------------------------------------------------------------ records */

static void write_scalar(struct json_writer *json, const struct yaml_node *node, bool may_be_number)
{
    uint64_t number;
    if (yaml_node_is_null(node))
        json_writer_null(json);
    else if (may_be_number && !node->is_quoted && slice_parse_u64(node->text, &number) == 0)
        json_writer_u64(json, number);
    else
        json_writer_str(json, node->text);
}

/* Metadata are texts, whatever they are called. */
static void write_node(struct json_writer *json, const struct yaml_node *node, bool is_metadata)
{
    if (node->kind == YAML_SCALAR) {
        write_scalar(json, node, !is_metadata && is_one_of(node->key, numbers, ARRAY_LEN(numbers)));
        return;
    }
    bool is_mapping = node->kind == YAML_MAPPING;
    is_mapping ? json_writer_begin_object(json) : json_writer_begin_array(json);
    for (const struct yaml_node *child = node->first; child; child = child->next) {
        if (is_mapping)
            json_writer_key(json, child->key);
        write_node(json, child, is_metadata);
    }
    is_mapping ? json_writer_end_object(json) : json_writer_end_array(json);
}

/* Of a name, which is no part of the record. */
static bool is_name(const struct yaml_node *member)
{
    return slice_equal_str(member->key, "service") || slice_equal_str(member->key, "id");
}

/* What the node says; with `only`, of all members that one and the address. */
static int parse_record(const struct yaml_node *node, const struct yaml_node *only, struct arena *arena,
                        struct instance_record *ret_record, struct err *err)
{
    struct buf text = {.limit = FILE_TEXT_BYTES_MAX};
    struct json_writer json;
    json_writer_init(&json, &text);
    json_writer_begin_object(&json);
    for (const struct yaml_node *child = node->first; child; child = child->next) {
        bool is_meant = !only || child == only || slice_equal_str(child->key, "address");
        if (is_name(child) || !is_meant)
            continue;
        json_writer_key(&json, child->key);
        write_node(&json, child, slice_equal_str(child->key, "metadata"));
    }
    json_writer_end_object(&json);
    int r = json_writer_finish(&json);
    if (r == 0)
        r = instance_record_parse(buf_slice(&text), INSTANCE_RECORD_STRICT, arena, ret_record, err);
    buf_deinit(&text);
    return r == -EMSGSIZE ? err_set(err, -EINVAL, "the entry is too long") : r;
}

/* Of the member whose record is wrong by itself, or else of the whole. */
static struct yaml_place find_fault(const struct yaml_node *node)
{
    struct arena arena = {0};
    struct instance_record record;
    const struct yaml_node *found = node;
    const struct yaml_node *address = yaml_node_get(node, SLICE_LIT("address"));
    if (address && parse_record(node, address, &arena, &record, NULL) == -EINVAL)
        found = address;
    for (const struct yaml_node *child = node->first; found == node && child; child = child->next)
        if (parse_record(node, child, &arena, &record, NULL) == -EINVAL)
            found = child;
    arena_deinit(&arena);
    return found == node ? node->place : found->key_place;
}

/* ------------------------------------------------------------------------------------------------ entries */

static int check_members(const struct reader *reader, const struct yaml_node *node)
{
    for (const struct yaml_node *child = node->first; child; child = child->next) {
        struct suggest suggest;
        if (is_one_of(child->key, members, ARRAY_LEN(members)))
            continue;
        suggest_init(&suggest, child->key);
        for (size_t i = 0; i < ARRAY_LEN(members); i++)
            suggest_offer(&suggest, members[i]);
        const char *near = suggest_best(&suggest);
        (void)err_set(reader->err, -EINVAL, "\"%.64s\" is no member of an instance%s%s%s", child->key.ptr,
                      near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        return refuse(reader, child->key_place);
    }
    return 0;
}

/* A member that is a text, copied. */
static int read_text(const struct reader *reader, const struct yaml_node *node, const char *key, struct slice *ret_text)
{
    const struct yaml_node *member = yaml_node_get(node, slice_from_str(key));
    if (member && member->kind == YAML_SCALAR && !yaml_node_is_null(member))
        return arena_copy(&reader->entries->arena, member->text, ret_text);
    if (member)
        (void)err_set(reader->err, -EINVAL, "\"%s\": expected a text", key);
    else
        (void)err_set(reader->err, -EINVAL, "an instance needs a \"%s\"", key);
    return refuse(reader, member ? member->key_place : node->place);
}

static int copy_name(struct arena *arena, struct file_entry *entry)
{
    struct buf name = {0};
    instance_record_name(&name, entry->service, entry->id);
    int r = buf_error(&name);
    if (r == 0)
        r = arena_copy(arena, buf_slice(&name), &entry->name);
    buf_deinit(&name);
    return r;
}

static int read_entry(const struct reader *reader, const struct yaml_node *node, struct file_entry *entry)
{
    struct arena *arena = &reader->entries->arena;
    entry->line = node->place.line;
    if (node->kind != YAML_MAPPING) {
        (void)err_set(reader->err, -EINVAL, "expected an instance: a mapping with service and address");
        return refuse(reader, node->place);
    }
    bool has_id = yaml_node_get(node, SLICE_LIT("id"));
    struct slice address;
    int r = check_members(reader, node);
    if (r == 0)
        r = read_text(reader, node, "service", &entry->service);
    if (r == 0)
        r = read_text(reader, node, "address", &address);
    if (r == 0)
        r = read_text(reader, node, has_id ? "id" : "address", &entry->id);
    if (r < 0)
        return r;
    r = parse_record(node, NULL, arena, &entry->record, reader->err);
    if (r == -EINVAL)
        return refuse(reader, find_fault(node));
    if (r == 0 && instance_record_check_names(entry->service, entry->id, reader->err) < 0)
        return refuse(reader, node->place);
    entry->record.origin = SLICE_LIT("file");
    return r < 0 ? r : copy_name(arena, entry);
}

/* ------------------------------------------------------------------------------------------------ the whole */

static int refuse_twin(const struct reader *reader, struct slice name)
{
    unsigned lines[2] = {0, 0};
    for (unsigned i = 0, n = 0; i < reader->entries->n && n < ARRAY_LEN(lines); i++)
        if (slice_equal(reader->entries->list[i].name, name))
            lines[n++] = reader->entries->list[i].line;
    return err_set(reader->err, -EINVAL, "%s:%u:1: the instance \"%.*s\" is here twice, first in line %u", reader->name,
                   lines[1], SLICE_ARG(name), lines[0]);
}

static int check_twins(const struct reader *reader)
{
    unsigned n = reader->entries->n;
    struct slice *names = malloc((n + 1) * sizeof(names[0]));
    if (!names)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        names[i] = reader->entries->list[i].name;
    slice_sort(names, n);
    int r = 0;
    for (unsigned i = 1; r == 0 && i < n; i++)
        if (slice_equal(names[i - 1], names[i]))
            r = refuse_twin(reader, names[i]);
    free(names);
    return r;
}

static int read_all(const struct reader *reader, const struct yaml_node *root)
{
    struct file_entries *entries = reader->entries;
    const struct yaml_node *first = root->kind == YAML_SEQUENCE ? root->first : root;
    unsigned n = 0;
    for (const struct yaml_node *node = first; node; node = node->next)
        n++;
    if (n > FILE_ENTRIES_MAX)
        return err_set(reader->err, -EINVAL, "%s: %u instances are more than the %d that are accepted in one file",
                       reader->name, n, FILE_ENTRIES_MAX);
    entries->list = arena_alloc(&entries->arena, (n + 1) * sizeof(entries->list[0]));
    if (!entries->list)
        return -ENOMEM;
    for (const struct yaml_node *node = first; node; node = node->next) {
        int r = read_entry(reader, node, &entries->list[entries->n]);
        if (r < 0)
            return r;
        entries->n++;
    }
    return check_twins(reader);
}

int file_entries_parse(struct slice text, const char *name, struct file_entries *ret_entries, struct err *err)
{
    static const struct yaml_limits limits = {.n_bytes = FILE_TEXT_BYTES_MAX, .n_nodes = NODES_MAX, .depth = DEPTH_MAX};
    struct yaml_tree *tree CLEANUP(yaml_tree_freep) = NULL;
    struct file_entries entries = {.n = 0};
    const struct reader reader = {name, &entries, err};
    int r = yaml_tree_new(text, name, &limits, &tree, err);
    if (r < 0)
        return r;
    const struct yaml_node *root = yaml_tree_root(tree);
    if (!root || root->kind == YAML_SCALAR)
        return err_set(err, -EINVAL, "%s:1:1: expected a list of instances; [] if there are none", name);
    r = read_all(&reader, root);
    if (r < 0)
        file_entries_deinit(&entries);
    else
        *ret_entries = entries;
    return r;
}

void file_entries_deinit(struct file_entries *entries)
{
    arena_deinit(&entries->arena);
    *entries = (struct file_entries){.n = 0};
}
