/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/hub/hub_object.h"

#include "wire/json.h"

#include <errno.h>

#define DEPTH_MAX 8

/* The member with that name in any case; NULL: there is none. */
static json_t *member(json_t *object, const char *name)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (slice_equal_nocase(slice_from_str(key), slice_from_str(name)))
            return value;
    }
    return NULL;
}

static int read_text(json_t *object, const char *name, struct arena *arena, struct slice *ret_text, struct err *err)
{
    json_t *value = member(object, name);
    if (!value)
        return err_set(err, -EINVAL, "\"%s\" is missing", name);
    if (!json_is_string(value) || json_string_length(value) == 0)
        return err_set(err, -EINVAL, "\"%s\" must be a string that is not empty", name);
    return arena_copy(arena, slice_from(json_string_value(value), json_string_length(value)), ret_text);
}

static bool has_name(const struct slice *names, unsigned n, struct slice name)
{
    unsigned i = 0;
    while (i < n && !slice_equal(names[i], name))
        i++;
    return i < n;
}

/* Each once, however often it is said. */
static int read_required(json_t *object, struct arena *arena, struct hub_object *ret_object, struct err *err)
{
    json_t *list = member(object, "RequiredServices");
    size_t n = json_is_array(list) ? json_array_size(list) : 0;
    unsigned n_names = 0;
    if (list && !json_is_array(list) && !json_is_null(list))
        return err_set(err, -EINVAL, "\"RequiredServices\" must be an array of strings");
    if (n > HUB_REQUIRED_MAX)
        return err_set(err, -EINVAL, "\"RequiredServices\" must not have more than %d names", HUB_REQUIRED_MAX);
    struct slice *names = arena_alloc(arena, (n ? n : 1) * sizeof(*names));
    if (!names)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        json_t *name = json_array_get(list, i);
        if (!json_is_string(name) || json_string_length(name) == 0)
            return err_set(err, -EINVAL, "\"RequiredServices\" must be an array of strings that are not empty");
        struct slice text = slice_from(json_string_value(name), json_string_length(name));
        if (has_name(names, n_names, text))
            continue;
        int r = arena_copy(arena, text, &names[n_names++]);
        if (r < 0)
            return r;
    }
    ret_object->required = names;
    ret_object->n_required = n_names;
    return 0;
}

int hub_object_parse(struct slice json, struct arena *arena, struct hub_object *ret_object, struct err *err)
{
    json_auto_t *object = NULL;
    int r = json_parse(json, &(struct json_limits){HUB_OBJECT_MAX, DEPTH_MAX}, &object, err);
    if (r < 0)
        return r;
    if (!json_is_object(object))
        return err_set(err, -EINVAL,
                       "an object is expected: {\"Name\":…,\"Addr\":\"HOST:PORT\",\"RequiredServices\":[…]}");
    r = read_text(object, "Name", arena, &ret_object->name, err);
    if (r == 0)
        r = read_text(object, "Addr", arena, &ret_object->addr, err);
    if (r == 0)
        r = read_required(object, arena, ret_object, err);
    return r;
}

struct slice hub_object_addr(const struct instance *instance, char room[HUB_ADDR_ROOM])
{
    const struct instance_record *record = &instance->record;
    if (slice_equal_str(record->origin, "hub") || slice_is_empty(record->host) || record->host.len > CATALOG_NAME_MAX)
        return record->address;
    return host_port_write(record->host, record->port, HUB_ADDR_ROOM, room);
}

void hub_object_write(struct json_writer *json, const struct instance *instance)
{
    const struct instance_details *details = instance_details(&instance->record);
    char room[HUB_ADDR_ROOM];
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("Name"), instance->service);
    json_writer_key(json, SLICE_LIT("Addr"));
    json_writer_str(json, hub_object_addr(instance, room));
    json_writer_member_list(json, SLICE_LIT("RequiredServices"), details->needs, details->n_needs);
    json_writer_end_object(json);
}
