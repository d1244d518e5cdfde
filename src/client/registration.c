/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One registration: a small state machine whose states are those of muster.h, moved by set_state alone.
 *
 *     REGISTERING --PUT--> REGISTERED --renewed, or the stream goes on--> REGISTERED
 *          any failure --> LOST (or REGISTERING, the first time), PUT again after a wait
 *          refused     --> DENIED, PUT again after a long wait
 *
 * There is at most one question on its way, `ask`: the PUT (which for a held registration is answered by a stream that
 * lasts as long as it is held), or a renewal. A renewal that fails, for whatever reason, leads to a PUT: that is right
 * whether the registry still has the instance or not. `parting` is the DELETE, which is asked while the stream of a
 * held registration is still open, so that the registry sees the program leave and not die.
 */
#include "client/registration.h"

#include "base/backoff.h"
#include "base/util.h"
#include "client/client.h"
#include "client/target.h"
#include "wire/json.h"
#include "wire/sse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_TTL_NS (30 * NSEC_PER_SEC)
#define DENIED_WAIT_NS (30 * NSEC_PER_SEC)
#define SILENCE_NS     (12 * NSEC_PER_SEC) /* the server of a held one says something every 5 s */
#define ANSWER_MAX     ((size_t)64 * 1024)

struct muster_registration {
    struct muster_client *client;
    struct list link; /* in the client */
    char *id, *path, *body;
    bool is_held;
    enum muster_registration_state state;
    struct err reason;
    struct ask ask, parting;
    bool is_renewing; /* what is asked is to renew */
    bool is_parting;
    struct buf answer; /* of what is no stream */
    struct sse_parser parser;
    struct task due; /* the next PUT or renewal */
    struct backoff backoff;
    nsec_t ttl_ns; /* as the server gave it; 0: for ever */
    struct task notify;
    muster_registration_fn fn;
    void *ctx;
    unsigned n_waiting; /* calls that wait for it: the last of them frees it when it was freed meanwhile */
    bool is_freed;
};

static const struct json_limits json_limits = {.n_bytes = ANSWER_MAX, .depth = 8};

static void set_state(struct muster_registration *registration, enum muster_registration_state state, const char *why)
{
    err_set(&registration->reason, 0, "%s", why);
    if (registration->state == state)
        return;
    registration->state = state;
    if (registration->fn)
        task_post(&registration->notify, &registration->client->driver);
}

static void wake_in(struct muster_registration *registration, nsec_t wait_ns)
{
    task_wake_at(&registration->due, &registration->client->driver, time_now() + wait_ns);
}

/* ------------------------------------------------------------------------------------------------ good answers */

/* A third of the time-to-live, less some jitter: two heartbeats may be lost. */
static void plan_renewal(struct muster_registration *registration)
{
    nsec_t third_ns = registration->ttl_ns / 3;
    if (registration->ttl_ns > 0)
        wake_in(registration,
                third_ns - (nsec_t)random_below(&registration->client->random, (uint64_t)third_ns / 8 + 1));
}

/* What the server gave: {"ttl_ms": …}. */
static void take_registered(struct muster_registration *registration, struct slice json)
{
    json_t *tree = NULL;
    int64_t ttl_ms;
    if (json_parse(json, &json_limits, &tree, NULL) == 0 && client_read_number(tree, "ttl_ms", &ttl_ms) &&
        ttl_ms >= 0 && ttl_ms <= INT64_MAX / NSEC_PER_MSEC)
        registration->ttl_ns = ttl_ms * NSEC_PER_MSEC;
    json_decref(tree);
    backoff_reset(&registration->backoff);
    set_state(registration, MUSTER_REGISTERED, "");
}

static int on_event(void *ctx, const struct sse_event *event)
{
    struct muster_registration *registration = ctx;
    if (slice_equal_str(event->type, "registered"))
        take_registered(registration, event->data);
    return 0;
}

static int on_body(void *ctx, unsigned status, struct slice piece, struct err *err)
{
    struct muster_registration *registration = ctx;
    bool is_stream = registration->is_held && !registration->is_renewing && status < 300;
    int r = is_stream ? sse_parser_take(&registration->parser, piece, on_event, registration)
                      : buf_append(&registration->answer, piece);
    return r < 0 ? err_set(err, r, "an answer that is too long") : 0;
}

/* ------------------------------------------------------------------------------------------------ asking */

static void fail(struct muster_registration *registration, const char *why)
{
    bool was_registered = registration->state == MUSTER_REGISTERED;
    set_state(registration, registration->state == MUSTER_REGISTERING ? MUSTER_REGISTERING : MUSTER_LOST, why);
    /* The first try after a loss is made at once: a held one has a grace only. Then all wait. */
    wake_in(registration, was_registered ? 0 : backoff_next(&registration->backoff, &registration->client->random));
}

static void refuse(struct muster_registration *registration, unsigned status)
{
    struct err err = {""};
    (void)client_refused(status, buf_slice(&registration->answer), &err);
    bool may_pass = status >= 500 || status == 429 || status == 408;
    if (may_pass || (registration->is_renewing && status == 404)) {
        fail(registration, err.text);
        return;
    }
    set_state(registration, MUSTER_DENIED, err.text);
    wake_in(registration, backoff_jitter(DENIED_WAIT_NS, &registration->client->random));
}

static void on_end(struct ask *ask, int result)
{
    struct muster_registration *registration = ask->ctx;
    unsigned status = ask_status(ask);
    sse_parser_deinit(&registration->parser);
    if (registration->is_parting)
        return;
    if (result != MUSTER_OK) {
        fail(registration, ask->err.text);
    } else if (status >= 300) {
        refuse(registration, status);
    } else if (registration->is_held) {
        fail(registration, "the server has ended the connection that holds the registration");
    } else {
        take_registered(registration, buf_slice(&registration->answer));
        plan_renewal(registration);
    }
}

/* The path of the instance, with something behind it. */
static void write_path(const struct muster_registration *registration, const char *verb, struct buf *path)
{
    buf_append_str(path, registration->path);
    buf_append_str(path, verb);
    buf_append_char(path, '\0');
}

static void on_due(struct task *task)
{
    struct muster_registration *registration = container_of(task, struct muster_registration, due);
    struct muster_client *client = registration->client;
    struct buf path = {0};
    if (ask_is_running(&registration->ask))
        return;
    registration->is_renewing = registration->state == MUSTER_REGISTERED;
    write_path(registration, registration->is_renewing ? "/renew" : "", &path);
    buf_reset(&registration->answer);
    sse_parser_init(&registration->parser, ANSWER_MAX);
    struct ask_question question = client_question(client, registration->is_renewing ? "POST" : "PUT", path.ptr);
    question.silence_ns = registration->is_held ? SILENCE_NS : 0;
    question.body = registration->is_renewing ? (struct slice){0} : slice_from_str(registration->body);
    question.on_body = on_body;
    question.on_end = on_end;
    question.ctx = registration;
    if (registration->is_renewing && question.timeout_ns > registration->ttl_ns / 3)
        question.timeout_ns = registration->ttl_ns / 3;
    if (buf_error(&path) < 0 || ask_start(&registration->ask, &client->driver, &question) < 0)
        fail(registration, "out of memory");
    buf_deinit(&path);
}

/* ------------------------------------------------------------------------------------------------ the handle */

static void notify(struct task *task)
{
    struct muster_registration *registration = container_of(task, struct muster_registration, notify);
    if (registration->fn)
        registration->fn(registration->ctx, registration, registration->state);
}

static void make_session(char ret_session[33])
{
    unsigned char bytes[16] = {0};
    (void)random_system(bytes, sizeof(bytes)); /* muster_client_new has shown that it works */
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void)snprintf(ret_session + 2 * i, 3, "%02x", bytes[i]);
}

/* "host:port", the path of unix@, or what was said. */
static char *default_id(const char *address)
{
    struct slice text = slice_from_str(address);
    size_t at = slice_find(text, '@');
    return slice_dup(at < text.len ? slice_skip(text, at + 1) : text);
}

static int fill(struct muster_registration *registration, const char *service,
                const struct muster_register_options *options, struct err *err)
{
    char session[33] = "";
    CLEANUP(buf_deinit) struct buf body = {.limit = ANSWER_MAX}, path = {0};
    struct target target;
    if (options->hold)
        make_session(session);
    int r = registration_write(&body, options, session, err);
    if (r == 0)
        r = target_parse(slice_from_str(options->address), &target, err);
    if (r < 0)
        return r == -EMSGSIZE ? err_set(err, -EINVAL, "an instance with more than %zu bytes", ANSWER_MAX) : r;
    registration->id = options->id ? slice_dup(slice_from_str(options->id)) : default_id(options->address);
    if (!registration->id)
        return -ENOMEM;
    buf_append_str(&path, "/api/v1/services/");
    client_append_escaped(&path, slice_from_str(service));
    buf_append_str(&path, "/instances/");
    client_append_escaped(&path, slice_from_str(registration->id));
    registration->path = buf_error(&path) < 0 ? NULL : slice_dup(buf_slice(&path));
    registration->body = slice_dup(buf_slice(&body));
    registration->is_held = options->hold != 0;
    registration->ttl_ns = options->ttl_ms > 0 ? options->ttl_ms * NSEC_PER_MSEC : DEFAULT_TTL_NS;
    return registration->path && registration->body ? 0 : -ENOMEM;
}

static void registration_free(struct muster_registration *registration)
{
    free(registration->id);
    free(registration->path);
    free(registration->body);
    free(registration);
}

/* Two of one instance would take it from each other for ever. */
static bool is_taken(const struct muster_client *client, const struct muster_registration *registration)
{
    list_for_each (node, &client->registrations) {
        const struct muster_registration *other = container_of(node, struct muster_registration, link);
        if (!other->is_parting && strcmp(other->path, registration->path) == 0)
            return true;
    }
    return false;
}

static int begin(struct muster_client *client, const char *service, const struct muster_register_options *options,
                 struct muster_registration **ret_registration)
{
    client->error = client->options_error;
    if (client->options_result != MUSTER_OK)
        return client->options_result;
    struct muster_registration *registration = calloc(1, sizeof(*registration));
    int r = registration ? fill(registration, service, options, &client->error) : -ENOMEM;
    if (r == 0 && is_taken(client, registration))
        r = err_set(&client->error, -EINVAL, "\"%s\" of \"%s\" is registered by this client already", registration->id,
                    service);
    if (r < 0) {
        if (registration)
            registration_free(registration);
        return r == -EINVAL ? MUSTER_BAD_OPTIONS : client_fail_memory(client);
    }
    registration->client = client;
    registration->answer.limit = ANSWER_MAX;
    task_init(&registration->due, &client->driver, on_due);
    task_init(&registration->notify, &client->driver, notify);
    task_post(&registration->due, &client->driver);
    list_init(&registration->link);
    list_push_back(&client->registrations, &registration->link);
    client_ref(client);
    *ret_registration = registration;
    return MUSTER_OK;
}

int muster_register(struct muster_client *client, const char *service, const struct muster_register_options *options,
                    struct muster_registration **ret_registration)
{
    if (client_misses(client, "ret_registration", ret_registration != NULL))
        return MUSTER_BAD_OPTIONS;
    *ret_registration = NULL;
    if (client_misses_service(client, service) || client_misses(client, "options", options != NULL))
        return MUSTER_BAD_OPTIONS;
    client_lock(client);
    int result = begin(client, service, options, ret_registration);
    client_unlock(client);
    return result;
}

/* Begin and end of a call that waits for it: without the lock, and with it, which is then given up. */
static struct muster_client *begin_waiting(struct muster_registration *registration)
{
    struct muster_client *client = registration->client;
    client_lock(client);
    client->error.text[0] = '\0';
    registration->n_waiting++;
    return client;
}

static void end_waiting(struct muster_registration *registration)
{
    struct muster_client *client = registration->client;
    bool is_last = --registration->n_waiting == 0 && registration->is_freed;
    client_unlock(client);
    if (!is_last)
        return;
    registration_free(registration);
    client_unref(client);
}

void muster_registration_free(struct muster_registration *registration)
{
    if (!registration)
        return;
    struct muster_client *client = begin_waiting(registration);
    registration->is_freed = true;
    list_remove(&registration->link);
    ask_stop(&registration->ask);
    ask_stop(&registration->parting);
    task_deinit(&registration->due, &client->driver);
    task_deinit(&registration->notify, &client->driver);
    sse_parser_deinit(&registration->parser);
    buf_deinit(&registration->answer);
    end_waiting(registration);
}

void muster_registration_notify(struct muster_registration *registration, muster_registration_fn fn, void *ctx)
{
    if (!registration)
        return;
    client_lock(registration->client);
    registration->fn = fn;
    registration->ctx = ctx;
    if (fn && registration->state != MUSTER_REGISTERING)
        task_post(&registration->notify, &registration->client->driver);
    client_unlock(registration->client);
}

enum muster_registration_state muster_registration_state(struct muster_registration *registration)
{
    if (!registration)
        return MUSTER_ENDED;
    client_lock(registration->client);
    enum muster_registration_state state = registration->state;
    client_unlock(registration->client);
    return state;
}

const char *muster_registration_id(const struct muster_registration *registration)
{
    return registration ? registration->id : "";
}

void muster_registration_reason(struct muster_registration *registration, char *text, size_t size)
{
    if (!text || size == 0)
        return;
    text[0] = '\0';
    if (!registration)
        return;
    client_lock(registration->client);
    (void)snprintf(text, size, "%s", registration->reason.text);
    client_unlock(registration->client);
}

/* MUSTER_OK: it goes on. */
static int look_at_wait(const struct muster_registration *registration, nsec_t deadline_ns)
{
    struct muster_client *client = registration->client;
    const char *reason = registration->reason.text;
    if (registration->is_freed)
        return client_fail(client, MUSTER_STOPPED, "the registration was freed meanwhile");
    if (registration->state == MUSTER_DENIED || registration->state == MUSTER_ENDED)
        return client_fail(client, MUSTER_REFUSED, "%s", *reason ? reason : "it is deregistered");
    if (time_now() >= deadline_ns)
        return client_fail(client, MUSTER_TIMED_OUT, "not registered: %s", *reason ? reason : "no answer yet");
    return client_refuse_in_callback(client, "wait");
}

int muster_registration_wait(struct muster_registration *registration, unsigned timeout_ms)
{
    if (!registration)
        return MUSTER_BAD_OPTIONS;
    nsec_t deadline_ns = time_now() + timeout_ms * NSEC_PER_MSEC;
    struct muster_client *client = begin_waiting(registration);
    int result = MUSTER_OK;
    while (registration->is_freed || registration->state != MUSTER_REGISTERED) {
        result = look_at_wait(registration, deadline_ns);
        if (result != MUSTER_OK)
            break;
        (void)driver_wait(&client->driver, deadline_ns);
    }
    end_waiting(registration);
    return result;
}

int muster_registration_report(struct muster_registration *registration, int passing, const char *output)
{
    if (!registration)
        return MUSTER_BAD_OPTIONS;
    struct muster_client *client = registration->client;
    CLEANUP(buf_deinit) struct buf path = {0}, body = {0};
    json_t *tree = NULL;
    registration_write_report(&body, passing, output);
    client_lock(client);
    write_path(registration, "/check", &path);
    int result = client_fail_memory(client);
    if (buf_error(&body) == 0 && buf_error(&path) == 0) {
        struct ask_question question = client_question(client, "POST", path.ptr);
        question.body = buf_slice(&body);
        result = client_ask_json(client, &question, &tree);
    }
    client_unlock(client);
    json_decref(tree);
    return result;
}

/* ------------------------------------------------------------------------------------------------ the end */

static void on_parted(struct ask *ask, int result)
{
    struct muster_registration *registration = ask->ctx;
    unsigned status = ask_status(ask);
    struct err err = ask->err;
    if (result == MUSTER_OK && status >= 300 && status != 404)
        (void)client_refused(status, buf_slice(&registration->answer), &err);
    ask_stop(&registration->ask);
    sse_parser_deinit(&registration->parser);
    set_state(registration, MUSTER_ENDED, err.text);
}

static int take_parting(void *ctx, unsigned status, struct slice piece, struct err *err)
{
    struct muster_registration *registration = ctx;
    (void)status;
    (void)err;
    return buf_append(&registration->answer, piece);
}

static void start_parting(struct muster_registration *registration)
{
    struct muster_client *client = registration->client;
    if (registration->is_parting)
        return;
    registration->is_parting = true;
    task_deinit(&registration->due, &client->driver);
    if (!registration->is_held || registration->state != MUSTER_REGISTERED)
        ask_stop(&registration->ask);
    buf_reset(&registration->answer);
    struct ask_question question = client_question(client, "DELETE", registration->path);
    question.on_body = take_parting;
    question.on_end = on_parted;
    question.ctx = registration;
    if (ask_start(&registration->parting, &client->driver, &question) < 0)
        set_state(registration, MUSTER_ENDED, "out of memory");
}

void muster_deregister_start(struct muster_registration *registration)
{
    if (!registration)
        return;
    client_lock(registration->client);
    start_parting(registration);
    client_unlock(registration->client);
}

int muster_deregister_wait(struct muster_registration *registration)
{
    if (!registration)
        return MUSTER_BAD_OPTIONS;
    struct muster_client *client = begin_waiting(registration);
    int result = client_refuse_in_callback(client, "wait");
    if (result == MUSTER_OK) {
        if (!registration->is_freed)
            start_parting(registration);
        while (!registration->is_freed && registration->state != MUSTER_ENDED)
            (void)driver_wait(&client->driver, NSEC_NEVER);
        client->error = registration->reason;
        result = *client->error.text ? MUSTER_UNREACHABLE : MUSTER_OK;
    }
    bool is_over = result != MUSTER_IN_CALLBACK && !registration->is_freed;
    end_waiting(registration);
    if (is_over)
        muster_registration_free(registration);
    return result;
}
