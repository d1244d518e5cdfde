/* SPDX-License-Identifier: Apache-2.0 */
/* A parameter that is not known is an error: what a user misspelt would else silently not be asked for. */
#include "base/suggest.h"
#include "catalog/instance_record.h"
#include "fronts/api/api_impl.h"
#include "wire/uri.h"

#include <errno.h>
#include <stdlib.h>

static const char *plain_name(const char *known)
{
    return known[0] == '*' ? known + 1 : known;
}

static void refuse_unknown(struct api_call *call, struct slice name, const char *const *known)
{
    const char *names[API_PARAMS_MAX + 1] = {NULL};
    struct api_problem problem = {.status = 400, .name = "unknown-parameter", .expected = names};
    struct suggest suggest;
    suggest_init(&suggest, name);
    for (unsigned i = 0; known[i]; i++) {
        names[i] = plain_name(known[i]);
        suggest_offer(&suggest, names[i]);
    }
    const char *near = suggest_best(&suggest);
    int shown = (int)min_size(name.len, 64);
    if (near)
        (void)err_set(&problem.detail, 0, "there is no parameter \"%.*s\", did you mean \"%s\"?", shown, name.ptr,
                      near);
    else
        (void)err_set(&problem.detail, 0, "there is no parameter \"%.*s\" here", shown, name.ptr);
    api_problem_respond(call->exchange, &problem);
}

/* Decodes into the arena. In queries '+' is a blank; one that is meant is written %2B. */
static int decode(struct api_call *call, struct slice text, struct slice *ret_text)
{
    struct buf blanks = {0}, plain = {0};
    int r = buf_append(&blanks, text);
    for (size_t i = 0; r == 0 && i < blanks.len; i++)
        if (blanks.ptr[i] == '+')
            blanks.ptr[i] = ' ';
    if (r == 0)
        r = uri_decode(buf_slice(&blanks), &plain);
    if (r == 0)
        r = arena_copy(&call->arena, buf_slice(&plain), ret_text);
    buf_deinit(&blanks);
    buf_deinit(&plain);
    return r;
}

/* The known name that it is; NULL: answered. */
static const char *check(struct api_call *call, struct slice name, const char *const *known)
{
    for (unsigned i = 0; known[i]; i++) {
        if (!slice_equal_str(name, plain_name(known[i])))
            continue;
        if (known[i][0] == '*' || !api_query_get(call, known[i]))
            return plain_name(known[i]);
        api_refuse(call->exchange, 400, NULL, "the parameter \"%s\" is there twice", known[i]);
        return NULL;
    }
    refuse_unknown(call, name, known);
    return NULL;
}

bool api_query_read(struct api_call *call, const char *const *known)
{
    struct slice query = call->exchange->request->query;
    for (struct uri_param param; uri_query_next(&query, &param);) {
        struct api_param *read = &call->params[call->n_params];
        if (call->n_params == API_PARAMS_MAX) {
            api_refuse(call->exchange, 400, NULL, "there are more than %d parameters", API_PARAMS_MAX);
            return false;
        }
        int r = decode(call, param.name, &read->name);
        if (r == 0)
            r = decode(call, param.value, &read->value);
        if (r == -EINVAL)
            api_refuse(call->exchange, 400, NULL, "the query is badly percent-encoded");
        else if (r < 0)
            api_refuse_memory(call->exchange);
        if (r < 0 || !check(call, read->name, known))
            return false;
        call->n_params++;
    }
    return true;
}

const struct slice *api_query_get(const struct api_call *call, const char *name)
{
    for (unsigned i = 0; i < call->n_params; i++)
        if (slice_equal_str(call->params[i].name, name))
            return &call->params[i].value;
    return NULL;
}

bool api_query_u64(struct api_call *call, const char *name, uint64_t absent, uint64_t min, uint64_t max,
                   uint64_t *ret_number)
{
    const struct slice *value = api_query_get(call, name);
    uint64_t number = absent;
    if (value && (slice_parse_u64(*value, &number) < 0 || number < min || number > max)) {
        api_refuse(call->exchange, 400, NULL, "the parameter \"%s\": expected a number from %llu to %llu", name,
                   (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *ret_number = number;
    return true;
}

bool api_query_bool(struct api_call *call, const char *name, bool *ret_value)
{
    const struct slice *value = api_query_get(call, name);
    *ret_value = value && slice_equal_str(*value, "true");
    if (!value || *ret_value || slice_equal_str(*value, "false"))
        return true;
    api_refuse(call->exchange, 400, NULL, "the parameter \"%s\": expected true or false", name);
    return false;
}

bool api_query_all(struct api_call *call, const char *name, struct slice **ret_values, unsigned *ret_n)
{
    *ret_n = 0;
    *ret_values = arena_alloc(&call->arena, sizeof(struct slice) * (call->n_params + 1));
    if (!*ret_values) {
        api_refuse_memory(call->exchange);
        return false;
    }
    for (unsigned i = 0; i < call->n_params; i++)
        if (slice_equal_str(call->params[i].name, name))
            (*ret_values)[(*ret_n)++] = call->params[i].value;
    return true;
}

/* ------------------------------------------------------------------------------------------------ services */

static bool check_rights(struct api_call *call, const struct slice *services, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!api_may(call, ACCESS_READ, services[i]))
            return false;
    return n > 0 || api_may(call, ACCESS_READ, (struct slice){0});
}

/* Sorts, and drops those that are there twice. */
static unsigned tidy(struct slice *services, unsigned n)
{
    unsigned n_kept = 0;
    slice_sort(services, n);
    for (unsigned i = 0; i < n; i++)
        if (n_kept == 0 || !slice_equal(services[n_kept - 1], services[i]))
            services[n_kept++] = services[i];
    return n_kept;
}

bool api_query_services(struct api_call *call, struct slice **ret_services, unsigned *ret_n)
{
    if (!api_query_all(call, "service", ret_services, ret_n))
        return false;
    *ret_n = tidy(*ret_services, *ret_n);
    for (unsigned i = 0; i < *ret_n; i++) {
        struct api_problem problem = {.status = 400};
        if (instance_record_check_names((*ret_services)[i], SLICE_LIT("-"), &problem.detail) < 0) {
            api_problem_respond(call->exchange, &problem);
            return false;
        }
    }
    return check_rights(call, *ret_services, *ret_n);
}
