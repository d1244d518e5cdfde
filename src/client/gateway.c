/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server's gateway tells: its last requests (src/gateway/tell_requests.c writes them) and its traffic
 * (tell_traffic.c). The strings of a result are those of the JSON tree, which is kept with it.
 */
#include "base/util.h"
#include "client/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool read_count(const json_t *object, const char *name, uint64_t *ret_number)
{
    int64_t number;
    if (!client_read_number(object, name, &number) || number < 0)
        return false;
    *ret_number = (uint64_t)number;
    return true;
}

/* A member that may be missing. */
static const char *text_of(const json_t *object, const char *name)
{
    const char *text;
    return client_read_text(object, name, &text) ? text : "";
}

/* ------------------------------------------------------------------------------------------------ requests */

struct requests {
    struct muster_gateway_requests shown;
    struct muster_gateway_request *items;
    struct muster_explain_step *steps; /* of all of them */
    json_t *tree;
};

void muster_gateway_requests_free(struct muster_gateway_requests *shown)
{
    if (!shown)
        return;
    struct requests *requests = container_of(shown, struct requests, shown);
    free(requests->items);
    free(requests->steps);
    json_decref(requests->tree);
    free(requests);
}

static bool read_step(const json_t *item, struct muster_explain_step *step)
{
    return client_read_text(item, "step", &step->step) && client_read_text(item, "verdict", &step->verdict) &&
           client_read_text(item, "why", &step->why);
}

static bool read_request(const json_t *item, struct muster_gateway_request *request)
{
    const json_t *attempts = json_object_get(item, "attempts");
    int64_t status;
    request->n_attempts = json_array_size(attempts);
    request->certificate = text_of(item, "certificate");
    request->cause = text_of(item, "cause");
    request->instance =
        request->n_attempts > 0 ? text_of(json_array_get(attempts, request->n_attempts - 1), "instance") : "";
    if (!client_read_number(item, "status", &status))
        return false;
    request->status = (unsigned)status;
    return client_read_text(item, "id", &request->id) && client_read_text(item, "client", &request->client) &&
           client_read_text(item, "method", &request->method) && client_read_text(item, "target", &request->target) &&
           client_read_text(item, "service", &request->service) &&
           client_read_number(item, "began_ms", &request->began_ms) &&
           read_count(item, "received_bytes", &request->received_bytes) &&
           read_count(item, "sent_bytes", &request->sent_bytes) &&
           read_count(item, "first_byte_us", &request->first_byte_us) && read_count(item, "took_us", &request->took_us);
}

static int read_requests(struct requests *requests)
{
    const json_t *list = json_object_get(requests->tree, "requests");
    size_t n = json_array_size(list), n_steps = 0;
    for (size_t i = 0; i < n; i++)
        n_steps += json_array_size(json_object_get(json_array_get(list, i), "because"));
    requests->items = calloc(n + 1, sizeof(requests->items[0]));
    requests->steps = calloc(n_steps + 1, sizeof(requests->steps[0]));
    if (!requests->items || !requests->steps)
        return -ENOMEM;
    struct muster_explain_step *step = requests->steps;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i), *because = json_object_get(item, "because");
        struct muster_gateway_request *request = &requests->items[i];
        request->steps = step;
        request->n_steps = json_array_size(because);
        if (!read_request(item, request))
            return -EINVAL;
        for (size_t j = 0; j < request->n_steps; j++)
            if (!read_step(json_array_get(because, j), step++))
                return -EINVAL;
    }
    requests->shown = (struct muster_gateway_requests){n, requests->items};
    return json_is_array(list) ? 0 : -EINVAL;
}

static void put_text(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    buf_append_char(path, path->ptr && memchr(path->ptr, '?', path->len) ? '&' : '?');
    buf_append_str(path, name);
    buf_append_char(path, '=');
    client_append_escaped(path, slice_from_str(value));
}

static void put_number(struct buf *path, const char *name, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    put_text(path, name, value > 0 ? text : NULL);
}

int muster_get_gateway_requests(struct muster_client *client, const struct muster_gateway_query *query,
                                struct muster_gateway_requests **ret_requests)
{
    CLEANUP(buf_deinit) struct buf path = {0};
    if (client_misses(client, "query", query != NULL) || client_misses(client, "ret_requests", ret_requests != NULL))
        return MUSTER_BAD_OPTIONS;
    struct requests *requests = calloc(1, sizeof(*requests));
    *ret_requests = NULL;
    buf_append_str(&path, "/api/v1/requests");
    put_text(&path, "id", query->id);
    put_text(&path, "service", query->service);
    put_text(&path, "status", query->status);
    put_number(&path, "since_ms", query->since_ms);
    put_number(&path, "limit", query->limit);
    client_lock(client);
    int result = requests ? client_ask_path(client, &path, &requests->tree) : client_fail_memory(client);
    int r = result == MUSTER_OK ? read_requests(requests) : 0;
    if (r < 0)
        result = client_fail_answer(client, r);
    client_unlock(client);
    if (result == MUSTER_OK)
        *ret_requests = &requests->shown;
    else if (requests)
        muster_gateway_requests_free(&requests->shown);
    return result;
}

/* ------------------------------------------------------------------------------------------------ traffic */

struct traffic {
    struct muster_traffic shown;
    struct muster_traffic_service *services;
    struct muster_traffic_row *instances; /* of all services */
    uint64_t *numbers;                    /* the bounds, and the latencies of all rows */
    json_t *tree;
};

void muster_traffic_free(struct muster_traffic *shown)
{
    if (!shown)
        return;
    struct traffic *traffic = container_of(shown, struct traffic, shown);
    free(traffic->services);
    free(traffic->instances);
    free(traffic->numbers);
    json_decref(traffic->tree);
    free(traffic);
}

/* n numbers to *at, which moves behind them. */
static bool read_numbers(const json_t *list, size_t n, uint64_t **at)
{
    if (json_array_size(list) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        *(*at)++ = (uint64_t)json_integer_value(json_array_get(list, i));
    return true;
}

static bool read_row(const json_t *item, const char *name, size_t n_bounds, uint64_t **numbers,
                     struct muster_traffic_row *row)
{
    row->state = text_of(item, "state");
    row->latency = *numbers;
    return client_read_text(item, name, &row->name) && read_count(item, "requests", &row->requests) &&
           read_count(item, "errors", &row->errors) && read_count(item, "in_flight", &row->in_flight) &&
           read_count(item, "retries", &row->retries) && read_count(item, "hedges", &row->hedges) &&
           read_count(item, "ejections", &row->ejections) && read_count(item, "connects", &row->connects) &&
           read_count(item, "reused", &row->reused) && read_count(item, "connect_failures", &row->connect_failures) &&
           read_numbers(json_object_get(item, "latency"), n_bounds + 1, numbers);
}

static int read_services(struct traffic *traffic, const json_t *list, uint64_t *numbers)
{
    size_t n_bounds = traffic->shown.n_bounds;
    struct muster_traffic_row *row = traffic->instances;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i), *instances = json_object_get(item, "instances");
        struct muster_traffic_service *service = &traffic->services[i];
        service->instances = row;
        service->n_instances = json_array_size(instances);
        if (!read_row(item, "service", n_bounds, &numbers, &service->all))
            return -EINVAL;
        for (size_t j = 0; j < service->n_instances; j++)
            if (!read_row(json_array_get(instances, j), "instance", n_bounds, &numbers, row++))
                return -EINVAL;
    }
    return 0;
}

static int read_traffic(struct traffic *traffic)
{
    const json_t *list = json_object_get(traffic->tree, "services");
    const json_t *bounds = json_object_get(traffic->tree, "latency_bounds_us");
    size_t n_services = json_array_size(list), n_bounds = json_array_size(bounds), n_instances = 0;
    for (size_t i = 0; i < n_services; i++)
        n_instances += json_array_size(json_object_get(json_array_get(list, i), "instances"));
    traffic->services = calloc(n_services + 1, sizeof(traffic->services[0]));
    traffic->instances = calloc(n_instances + 1, sizeof(traffic->instances[0]));
    traffic->numbers = calloc((n_services + n_instances + 1) * (n_bounds + 1), sizeof(uint64_t));
    if (!traffic->services || !traffic->instances || !traffic->numbers)
        return -ENOMEM;
    uint64_t *numbers = traffic->numbers;
    traffic->shown.n_bounds = n_bounds;
    traffic->shown.bounds_us = numbers;
    traffic->shown.n_services = n_services;
    traffic->shown.services = traffic->services;
    if (!client_read_number(traffic->tree, "at_us", &traffic->shown.at_us) || !json_is_array(list) ||
        !read_numbers(bounds, n_bounds, &numbers))
        return -EINVAL;
    return read_services(traffic, list, numbers);
}

int muster_get_traffic(struct muster_client *client, const char *service, struct muster_traffic **ret_traffic)
{
    CLEANUP(buf_deinit) struct buf path = {0};
    if (client_misses(client, "ret_traffic", ret_traffic != NULL))
        return MUSTER_BAD_OPTIONS;
    struct traffic *traffic = calloc(1, sizeof(*traffic));
    *ret_traffic = NULL;
    buf_append_str(&path, "/api/v1/traffic");
    put_text(&path, "service", service);
    client_lock(client);
    int result = traffic ? client_ask_path(client, &path, &traffic->tree) : client_fail_memory(client);
    int r = result == MUSTER_OK ? read_traffic(traffic) : 0;
    if (r < 0)
        result = client_fail_answer(client, r);
    client_unlock(client);
    if (result == MUSTER_OK)
        *ret_traffic = &traffic->shown;
    else if (traffic)
        muster_traffic_free(&traffic->shown);
    return result;
}

/* ------------------------------------------------------------------------------------------------ holders */

struct holders {
    struct muster_holders shown;
    struct muster_holder *items;
    json_t *tree;
};

void muster_holders_free(struct muster_holders *shown)
{
    if (!shown)
        return;
    struct holders *holders = container_of(shown, struct holders, shown);
    free(holders->items);
    json_decref(holders->tree);
    free(holders);
}

static int read_holders(struct holders *holders)
{
    const json_t *list = json_object_get(holders->tree, "holders");
    size_t n = json_array_size(list);
    holders->items = calloc(n + 1, sizeof(holders->items[0]));
    if (!holders->items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        struct muster_holder *holder = &holders->items[i];
        holder->request_id = text_of(item, "request_id");
        if (!client_read_text(item, "instance", &holder->instance) ||
            !client_read_text(item, "client", &holder->client) ||
            !client_read_text(item, "request", &holder->request) || !client_read_text(item, "state", &holder->state) ||
            !client_read_number(item, "age_ms", &holder->age_ms))
            return -EINVAL;
    }
    holders->shown.n = n;
    holders->shown.items = holders->items;
    holders->shown.picked = json_is_true(json_object_get(holders->tree, "picked"));
    return json_is_array(list) && read_count(holders->tree, "in_flight", &holders->shown.in_flight) ? 0 : -EINVAL;
}

int muster_get_holders(struct muster_client *client, const char *service, const char *instance,
                       struct muster_holders **ret_holders)
{
    CLEANUP(buf_deinit) struct buf path = {0};
    if (client_misses(client, "service", service != NULL) || client_misses(client, "ret_holders", ret_holders != NULL))
        return MUSTER_BAD_OPTIONS;
    struct holders *holders = calloc(1, sizeof(*holders));
    *ret_holders = NULL;
    buf_append_str(&path, "/api/v1/services/");
    client_append_escaped(&path, slice_from_str(service));
    if (instance) {
        buf_append_str(&path, "/instances/");
        client_append_escaped(&path, slice_from_str(instance));
    }
    buf_append_str(&path, "/holders");
    client_lock(client);
    int result = holders ? client_ask_path(client, &path, &holders->tree) : client_fail_memory(client);
    int r = result == MUSTER_OK ? read_holders(holders) : 0;
    if (r < 0)
        result = client_fail_answer(client, r);
    client_unlock(client);
    if (result == MUSTER_OK)
        *ret_holders = &holders->shown;
    else if (holders)
        muster_holders_free(&holders->shown);
    return result;
}
