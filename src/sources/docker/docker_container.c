/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what jansson made of the answer. Members that engines leave out or set to null count as empty; so do the many
 * that nobody needs here.
 */
#include "sources/docker/docker_container.h"

#include "wire/json.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DEPTH_MAX  32
#define HEALTH_MAX 120 /* of what a health check printed */

/* ------------------------------------------------------------------------------------------------ members */

static struct slice text_of(const json_t *value)
{
    return json_is_string(value) ? slice_from(json_string_value(value), json_string_length(value)) : (struct slice){0};
}

/* A member's text, copied; empty when it is missing or null. */
static int read_text(const json_t *object, const char *name, struct arena *arena, struct slice *ret_text,
                     struct err *err)
{
    const json_t *value = json_object_get(object, name);
    if (value && !json_is_string(value) && !json_is_null(value))
        return err_set(err, -EINVAL, "\"%s\": expected a text", name);
    return arena_copy(arena, text_of(value), ret_text);
}

static bool truth_of(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

/* ------------------------------------------------------------------------------------------------ state */

/* "2026-11-21T17:22:20.094708164Z" and offsets "+01:00"; 0 when it is none. */
static int64_t parse_time(struct slice text)
{
    char copy[64];
    struct tm tm = {0};
    if (text.len >= sizeof(copy))
        return 0;
    memcpy(copy, text.ptr ? text.ptr : "", text.len);
    copy[text.len] = '\0';
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest || tm.tm_year < 70 || tm.tm_year > 300)
        return 0;
    int64_t ns = (int64_t)timegm(&tm) * NSEC_PER_SEC;
    if (*rest == '.')
        for (int64_t unit = NSEC_PER_SEC / 10; isdigit((unsigned char)*++rest); unit /= 10)
            ns += (*rest - '0') * unit;
    int hours, minutes;
    char sign;
    if (sscanf(rest, "%c%2d:%2d", &sign, &hours, &minutes) == 3)
        ns += (sign == '-' ? 1 : -1) * (hours * 60 + minutes) * 60 * NSEC_PER_SEC;
    return ns;
}

/* The first line of what the last look printed. */
static int read_health_words(const json_t *health, struct arena *arena, struct slice *ret_words)
{
    const json_t *log = json_object_get(health, "Log");
    size_t n = json_array_size(log);
    struct slice line,
        output = n > 0 ? text_of(json_object_get(json_array_get(log, n - 1), "Output")) : (struct slice){0};
    (void)slice_split(slice_trim(output), '\n', &line);
    return arena_copy(arena, slice_from(line.ptr, min_size(line.len, HEALTH_MAX)), ret_words);
}

static int read_health(const json_t *state, struct arena *arena, struct docker_container *container)
{
    static const struct {
        const char *text;
        enum docker_health health;
    } words[] = {{"starting", DOCKER_HEALTH_STARTING}, {"healthy", DOCKER_HEALTHY}, {"unhealthy", DOCKER_UNHEALTHY}};
    const json_t *health = json_object_get(state, "Health");
    if (!health)
        health = json_object_get(state, "Healthcheck"); /* as Podman has called it */
    struct slice status = text_of(json_object_get(health, "Status"));
    for (unsigned i = 0; i < ARRAY_LEN(words); i++)
        if (slice_equal_str(status, words[i].text))
            container->health = words[i].health;
    return read_health_words(health, arena, &container->health_words);
}

static int read_state(const json_t *object, struct arena *arena, struct docker_container *container, struct err *err)
{
    const json_t *state = json_object_get(object, "State");
    if (!json_is_object(state))
        return err_set(err, -EINVAL, "\"State\": expected an object");
    container->is_running = truth_of(state, "Running") && !truth_of(state, "Restarting") && !truth_of(state, "Dead");
    container->is_paused = truth_of(state, "Paused");
    container->exit_code = (int)json_integer_value(json_object_get(state, "ExitCode"));
    int r = read_text(state, "Status", arena, &container->status, err);
    if (r == 0)
        r = read_text(state, "StartedAt", arena, &container->started, err);
    container->started_ns = parse_time(container->started);
    return r < 0 ? r : read_health(state, arena, container);
}

/* ------------------------------------------------------------------------------------------------ labels, names */

static int read_labels(const json_t *config, struct arena *arena, struct docker_container *container)
{
    json_t *labels = json_object_get(config, "Labels"), *value;
    size_t n = min_size(json_object_size(labels), DOCKER_LABELS_MAX);
    struct instance_pair *pairs = arena_alloc(arena, (n ? n : 1) * sizeof(*pairs));
    const char *name;
    if (!pairs)
        return -ENOMEM;
    json_object_foreach(labels, name, value)
    {
        if (container->n_labels == n)
            break;
        struct instance_pair *pair = &pairs[container->n_labels];
        int r = arena_copy(arena, slice_from_str(name), &pair->name);
        if (r == 0)
            r = arena_copy(arena, text_of(value), &pair->value);
        if (r < 0)
            return r;
        container->n_labels++;
    }
    container->labels = pairs;
    return 0;
}

struct slice docker_container_label(const struct docker_container *container, struct slice name)
{
    for (unsigned i = 0; i < container->n_labels; i++)
        if (slice_equal(container->labels[i].name, name))
            return container->labels[i].value;
    return (struct slice){0};
}

static int read_names(const json_t *object, const json_t *config, struct arena *arena,
                      struct docker_container *container, struct err *err)
{
    struct slice image_id = text_of(json_object_get(object, "Image"));
    if (!docker_id_cut(text_of(json_object_get(object, "Id")), container->id))
        return err_set(err, -EINVAL, "\"Id\": expected at least %d hexadecimal digits", DOCKER_ID_LEN);
    int r = read_text(object, "Name", arena, &container->name, err);
    if (r == 0)
        r = read_text(config, "Image", arena, &container->image, err);
    if (r < 0)
        return r;
    if (slice_starts_with(container->name, SLICE_LIT("/")))
        container->name = slice_skip(container->name, 1);
    if (slice_starts_with(image_id, SLICE_LIT("sha256:")))
        image_id = slice_skip(image_id, strlen("sha256:"));
    container->is_image_an_id =
        slice_starts_with(container->image, SLICE_LIT("sha256:")) ||
        (container->image.len >= DOCKER_ID_LEN && slice_starts_with(image_id, container->image));
    return 0;
}

/* ------------------------------------------------------------------------------------------------ ports */

struct ports {
    struct docker_port list[DOCKER_PORTS_MAX];
    unsigned n;
};

/* "8080/tcp"; 0: of another protocol, or no port. */
static uint16_t parse_port(struct slice text)
{
    uint64_t number;
    struct slice digits, protocol = slice_split(text, '/', &digits);
    bool is_tcp = protocol.len == 0 || slice_equal_str(protocol, "tcp");
    return is_tcp && slice_parse_u64(digits, &number) == 0 && number <= UINT16_MAX ? (uint16_t)number : 0;
}

/* The entry for a port, in its place; NULL when there are too many. */
static struct docker_port *find_port(struct ports *ports, uint16_t number)
{
    unsigned i = 0;
    while (i < ports->n && ports->list[i].number < number)
        i++;
    if (i < ports->n && ports->list[i].number == number)
        return &ports->list[i];
    if (ports->n == DOCKER_PORTS_MAX)
        return NULL;
    memmove(&ports->list[i + 1], &ports->list[i], (ports->n - i) * sizeof(ports->list[0]));
    ports->n++;
    ports->list[i] = (struct docker_port){.number = number};
    return &ports->list[i];
}

/* Of several bindings of one port the first by IPv4 counts, else the first. */
static int read_bindings(const json_t *bindings, struct arena *arena, struct docker_port *port, struct err *err)
{
    size_t i;
    json_t *binding;
    json_array_foreach(bindings, i, binding)
    {
        struct slice ip = text_of(json_object_get(binding, "HostIp"));
        uint16_t number = parse_port(text_of(json_object_get(binding, "HostPort")));
        bool is_v6 = slice_find(ip, ':') < ip.len;
        bool was_v6 = slice_find(port->host_ip, ':') < port->host_ip.len;
        if (number == 0)
            return err_set(err, -EINVAL, "\"HostPort\": expected the text of a port from 1 to 65535");
        if (port->host_port != 0 && (is_v6 || !was_v6))
            continue;
        port->host_port = number;
        int r = arena_copy(arena, ip, &port->host_ip);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_ports(const json_t *object, const json_t *config, struct arena *arena,
                      struct docker_container *container, struct err *err)
{
    struct ports ports = {.n = 0};
    const char *name;
    json_t *bindings;
    json_object_foreach(json_object_get(config, "ExposedPorts"), name, bindings)
    {
        uint16_t number = parse_port(slice_from_str(name));
        if (number != 0)
            (void)find_port(&ports, number);
    }
    json_object_foreach(json_object_get(json_object_get(object, "NetworkSettings"), "Ports"), name, bindings)
    {
        uint16_t number = parse_port(slice_from_str(name));
        struct docker_port *port = number != 0 ? find_port(&ports, number) : NULL;
        int r = port ? read_bindings(bindings, arena, port, err) : 0;
        if (r < 0)
            return r;
    }
    struct docker_port *copy = arena_alloc(arena, (ports.n ? ports.n : 1) * sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    memcpy(copy, ports.list, ports.n * sizeof(*copy));
    container->ports = copy;
    container->n_ports = ports.n;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ networks */

static int compare_networks(const void *a, const void *b)
{
    const struct slice *x = &((const struct docker_network *)a)->name, *y = &((const struct docker_network *)b)->name;
    int r = memcmp(x->ptr, y->ptr, min_size(x->len, y->len));
    return r != 0 ? r : (x->len > y->len) - (x->len < y->len);
}

static int read_networks(const json_t *object, struct arena *arena, struct docker_container *container, struct err *err)
{
    json_t *networks = json_object_get(json_object_get(object, "NetworkSettings"), "Networks"), *value;
    size_t n = min_size(json_object_size(networks), DOCKER_NETWORKS_MAX);
    struct docker_network *list = arena_alloc(arena, (n ? n : 1) * sizeof(*list));
    const char *name;
    if (!list)
        return -ENOMEM;
    json_object_foreach(networks, name, value)
    {
        if (container->n_networks == n)
            break;
        struct docker_network *network = &list[container->n_networks++];
        int r = arena_copy(arena, slice_from_str(name), &network->name);
        if (r == 0)
            r = read_text(value, "IPAddress", arena, &network->ip, err);
        if (r == 0 && network->ip.len == 0)
            r = read_text(value, "GlobalIPv6Address", arena, &network->ip, err);
        if (r < 0)
            return r;
    }
    if (container->n_networks > 1)
        qsort(list, container->n_networks, sizeof(*list), compare_networks);
    container->networks = list;
    struct slice mode = text_of(json_object_get(json_object_get(object, "HostConfig"), "NetworkMode"));
    container->is_on_host_network = slice_equal_str(mode, "host");
    return 0;
}

/* ------------------------------------------------------------------------------------------------ whole */

static int read_container(const json_t *object, struct arena *arena, struct docker_container *container,
                          struct err *err)
{
    const json_t *config = json_object_get(object, "Config");
    int r = read_names(object, config, arena, container, err);
    if (r == 0)
        r = read_state(object, arena, container, err);
    if (r == 0)
        r = read_labels(config, arena, container);
    if (r == 0)
        r = read_ports(object, config, arena, container, err);
    if (r == 0)
        r = read_networks(object, arena, container, err);
    container->stop_signal = docker_signal_parse(text_of(json_object_get(config, "StopSignal")));
    if (container->stop_signal == 0)
        container->stop_signal = SIGTERM;
    return r;
}

int docker_container_parse(struct slice json, struct arena *arena, struct docker_container *ret_container,
                           struct err *err)
{
    static const struct json_limits limits = {.n_bytes = DOCKER_CONTAINER_BYTES_MAX, .depth = DEPTH_MAX};
    struct docker_container container = {.health = DOCKER_HEALTH_NONE};
    json_auto_t *object = NULL;
    int r = json_parse(json, &limits, &object, err);
    if (r < 0)
        return r;
    if (!json_is_object(object))
        return err_set(err, -EINVAL, "expected an object");
    r = read_container(object, arena, &container, err);
    if (r == 0)
        *ret_container = container;
    return r;
}

int docker_list_parse(struct slice json, struct buf *ids, struct err *err)
{
    static const struct json_limits limits = {.n_bytes = DOCKER_LIST_BYTES_MAX, .depth = DEPTH_MAX};
    json_auto_t *list = NULL;
    json_t *entry;
    size_t i;
    int r = json_parse(json, &limits, &list, err);
    if (r < 0)
        return r;
    if (!json_is_array(list))
        return err_set(err, -EINVAL, "expected an array");
    json_array_foreach(list, i, entry)
    {
        char id[DOCKER_ID_LEN + 1];
        if (!docker_id_cut(text_of(json_object_get(entry, "Id")), id))
            return err_set(err, -EINVAL, "\"Id\": expected at least %d hexadecimal digits", DOCKER_ID_LEN);
        buf_append(ids, slice_from(id, sizeof(id)));
    }
    return buf_error(ids);
}
