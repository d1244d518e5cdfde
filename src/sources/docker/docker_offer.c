/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First whether the container is wanted at all, then which of its ports, then each port's record. A record is written
 * and read again, strictly: what no reader of the store would take is found here, with words.
 */
#include "sources/docker/docker_offer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Longest pause between what the engine says of a container's health: a TTL check needs one. */
#define HEALTH_TTL_MS (24 * 3600 * 1000)

#define FACTS_MAX 4 /* in the metadata, of our own */

/* ------------------------------------------------------------------------------------------------ whether */

struct slice docker_image_short(struct slice image)
{
    struct slice name, rest = image;
    (void)slice_split(rest, '@', &rest);
    while (slice_find(rest, '/') < rest.len)
        rest = slice_split(rest, '/', &name);
    (void)slice_split(rest, ':', &name);
    return name;
}

/* Without tag and digest. */
static struct slice image_bare(struct slice image)
{
    struct slice last = docker_image_short(image);
    return last.ptr ? slice_from(image.ptr, (size_t)(last.ptr + last.len - image.ptr)) : image;
}

static bool has_image(const struct docker_container *container, const struct docker_rules *rules)
{
    const struct slice image = container->image;
    for (unsigned i = 0; i < rules->n_images; i++)
        if (slice_equal(rules->images[i], image) || slice_equal(rules->images[i], image_bare(image)) ||
            slice_equal(rules->images[i], docker_image_short(image)))
            return true;
    return rules->n_images == 0;
}

static bool has_label(const struct docker_container *container, const struct docker_rules *rules)
{
    struct slice name, value = slice_split(rules->label, '=', &name);
    if (rules->label.len == 0)
        return true;
    for (unsigned i = 0; i < container->n_labels; i++)
        if (slice_equal(container->labels[i].name, name))
            return name.len == rules->label.len || slice_equal(container->labels[i].value, value);
    return false;
}

static int is_wanted(const struct docker_container *container, const struct docker_rules *rules, struct err *err)
{
    enum docker_enable enable = DOCKER_ENABLE_UNSAID;
    int r = docker_labels_enable(container, &enable, err);
    if (r < 0)
        return r;
    if (enable == DOCKER_DISABLED || (rules->is_opt_in && enable != DOCKER_ENABLED))
        return 0;
    return has_image(container, rules) && has_label(container, rules);
}

/* ------------------------------------------------------------------------------------------------ which ports */

struct chosen {
    uint16_t ports[DOCKER_PORTS_MAX];
    unsigned n;
};

static int compare_ports(const void *a, const void *b)
{
    const uint16_t *x = a, *y = b;
    return *x - *y;
}

/* Those that the labels choose; else those that are published; else, when it is enabled, those that are exposed. */
static int choose_ports(const struct docker_container *container, struct chosen *chosen, struct err *err)
{
    enum docker_enable enable = DOCKER_ENABLE_UNSAID;
    int r = docker_labels_ports(container, chosen->ports, DOCKER_PORTS_MAX, &chosen->n, err);
    if (r == 0)
        r = docker_labels_enable(container, &enable, err);
    if (r < 0)
        return r;
    bool by_label = chosen->n > 0;
    for (unsigned i = 0; !by_label && i < container->n_ports; i++)
        if (container->ports[i].host_port != 0)
            chosen->ports[chosen->n++] = container->ports[i].number;
    bool takes_exposed = chosen->n == 0 && enable == DOCKER_ENABLED;
    for (unsigned i = 0; takes_exposed && i < container->n_ports; i++)
        chosen->ports[chosen->n++] = container->ports[i].number;
    qsort(chosen->ports, chosen->n, sizeof(chosen->ports[0]), compare_ports);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ texts */

static int print(struct arena *arena, struct slice *ret_text, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int print(struct arena *arena, struct slice *ret_text, const char *fmt, ...)
{
    char text[CATALOG_ID_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return arena_copy(arena, slice_from(text, min_size((size_t)n, sizeof(text) - 1)), ret_text);
}

static int print_address(struct arena *arena, struct slice host, uint16_t port, struct slice *ret_text)
{
    bool is_v6 = slice_find(host, ':') < host.len;
    return print(arena, ret_text, is_v6 ? "[%.*s]:%u" : "%.*s:%u", SLICE_ARG(host), port);
}

/* "a, b" as a list in the arena. */
static int split_list(struct slice text, struct arena *arena, const struct slice **ret_list, uint16_t *ret_n)
{
    struct slice item, *list = arena_alloc(arena, (INSTANCE_RECORD_LIST_MAX + 1) * sizeof(*list));
    uint16_t n = 0;
    if (!list)
        return -ENOMEM;
    while (text.len > 0 && n <= INSTANCE_RECORD_LIST_MAX) {
        text = slice_split(text, ',', &item);
        list[n++] = slice_trim(item);
    }
    *ret_list = list;
    *ret_n = n;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ addresses */

static const struct docker_port *find_port(const struct docker_container *container, uint16_t number)
{
    for (unsigned i = 0; i < container->n_ports; i++)
        if (container->ports[i].number == number)
            return &container->ports[i];
    return NULL;
}

static bool is_any(struct slice ip)
{
    return ip.len == 0 || slice_equal_str(ip, "0.0.0.0") || slice_equal_str(ip, "::");
}

/* Where the host takes requests for the port. */
static int set_published(const struct docker_container *container, const struct docker_rules *rules, uint16_t number,
                         struct arena *arena, struct docker_offer *offer)
{
    const struct docker_port *port = find_port(container, number);
    if (container->is_on_host_network)
        return print_address(arena, rules->host, number, &offer->published);
    if (!port || port->host_port == 0)
        return 0;
    return print_address(arena, is_any(port->host_ip) ? rules->host : port->host_ip, port->host_port,
                         &offer->published);
}

/* Where the container itself does, in the network of that name, or the first in which it has an address. */
static int set_own(const struct docker_container *container, struct slice network, uint16_t number, struct arena *arena,
                   struct docker_offer *offer)
{
    for (unsigned i = 0; i < container->n_networks; i++) {
        const struct docker_network *its = &container->networks[i];
        if (its->ip.len > 0 && (network.len == 0 || slice_equal(its->name, network)))
            return print_address(arena, its->ip, number, &offer->own);
    }
    return 0;
}

/* Both addresses, as far as they may be used. 0, -EINVAL with words, -ENOMEM. */
static int set_addresses(const struct docker_container *container, const struct docker_rules *rules,
                         const struct docker_labels *labels, uint16_t port, struct arena *arena,
                         struct docker_offer *offer, struct err *err)
{
    enum docker_address mode = rules->address;
    if (labels->address != DOCKER_LABEL_ANY)
        mode = labels->address == DOCKER_LABEL_HOST ? DOCKER_ADDRESS_HOST : DOCKER_ADDRESS_NETWORK;
    struct slice network = labels->network.len > 0 ? labels->network : rules->network;
    bool is_foreign = mode == DOCKER_ADDRESS_PROBE && rules->is_remote;
    int r = mode != DOCKER_ADDRESS_NETWORK ? set_published(container, rules, port, arena, offer) : 0;
    if (r == 0 && mode != DOCKER_ADDRESS_HOST && !is_foreign)
        r = set_own(container, network, port, arena, offer);
    if (r < 0 || offer->published.len > 0 || offer->own.len > 0)
        return r;
    if (mode == DOCKER_ADDRESS_HOST || is_foreign)
        return err_set(err, -EINVAL, "port %u is not published", port);
    if (network.len > 0)
        return err_set(err, -EINVAL, "it has no address in the network %.*s", SLICE_ARG(network));
    return err_set(err, -EINVAL, "port %u is not published, and it has no address in any network", port);
}

/* ------------------------------------------------------------------------------------------------ the record */

static int add_metadata(struct instance_pair *pairs, uint16_t *n, struct slice name, struct slice value)
{
    if (value.len == 0)
        return 0;
    for (unsigned i = 0; i < *n; i++) {
        if (slice_equal(pairs[i].name, name)) {
            pairs[i].value = value;
            return 0;
        }
    }
    if (*n == INSTANCE_RECORD_LIST_MAX)
        return -EINVAL;
    pairs[(*n)++] = (struct instance_pair){name, value};
    return 0;
}

/* "HOST/PATH", as the gateway reads it. */
static int route_of(const struct docker_labels *labels, struct arena *arena, struct slice *ret_route)
{
    struct slice path = labels->path.len > 0 ? labels->path : SLICE_LIT("/");
    *ret_route = (struct slice){0};
    if (labels->host.len == 0 && labels->path.len == 0)
        return 0;
    return print(arena, ret_route, "%.*s%.*s", SLICE_ARG(labels->host), SLICE_ARG(path));
}

static int set_metadata(const struct docker_container *container, const struct docker_labels *labels, uint16_t port,
                        struct arena *arena, struct instance_details *details, struct err *err)
{
    struct instance_pair *pairs = arena_alloc(arena, INSTANCE_RECORD_LIST_MAX * sizeof(*pairs));
    struct slice route, name, project = docker_container_label(container, SLICE_LIT("com.docker.compose.project"));
    int r = pairs ? route_of(labels, arena, &route) : -ENOMEM;
    if (r == 0)
        r = add_metadata(pairs, &details->n_metadata, SLICE_LIT("docker.name"), container->name);
    if (r == 0)
        r = add_metadata(pairs, &details->n_metadata, SLICE_LIT("docker.image"), container->image);
    if (r == 0)
        r = add_metadata(pairs, &details->n_metadata, SLICE_LIT("docker.project"), project);
    if (r == 0)
        r = add_metadata(pairs, &details->n_metadata, SLICE_LIT("expose"), labels->expose);
    if (r == 0)
        r = add_metadata(pairs, &details->n_metadata, SLICE_LIT("gateway.route"), route);
    for (unsigned i = 0; r == 0 && i < container->n_labels; i++)
        if (docker_labels_metadata(container->labels[i].name, port, &name))
            r = add_metadata(pairs, &details->n_metadata, name, container->labels[i].value);
    details->metadata = pairs;
    return r == -EINVAL ? err_set(err, r, "more than %d labels muster.meta.*", INSTANCE_RECORD_LIST_MAX) : r;
}

/* Its own check, or else what the engine says of its health. */
static int set_check(const struct docker_labels *labels, bool has_health, struct arena *arena,
                     struct instance_details *details)
{
    if (!labels->has_check && !has_health)
        return 0;
    struct instance_check *check = arena_alloc(arena, sizeof(*check));
    if (!check)
        return -ENOMEM;
    *check = labels->check;
    if (!labels->has_check) {
        check->type = INSTANCE_CHECK_TTL;
        check->interval_ms = HEALTH_TTL_MS;
    }
    details->check = check;
    return 0;
}

/* Reads the record as it will be read from the store. */
static int read_again(struct arena *arena, struct instance_record *record, struct err *err)
{
    struct buf json = {.limit = INSTANCE_RECORD_VALUE_MAX};
    instance_record_write(&json, record);
    int r = buf_error(&json);
    if (r == -EMSGSIZE)
        r = err_set(err, -EINVAL, "its record is longer than %zu bytes", INSTANCE_RECORD_VALUE_MAX);
    else if (r == 0)
        r = instance_record_parse(buf_slice(&json), INSTANCE_RECORD_STRICT, arena, record, err);
    buf_deinit(&json);
    return r;
}

static int set_record(const struct docker_container *container, const struct docker_labels *labels, uint16_t port,
                      enum docker_address prefers, bool has_health, struct arena *arena, struct docker_offer *offer,
                      struct err *err)
{
    struct instance_record *record = &offer->record;
    struct instance_details *details = arena_alloc(arena, sizeof(*details));
    if (!details)
        return -ENOMEM;
    *details = (struct instance_details){.zone = labels->zone};
    bool takes_own = offer->own.len > 0 && (prefers == DOCKER_ADDRESS_NETWORK || offer->published.len == 0);
    (void)instance_record_set_address(record, takes_own ? offer->own : offer->published);
    record->weight = labels->weight;
    record->origin = SLICE_LIT("docker");
    record->details = details;
    if (labels->protocol.len > 0)
        record->protocol = labels->protocol;
    int r = print(arena, &details->session, "%s@%.*s", container->id, SLICE_ARG(container->started));
    if (r == 0)
        r = split_list(labels->tags, arena, &details->tags, &details->n_tags);
    if (r == 0)
        r = split_list(labels->needs, arena, &details->needs, &details->n_needs);
    if (r == 0)
        r = set_metadata(container, labels, port, arena, details, err);
    if (r == 0)
        r = set_check(labels, has_health, arena, details);
    return r < 0 ? r : read_again(arena, record, err);
}

/* ------------------------------------------------------------------------------------------------ names */

static struct slice service_name(const struct docker_container *container, const struct docker_labels *labels)
{
    struct slice compose = docker_container_label(container, SLICE_LIT("com.docker.compose.service"));
    struct slice swarm = docker_container_label(container, SLICE_LIT("com.docker.swarm.service.name"));
    if (labels->service.len > 0)
        return labels->service;
    if (compose.len > 0 || swarm.len > 0)
        return compose.len > 0 ? compose : swarm;
    return container->is_image_an_id ? container->name : docker_image_short(container->image);
}

static int set_names(const struct docker_container *container, const struct docker_labels *labels, uint16_t port,
                     bool is_one_of_many, struct arena *arena, struct docker_offer *offer, struct err *err)
{
    offer->service = service_name(container, labels);
    int r = 0;
    if (is_one_of_many && !labels->is_service_of_port)
        r = print(arena, &offer->service, "%.*s-%u", SLICE_ARG(offer->service), port);
    if (r == 0)
        r = print(arena, &offer->id, "%s:%u", container->id, port);
    return r < 0 ? r : instance_record_check_names(offer->service, offer->id, err);
}

/* ------------------------------------------------------------------------------------------------ all */

static int add_offer(const struct docker_container *container, const struct docker_rules *rules,
                     enum docker_address prefers, const struct chosen *chosen, uint16_t port, struct arena *arena,
                     struct docker_offers *offers, struct err *err)
{
    struct docker_offer *offer = &offers->list[offers->n];
    struct docker_labels labels;
    *offer = (struct docker_offer){.record.weight = 1};
    int r = docker_labels_read(container, port, &labels, err);
    if (r < 0)
        return r;
    bool has_health = container->health != DOCKER_HEALTH_NONE && !labels.ignores_health;
    r = set_names(container, &labels, port, chosen->n > 1, arena, offer, err);
    if (r == 0)
        r = set_addresses(container, rules, &labels, port, arena, offer, err);
    if (r == 0)
        r = set_record(container, &labels, port, prefers, has_health, arena, offer, err);
    if (r < 0)
        return r;
    offers->n++;
    offers->has_health |= has_health;
    offers->drain_ns = labels.drain_ns > offers->drain_ns ? labels.drain_ns : offers->drain_ns;
    return 0;
}

int docker_offer_list(const struct docker_container *container, const struct docker_rules *rules,
                      enum docker_address prefers, struct arena *arena, struct docker_offers *ret_offers,
                      struct err *err)
{
    struct chosen chosen = {.n = 0};
    ret_offers->n = 0;
    ret_offers->has_health = false;
    ret_offers->drain_ns = 0;
    int r = container->is_running ? is_wanted(container, rules, err) : 0;
    if (r <= 0)
        return r;
    r = choose_ports(container, &chosen, err);
    for (unsigned i = 0; r == 0 && i < chosen.n; i++)
        r = add_offer(container, rules, prefers, &chosen, chosen.ports[i], arena, ret_offers, err);
    return r;
}
