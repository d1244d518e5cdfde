/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service "sums": sum [1, 2, 3] gives 6, sleep {"ms": 100} answers after that time.
 *
 *     example_sums
 */
#include <jansson.h>
#include <muster.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void sum(void *ctx, struct muster_request *request)
{
    (void)ctx;
    char text[32];
    double total = 0;
    json_t *numbers = json_loads(muster_request_params(request), JSON_DECODE_ANY, NULL);
    for (size_t i = 0; i < json_array_size(numbers); i++)
        total += json_number_value(json_array_get(numbers, i));
    snprintf(text, sizeof(text), "%.15g", total);
    muster_request_reply(request, text);
    json_decref(numbers);
}

/* It may block: the library goes on meanwhile with all but other requests. */
static void sleep_a_while(void *ctx, struct muster_request *request)
{
    (void)ctx;
    json_t *params = json_loads(muster_request_params(request), JSON_DECODE_ANY, NULL);
    json_int_t ms = json_integer_value(json_object_get(params, "ms"));
    if (ms >= 0 && ms <= 60000) {
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
        muster_request_reply(request, "true");
    } else {
        muster_request_fail(request, -32602, "expected {\"ms\": 0 to 60000}");
    }
    json_decref(params);
}

static void on_ready(void *ctx, struct muster_server *server)
{
    (void)ctx;
    printf("sums: ready at %s\n", muster_server_address(server));
    fflush(stdout);
}

int main(void)
{
    static const struct muster_method methods[] = {{"sum", sum}, {"sleep", sleep_a_while}};
    struct muster_serve_options options = MUSTER_SERVE_INIT;
    struct muster_client *client;
    if (muster_client_new(NULL, &client) != MUSTER_OK)
        return EXIT_FAILURE;
    options.service = "sums";
    options.methods = methods;
    options.n_methods = sizeof(methods) / sizeof(methods[0]);
    options.on_ready = on_ready;
    int result = muster_serve(client, &options);
    printf("sums: %s\n", result == MUSTER_OK ? "stopped" : muster_error(client));
    muster_client_free(client);
    return result == MUSTER_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
