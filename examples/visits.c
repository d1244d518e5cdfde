/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service "visits" that counts who came by, and needs the service "log": visit {"name": "…"} gives {"visits": n}. It
 * registers, and so is found, only when there is a log; when that goes later, visits are counted without it.
 *
 *     example_visits
 */
#include <jansson.h>
#include <muster.h>
#include <stdio.h>
#include <stdlib.h>

struct visits {
    json_t *counts; /* by name */
};

/* Tells the log; gives whether it has heard. */
static int tell_log(struct muster_request *request, const char *name, json_int_t count)
{
    struct muster_service *log = muster_server_need(muster_request_server(request), "log");
    json_t *line = json_sprintf("%s was here, %d times by now", name, (int)count);
    json_t *params = line ? json_pack("{s:o}", "line", line) : NULL;
    char *text = params ? json_dumps(params, JSON_COMPACT) : NULL;
    struct muster_reply *reply = NULL;
    int result = text ? muster_call(log, "append", text, NULL, &reply) : MUSTER_OUT_OF_MEMORY;
    muster_reply_free(reply);
    free(text);
    json_decref(params);
    return result == MUSTER_OK;
}

static void visit(void *ctx, struct muster_request *request)
{
    struct visits *visits = ctx;
    char text[64];
    json_t *params = json_loads(muster_request_params(request), JSON_DECODE_ANY, NULL);
    const char *name = json_string_value(json_object_get(params, "name"));
    if (name) {
        json_int_t count = json_integer_value(json_object_get(visits->counts, name)) + 1;
        json_object_set_new(visits->counts, name, json_integer(count));
        const char *is_logged = tell_log(request, name, count) ? "true" : "false";
        snprintf(text, sizeof(text), "{\"visits\":%lld,\"logged\":%s}", (long long)count, is_logged);
        muster_request_reply(request, text);
    } else {
        muster_request_fail(request, -32602, "expected {\"name\": \"text\"}");
    }
    json_decref(params);
}

static void on_ready(void *ctx, struct muster_server *server)
{
    (void)ctx;
    printf("visits: ready at %s\n", muster_server_address(server));
    fflush(stdout);
}

int main(void)
{
    static const struct muster_method methods[] = {{"visit", visit}};
    static const char *const needs[] = {"log", NULL};
    struct muster_register_options registration = MUSTER_REGISTER_INIT;
    struct muster_serve_options options = MUSTER_SERVE_INIT;
    struct visits visits = {json_object()};
    struct muster_client *client;
    if (!visits.counts || muster_client_new(NULL, &client) != MUSTER_OK)
        return EXIT_FAILURE;
    registration.needs = needs;
    registration.hold = 1;
    options.service = "visits";
    options.registration = &registration;
    options.wait_for_needs = 1;
    options.methods = methods;
    options.n_methods = 1;
    options.on_ready = on_ready;
    options.ctx = &visits;
    int result = muster_serve(client, &options);
    printf("visits: %s\n", result == MUSTER_OK ? "stopped" : muster_error(client));
    muster_client_free(client);
    json_decref(visits.counts);
    return result == MUSTER_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
