/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a C programmer does wrong in his first hour with muster.h: each mistake is told in words, and nothing crashes.
 * No server is there: what gets that far would be MUSTER_UNREACHABLE.
 */
#include "muster.h"

#include "support/test.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NOWHERE "unix:/nonexistent/muster"

static struct muster_client *make_client(void)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_client *client;
    options.addresses = NOWHERE;
    expect_int(muster_client_new(&options, &client), MUSTER_OK);
    return client;
}

/* The result of the last call is MUSTER_BAD_OPTIONS, for this reason. */
static void expect_told(struct muster_client *client, int result, const char *words)
{
    expect_str(muster_error(client), words);
    expect_int(result, MUSTER_BAD_OPTIONS);
}

static struct muster_register_options at_port_1(void)
{
    struct muster_register_options options = MUSTER_REGISTER_INIT;
    options.address = "127.0.0.1:1";
    return options;
}

/* ------------------------------------------------------------------------------------------------ NULL */

static void registering_needs_its_arguments(void)
{
    struct muster_client *client = make_client();
    struct muster_register_options options = at_port_1();
    struct muster_registration *registration = (void *)client;
    expect_told(client, muster_register(client, "web", NULL, &registration), "options: expected one, not NULL");
    expect_true(registration == NULL);
    expect_told(client, muster_register(client, NULL, &options, &registration),
                "service: expected a name of 1 to 255 bytes, not NULL");
    expect_told(client, muster_register(client, "", &options, &registration),
                "service: expected a name of 1 to 255 bytes, not 0");
    expect_told(client, muster_register(client, "web", &options, NULL), "ret_registration: expected one, not NULL");
    expect_told(client, muster_register_once(client, "web", NULL), "options: expected one, not NULL");
    expect_told(client, muster_register_once(client, NULL, &options),
                "service: expected a name of 1 to 255 bytes, not NULL");
    options.n_metadata = 2;
    expect_told(client, muster_register(client, "web", &options, &registration),
                "metadata: expected 2 pairs, not NULL");
    struct muster_pair pairs[2] = {{"a", "b"}, {NULL, "c"}};
    options.metadata = pairs;
    expect_told(client, muster_register(client, "web", &options, &registration), "metadata: a pair without a name");
    options = at_port_1();
    options.version = 0;
    expect_told(client, muster_register(client, "web", &options, &registration),
                "muster_register_options.version is 0; this library knows 1");
    muster_client_free(client);
}

static void asking_needs_its_arguments(void)
{
    static const char *const none[] = {NULL};
    const char *service = "service: expected a name of 1 to 255 bytes, not NULL";
    struct muster_client *client = make_client();
    struct muster_instances *instances;
    struct muster_explanation *explanation;
    struct muster_why *why;
    struct muster_service *followed;
    expect_told(client, muster_show(client, NULL, NULL, &instances), service);
    expect_told(client, muster_show(client, "web", NULL, NULL), "ret_instances: expected one, not NULL");
    expect_told(client, muster_explain(client, NULL, "a", &explanation), service);
    expect_told(client, muster_explain(client, "web", NULL, &explanation),
                "instance: expected a name of 1 to 1024 bytes, not NULL");
    expect_told(client, muster_deregister(client, NULL, "a"), service);
    expect_told(client, muster_deregister(client, "web", NULL),
                "instance: expected a name of 1 to 1024 bytes, not NULL");
    expect_told(client, muster_order(client, MUSTER_DRAIN, NULL, NULL, NULL, 0), service);
    expect_told(client, muster_order_end(client, MUSTER_DRAIN, NULL, NULL), service);
    expect_told(client, muster_order(client, (enum muster_order_kind)7, "web", NULL, NULL, 0),
                "kind: 7 is none of enum muster_order_kind");
    expect_told(client, muster_wait_ready(client, NULL, 1, 1), "services: expected one, not NULL");
    expect_told(client, muster_wait_ready(client, none, 1, 1), "services: expected a name at least");
    expect_told(client, muster_watch(client, NULL, NULL, NULL), "fn: expected one, not NULL");
    expect_told(client, muster_follow(client, NULL, &followed), service);
    expect_told(client, muster_follow(client, "web", NULL), "ret_service: expected one, not NULL");
    expect_told(client, muster_service_static(client, "web", NULL, &followed), "addresses: expected one, not NULL");
    expect_told(client, muster_list_services(client, NULL, NULL), "ret_services: expected one, not NULL");
    expect_told(client, muster_get_history(client, NULL, NULL, 0, 0, NULL), "ret_history: expected one, not NULL");
    expect_told(client, muster_get_gateway_requests(client, NULL, NULL), "query: expected one, not NULL");
    expect_told(client, muster_get_traffic(client, NULL, NULL), "ret_traffic: expected one, not NULL");
    expect_told(client, muster_get_graph(client, NULL), "ret_graph: expected one, not NULL");
    expect_told(client, muster_get_status(client, NULL), "ret_status: expected one, not NULL");
    expect_told(client, muster_store_snapshot(client, NULL, NULL), "fn: expected one, not NULL");
    expect_told(client, muster_store_why_key(client, NULL, 3, &why), "key: expected one, not NULL");
    expect_told(client, muster_store_why_lease(client, NULL, &why), "lease: expected one, not NULL");
    expect_told(client, muster_store_why_lease(client, "1", NULL), "ret_why: expected one, not NULL");
    muster_client_free(client);
}

static void calling_needs_its_arguments(void)
{
    struct muster_client *client = make_client();
    struct muster_service *service;
    struct muster_reply *reply;
    struct muster_replies *replies;
    struct muster_pending *pending;
    const struct muster_instance *instance;
    expect_int(muster_service_static(client, "it", "tcp@127.0.0.1:1", &service), MUSTER_OK);
    expect_told(client, muster_call(service, NULL, NULL, NULL, &reply), "a method has a name of 1 to 256 bytes");
    expect_told(client, muster_call(service, "m", NULL, NULL, NULL), "ret_reply: expected one, not NULL");
    expect_told(client, muster_broadcast(service, "m", NULL, NULL, NULL), "ret_replies: expected one, not NULL");
    expect_told(client, muster_broadcast(service, "", NULL, NULL, &replies), "a method has a name of 1 to 256 bytes");
    expect_told(client, muster_call_start(service, "m", NULL, NULL, NULL, NULL, NULL),
                "ret_pending: expected one, not NULL");
    expect_told(client, muster_service_select(service, MUSTER_RANDOM, NULL), "ret_instance: expected one, not NULL");
    expect_told(client, muster_service_select(service, (enum muster_policy)9, &instance),
                "policy: 9 is none of enum muster_policy");
    expect_told(client, muster_service_instances(service, NULL), "ret_instances: expected one, not NULL");
    expect_int(muster_call_start(service, "m", NULL, NULL, NULL, NULL, &pending), MUSTER_OK); /* without fn: polled */
    muster_pending_free(pending);
    muster_service_free(service);
    muster_client_free(client);
}

static void serving_needs_its_arguments(void)
{
    struct muster_client *client = make_client();
    struct muster_serve_options options = MUSTER_SERVE_INIT;
    const struct muster_method nameless = {NULL, NULL}, idle = {"idle", NULL};
    expect_told(client, muster_serve(client, NULL), "options: expected one, not NULL");
    options.n_methods = 1;
    expect_told(client, muster_serve(client, &options), "methods: expected 1, not NULL");
    options.methods = &nameless;
    expect_told(client, muster_serve(client, &options), "methods: number 1 has no name");
    options.methods = &idle;
    expect_told(client, muster_serve(client, &options), "methods: \"idle\" has no fn");
    options.n_methods = 0;
    options.service = "";
    expect_told(client, muster_serve(client, &options), "service: expected a name of 1 to 255 bytes, not 0");
    muster_client_free(client);
}

/* A handle that could not be made is NULL, and is used all the same. */
static void nothing_comes_of_nothing(void)
{
    struct muster_register_options options = at_port_1();
    char text[8] = "before";
    expect_int(muster_client_new(NULL, NULL), MUSTER_BAD_OPTIONS);
    expect_str(muster_error(NULL), "client: expected one, not NULL");
    expect_int(muster_fd(NULL), -1);
    expect_int(muster_timeout_ms(NULL), -1);
    muster_process(NULL);
    expect_int(muster_wait(NULL, 0), MUSTER_BAD_OPTIONS);
    expect_int(muster_client_start(NULL), MUSTER_BAD_OPTIONS);
    muster_client_stop(NULL);
    expect_int(muster_register(NULL, "web", &options, NULL), MUSTER_BAD_OPTIONS);
    expect_int(muster_get_status(NULL, NULL), MUSTER_BAD_OPTIONS);
    expect_int(muster_serve(NULL, NULL), MUSTER_BAD_OPTIONS);
    muster_registration_notify(NULL, NULL, NULL);
    expect_int(muster_registration_state(NULL), MUSTER_ENDED);
    expect_str(muster_registration_id(NULL), "");
    muster_registration_reason(NULL, text, sizeof(text));
    expect_str(text, "");
    expect_int(muster_registration_wait(NULL, 1), MUSTER_BAD_OPTIONS);
    expect_int(muster_registration_report(NULL, 1, NULL), MUSTER_BAD_OPTIONS);
    muster_deregister_start(NULL);
    expect_int(muster_deregister_wait(NULL), MUSTER_BAD_OPTIONS);
    muster_registration_free(NULL);
    muster_service_free(NULL);
    expect_str(muster_service_name(NULL), "");
    muster_service_notify(NULL, NULL, NULL);
    expect_int(muster_service_age_ms(NULL), -1);
    expect_int(muster_service_instances(NULL, NULL), MUSTER_BAD_OPTIONS);
    expect_int(muster_service_wait(NULL, 1, 1), MUSTER_BAD_OPTIONS);
    expect_int(muster_service_select(NULL, MUSTER_RANDOM, NULL), MUSTER_BAD_OPTIONS);
    expect_int(muster_call(NULL, "m", NULL, NULL, NULL), MUSTER_BAD_OPTIONS);
    expect_int(muster_call_start(NULL, "m", NULL, NULL, NULL, NULL, NULL), MUSTER_BAD_OPTIONS);
    expect_int(muster_broadcast(NULL, "m", NULL, NULL, NULL), MUSTER_BAD_OPTIONS);
    expect_true(muster_pending_reply(NULL) == NULL);
    muster_server_stop(NULL);
    expect_true(muster_server_address(NULL) == NULL && muster_server_lines_address(NULL) == NULL);
    expect_true(muster_server_need(NULL, "a") == NULL && muster_request_server(NULL) == NULL);
    expect_str(muster_request_method(NULL), "");
    expect_str(muster_request_params(NULL), "");
    expect_int(muster_request_reply(NULL, "1"), MUSTER_BAD_OPTIONS);
    expect_int(muster_request_fail(NULL, 1, NULL), MUSTER_BAD_OPTIONS);
}

/* ------------------------------------------------------------------------------------------------ too long */

static void what_is_too_long_is_told(void)
{
    const size_t len = (size_t)3 * 1024 * 1024;
    char *text = malloc(len + 1);
    struct muster_client *client = make_client();
    struct muster_register_options options = at_port_1();
    struct muster_registration *registration;
    struct muster_service *service;
    struct muster_services *services;
    struct muster_why *why;
    memset(text, 'a', len);
    text[len] = '\0';
    expect_told(client, muster_follow(client, text, &service),
                "service: expected a name of 1 to 255 bytes, not 3145728");
    expect_told(client, muster_register(client, text, &options, &registration),
                "service: expected a name of 1 to 255 bytes, not 3145728");
    expect_told(client, muster_list_services(client, text, &services), "the request is longer than 1048576 bytes");
    expect_told(client, muster_store_why_key(client, text, len, &why), "the request is longer than 1048576 bytes");
    options.id = text;
    expect_told(client, muster_register(client, "web", &options, &registration),
                "id: expected a name of 1 to 1024 bytes, not 3145728");
    options.id = "";
    expect_told(client, muster_register_once(client, "web", &options), "id: expected a name of 1 to 1024 bytes, not 0");
    options.id = NULL;
    options.zone = text;
    expect_told(client, muster_register(client, "web", &options, &registration),
                "an instance with more than 65536 bytes");
    options.zone = NULL;
    options.address = text;
    expect_int(muster_register(client, "web", &options, &registration), MUSTER_BAD_OPTIONS);
    expect_int(muster_service_static(client, "web", text, &service), MUSTER_BAD_OPTIONS);
    muster_client_free(client);
    free(text);
}

/* ------------------------------------------------------------------------------------------------ order of calls */

static void one_instance_is_registered_once(void)
{
    struct muster_client *client = make_client();
    struct muster_register_options options = at_port_1();
    struct muster_registration *first, *second;
    expect_int(muster_register(client, "web", &options, &first), MUSTER_OK);
    expect_told(client, muster_register(client, "web", &options, &second),
                "\"127.0.0.1:1\" of \"web\" is registered by this client already");
    expect_true(second == NULL);
    expect_int(muster_register(client, "other", &options, &second), MUSTER_OK);
    muster_registration_free(first);
    expect_int(muster_register(client, "web", &options, &first), MUSTER_OK);
    muster_registration_free(first);
    muster_registration_free(second);
    muster_client_free(client);
}

/* The client goes with the last of what was made from it. */
static void a_client_may_be_freed_first(void)
{
    struct muster_client *client = make_client();
    struct muster_register_options options = at_port_1();
    struct muster_registration *registration;
    struct muster_service *service;
    struct muster_pending *pending;
    expect_int(muster_register(client, "web", &options, &registration), MUSTER_OK);
    expect_int(muster_service_static(client, "it", "tcp@127.0.0.1:1", &service), MUSTER_OK);
    expect_int(muster_call_start(service, "m", NULL, NULL, NULL, NULL, &pending), MUSTER_OK);
    expect_int(muster_client_start(client), MUSTER_OK);
    muster_client_free(client);
    expect_int(muster_registration_wait(registration, 1), MUSTER_TIMED_OUT);
    muster_pending_free(pending);
    muster_service_free(service);
    muster_registration_free(registration);
}

static void ended_registrations_can_be_used(void)
{
    struct muster_client *client = make_client();
    struct muster_register_options options = at_port_1();
    struct muster_registration *registration;
    expect_int(muster_register(client, "web", &options, &registration), MUSTER_OK);
    muster_deregister_start(registration);
    muster_deregister_start(registration);
    while (muster_registration_state(registration) != MUSTER_ENDED)
        expect_int(muster_wait(client, -1), MUSTER_OK);
    muster_deregister_start(registration);
    expect_int(muster_registration_wait(registration, 1), MUSTER_REFUSED);
    expect_int(muster_registration_report(registration, 1, "\xff"), MUSTER_UNREACHABLE);
    expect_int(muster_deregister_wait(registration), MUSTER_UNREACHABLE);
    muster_client_free(client);
}

/* ------------------------------------------------------------------------------------------------ in callbacks */

struct closing {
    struct muster_client *client;
    struct muster_registration *waited_for;
    bool has_thread;
    atomic_uint n_calls;
};

static void close_all(void *ctx, struct muster_registration *registration, enum muster_registration_state state)
{
    struct closing *closing = ctx;
    (void)state;
    expect_int(muster_deregister_wait(registration), MUSTER_IN_CALLBACK);
    expect_int(muster_wait(closing->client, 0), MUSTER_IN_CALLBACK);
    muster_process(closing->client);
    muster_client_stop(closing->client);
    if (closing->has_thread)
        expect_str(muster_error(closing->client), "a callback cannot wait for the end of the thread");
    muster_client_free(closing->client);
    expect_str(muster_error(closing->client), "a callback cannot free the client");
    muster_registration_free(closing->waited_for);
    muster_registration_free(registration);
    closing->n_calls++;
}

static void a_registration_may_be_freed_in_its_callback(void)
{
    for (int has_thread = 0; has_thread < 2; has_thread++) {
        struct closing closing = {.client = make_client(), .has_thread = has_thread};
        struct muster_register_options options = at_port_1();
        struct muster_registration *registration;
        if (has_thread)
            expect_int(muster_client_start(closing.client), MUSTER_OK);
        expect_int(muster_register(closing.client, "web", &options, &registration), MUSTER_OK);
        expect_int(muster_register(closing.client, "other", &options, &closing.waited_for), MUSTER_OK);
        muster_registration_notify(registration, close_all, &closing);
        muster_deregister_start(registration);
        if (!has_thread)
            expect_int(muster_registration_wait(closing.waited_for, 60000), MUSTER_STOPPED);
        while (closing.n_calls == 0)
            (void)muster_wait(closing.client, -1);
        expect_int(closing.n_calls, 1);
        muster_client_free(closing.client);
    }
}

static void free_service(void *ctx, struct muster_service *service)
{
    unsigned *n_calls = ctx;
    (*n_calls)++;
    muster_service_free(service);
}

static void a_service_may_be_freed_in_its_callback(void)
{
    struct muster_client *client = make_client();
    struct muster_service *service;
    unsigned n_calls = 0;
    expect_int(muster_service_static(client, "it", "tcp@127.0.0.1:1", &service), MUSTER_OK);
    muster_service_notify(service, free_service, &n_calls);
    expect_int(muster_service_wait(service, 2, 60000), MUSTER_STOPPED);
    expect_int(n_calls, 1);
    muster_client_free(client);
}

/* ------------------------------------------------------------------------------------------------ in methods */

static void answer_twice(void *ctx, struct muster_request *request)
{
    (void)ctx;
    expect_int(muster_request_fail(request, -1, NULL), MUSTER_OK);
    expect_str(muster_request_method(request), "twice");
    expect_int(muster_request_reply(request, "1"), MUSTER_BAD_OPTIONS);
    expect_int(muster_request_reply(request, NULL), MUSTER_BAD_OPTIONS);
    muster_server_stop(muster_request_server(request));
}

struct caller {
    struct muster_client *client, *freed;
    struct muster_service *service;
    struct muster_pending *pending;
};

/* Frees the client under the server that runs on it, too. */
static void call_own_server(void *ctx, struct muster_server *server)
{
    struct caller *caller = ctx;
    expect_int(muster_client_start(caller->client), MUSTER_OK);
    expect_int(muster_service_static(caller->client, "it", muster_server_address(server), &caller->service), MUSTER_OK);
    expect_int(muster_call_start(caller->service, "twice", NULL, NULL, NULL, NULL, &caller->pending), MUSTER_OK);
    muster_client_free(caller->freed);
}

static void a_request_is_answered_once(void)
{
    const struct muster_method twice = {"twice", answer_twice};
    struct caller caller = {.client = make_client(), .freed = make_client()};
    struct muster_serve_options options = MUSTER_SERVE_INIT;
    options.methods = &twice;
    options.n_methods = 1;
    options.on_ready = call_own_server;
    options.ctx = &caller;
    expect_int(muster_serve(caller.freed, &options), MUSTER_OK);
    while (!muster_pending_reply(caller.pending))
        (void)muster_wait(caller.client, -1);
    expect_int(muster_pending_reply(caller.pending)->result, MUSTER_REMOTE_ERROR);
    muster_pending_free(caller.pending);
    muster_service_free(caller.service);
    muster_client_free(caller.client);
}

static const struct test_case cases[] = {
    {"registering needs its arguments", registering_needs_its_arguments},
    {"asking needs its arguments", asking_needs_its_arguments},
    {"calling needs its arguments", calling_needs_its_arguments},
    {"serving needs its arguments", serving_needs_its_arguments},
    {"nothing comes of nothing", nothing_comes_of_nothing},
    {"what is too long is told", what_is_too_long_is_told},
    {"one instance is registered once", one_instance_is_registered_once},
    {"a client may be freed first", a_client_may_be_freed_first},
    {"ended registrations can be used", ended_registrations_can_be_used},
    {"a registration may be freed in its callback", a_registration_may_be_freed_in_its_callback},
    {"a service may be freed in its callback", a_service_may_be_freed_in_its_callback},
    {"a request is answered once", a_request_is_answered_once},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
