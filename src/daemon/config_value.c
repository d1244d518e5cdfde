/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of settings: from text, compared, freed. One switch over the types in each.
 */
#include "daemon/config_keys.h"

#include "base/assert.h"
#include "base/quantity.h"
#include "base/util.h"
#include "io/addr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LIST_ITEMS_MAX 16384

static void *value_of(struct config *config, const struct config_key *key)
{
    return (char *)config + key->offset;
}

static const void *const_value_of(const struct config *config, const struct config_key *key)
{
    return (const char *)config + key->offset;
}

/* Of the types that set_ranged reads. */
static enum quantity quantity_of(enum config_type type)
{
    if (type == CONFIG_DURATION)
        return QUANTITY_DURATION;
    return type == CONFIG_BYTES ? QUANTITY_BYTES : QUANTITY_NUMBER;
}

static void expected_choice(const struct config_key *key, char *ret_text, size_t size)
{
    size_t len = 0;
    for (const char *const *word = key->words; *word && len < size; word++) {
        const char *separator = word == key->words ? "" : word[1] ? ", " : " or ";
        len += (size_t)snprintf(ret_text + len, size - len, "%s%s", separator, *word);
    }
}

void config_key_expected(const struct config_key *key, char *ret_text, size_t size)
{
    char min[QUANTITY_TEXT_MAX], max[QUANTITY_TEXT_MAX];
    quantity_format(quantity_of(key->type), key->min, min);
    quantity_format(quantity_of(key->type), key->max, max);
    switch (key->type) {
    case CONFIG_TEXT:
        snprintf(ret_text, size, "a text");
        return;
    case CONFIG_NUMBER:
        snprintf(ret_text, size, "a number from %s to %s", min, max);
        return;
    case CONFIG_BYTES:
        snprintf(ret_text, size, "bytes such as 64k or 1M, from %s to %s", min, max);
        return;
    case CONFIG_DURATION:
        snprintf(ret_text, size, "a duration such as 500ms, 10s or 5m, from %s to %s", min, max);
        return;
    case CONFIG_BOOL:
        snprintf(ret_text, size, "true or false");
        return;
    case CONFIG_CHOICE:
        expected_choice(key, ret_text, size);
        return;
    case CONFIG_ADDRESSES:
        snprintf(ret_text, size, "IP:PORT, [IPV6]:PORT, :PORT or unix:/PATH");
        return;
    case CONFIG_TEXTS:
        snprintf(ret_text, size, "a list of texts");
        return;
    }
}

static int fail_expected(const struct config_key *key, struct slice text, const char *reason, struct err *err)
{
    char expected[128];
    config_key_expected(key, expected, sizeof(expected));
    return err_set(err, -EINVAL, "\"%.*s\" %s; expected %s", SLICE_ARG(text), reason, expected);
}

static int set_text(char **value, struct slice text)
{
    char *copy = slice_dup(text);
    if (!copy)
        return -ENOMEM;
    free(*value);
    *value = copy;
    return 0;
}

static int set_ranged(const struct config_key *key, struct slice text, uint64_t *ret_value, struct err *err)
{
    if (quantity_parse(quantity_of(key->type), text, ret_value) < 0)
        return fail_expected(key, text, "is not valid", err);
    if (*ret_value < key->min || *ret_value > key->max)
        return fail_expected(key, text, "is out of range", err);
    return 0;
}

static int set_bool(bool *value, const struct config_key *key, struct slice text, struct err *err)
{
    if (!slice_equal_str(text, "true") && !slice_equal_str(text, "false"))
        return fail_expected(key, text, "is not valid", err);
    *value = slice_equal_str(text, "true");
    return 0;
}

static int set_choice(unsigned *value, const struct config_key *key, struct slice text, struct err *err)
{
    for (unsigned i = 0; key->words[i]; i++) {
        if (slice_equal_str(text, key->words[i])) {
            *value = i;
            return 0;
        }
    }
    return fail_expected(key, text, "is not valid", err);
}

static int append_item(struct config_list *list, const struct config_key *key, struct slice item, struct err *err)
{
    struct addr addr;
    struct err reason;
    if (slice_is_empty(item))
        return err_set(err, -EINVAL, "an item of the list is empty");
    if (list->n == LIST_ITEMS_MAX)
        return err_set(err, -EINVAL, "more than %d items", LIST_ITEMS_MAX);
    if (key->type == CONFIG_ADDRESSES && addr_parse(item, &addr, &reason) < 0)
        return fail_expected(key, item, "is not an address", err);

    char **items = realloc(list->items, (list->n + 1) * sizeof(*items));
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->n] = slice_dup(item);
    if (!items[list->n])
        return -ENOMEM;
    list->n++;
    return 0;
}

static void clear_list(struct config_list *list)
{
    for (unsigned i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){0};
}

/* Only the file gives one item at a time, and the flags do, which are repeated. */
static bool is_item(struct config_origin origin)
{
    return origin.kind == ORIGIN_FILE || origin.kind == ORIGIN_FLAG;
}

static int set_list(struct config_list *list, const struct config_key *key, struct slice text, bool append,
                    struct config_origin origin, struct err *err)
{
    if (!append)
        clear_list(list);
    if (is_item(origin))
        return append_item(list, key, text, err);
    while (!slice_is_empty(text)) {
        struct slice item;
        text = slice_split(text, ',', &item);
        int r = append_item(list, key, slice_trim(item), err);
        if (r < 0)
            return r;
    }
    return 0;
}

int config_set(struct config *config, const struct config_key *key, struct slice text, struct config_origin origin,
               struct err *err)
{
    void *value = value_of(config, key);
    struct config_origin *last = &config->origins[key - config_keys];
    uint64_t number = 0;
    int r = 0;
    switch (key->type) {
    case CONFIG_TEXT:
        r = set_text(value, text);
        break;
    case CONFIG_NUMBER:
        r = set_ranged(key, text, &number, err);
        if (r == 0)
            *(unsigned *)value = (unsigned)number;
        break;
    case CONFIG_BYTES:
        r = set_ranged(key, text, &number, err);
        if (r == 0)
            *(size_t *)value = (size_t)number;
        break;
    case CONFIG_DURATION:
        r = set_ranged(key, text, &number, err);
        if (r == 0)
            *(nsec_t *)value = (nsec_t)number;
        break;
    case CONFIG_BOOL:
        r = set_bool(value, key, text, err);
        break;
    case CONFIG_CHOICE:
        r = set_choice(value, key, text, err);
        break;
    case CONFIG_ADDRESSES:
    case CONFIG_TEXTS:
        r = set_list(value, key, text, is_item(origin) && last->kind == origin.kind, origin, err);
        break;
    }
    if (r == 0)
        *last = origin;
    return r;
}

void config_clear(struct config *config, const struct config_key *key)
{
    void *value = value_of(config, key);
    if (key->type == CONFIG_ADDRESSES || key->type == CONFIG_TEXTS) {
        clear_list(value);
    } else if (key->type == CONFIG_TEXT) {
        free(*(char **)value);
        *(char **)value = NULL;
    }
}

static bool list_equal(const struct config_list *a, const struct config_list *b)
{
    if (a->n != b->n)
        return false;
    for (unsigned i = 0; i < a->n; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    }
    return true;
}

bool config_value_equal(const struct config *a, const struct config *b, const struct config_key *key)
{
    const void *va = const_value_of(a, key), *vb = const_value_of(b, key);
    switch (key->type) {
    case CONFIG_TEXT:
        return strcmp(*(char *const *)va, *(char *const *)vb) == 0;
    case CONFIG_NUMBER:
    case CONFIG_CHOICE:
        return *(const unsigned *)va == *(const unsigned *)vb;
    case CONFIG_BYTES:
        return *(const size_t *)va == *(const size_t *)vb;
    case CONFIG_DURATION:
        return *(const nsec_t *)va == *(const nsec_t *)vb;
    case CONFIG_BOOL:
        return *(const bool *)va == *(const bool *)vb;
    case CONFIG_ADDRESSES:
    case CONFIG_TEXTS:
        return list_equal(va, vb);
    }
    return false;
}

static size_t size_of(const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_TEXT:
        return sizeof(char *);
    case CONFIG_NUMBER:
    case CONFIG_CHOICE:
        return sizeof(unsigned);
    case CONFIG_BYTES:
        return sizeof(size_t);
    case CONFIG_DURATION:
        return sizeof(nsec_t);
    case CONFIG_BOOL:
        return sizeof(bool);
    case CONFIG_ADDRESSES:
    case CONFIG_TEXTS:
        return sizeof(struct config_list);
    }
    return 0;
}

static void swap_bytes(void *a, void *b, size_t size)
{
    unsigned char kept[sizeof(struct config_list) + sizeof(struct config_origin)];
    ASSERT(size <= sizeof(kept));
    memcpy(kept, a, size);
    memcpy(a, b, size);
    memcpy(b, kept, size);
}

void config_swap(struct config *a, struct config *b, const struct config_key *key)
{
    size_t index = (size_t)(key - config_keys);
    swap_bytes(value_of(a, key), value_of(b, key), size_of(key));
    swap_bytes(&a->origins[index], &b->origins[index], sizeof(struct config_origin));
}
