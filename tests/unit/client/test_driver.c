/* SPDX-License-Identifier: Apache-2.0 */
/* Who turns a client: the program, its calls, or the library's thread. No registry is there. */
#include "muster.h"

#include "support/test.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#define NOBODY "unix:@muster-test-nobody"

static struct muster_client *make_client(void)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_client *client;
    options.addresses = NOBODY;
    options.timeout_ms = 1000;
    expect_int(muster_client_new(&options, &client), MUSTER_OK);
    return client;
}

static struct muster_registration *begin(struct muster_client *client)
{
    struct muster_register_options options = MUSTER_REGISTER_INIT;
    struct muster_registration *registration;
    options.address = "tcp@127.0.0.1:1";
    expect_int(muster_register(client, "web", &options, &registration), MUSTER_OK);
    return registration;
}

static bool has_reason(struct muster_registration *registration)
{
    char reason[200];
    muster_registration_reason(registration, reason, sizeof(reason));
    return strstr(reason, "cannot connect") != NULL;
}

static void the_programs_loop_turns_it(void)
{
    struct muster_client *client = make_client();
    struct muster_registration *registration = begin(client);
    while (!has_reason(registration)) {
        struct pollfd poll_fd = {.fd = muster_fd(client), .events = POLLIN};
        (void)poll(&poll_fd, 1, muster_timeout_ms(client));
        muster_process(client);
    }
    expect_int(muster_registration_state(registration), MUSTER_REGISTERING);
    expect_true(muster_timeout_ms(client) >= 0); /* it will try again */
    muster_registration_free(registration);
    expect_int(muster_timeout_ms(client), -1);
    muster_client_free(client);
}

static void a_call_that_waits_turns_it(void)
{
    struct muster_client *client = make_client();
    struct muster_registration *registration = begin(client);
    while (!has_reason(registration))
        expect_int(muster_registration_wait(registration, 50), MUSTER_TIMED_OUT);
    expect_int(muster_deregister_wait(registration), MUSTER_UNREACHABLE);
    muster_client_free(client);
}

/* What a callback may do: everything but wait. */
struct attempt {
    struct muster_client *client;
    bool is_done;
};

static void on_change(void *ctx, struct muster_service *service)
{
    struct attempt *attempt = ctx;
    struct muster_status *status;
    struct muster_instances *instances;
    expect_int(muster_get_status(attempt->client, &status), MUSTER_IN_CALLBACK);
    expect_int(muster_wait(attempt->client, 0), MUSTER_IN_CALLBACK);
    expect_int(muster_service_instances(service, &instances), MUSTER_OK);
    expect_int(instances->n, 2);
    muster_instances_free(instances);
    attempt->is_done = true;
}

static void a_callback_cannot_wait(void)
{
    struct attempt attempt = {make_client(), false};
    struct muster_service *service;
    expect_int(muster_service_static(attempt.client, "web", "tcp@a:1,http@b:2", &service), MUSTER_OK);
    muster_service_notify(service, on_change, &attempt);
    while (!attempt.is_done)
        (void)muster_wait(attempt.client, -1);
    expect_int(muster_service_age_ms(service), 0);
    muster_service_free(service);
    muster_client_free(attempt.client);
}

static void *use(void *arg)
{
    struct muster_service *service = arg;
    for (int i = 0; i < 2000; i++) {
        const struct muster_instance *instance;
        expect_int(muster_service_select(service, (enum muster_policy)(i % 3), &instance), MUSTER_OK);
        muster_instance_release(instance);
    }
    return NULL;
}

static void threads_may_share_it(void)
{
    struct muster_client *client = make_client();
    struct muster_service *service, *followed;
    pthread_t threads[4];
    expect_int(muster_client_start(client), MUSTER_OK);
    expect_int(muster_client_start(client), MUSTER_OK);
    struct muster_registration *registration = begin(client);
    expect_int(muster_service_static(client, "web", "tcp@a:1,http@b:2,unix@/c", &service), MUSTER_OK);
    expect_int(muster_follow(client, "db", &followed), MUSTER_OK);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        expect_int(pthread_create(&threads[i], NULL, use, service), 0);
    expect_int(muster_registration_wait(registration, 50), MUSTER_TIMED_OUT);
    expect_int(muster_service_age_ms(followed), -1);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    muster_service_free(followed);
    muster_service_free(service);
    muster_registration_free(registration);
    muster_client_stop(client);
    muster_client_stop(client);
    muster_client_free(client);
}

static void instances_take_turns(void)
{
    struct muster_client *client = make_client();
    struct muster_service *service;
    const struct muster_instance *held, *other;
    expect_int(muster_service_static(client, "web", "tcp@a:1,tcp@b:2", &service), MUSTER_OK);
    expect_int(muster_service_select(service, MUSTER_ROUND_ROBIN, &held), MUSTER_OK);
    expect_str(held->id, "tcp@a:1");
    for (int i = 0; i < 3; i++) { /* one is in use */
        expect_int(muster_service_select(service, MUSTER_LEAST, &other), MUSTER_OK);
        expect_str(other->id, "tcp@b:2");
        muster_instance_release(other);
    }
    muster_service_free(service);
    muster_instance_release(held);
    expect_int(muster_service_static(client, "web", "", &service), MUSTER_BAD_OPTIONS);
    expect_int(muster_service_static(client, "web", "tcp@a", &service), MUSTER_BAD_OPTIONS);
    muster_client_free(client);
}

static const struct test_case cases[] = {
    {"the program's own loop turns it", the_programs_loop_turns_it},
    {"a call that waits turns it", a_call_that_waits_turns_it},
    {"a callback cannot wait", a_callback_cannot_wait},
    {"threads may share it", threads_may_share_it},
    {"instances take turns, the least loaded one first", instances_take_turns},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
