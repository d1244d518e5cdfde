/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service "log": append {"line": "…"} keeps a line, last {"n": 10} gives the newest ones.
 *
 *     example_log            it listens on a port that is free, and is found at the registry of MUSTER_ADDR
 */
#include <jansson.h>
#include <muster.h>
#include <stdio.h>
#include <stdlib.h>

#define LINES_MAX 1000

static void append(void *ctx, struct muster_request *request)
{
    json_t *lines = ctx;
    json_t *params = json_loads(muster_request_params(request), JSON_DECODE_ANY, NULL);
    json_t *line = json_object_get(params, "line");
    if (json_is_string(line) && json_array_append(lines, line) == 0) {
        if (json_array_size(lines) > LINES_MAX)
            json_array_remove(lines, 0);
        muster_request_reply(request, "true");
    } else {
        muster_request_fail(request, -32602, "expected {\"line\": \"text\"}");
    }
    json_decref(params);
}

static void last(void *ctx, struct muster_request *request)
{
    const json_t *lines = ctx;
    json_t *params = json_loads(muster_request_params(request), JSON_DECODE_ANY, NULL);
    json_int_t n = json_integer_value(json_object_get(params, "n"));
    size_t size = json_array_size(lines);
    size_t first = n > 0 && (size_t)n < size ? size - (size_t)n : 0;
    json_t *newest = json_array();
    for (size_t i = first; i < size; i++)
        json_array_append(newest, json_array_get(lines, i));
    char *text = json_dumps(newest, JSON_COMPACT);
    if (text)
        muster_request_reply(request, text);
    else
        muster_request_fail(request, -32603, "out of memory");
    free(text);
    json_decref(newest);
    json_decref(params);
}

static void on_ready(void *ctx, struct muster_server *server)
{
    (void)ctx;
    printf("log: ready at %s\n", muster_server_address(server));
    fflush(stdout);
}

int main(void)
{
    static const struct muster_method methods[] = {{"append", append}, {"last", last}};
    struct muster_serve_options options = MUSTER_SERVE_INIT;
    struct muster_client *client;
    json_t *lines = json_array();
    if (!lines || muster_client_new(NULL, &client) != MUSTER_OK)
        return EXIT_FAILURE;
    options.service = "log";
    options.methods = methods;
    options.n_methods = sizeof(methods) / sizeof(methods[0]);
    options.on_ready = on_ready;
    options.ctx = lines;
    int result = muster_serve(client, &options);
    printf("log: %s\n", result == MUSTER_OK ? "stopped" : muster_error(client));
    muster_client_free(client);
    json_decref(lines);
    return result == MUSTER_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
