/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Following a service, by a registry that says what the test wants on each connection and then hangs up. The last
 * connection stays open.
 */
#include "muster.h"

#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define INSTANCE(id, offered)                                                                                          \
    "{\"service\":\"web\",\"id\":\"" id "\",\"address\":\"tcp@h:1\",\"status\":\"up\",\"offered\":" offered "}"
#define SNAPSHOT(list) "event: snapshot\ndata: {\"name\":\"web\",\"revision\":4,\"instances\":[" list "]}\n\n"
#define SYNCED(id)     "event: synced\nid: " id "\ndata: {\"revision\":" id "}\n\n"
#define CHANGE(id, instance, after)                                                                                    \
    "event: change\nid: " id "\ndata: {\"service\":\"web\",\"instance\":\"" instance "\",\"after\":" after "}\n\n"

#define CONNECTIONS_MAX 4

struct registry {
    const char *events[CONNECTIONS_MAX]; /* of each connection; NULL: no more */
    char heads[CONNECTIONS_MAX][1024];   /* that came */
    int listen_fd, last_fd;
    pthread_t thread;
    struct muster_client *client;
    struct muster_service *service;
};

static void serve_one(const char *events, int fd, char *head, size_t size)
{
    size_t len = 0;
    while (len + 1 < size && !strstr(head, "\r\n\r\n")) {
        ssize_t n = recv(fd, head + len, size - 1 - len, 0);
        if (n <= 0)
            return;
        len += (size_t)n;
        head[len] = '\0';
    }
    char answer[4096];
    int n = snprintf(answer, sizeof(answer), HEAD "%zx\r\n%s\r\n", strlen(events), events);
    expect_true(n > 0 && (size_t)n < sizeof(answer));
    (void)send(fd, answer, (size_t)n, MSG_NOSIGNAL); /* who asked may have gone */
}

static void *serve(void *arg)
{
    struct registry *registry = arg;
    for (size_t i = 0; i < CONNECTIONS_MAX && registry->events[i]; i++) {
        bool is_last = i + 1 == CONNECTIONS_MAX || !registry->events[i + 1];
        int fd = accept(registry->listen_fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        serve_one(registry->events[i], fd, registry->heads[i], sizeof(registry->heads[i]));
        if (is_last)
            registry->last_fd = fd;
        else
            close(fd);
    }
    return NULL;
}

static void start(struct registry *registry)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct muster_options options = MUSTER_OPTIONS_INIT;
    char text[128];
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "muster-follow-%ld", (long)getpid());
    snprintf(text, sizeof(text), "unix:@%s", address.sun_path + 1);
    registry->last_fd = -1;
    registry->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1));
    expect_int(bind(registry->listen_fd, (const struct sockaddr *)(const void *)&address, len), 0);
    expect_int(listen(registry->listen_fd, 16), 0);
    expect_int(pthread_create(&registry->thread, NULL, serve, registry), 0);
    options.addresses = text;
    expect_int(muster_client_new(&options, &registry->client), MUSTER_OK);
    expect_int(muster_follow(registry->client, "web", &registry->service), MUSTER_OK);
}

/* From then on the heads may be looked at. */
static void stop(struct registry *registry)
{
    muster_service_free(registry->service);
    muster_client_free(registry->client);
    shutdown(registry->listen_fd, SHUT_RDWR);
    pthread_join(registry->thread, NULL);
    close(registry->listen_fd);
    if (registry->last_fd >= 0)
        close(registry->last_fd);
}

/* "a b!": the ids, those that are only of last resort with a mark. */
static bool shows(struct registry *registry, const char *expected)
{
    struct muster_instances *instances;
    char text[64] = "";
    expect_int(muster_service_instances(registry->service, &instances), MUSTER_OK);
    for (size_t i = 0; i < instances->n; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%s%s%s", i > 0 ? " " : "", instances->items[i]->id,
                 instances->items[i]->last_resort ? "!" : "");
    }
    muster_instances_free(instances);
    return strcmp(text, expected) == 0;
}

static void wait_until_it_shows(struct registry *registry, const char *expected)
{
    while (!shows(registry, expected))
        (void)muster_wait(registry->client, -1);
}

static void changes_are_followed(void)
{
    struct registry registry = {.events = {SNAPSHOT(INSTANCE("a", "true")) SYNCED("4")
                                               CHANGE("5", "b", INSTANCE("b", "true")) CHANGE("6", "a", "null")}};
    start(&registry);
    expect_int(muster_service_age_ms(registry.service), -1);
    wait_until_it_shows(&registry, "b");
    expect_int(muster_service_wait(registry.service, 1, 1000), MUSTER_OK);
    expect_true(muster_service_age_ms(registry.service) >= 0);
    stop(&registry);
    expect_true(strstr(registry.heads[0], "GET /api/v1/watch?service=web HTTP/1.1\r\n") != NULL);
    expect_true(strstr(registry.heads[0], "Last-Event-ID") == NULL);
}

static void a_broken_stream_is_resumed(void)
{
    struct registry registry = {
        .events = {SNAPSHOT(INSTANCE("a", "true")) SYNCED("4"), CHANGE("7", "c", INSTANCE("c", "true"))}};
    start(&registry);
    wait_until_it_shows(&registry, "a c");
    stop(&registry);
    expect_true(strstr(registry.heads[1], "Last-Event-ID: 4\r\n") != NULL);
}

static void a_reset_replaces_what_was_known(void)
{
    struct registry registry = {.events = {SNAPSHOT(INSTANCE("a", "true") "," INSTANCE("b", "true")) SYNCED("4"),
                                           "event: reset\ndata: {\"revision\":9}\n\n" SNAPSHOT(INSTANCE("b", "true"))
                                               SYNCED("9")}};
    start(&registry);
    wait_until_it_shows(&registry, "a! b");
    stop(&registry);
}

static void without_the_registry_the_copy_stays(void)
{
    struct registry registry = {.events = {SNAPSHOT(INSTANCE("a", "true")) SYNCED("4"), ""}};
    const struct muster_instance *instance;
    start(&registry);
    wait_until_it_shows(&registry, "a");
    while (muster_service_age_ms(registry.service) < 200)
        (void)muster_wait(registry.client, 50);
    expect_true(shows(&registry, "a"));
    expect_int(muster_service_select(registry.service, MUSTER_RANDOM, &instance), MUSTER_OK);
    muster_instance_release(instance);
    stop(&registry);
}

static void nonsense_is_not_believed(void)
{
    struct registry registry = {.events = {SNAPSHOT(INSTANCE("a", "true")) SYNCED("4") "event: change\ndata: {]\n\n",
                                           "event: change\nid: 5\ndata: {\"service\":\"web\",\"after\":null}\n\n",
                                           CHANGE("6", "b", INSTANCE("b", "true"))}};
    start(&registry);
    wait_until_it_shows(&registry, "a b");
    stop(&registry);
    expect_true(strstr(registry.heads[2], "Last-Event-ID: 4\r\n") != NULL);
}

/* More than a server takes by their names: then it is asked for all, and what nobody follows is passed over. */
static void many_services_are_followed(void)
{
    struct muster_service *others[100];
    struct registry registry = {
        .events = {"event: snapshot\ndata: {\"name\":\"stranger\",\"revision\":1,\"instances\":[]}\n\n" SNAPSHOT(
            INSTANCE("a", "true")) SYNCED("4")}};
    start(&registry);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        char name[16];
        snprintf(name, sizeof(name), "other%zu", i);
        expect_int(muster_follow(registry.client, name, &others[i]), MUSTER_OK);
    }
    wait_until_it_shows(&registry, "a");
    expect_int(muster_service_wait(others[99], 0, 60000), MUSTER_OK); /* that it has none is known */
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        muster_service_free(others[i]);
    stop(&registry);
    expect_true(strstr(registry.heads[0], "GET /api/v1/watch HTTP/1.1\r\n") != NULL);
}

static const struct test_case cases[] = {
    {"changes are followed", changes_are_followed},
    {"many services are followed", many_services_are_followed},
    {"etcd#8980: a broken stream is resumed", a_broken_stream_is_resumed},
    {"etcd#8668: a reset replaces what was known, with doubt", a_reset_replaces_what_was_known},
    {"nacos#1873: without the registry the copy stays, and ages", without_the_registry_the_copy_stays},
    {"nonsense is not believed", nonsense_is_not_believed},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
