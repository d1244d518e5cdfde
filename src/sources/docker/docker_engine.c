/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     RESTS -> GREETS -> SUBSCRIBES -> FOLLOWS
 *                |           |  '----> POLLS, which tries to subscribe again with every list_every_ns
 *                '--- fail --+-> WAITS -> GREETS
 *
 * In FOLLOWS and POLLS the list is read by its own time. Whatever goes wrong with the connection goes through `fail`,
 * which is said once per loss. A stream of events that ends is no loss yet: the engine is greeted again at once, and it
 * is lost when it does not answer.
 *
 * The stream is the only request that may be silent for hours, so it has a pool of its own. That the engine is there is
 * seen by the list, which fails within its time.
 */
#include "sources/docker/docker_engine.h"

#include "base/assert.h"
#include "sources/docker/docker_container.h"
#include "wire/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ASK_TIMEOUT_NS    (10 * NSEC_PER_SEC)
#define HEAD_PATIENCE_NS  (2 * NSEC_PER_SEC) /* for the head of the events' answer */
#define STREAM_STEADY_NS  NSEC_PER_SEC       /* one that lasted so long is asked for again at once */
#define BRIEF_STREAMS_MAX 3                  /* in a row: then it is polled instead */
#define SETTLE_NS         (20 * NSEC_PER_MSEC)
#define VERSION_BYTES_MAX ((size_t)64 * 1024)
#define API_OLDEST        24 /* of version 1: what we need is in all since */
#define API_NEWEST        47 /* the newest that we know */

/* ------------------------------------------------------------------------------------------------ state */

static struct loop *loop_of(const struct docker_engine *engine)
{
    return engine->office->loop;
}

static void arm_in(struct docker_engine *engine, nsec_t pause_ns)
{
    loop_arm(loop_of(engine), &engine->timer, loop_now(loop_of(engine)) + pause_ns);
}

static void note_success(struct docker_engine *engine)
{
    engine->success_ms = loop_wall_now(loop_of(engine)) / NSEC_PER_MSEC;
}

static void end_stream(struct docker_engine *engine)
{
    pool_cancel(&engine->wait);
    if (engine->is_calling)
        client_call_cancel(&engine->call);
    engine->is_calling = false;
    docker_event_stream_deinit(&engine->stream);
}

/* Greets again after a pause. */
static void wait_for(struct docker_engine *engine, nsec_t pause_ns)
{
    end_stream(engine);
    errand_cancel(&engine->version.errand);
    errand_cancel(&engine->list.errand);
    engine->state = DOCKER_ENGINE_WAITS;
    engine->next_ms = (loop_wall_now(loop_of(engine)) + pause_ns) / NSEC_PER_MSEC;
    engine->has_listed = false;
    arm_in(engine, pause_ns);
}

/* `why` is static. */
static void fail(struct docker_engine *engine, const char *why)
{
    if (engine->state == DOCKER_ENGINE_RESTS || engine->state == DOCKER_ENGINE_WAITS)
        return;
    bool is_news = strcmp(engine->trouble, why) != 0;
    bool was_there = engine->was_there;
    engine->was_there = false;
    engine->trouble = why;
    engine->told = DOCKER_ENGINE_WAITS;
    wait_for(engine, backoff_next(&engine->backoff, &engine->random));
    if (was_there || (is_news && !engine->options.may_be_missing))
        log_warn(engine->log, "the Docker engine cannot be reached; it is tried again and again",
                 log_str("host", engine->options.host), log_text("why", why));
    else
        log_debug(engine->log, "there is no Docker engine", log_str("host", engine->options.host),
                  log_text("why", why));
    if (was_there)
        engine->events->on_lost(engine);
}

/* ------------------------------------------------------------------------------------------------ asking */

static void on_errand(struct errand *errand)
{
    struct docker_ask *ask = container_of(errand, struct docker_ask, errand);
    struct docker_engine *engine = ask->engine;
    int result = errand->result;
    if (result == 0 && errand->status == 404)
        result = DOCKER_ASK_NOT_FOUND;
    else if (result == 0 && (errand->status != 200 || errand->body.len == errand->request.body_max_bytes))
        result = DOCKER_ASK_REFUSED;
    if (result >= 0)
        note_success(engine);
    else if (result != -ECANCELED)
        fail(engine, errand_failure(errand));
    ask->done(ask, result);
}

void docker_engine_ask(struct docker_engine *engine, struct docker_ask *ask, docker_ask_fn done, size_t max_bytes,
                       const char *target_fmt, ...)
{
    char rest[sizeof(ask->target) - sizeof(engine->api)];
    va_list args;
    va_start(args, target_fmt);
    int n = vsnprintf(rest, sizeof(rest), target_fmt, args);
    va_end(args);
    ASSERT(n > 0 && (size_t)n < sizeof(rest));
    n = snprintf(ask->target, sizeof(ask->target), "%s%s%s", engine->api[0] ? "/v" : "", engine->api, rest);
    ask->engine = engine;
    ask->done = done;
    ask->errand.on_done = on_errand;
    ask->errand.request = (struct errand_request){
        .host = engine->options.host,
        .port = engine->options.port,
        .tls = engine->options.tls,
        .method = SLICE_LIT("GET"),
        .target = slice_from(ask->target, (size_t)n),
        .timeout_ns = ASK_TIMEOUT_NS,
        .body_max_bytes = max_bytes,
    };
    errand_start(engine->office, &ask->errand);
}

void docker_ask_deinit(struct docker_ask *ask)
{
    errand_deinit(&ask->errand);
}

/* ------------------------------------------------------------------------------------------------ the list */

static bool is_connected(const struct docker_engine *engine)
{
    return engine->state == DOCKER_ENGINE_FOLLOWS || engine->state == DOCKER_ENGINE_POLLS;
}

static void tell_mode(struct docker_engine *engine)
{
    if (engine->told == engine->state)
        return;
    engine->told = engine->state;
    if (engine->state == DOCKER_ENGINE_FOLLOWS)
        log_info(engine->log, "the Docker engine is followed", log_str("host", engine->options.host),
                 log_text("api", engine->api));
    else
        log_warn(engine->log, "the Docker engine does not tell its events; its containers are listed again and again",
                 log_str("host", engine->options.host), log_text("api", engine->api));
}

static void take_list(struct docker_engine *engine, struct slice ids)
{
    bool is_first = !engine->has_listed;
    tell_mode(engine);
    engine->has_listed = engine->was_there = true;
    engine->trouble = "";
    engine->next_ms = 0;
    backoff_reset(&engine->backoff);
    engine->events->on_list(engine, ids, is_first, engine->state == DOCKER_ENGINE_FOLLOWS);
}

static void on_listed(struct docker_ask *ask, int result)
{
    struct docker_engine *engine = ask->engine;
    struct buf ids = {0};
    engine->is_listing = false;
    if (!is_connected(engine)) /* it was given up meanwhile */
        result = -ECANCELED;
    int r = result == 0 ? docker_list_parse(buf_slice(&ask->errand.body), &ids, NULL) : 0;
    docker_ask_deinit(ask);
    if (result > 0)
        fail(engine, "it refuses to list its containers");
    else if (r < 0)
        fail(engine, "its list of containers is not understood");
    else if (result == 0)
        take_list(engine, buf_slice(&ids));
    buf_deinit(&ids);
    if (engine->lists_again)
        docker_engine_list(engine);
}

void docker_engine_list(struct docker_engine *engine)
{
    if (!is_connected(engine))
        return;
    arm_in(engine,
           engine->state == DOCKER_ENGINE_FOLLOWS ? engine->options.list_every_ns : engine->options.poll_every_ns);
    engine->lists_again = engine->is_listing; /* the list on its way may be from before */
    if (engine->is_listing)
        return;
    engine->is_listing = true;
    docker_engine_ask(engine, &engine->list, on_listed, DOCKER_LIST_BYTES_MAX, "/containers/json");
}

static void enter(struct docker_engine *engine, enum docker_engine_state state)
{
    engine->state = state;
    engine->entered_ns = loop_now(loop_of(engine));
    engine->has_listed = false;
    docker_engine_list(engine);
}

/* ------------------------------------------------------------------------------------------------ events */

static void on_event(void *ctx, const struct docker_event *event)
{
    struct docker_engine *engine = ctx;
    if (engine->state != DOCKER_ENGINE_FOLLOWS)
        return;
    note_success(engine);
    if (event->time_ns > engine->heard_ns) {
        engine->heard_ns = event->time_ns;
        engine->n_brief = 0;
    }
    if (event->kind == DOCKER_EVENT_BAD)
        docker_engine_list(engine); /* whatever it was, the list shows it */
    else
        engine->events->on_event(engine, event);
}

static void on_head(struct client_call *call, const struct http_response *response)
{
    struct docker_engine *engine = container_of(call, struct docker_engine, call);
    if (response->status != 200)
        end_stream(engine);
    enter(engine, response->status == 200 ? DOCKER_ENGINE_FOLLOWS : DOCKER_ENGINE_POLLS);
}

static void on_body(struct client_call *call, struct slice bytes)
{
    struct docker_engine *engine = container_of(call, struct docker_engine, call);
    docker_event_stream_feed(&engine->stream, bytes, on_event, engine);
}

static void on_stream_done(struct client_call *call, int result)
{
    struct docker_engine *engine = container_of(call, struct docker_engine, call);
    (void)result;
    engine->is_calling = false;
    if (engine->state == DOCKER_ENGINE_POLLS)
        return;
    if (engine->state == DOCKER_ENGINE_SUBSCRIBES) {
        fail(engine, "it does not tell its events");
        return;
    }
    bool was_brief = loop_now(loop_of(engine)) - engine->entered_ns < STREAM_STEADY_NS;
    engine->n_brief = was_brief ? engine->n_brief + 1 : 0;
    if (engine->n_brief >= BRIEF_STREAMS_MAX) {
        enter(engine, DOCKER_ENGINE_POLLS);
        return;
    }
    log_info(engine->log, "the Docker engine's events have ended; they are asked for again");
    wait_for(engine, 0);
}

static const struct client_events stream_events = {.on_head = on_head, .on_body = on_body, .on_done = on_stream_done};

static void call_events(struct docker_engine *engine, struct client_connection *connection)
{
    char target[256];
    int n = snprintf(target, sizeof(target), "/v%s/events?filters=%s", engine->api, DOCKER_EVENT_FILTERS);
    if (engine->heard_ns > 0)
        n += snprintf(target + n, sizeof(target) - (size_t)n, "&since=%lld.%09lld",
                      (long long)(engine->heard_ns / NSEC_PER_SEC), (long long)(engine->heard_ns % NSEC_PER_SEC));
    ASSERT(n > 0 && (size_t)n < sizeof(target));
    bool is_path = slice_starts_with(engine->options.host, SLICE_LIT("unix:"));
    engine->is_calling = true;
    engine->call = (struct client_call){.events = &stream_events};
    client_call_start(connection, &engine->call,
                      &(struct client_request){
                          .method = SLICE_LIT("GET"),
                          .target = slice_from(target, (size_t)n),
                          .authority = is_path ? SLICE_LIT("localhost") : engine->options.host,
                      });
}

static void on_connection(struct pool_wait *wait, int result, struct client_connection *connection)
{
    struct docker_engine *engine = container_of(wait, struct docker_engine, wait);
    if (result == 0)
        call_events(engine, connection);
    else if (engine->state == DOCKER_ENGINE_SUBSCRIBES)
        fail(engine, "no connection for its events");
}

static void subscribe(struct docker_engine *engine)
{
    struct client_connection *connection;
    struct pool_key key = {.tls = engine->options.tls};
    if (engine->options.tls)
        key.server_name = engine->options.host;
    errand_addr(&engine->version.errand, &key.addr);
    engine->wait = (struct pool_wait){.on_ready = on_connection};
    list_init(&engine->wait.link);
    int r = pool_get(engine->pool, &key, &engine->wait, &connection);
    if (r != POOL_WAIT)
        on_connection(&engine->wait, r, connection);
}

/* ------------------------------------------------------------------------------------------------ greeting */

/* "1.41" -> 41; negative: another one. */
static int parse_api(const json_t *object, const char *name)
{
    uint64_t minor;
    const char *text = json_string_value(json_object_get(object, name));
    if (!text || strncmp(text, "1.", 2) != 0 || slice_parse_u64(slice_from_str(text + 2), &minor) < 0 || minor > 9999)
        return -EINVAL;
    return (int)minor;
}

/* The newest version that both sides know. NULL, or why there is none. */
static const char *negotiate(struct docker_engine *engine, struct slice answer)
{
    static const struct json_limits limits = {.n_bytes = VERSION_BYTES_MAX, .depth = 16};
    json_auto_t *object = NULL;
    if (json_parse(answer, &limits, &object, NULL) < 0)
        return "what it says of its version is not understood";
    int newest = parse_api(object, "ApiVersion"), oldest = parse_api(object, "MinAPIVersion");
    if (newest < 0)
        return "it names no version of the Engine API";
    if (newest < API_OLDEST)
        return "it is too old: its API is older than 1.24";
    int api = newest < API_NEWEST ? newest : API_NEWEST;
    if (oldest > api)
        api = oldest; /* what we read of it has not changed for ten years */
    (void)snprintf(engine->api, sizeof(engine->api), "1.%d", api);
    return NULL;
}

static void on_version(struct docker_ask *ask, int result)
{
    struct docker_engine *engine = ask->engine;
    const char *why = NULL;
    if (engine->state != DOCKER_ENGINE_GREETS || result < 0)
        return;
    why = result > 0 ? "it refuses to name its version" : negotiate(engine, buf_slice(&ask->errand.body));
    docker_ask_deinit(ask);
    if (why) {
        fail(engine, why);
        return;
    }
    if (engine->heard_ns == 0)
        engine->heard_ns = ask->errand.date_s * NSEC_PER_SEC;
    engine->state = DOCKER_ENGINE_SUBSCRIBES;
    arm_in(engine, HEAD_PATIENCE_NS);
    subscribe(engine);
}

static void greet(struct docker_engine *engine)
{
    if (engine->version.errand.state != ERRAND_RESTS || engine->is_listing) {
        arm_in(engine, SETTLE_NS); /* what was given up is on its way back */
        return;
    }
    engine->state = DOCKER_ENGINE_GREETS;
    engine->api[0] = '\0';
    docker_engine_ask(engine, &engine->version, on_version, VERSION_BYTES_MAX, "/version");
}

/* ------------------------------------------------------------------------------------------------ life */

/* After a while the events are asked for again. */
static void poll_again(struct docker_engine *engine)
{
    if (loop_now(loop_of(engine)) - engine->entered_ns < engine->options.list_every_ns)
        docker_engine_list(engine);
    else
        wait_for(engine, 0);
}

static void on_timer(struct timer *timer)
{
    struct docker_engine *engine = container_of(timer, struct docker_engine, timer);
    const enum docker_engine_state state = engine->state;
    switch (state) {
    case DOCKER_ENGINE_WAITS:
        greet(engine);
        return;
    case DOCKER_ENGINE_SUBSCRIBES:
        enter(engine, DOCKER_ENGINE_POLLS); /* events may come still, should it take its time */
        return;
    case DOCKER_ENGINE_FOLLOWS:
        docker_engine_list(engine);
        return;
    case DOCKER_ENGINE_POLLS:
        poll_again(engine);
        return;
    case DOCKER_ENGINE_RESTS:
    case DOCKER_ENGINE_GREETS:
        break;
    }
    ASSERT(!"nothing is waited for");
}

int docker_engine_init(struct docker_engine *engine, const struct docker_engine_options *options,
                       const struct docker_engine_events *events, struct log *log)
{
    engine->options = *options;
    engine->events = events;
    engine->log = log;
    engine->trouble = "";
    list_init(&engine->wait.link);
    timer_init(&engine->timer, on_timer);
    return random_init_system(&engine->random);
}

int docker_engine_start(struct docker_engine *engine, struct errand_office *office)
{
    struct pool_options options;
    pool_options_init(&options);
    options.connect = office->connect;
    options.client.head_timeout_ns = options.client.body_timeout_ns = NSEC_NEVER;
    engine->office = office;
    int r = pool_new(office->loop, &options, &engine->pool);
    if (r == 0)
        wait_for(engine, 0);
    return r;
}

void docker_engine_stop(struct docker_engine *engine)
{
    if (engine->state == DOCKER_ENGINE_RESTS)
        return;
    wait_for(engine, 0);
    loop_cancel(loop_of(engine), &engine->timer);
    engine->state = DOCKER_ENGINE_RESTS;
    engine->next_ms = 0;
}

void docker_engine_deinit(struct docker_engine *engine)
{
    docker_event_stream_deinit(&engine->stream);
    pool_free(TAKE(engine->pool));
    docker_ask_deinit(&engine->version);
    docker_ask_deinit(&engine->list);
}
