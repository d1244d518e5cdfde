/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a body by its table of members, and refuses what is not in it: a member that was misspelt would else silently
 * not be done.
 */
#include "fronts/api/api_body.h"

#include "base/suggest.h"
#include "fronts/api/api_impl.h"
#include "wire/json.h"

#include <errno.h>

#define MEMBERS_MAX 32
#define DEPTH_MAX   8

static bool is_json(struct slice type)
{
    struct slice name, parameters = slice_split(type, ';', &name);
    (void)parameters;
    return slice_equal_nocase(slice_trim(name), SLICE_LIT("application/json"));
}

bool api_body_is_welcome(struct exchange *exchange, size_t max_bytes)
{
    const struct http_request *request = exchange->request;
    const struct http_field *type = http_fields_get(request->fields, HTTP_FIELD_CONTENT_TYPE);
    if (type && !is_json(type->value)) {
        api_refuse(exchange, 415, NULL, "expected content-type: application/json (curl: --json)");
        return false;
    }
    if (request->framing == HTTP_BODY_LENGTH && request->content_length > max_bytes) {
        api_refuse(exchange, 413, NULL, "the body is longer than the %zu bytes that are taken here", max_bytes);
        return false;
    }
    return true;
}

static void refuse(struct change *change, const char *name, const struct err *err)
{
    api_refuse(change->exchange, 400, name, "%s", err->text);
}

static void refuse_unknown(struct change *change, const char *name, const struct api_member *members)
{
    const char *names[MEMBERS_MAX + 1] = {NULL};
    struct api_problem problem = {.status = 400, .name = "unknown-member", .expected = names};
    struct suggest suggest;
    suggest_init(&suggest, slice_from_str(name));
    for (unsigned i = 0; members[i].name && i < MEMBERS_MAX; i++) {
        names[i] = members[i].name;
        suggest_offer(&suggest, names[i]);
    }
    const char *near = suggest_best(&suggest);
    if (near)
        (void)err_set(&problem.detail, 0, "\"%.64s\" is no member, did you mean \"%s\"?", name, near);
    else
        (void)err_set(&problem.detail, 0, "\"%.64s\" is no member", name);
    api_problem_respond(change->exchange, &problem);
}

static bool check_value(struct change *change, const struct api_member *member, json_t *value)
{
    struct err err = {0};
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    switch (member->type) {
    case API_TEXT:
        if (!json_is_string(value) || json_string_length(value) > (size_t)member->max)
            (void)err_set(&err, 0, "\"%s\": expected a text of at most %lld bytes", member->name,
                          (long long)member->max);
        break;
    case API_NUMBER:
        if (!json_is_integer(value) || number < member->min || number > member->max)
            (void)err_set(&err, 0, "\"%s\": expected a number from %lld to %lld", member->name, (long long)member->min,
                          (long long)member->max);
        break;
    case API_BOOL:
        if (!json_is_boolean(value))
            (void)err_set(&err, 0, "\"%s\": expected true or false", member->name);
        break;
    case API_OTHER:
        break;
    }
    if (err.text[0])
        refuse(change, NULL, &err);
    return !err.text[0];
}

static bool check_members(struct change *change, json_t *object, const struct api_member *members)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        const struct api_member *member = members;
        while (member->name && strcmp(member->name, name) != 0)
            member++;
        if (!member->name) {
            refuse_unknown(change, name, members);
            return false;
        }
        if (!check_value(change, member, value))
            return false;
    }
    return true;
}

bool api_body_read(struct change *change, struct slice body, const struct api_member *members, json_t **ret_object)
{
    const struct json_limits limits = {.n_bytes = body.len, .depth = DEPTH_MAX};
    struct err err = {0};
    json_t *object = NULL;
    int r = json_parse(body.len > 0 ? body : SLICE_LIT("{}"), body.len > 0 ? &limits : &(struct json_limits){2, 1},
                       &object, &err);
    if (r == 0 && !json_is_object(object)) {
        json_decref(TAKE(object));
        r = err_set(&err, -EINVAL, "expected a JSON object");
    }
    if (r == -ENOMEM)
        api_refuse_memory(change->exchange);
    else if (r < 0)
        refuse(change, NULL, &err);
    if (r < 0)
        return false;
    if (check_members(change, object, members)) {
        *ret_object = object;
        return true;
    }
    json_decref(object);
    return false;
}

struct slice api_body_text(struct change *change, json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return value ? change_copy(change, slice_from(json_string_value(value), json_string_length(value)))
                 : (struct slice){0};
}

int64_t api_body_number(json_t *object, const char *name, int64_t absent)
{
    json_t *value = json_object_get(object, name);
    return value ? json_integer_value(value) : absent;
}
