/* SPDX-License-Identifier: Apache-2.0 */
/*
 * muster_serve: the stages of a running service. The client's thread turns all tasks, connections too; the thread that
 * called muster_serve looks after each turn whether the next stage has come, and calls the methods, without the lock.
 */
#include "base/util.h"
#include "client/cache.h"
#include "client/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DEFAULT_LISTEN      "127.0.0.1:0"
#define DEFAULT_PATH        "/rpc"
#define DEFAULT_PEERS       256
#define DEFAULT_BYTES       ((size_t)1024 * 1024)
#define DEFAULT_SLOW_NS     (10 * NSEC_PER_SEC)
#define DEFAULT_DRAIN_NS    (8 * NSEC_PER_SEC)
#define SERVER_NEEDS_MAX    256
#define REGISTERED_ADDR_MAX (LISTENER_ADDRESS_MAX + 8)

/*
 * LEARNING: waits for the answers about what it needs. REGISTERING. SERVING. LEAVING: asked the registry to forget it.
 * DRAINING: does not listen any more.
 */
enum stage { LEARNING, REGISTERING, SERVING, LEAVING, DRAINING, ENDED };

struct run {
    struct muster_server server;
    enum stage stage;
    nsec_t deadline_ns; /* of leaving and draining together */
    int result;
};

/* ------------------------------------------------------------------------------------------------ connections */

static bool take_connection(struct muster_server *server, const struct session_options *options, int fd)
{
    (void)peer_new(server, options, fd);
    if (server->n_peers < server->max_peers)
        return true;
    /* Full: who is only kept for later goes. */
    list_for_each (node, &server->peers)
        peer_leave(peer_from_link(node));
    return false;
}

static bool on_http(void *ctx, int fd)
{
    struct muster_server *server = ctx;
    return take_connection(server, &server->by_http, fd);
}

static bool on_lines(void *ctx, int fd)
{
    struct muster_server *server = ctx;
    return take_connection(server, &server->by_line, fd);
}

static int listen_on(struct muster_server *server, struct listener *listener, const char *address, bool is_lines)
{
    struct muster_client *client = server->client;
    listener->on_connection = is_lines ? on_lines : on_http;
    listener->ctx = server;
    int r = listener_open(listener, &client->driver, address, is_lines, &client->error);
    if (r == -ENOMEM)
        return client_fail_memory(client);
    return r < 0 ? MUSTER_BAD_OPTIONS : MUSTER_OK;
}

/* ------------------------------------------------------------------------------------------------ signals */

static void on_signal(struct task *task)
{
    struct muster_server *server = container_of(task, struct muster_server, signal);
    struct signalfd_siginfo info;
    while (server->signal_fd >= 0 && read(server->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        server->n_stops++;
}

/* Those of the two that the program, or who started it, does not ignore. */
static void find_signals(sigset_t *ret_signals)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    sigemptyset(ret_signals);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct sigaction action;
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(ret_signals, numbers[i]);
    }
}

static int take_signals(struct muster_server *server, sigset_t *ret_before)
{
    sigset_t signals;
    find_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, ret_before);
    task_init(&server->signal, &server->client->driver, on_signal);
    server->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (server->signal_fd < 0 || task_watch(&server->signal, &server->client->driver, server->signal_fd, EPOLLIN) < 0)
        return client_fail(server->client, MUSTER_OUT_OF_MEMORY, "cannot take signals");
    return MUSTER_OK;
}

static void give_signals_back(struct muster_server *server, const sigset_t *before)
{
    task_deinit(&server->signal, &server->client->driver);
    if (server->signal_fd >= 0)
        close(server->signal_fd);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

void muster_server_stop(struct muster_server *server)
{
    if (!server)
        return;
    client_lock(server->client);
    server->n_stops++;
    task_post(&server->signal, &server->client->driver); /* so that somebody looks */
    client_unlock(server->client);
}

/* ------------------------------------------------------------------------------------------------ stages */

static int follow_needs(struct muster_server *server)
{
    const struct muster_register_options *registration = server->options->registration;
    const char *const *names = registration ? registration->needs : NULL;
    size_t n = 0;
    while (names && names[n])
        n++;
    if (n > SERVER_NEEDS_MAX)
        return client_fail(server->client, MUSTER_BAD_OPTIONS, "more than %d needs", SERVER_NEEDS_MAX);
    server->needs = calloc(n + 1, sizeof(struct muster_service *));
    if (!server->needs)
        return client_fail_memory(server->client);
    for (; server->n_needs < n; server->n_needs++) {
        int result = muster_follow(server->client, names[server->n_needs], &server->needs[server->n_needs]);
        if (result != MUSTER_OK)
            return result;
    }
    return MUSTER_OK;
}

static bool knows_needs(const struct muster_server *server)
{
    for (size_t i = 0; i < server->n_needs; i++) {
        const struct cache *cache = server->needs[i]->cache;
        if (!cache->is_known || (server->options->wait_for_needs && cache->n_offered == 0))
            return false;
    }
    return true;
}

static int start_registration(struct muster_server *server)
{
    static const struct muster_register_options defaults = MUSTER_REGISTER_INIT;
    struct muster_register_options registration = defaults;
    char address[REGISTERED_ADDR_MAX];
    registration.hold = 1;
    if (server->options->registration)
        registration = *server->options->registration;
    (void)snprintf(address, sizeof(address), "http@%s", server->http.address);
    if (!registration.address && !listener_has_host(&server->http))
        return client_fail(server->client, MUSTER_BAD_OPTIONS,
                           "registration.address: expected the one at which others reach %s", server->http.address);
    if (!registration.address)
        registration.address = address;
    return muster_register(server->client, server->options->service, &registration, &server->registration);
}

static void fail(struct run *run, int result)
{
    if (run->result == MUSTER_OK)
        run->result = result;
    run->stage = ENDED;
}

static void register_if_wanted(struct run *run)
{
    int result = run->server.options->service ? start_registration(&run->server) : MUSTER_OK;
    run->stage = REGISTERING;
    if (result != MUSTER_OK)
        fail(run, result);
}

/* With the lock, which is given up meanwhile. */
static void tell_ready(struct run *run)
{
    struct muster_server *server = &run->server;
    run->stage = SERVING;
    if (!server->options->on_ready)
        return;
    client_unlock(server->client);
    server->options->on_ready(server->options->ctx, server);
    client_lock(server->client);
}

static void look_at_registration(struct run *run)
{
    struct muster_server *server = &run->server;
    if (!server->registration || muster_registration_state(server->registration) == MUSTER_REGISTERED) {
        tell_ready(run);
    } else if (muster_registration_state(server->registration) == MUSTER_DENIED) {
        char reason[ERR_TEXT_MAX];
        muster_registration_reason(server->registration, reason, sizeof(reason));
        fail(run, client_fail(server->client, MUSTER_REFUSED, "%s", reason));
    }
}

static void leave(struct run *run)
{
    const struct muster_serve_options *options = run->server.options;
    nsec_t drain_ns = options->drain_ms > 0 ? options->drain_ms * NSEC_PER_MSEC : DEFAULT_DRAIN_NS;
    run->deadline_ns = time_now() + drain_ns;
    run->stage = LEAVING;
    if (run->server.registration)
        muster_deregister_start(run->server.registration);
}

static void drain(struct run *run)
{
    struct muster_server *server = &run->server;
    run->stage = DRAINING;
    server->is_leaving = true;
    listener_take_rest(&server->http);
    listener_take_rest(&server->lines);
    listener_close(&server->http);
    listener_close(&server->lines);
    list_for_each (node, &server->peers)
        peer_leave(peer_from_link(node));
}

/* Goes to the next stage if its moment has come. */
static void advance_once(struct run *run)
{
    struct muster_server *server = &run->server;
    bool is_over = run->stage >= LEAVING && (time_now() >= run->deadline_ns || server->n_stops > 1);
    if (server->n_stops > 0 && run->stage < LEAVING)
        leave(run);
    if (run->stage == LEARNING && knows_needs(server))
        register_if_wanted(run);
    else if (run->stage == REGISTERING)
        look_at_registration(run);
    else if (run->stage == LEAVING &&
             (is_over || !server->registration || muster_registration_state(server->registration) == MUSTER_ENDED))
        drain(run);
    else if (run->stage == DRAINING && (is_over || server->n_peers == 0))
        run->stage = ENDED;
}

static void advance(struct run *run)
{
    enum stage before;
    do {
        before = run->stage;
        advance_once(run);
    } while (run->stage != before);
}

/* ------------------------------------------------------------------------------------------------ requests */

static const struct muster_method *find_method(const struct muster_serve_options *options, const char *name)
{
    for (size_t i = 0; i < options->n_methods; i++) {
        if (strcmp(options->methods[i].name, name) == 0)
            return &options->methods[i];
    }
    return NULL;
}

/* With the lock, which is given up meanwhile. False: there was nothing to do. */
static bool carry_out_one(struct muster_server *server)
{
    struct list *node = list_pop_front(&server->queue);
    if (!node)
        return false;
    struct muster_request *request = container_of(node, struct muster_request, queue);
    const struct muster_method *method = find_method(server->options, request->method);
    request_begin(request);
    client_unlock(server->client);
    if (method)
        method->fn(server->options->ctx, request);
    else
        (void)muster_request_fail(request, RPC_UNKNOWN_METHOD, "there is no such method");
    client_lock(server->client);
    request_end(request);
    return true;
}

/* ------------------------------------------------------------------------------------------------ the whole */

static void set_limits(struct muster_server *server, const struct muster_serve_options *options)
{
    server->max_peers = options->max_connections > 0 ? options->max_connections : DEFAULT_PEERS;
    server->slow_ns = options->slow_ms > 0 ? options->slow_ms * NSEC_PER_MSEC : DEFAULT_SLOW_NS;
    server->by_http = (struct session_options){
        .path = options->path ? options->path : DEFAULT_PATH,
        .message_bytes = options->max_bytes > 0 ? options->max_bytes : DEFAULT_BYTES,
    };
    server->by_line = (struct session_options){.is_line = true, .message_bytes = server->by_http.message_bytes};
}

static int begin(struct muster_server *server)
{
    const struct muster_serve_options *options = server->options;
    int result = listen_on(server, &server->http, options->listen ? options->listen : DEFAULT_LISTEN, false);
    if (result == MUSTER_OK && options->listen_lines)
        result = listen_on(server, &server->lines, options->listen_lines, true);
    return result == MUSTER_OK ? follow_needs(server) : result;
}

static void end(struct muster_server *server)
{
    listener_close(&server->http);
    listener_close(&server->lines);
    list_for_each (node, &server->peers)
        peer_free(peer_from_link(node));
    list_for_each (node, &server->requests)
        request_abandon(container_of(node, struct muster_request, link));
    muster_registration_free(server->registration);
    while (server->n_needs > 0)
        muster_service_free(server->needs[--server->n_needs]);
    free(server->needs);
}

static int serve(struct muster_client *client, const struct muster_serve_options *options)
{
    struct run run = {.server = {.client = client, .options = options, .signal_fd = -1}, .deadline_ns = NSEC_NEVER};
    struct muster_server *server = &run.server;
    sigset_t before;
    list_init(&server->peers);
    list_init(&server->requests);
    list_init(&server->queue);
    set_limits(server, options);
    int result = take_signals(server, &before);
    if (result == MUSTER_OK)
        result = begin(server);
    if (result != MUSTER_OK)
        fail(&run, result);
    for (advance(&run); run.stage != ENDED; advance(&run)) {
        if (!carry_out_one(server))
            (void)driver_wait(&client->driver, run.deadline_ns);
    }
    /* What freeing says is not what it failed by. */
    const struct err why = client->error;
    end(server);
    give_signals_back(server, &before);
    client->error = why;
    return run.result;
}

/* A muster_result. */
static int check_options(struct muster_client *client, const struct muster_serve_options *options)
{
    if (options->version != MUSTER_SERVE_VERSION)
        return client_fail(client, MUSTER_BAD_OPTIONS, "muster_serve_options.version is %u; this library knows %d",
                           options->version, MUSTER_SERVE_VERSION);
    if (options->n_methods > 0 && !options->methods)
        return client_fail(client, MUSTER_BAD_OPTIONS, "methods: expected %zu, not NULL", options->n_methods);
    for (size_t i = 0; i < options->n_methods; i++) {
        const struct muster_method *method = &options->methods[i];
        if (!method->name)
            return client_fail(client, MUSTER_BAD_OPTIONS, "methods: number %zu has no name", i + 1);
        if (!method->fn)
            return client_fail(client, MUSTER_BAD_OPTIONS, "methods: \"%s\" has no fn", method->name);
    }
    return client_refuse_in_callback(client, "wait");
}

int muster_serve(struct muster_client *client, const struct muster_serve_options *options)
{
    if (client_misses(client, "options", options != NULL) ||
        (options->service && client_misses_service(client, options->service)))
        return MUSTER_BAD_OPTIONS;
    client_lock(client);
    client_ref(client);
    client->error = client->options_error;
    int result = client->options_result;
    if (result == MUSTER_OK)
        result = check_options(client, options);
    bool had_thread = client->driver.has_thread;
    if (result == MUSTER_OK)
        result = muster_client_start(client);
    bool was_started = result == MUSTER_OK && !had_thread;
    if (result == MUSTER_OK)
        result = serve(client, options);
    client_unlock(client);
    if (was_started)
        muster_client_stop(client);
    client_unref(client);
    return result;
}

const char *muster_server_address(const struct muster_server *server)
{
    return server ? server->http.address : NULL;
}

const char *muster_server_lines_address(const struct muster_server *server)
{
    return server && server->options->listen_lines ? server->lines.address : NULL;
}

struct muster_service *muster_server_need(const struct muster_server *server, const char *service)
{
    for (size_t i = 0; server && service && i < server->n_needs; i++) {
        if (strcmp(muster_service_name(server->needs[i]), service) == 0)
            return server->needs[i];
    }
    return NULL;
}
