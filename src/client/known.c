/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of what is shown lie in the JSON tree, which is kept as long; the lists of them stand behind the instance,
 * in the same allocation.
 */
#include "client/known.h"

#include "base/util.h"
#include "client/client.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct load *load_new(void)
{
    struct load *load = calloc(1, sizeof(*load));
    if (load)
        atomic_init(&load->refs, 1);
    return load;
}

void load_unref(struct load *load)
{
    if (load && atomic_fetch_sub(&load->refs, 1) == 1)
        free(load);
}

/* ------------------------------------------------------------------------------------------------ reading */

static const char *read_text_or_empty(const json_t *tree, const char *name)
{
    const char *text = "";
    (void)client_read_text(tree, name, &text);
    return text;
}

/* The list's texts, behind those that are there; what is no text is left out. */
static size_t read_texts(const json_t *tree, const char *name, const char ***end)
{
    const json_t *list = json_object_get(tree, name);
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text)
            (*end)[n++] = text;
    }
    *end += n;
    return n;
}

static int read_metadata(struct known *known)
{
    json_t *object = json_object_get(known->tree, "metadata");
    const char *name;
    json_t *value;
    known->metadata = calloc(json_object_size(object) + 1, sizeof(known->metadata[0]));
    if (!known->metadata)
        return -ENOMEM;
    json_object_foreach(object, name, value)
    {
        const char *text = json_string_value(value);
        if (text)
            known->metadata[known->shown.n_metadata++] = (struct muster_pair){name, text};
    }
    known->shown.metadata = known->metadata;
    return 0;
}

static const struct muster_order *read_order(const json_t *tree, const char *name, struct muster_order *order)
{
    const json_t *object = json_object_get(tree, name);
    if (!json_is_object(object))
        return NULL;
    *order = (struct muster_order){read_text_or_empty(object, "owner"), read_text_or_empty(object, "reason"), 0, 0};
    (void)client_read_number(object, "since_ms", &order->since_ms);
    (void)client_read_number(object, "until_ms", &order->until_ms);
    return order;
}

static int read_shown(struct known *known)
{
    struct muster_instance *shown = &known->shown;
    const json_t *tree = known->tree;
    int64_t port = 0, weight = 1;
    const char **end = known->texts;
    if (!client_read_text(tree, "service", &shown->service) || !client_read_text(tree, "id", &shown->id) ||
        !client_read_text(tree, "address", &shown->address))
        return -EINVAL;
    (void)client_read_number(tree, "port", &port);
    (void)client_read_number(tree, "weight", &weight);
    shown->port = port >= 0 && port <= 65535 ? (unsigned)port : 0;
    shown->weight = weight >= 0 && weight <= UINT16_MAX ? (unsigned)weight : 1;
    shown->protocol = read_text_or_empty(tree, "protocol");
    shown->host = read_text_or_empty(tree, "host");
    shown->zone = read_text_or_empty(tree, "zone");
    shown->status = read_text_or_empty(tree, "status");
    shown->origin = read_text_or_empty(tree, "origin");
    shown->owner = read_text_or_empty(tree, "owner");
    shown->offered = json_is_true(json_object_get(tree, "offered"));
    shown->last_resort = json_is_true(json_object_get(tree, "last_resort"));
    (void)client_read_number(tree, "registered_ms", &shown->registered_ms);
    (void)client_read_number(tree, "changed_ms", &shown->changed_ms);
    (void)client_read_number(tree, "revision", &shown->revision);
    shown->reasons = end;
    shown->n_reasons = read_texts(tree, "reasons", &end);
    shown->tags = end;
    shown->n_tags = read_texts(tree, "tags", &end);
    shown->needs = end;
    shown->n_needs = read_texts(tree, "needs", &end);
    shown->drain = read_order(tree, "drain", &known->orders[0]);
    shown->maintenance = read_order(tree, "maintenance", &known->orders[1]);
    return read_metadata(known);
}

int known_new(json_t *tree, struct load *load, struct known **ret_known)
{
    size_t n_texts = json_array_size(json_object_get(tree, "reasons")) +
                     json_array_size(json_object_get(tree, "tags")) + json_array_size(json_object_get(tree, "needs"));
    struct known *known = calloc(1, sizeof(*known) + n_texts * sizeof(known->texts[0]));
    if (!known)
        return -ENOMEM;
    atomic_init(&known->refs, 1);
    atomic_fetch_add(&load->refs, 1);
    known->load = load;
    known->tree = json_incref(tree);
    int r = read_shown(known);
    if (r < 0) {
        known_unref(known);
        return r;
    }
    *ret_known = known;
    return 0;
}

struct known *known_new_doubtful(const struct known *known)
{
    struct known *doubtful = NULL;
    if (known_new(known->tree, known->load, &doubtful) < 0)
        return NULL;
    doubtful->shown.last_resort = doubtful->shown.offered || doubtful->shown.last_resort;
    doubtful->shown.offered = 0;
    return doubtful;
}

struct known *known_ref(struct known *known)
{
    atomic_fetch_add(&known->refs, 1);
    return known;
}

void known_unref(struct known *known)
{
    if (!known || atomic_fetch_sub(&known->refs, 1) != 1)
        return;
    load_unref(known->load);
    json_decref(known->tree);
    free(known->metadata);
    free(known);
}

void muster_instance_release(const struct muster_instance *instance)
{
    if (!instance)
        return;
    /* Ours: only the caller must not write it. */
    struct known *known = container_of((uintptr_t)instance, struct known, shown);
    atomic_fetch_sub(&known->load->n_in_use, 1);
    known_unref(known);
}

int known_compare(const void *a, const void *b)
{
    const struct known *const *left = a, *const *right = b;
    return strcmp((*left)->shown.id, (*right)->shown.id);
}

/* ------------------------------------------------------------------------------------------------ lists */

struct known_list {
    struct muster_instances shown;
    atomic_uint refs;
    const struct muster_instance *items[];
};

struct muster_instances *known_list_new(struct known **items, size_t n)
{
    struct known_list *list = malloc(sizeof(*list) + n * sizeof(list->items[0]));
    if (!list)
        return NULL;
    if (n > 0)
        qsort(items, n, sizeof(items[0]), known_compare);
    for (size_t i = 0; i < n; i++)
        list->items[i] = &known_ref(items[i])->shown;
    atomic_init(&list->refs, 1);
    list->shown = (struct muster_instances){n, list->items};
    return &list->shown;
}

struct muster_instances *known_list_ref(struct muster_instances *instances)
{
    atomic_fetch_add(&container_of(instances, struct known_list, shown)->refs, 1);
    return instances;
}

void muster_instances_free(struct muster_instances *instances)
{
    struct known_list *list = instances ? container_of(instances, struct known_list, shown) : NULL;
    if (!list || atomic_fetch_sub(&list->refs, 1) != 1)
        return;
    for (size_t i = 0; i < list->shown.n; i++)
        known_unref(container_of((uintptr_t)list->items[i], struct known, shown));
    free(list);
}
