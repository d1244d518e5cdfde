/* SPDX-License-Identifier: Apache-2.0 */
#include "support/docker_kit.h"

#include "support/office_kit.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* pool's connect has no context of its own: a case has one kit, and a process of its own. */
static struct docker_kit *the_kit;

/* ------------------------------------------------------------------------------------------------ answers */

static void close_stream(struct kit_stream *stream)
{
    stream_close(TAKE(stream->stream));
    buf_deinit(&stream->heard);
    stream->was_subscribed = stream->tells_events = false;
}

static void send_all(struct kit_stream *stream, struct slice bytes)
{
    expect_int(stream_send(stream->stream, bytes), bytes.len);
}

static void answer(struct docker_kit *kit, struct kit_stream *stream, int status, const struct buf *body)
{
    struct buf text = {0};
    buf_printf(&text, "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nDate: %.*s\r\nContent-Length: %zu\r\n\r\n",
               status, SLICE_ARG(loop_http_date(kit->base.loop)), body->len);
    buf_append(&text, buf_slice(body));
    if (kit->is_garbled)
        text.len -= text.len / 3;
    send_all(stream, buf_slice(&text));
    buf_deinit(&text);
    close_stream(stream);
}

static void write_time(struct buf *buf, int64_t ns)
{
    char text[64];
    time_t seconds = ns / NSEC_PER_SEC;
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(buf, "\"%s.%09lldZ\"", text, (long long)(ns % NSEC_PER_SEC));
}

static void answer_list(struct docker_kit *kit, struct kit_stream *stream)
{
    struct buf body = {0};
    kit->n_listed++;
    buf_append_char(&body, '[');
    for (unsigned i = 0; i < DOCKER_KIT_CONTAINERS; i++)
        if (kit->containers[i].exists && kit->containers[i].is_running)
            buf_printf(&body, "%s{\"Id\":\"%s\",\"State\":\"running\"}", body.len > 1 ? "," : "",
                       kit->containers[i].id);
    buf_append_char(&body, ']');
    answer(kit, stream, 200, &body);
    buf_deinit(&body);
}

static void answer_container(struct docker_kit *kit, struct kit_stream *stream, const char *id)
{
    struct buf body = {0};
    unsigned i = 0;
    kit->n_looked++;
    while (i < DOCKER_KIT_CONTAINERS && !(kit->containers[i].exists && strncmp(kit->containers[i].id, id, 12) == 0))
        i++;
    if (i == DOCKER_KIT_CONTAINERS) {
        buf_append_str(&body, "{\"message\":\"No such container\"}");
        answer(kit, stream, 404, &body);
        buf_deinit(&body);
        return;
    }
    const struct kit_container *container = &kit->containers[i];
    buf_printf(&body,
               "{\"Id\":\"%s\",\"Name\":\"/%s\",\"State\":{\"Status\":\"%s\",\"Running\":%s,\"Paused\":%s,"
               "\"ExitCode\":%d,\"StartedAt\":",
               container->id, container->name, container->is_running ? "running" : "exited",
               container->is_running ? "true" : "false", container->is_paused ? "true" : "false", container->exit_code);
    write_time(&body, container->started_ns);
    if (container->health)
        buf_printf(&body, ",\"Health\":{\"Status\":\"%s\",\"Log\":[{\"Output\":\"looked\"}]}", container->health);
    buf_printf(&body, "},\"Config\":{\"Image\":\"hello\",\"Labels\":{%s}},\"NetworkSettings\":{\"Ports\":{",
               container->labels);
    if (container->is_running)
        buf_printf(&body, "\"8080/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"%u\"}]", 30000 + i);
    buf_append_str(&body, "},\"Networks\":{");
    if (container->is_running)
        buf_printf(&body, "\"bridge\":{\"IPAddress\":\"10.0.0.%u\"}", 10 + i);
    buf_append_str(&body, "}}}");
    answer(kit, stream, 200, &body);
    buf_deinit(&body);
}

static void send_event(struct kit_stream *stream, const char *event)
{
    struct buf chunk = {0};
    buf_printf(&chunk, "%zx\r\n%s\n\r\n", strlen(event) + 1, event);
    send_all(stream, buf_slice(&chunk));
    buf_deinit(&chunk);
}

/* What happened since then, and from now on what happens. */
static void listen_to_events(struct docker_kit *kit, struct kit_stream *stream)
{
    stream->tells_events = true;
    const char *since = strstr(kit->last_events, "&since=");
    long long seconds = 0, ns = 0;
    if (!since || sscanf(since, "&since=%lld.%lld", &seconds, &ns) != 2)
        return;
    for (const char *event = kit->events.ptr; event && event < kit->events.ptr + kit->events.len;
         event += strlen(event) + 1) {
        long long at = strtoll(strstr(event, "\"timeNano\":") + 11, NULL, 10);
        if (at >= seconds * NSEC_PER_SEC + ns)
            send_event(stream, event);
    }
}

/* As engines do: the head of the answer comes before anything is listened to. */
static void answer_events(struct docker_kit *kit, struct kit_stream *stream, const char *target)
{
    struct buf none = {0};
    kit->n_subscribed++;
    (void)snprintf(kit->last_events, sizeof(kit->last_events), "%s", target);
    if (kit->events_status != 200) {
        answer(kit, stream, kit->events_status, &none);
        return;
    }
    send_all(stream, SLICE_LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
    stream->was_subscribed = true;
    if (kit->ends_events) {
        send_all(stream, SLICE_LIT("0\r\n\r\n"));
        close_stream(stream);
    } else if (!kit->listens_late) {
        listen_to_events(kit, stream);
    }
}

static void answer_version(struct docker_kit *kit, struct kit_stream *stream)
{
    struct buf body = {0};
    buf_printf(&body, "{\"ApiVersion\":\"%s\",\"MinAPIVersion\":\"%s\"}", kit->api, kit->min_api);
    answer(kit, stream, 200, &body);
    buf_deinit(&body);
}

static void serve(struct docker_kit *kit, struct kit_stream *stream)
{
    char target[512];
    buf_append_char(&stream->heard, '\0');
    expect_int(sscanf(stream->heard.ptr, "GET %511s HTTP/1.1", target), 1);
    const char *rest =
        strncmp(target, "/v", 2) == 0 && strchr("0123456789", target[2]) ? strchr(target + 1, '/') : target;
    if (strcmp(rest, "/version") == 0)
        answer_version(kit, stream);
    else if (strcmp(rest, "/containers/json") == 0)
        answer_list(kit, stream);
    else if (strncmp(rest, "/containers/", 12) == 0)
        answer_container(kit, stream, rest + 12);
    else if (strncmp(rest, "/events?", 8) == 0)
        answer_events(kit, stream, target);
    else
        test_fail(__FILE__, __LINE__, "the engine was asked for %s", target);
}

static void on_event(struct stream *stream, unsigned new_bits)
{
    struct kit_stream *kit_stream = stream->owner;
    char bytes[4096];
    ssize_t n;
    (void)new_bits;
    while ((n = stream_recv(stream, bytes, sizeof(bytes))) > 0)
        buf_append(&kit_stream->heard, slice_from(bytes, (size_t)n));
    bool is_whole = kit_stream->heard.len > 0 && memmem(kit_stream->heard.ptr, kit_stream->heard.len, "\r\n\r\n", 4);
    if (n == 0 || (n < 0 && n != -EAGAIN))
        close_stream(kit_stream);
    else if (is_whole && !kit_stream->was_subscribed)
        serve(the_kit, kit_stream);
}

/* ------------------------------------------------------------------------------------------------ connecting */

static struct kit_stream *free_stream(struct docker_kit *kit)
{
    for (unsigned i = 0; i < DOCKER_KIT_STREAMS; i++)
        if (!kit->streams[i].stream)
            return &kit->streams[i];
    test_fail(__FILE__, __LINE__, "too many connections");
}

/* Whether a container's program takes connections there. */
static int knocked(const struct docker_kit *kit, const struct addr *addr)
{
    unsigned ip = ntohl(addr->v4.sin_addr.s_addr), port = ntohs(addr->v4.sin_port);
    bool is_own = ip != INADDR_LOOPBACK;
    unsigned i = is_own ? (ip & 0xff) - 10 : port - 30000;
    if (is_own && kit->is_unreachable)
        return -EHOSTUNREACH;
    return i < DOCKER_KIT_CONTAINERS && kit->containers[i].is_running ? 0 : -ECONNREFUSED;
}

static int connect_kit(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn owner_event,
                       void *owner, struct stream **ret_stream)
{
    struct docker_kit *kit = the_kit;
    bool is_engine = addr->any.sa_family == AF_UNIX;
    (void)loop, (void)deadline_ns;
    if (is_engine && kit->is_down)
        return -ECONNREFUSED;
    const struct sim_options network = {
        .to_a.window_bytes = (size_t)1 << 24,
        .connect_ns = NSEC_PER_USEC,
        .connect_error = is_engine ? 0 : knocked(kit, addr),
    };
    struct kit_stream *stream = free_stream(kit);
    int r = sim_connect(kit->base.sim, &network, owner_event, owner, ret_stream, &stream->stream);
    if (r < 0)
        return r;
    stream->stream->on_event = on_event;
    stream->stream->owner = stream;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ life */

static void start_source(struct docker_kit *kit, const struct docker_options *options)
{
    struct docker_options defaults;
    docker_options_init(&defaults);
    office_kit_open(&kit->office, kit->base.loop, connect_kit);
    expect_int(
        docker_new_on(options ? options : &defaults, kit->base.loop, kit->base.curator, kit->base.log, &kit->docker),
        0);
    expect_int(docker_part(kit->docker)->start(docker_part(kit->docker), &kit->office), 0);
    docker_kit_run(kit, 100 * NSEC_PER_MSEC);
}

static void stop_source(struct docker_kit *kit)
{
    docker_part(kit->docker)->stop(docker_part(kit->docker));
    sim_run_for(kit->base.sim, 0);
    docker_free(TAKE(kit->docker));
    for (unsigned i = 0; i < DOCKER_KIT_STREAMS; i++)
        close_stream(&kit->streams[i]);
    sim_run_for(kit->base.sim, 0);
    office_kit_close(&kit->office);
}

void docker_kit_init(struct docker_kit *kit, const struct docker_options *options)
{
    *kit = (struct docker_kit){.events_status = 200, .api = "1.41", .min_api = "1.12"};
    the_kit = kit;
    for (unsigned i = 0; i < DOCKER_KIT_CONTAINERS; i++) {
        (void)snprintf(kit->containers[i].id, sizeof(kit->containers[i].id), "%012xabcdef0123456789", 0xc0ffee00 + i);
        (void)snprintf(kit->containers[i].name, sizeof(kit->containers[i].name), "c%u", i);
        kit->containers[i].labels = "";
    }
    registry_kit_init(&kit->base, true);
    start_source(kit, options);
}

void docker_kit_restart(struct docker_kit *kit, const struct docker_options *options)
{
    stop_source(kit);
    start_source(kit, options);
}

void docker_kit_deinit(struct docker_kit *kit)
{
    stop_source(kit);
    registry_kit_deinit(&kit->base);
    buf_deinit(&kit->events);
}

void docker_kit_run(struct docker_kit *kit, nsec_t duration_ns)
{
    sim_run_for(kit->base.sim, duration_ns);
}

/* ------------------------------------------------------------------------------------------------ what happens */

void kit_tell(struct docker_kit *kit, unsigned i, const char *action, const char *attributes, int64_t at_ns)
{
    char event[1024];
    const struct kit_container *container = &kit->containers[i];
    (void)snprintf(
        event, sizeof(event),
        "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":{\"name\":\"%s\"%s}},"
        "\"timeNano\":%lld}",
        action, container->id, container->name, attributes, (long long)at_ns);
    buf_append(&kit->events, slice_from(event, strlen(event) + 1));
    for (unsigned k = 0; k < DOCKER_KIT_STREAMS; k++)
        if (kit->streams[k].tells_events && !kit->is_silent)
            send_event(&kit->streams[k], event);
}

static void tell(struct docker_kit *kit, unsigned i, const char *action, const char *attributes)
{
    kit_tell(kit, i, action, attributes, loop_wall_now(kit->base.loop));
}

void kit_start(struct docker_kit *kit, unsigned i)
{
    struct kit_container *container = &kit->containers[i];
    container->exists = container->is_running = true;
    container->is_paused = false;
    container->started_ns = loop_wall_now(kit->base.loop);
    tell(kit, i, "start", "");
}

void kit_signal(struct docker_kit *kit, unsigned i, int signal)
{
    char text[32];
    (void)snprintf(text, sizeof(text), ",\"signal\":\"%d\"", signal);
    tell(kit, i, "kill", text);
}

void kit_die(struct docker_kit *kit, unsigned i, int exit_code)
{
    char text[32];
    (void)snprintf(text, sizeof(text), ",\"exitCode\":\"%d\"", exit_code);
    kit->containers[i].is_running = kit->containers[i].is_paused = false;
    kit->containers[i].exit_code = exit_code;
    tell(kit, i, "die", text);
}

void kit_pause(struct docker_kit *kit, unsigned i, bool is_paused)
{
    kit->containers[i].is_paused = is_paused;
    tell(kit, i, is_paused ? "pause" : "unpause", "");
}

void kit_health(struct docker_kit *kit, unsigned i, const char *health)
{
    char action[64];
    (void)snprintf(action, sizeof(action), "health_status: %s", health);
    kit->containers[i].health = health;
    tell(kit, i, action, "");
}

void kit_rename(struct docker_kit *kit, unsigned i, const char *name)
{
    (void)snprintf(kit->containers[i].name, sizeof(kit->containers[i].name), "%s", name);
    tell(kit, i, "rename", "");
}

void kit_remove(struct docker_kit *kit, unsigned i)
{
    kit->containers[i].exists = kit->containers[i].is_running = false;
    tell(kit, i, "destroy", "");
}

void kit_cut(struct docker_kit *kit)
{
    for (unsigned i = 0; i < DOCKER_KIT_STREAMS; i++)
        if (kit->streams[i].was_subscribed)
            close_stream(&kit->streams[i]);
}

void kit_listen(struct docker_kit *kit)
{
    for (unsigned i = 0; i < DOCKER_KIT_STREAMS; i++)
        if (kit->streams[i].was_subscribed)
            listen_to_events(kit, &kit->streams[i]);
}

void kit_down(struct docker_kit *kit)
{
    kit->is_down = true;
    for (unsigned i = 0; i < DOCKER_KIT_STREAMS; i++)
        close_stream(&kit->streams[i]);
}

/* ------------------------------------------------------------------------------------------------ what is seen */

const struct instance *kit_instance(struct docker_kit *kit, unsigned i)
{
    char id[32];
    (void)snprintf(id, sizeof(id), "%.12s:8080", kit->containers[i].id);
    return registry_kit_find(&kit->base, "hello", id);
}

const char *kit_status(struct docker_kit *kit, unsigned i)
{
    const struct instance *instance = kit_instance(kit, i);
    return instance ? instance_reason_text(instance_status(instance)).ptr : "gone";
}

static const char *expected_status(const struct kit_container *container)
{
    if (!container->exists || !container->is_running)
        return "gone";
    if (container->is_paused)
        return "stopped";
    if (!container->health || strcmp(container->health, "healthy") == 0)
        return "up";
    return strcmp(container->health, "unhealthy") == 0 ? "failing" : "starting";
}

void kit_expect_truth(struct docker_kit *kit)
{
    unsigned n_running = 0;
    for (unsigned i = 0; i < DOCKER_KIT_CONTAINERS; i++) {
        const struct kit_container *container = &kit->containers[i];
        n_running += container->exists && container->is_running;
        if (strcmp(kit_status(kit, i), expected_status(container)) != 0)
            test_fail(__FILE__, __LINE__, "container %u is %s, not %s", i, kit_status(kit, i),
                      expected_status(container));
        const struct instance *instance = kit_instance(kit, i);
        struct buf session = {0};
        buf_printf(&session, "%.12s@", container->id);
        write_time(&session, container->started_ns);
        session.len -= 1; /* the quote at its end; the one at its beginning is left out below */
        if (instance)
            expect_true(slice_equal(slice_skip(instance_details(&instance->record)->session, 13),
                                    slice_skip(buf_slice(&session), 14)));
        buf_deinit(&session);
    }
    const struct directory_service *service =
        directory_find(catalog_directory(curator_catalog(kit->base.curator)), SLICE_LIT("hello"));
    expect_int(service ? service->n_instances : 0, n_running);
    struct docker_stats stats;
    docker_get_stats(kit->docker, &stats);
    expect_int(stats.n_containers, n_running);
    expect_int(stats.n_instances, n_running);
}

void kit_expect_timeline(struct docker_kit *kit, const char *expected)
{
    registry_kit_expect_timeline(&kit->base, expected);
}
