/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels are read as a table of keys. Each label of ours must be in it: one that is misspelt would else silently not be
 * done. A container that has a bad one is not offered at all, and the log says why.
 */
#include "sources/docker/docker_labels.h"

#include "base/suggest.h"

#include <errno.h>
#include <stdlib.h>

#define PREFIX SLICE_LIT("muster.")

/* What a check has whose labels say no more. */
static const struct instance_check check_default = {
    .interval_ms = 5000,
    .timeout_ms = 1000,
    .to_fail = 3,
    .to_pass = 1,
};

struct key {
    const char *name;
    int (*read)(struct docker_labels *labels, struct slice value, const char **ret_expected);
};

/* ------------------------------------------------------------------------------------------------ values */

static int read_duration(struct slice value, nsec_t min_ns, nsec_t max_ns, nsec_t *ret_ns)
{
    static const struct {
        const char *name;
        nsec_t ns;
    } units[] = {{"ms", NSEC_PER_MSEC}, {"s", NSEC_PER_SEC}, {"m", 60 * NSEC_PER_SEC}, {"h", 3600 * NSEC_PER_SEC}};
    uint64_t number;
    size_t n = 0;
    while (n < value.len && value.ptr[n] >= '0' && value.ptr[n] <= '9')
        n++;
    if (slice_parse_u64(slice_from(value.ptr, n), &number) < 0)
        return -EINVAL;
    for (unsigned i = 0; i < ARRAY_LEN(units); i++) {
        if (!slice_equal_str(slice_skip(value, n), units[i].name))
            continue;
        if (number > (uint64_t)(max_ns / units[i].ns) || (nsec_t)number * units[i].ns < min_ns)
            return -EINVAL;
        *ret_ns = (nsec_t)number * units[i].ns;
        return 0;
    }
    return -EINVAL;
}

static int read_duration_ms(struct slice value, nsec_t min_ns, nsec_t max_ns, uint32_t *ret_ms)
{
    nsec_t ns;
    int r = read_duration(value, min_ns, max_ns, &ns);
    if (r == 0)
        *ret_ms = (uint32_t)(ns / NSEC_PER_MSEC);
    return r;
}

static int read_bool(struct slice value, bool *ret_truth)
{
    if (!slice_equal_str(value, "true") && !slice_equal_str(value, "false"))
        return -EINVAL;
    *ret_truth = slice_equal_str(value, "true");
    return 0;
}

static int read_number16(struct slice value, uint16_t min, uint16_t *ret_number)
{
    uint64_t number;
    if (slice_parse_u64(value, &number) < 0 || number < min || number > UINT16_MAX)
        return -EINVAL;
    *ret_number = (uint16_t)number;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ keys */

static int read_service(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "a name";
    labels->service = value;
    return value.len > 0 ? 0 : -EINVAL;
}

static int read_address(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "host or network";
    bool is_host = slice_equal_str(value, "host");
    labels->address = is_host ? DOCKER_LABEL_HOST : DOCKER_LABEL_NETWORK;
    return is_host || slice_equal_str(value, "network") ? 0 : -EINVAL;
}

static int read_network(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "the name of a network";
    labels->network = value;
    return value.len > 0 ? 0 : -EINVAL;
}

static int read_weight(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "a number from 0 to 65535";
    return read_number16(value, 0, &labels->weight);
}

static int read_protocol(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "a protocol such as http or grpc";
    labels->protocol = value;
    return value.len > 0 ? 0 : -EINVAL;
}

static int read_zone(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "a name";
    labels->zone = value;
    return 0;
}

static int read_tags(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "tags, separated by commas";
    labels->tags = value;
    return 0;
}

static int read_needs(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "names of services, separated by commas";
    labels->needs = value;
    return 0;
}

static int read_host(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "the name of a host";
    labels->host = value;
    return value.len > 0 && slice_find(value, '/') == value.len && slice_find(value, ' ') == value.len ? 0 : -EINVAL;
}

static int read_path(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "a path that begins with /";
    labels->path = value;
    return slice_starts_with(value, SLICE_LIT("/")) && slice_find(value, ' ') == value.len ? 0 : -EINVAL;
}

static int read_expose(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    bool truth;
    *ret_expected = "true or false";
    labels->expose = value;
    return read_bool(value, &truth);
}

static int read_drain(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "a duration such as 30s, from 1s to 24h";
    return read_duration(value, NSEC_PER_SEC, 24 * 3600 * NSEC_PER_SEC, &labels->drain_ns);
}

static int read_check(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    struct slice type, target = slice_split(value, ':', &type);
    *ret_expected = "none, tcp, grpc, grpc:SERVICE, http:/PATH or /PATH";
    labels->ignores_health = true;
    labels->has_check = !slice_equal_str(value, "none");
    labels->check.target = target;
    if (slice_starts_with(value, SLICE_LIT("/"))) {
        labels->check.type = INSTANCE_CHECK_HTTP;
        labels->check.target = value;
    } else if (slice_equal_str(type, "http")) {
        labels->check.type = INSTANCE_CHECK_HTTP;
        return slice_starts_with(target, SLICE_LIT("/")) ? 0 : -EINVAL;
    } else if (slice_equal_str(type, "grpc")) {
        labels->check.type = INSTANCE_CHECK_GRPC;
    } else if (slice_equal_str(value, "tcp")) {
        labels->check.type = INSTANCE_CHECK_TCP;
    } else if (labels->has_check) {
        return -EINVAL;
    }
    return 0;
}

static int read_interval(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "a duration such as 5s, from 100ms to 24h";
    return read_duration_ms(value, 100 * NSEC_PER_MSEC, 24 * 3600 * NSEC_PER_SEC, &labels->check.interval_ms);
}

static int read_timeout(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "a duration such as 1s, from 10ms to 1h";
    return read_duration_ms(value, 10 * NSEC_PER_MSEC, 3600 * NSEC_PER_SEC, &labels->check.timeout_ms);
}

static int read_to_fail(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    *ret_expected = "a number from 1 to 1000";
    return read_number16(value, 1, &labels->check.to_fail);
}

static int read_nothing(struct docker_labels *labels, struct slice value, const char **ret_expected)
{
    (void)labels, (void)value, (void)ret_expected; /* read by functions of their own, below */
    return 0;
}

static const struct key keys[] = {
    {"enable", read_nothing},
    {"port", read_nothing},
    {"service", read_service},
    {"address", read_address},
    {"network", read_network},
    {"weight", read_weight},
    {"protocol", read_protocol},
    {"zone", read_zone},
    {"tags", read_tags},
    {"needs", read_needs},
    {"host", read_host},
    {"path", read_path},
    {"expose", read_expose},
    {"drain", read_drain},
    {"check", read_check},
    {"check.interval", read_interval},
    {"check.timeout", read_timeout},
    {"check.to_fail", read_to_fail},
};

/* ------------------------------------------------------------------------------------------------ names of labels */

/* What follows "muster." or "muster.PORT."; 0 in *ret_port: said for all ports. False: no label of ours. */
static bool split_label(struct slice label, uint16_t *ret_port, struct slice *ret_key)
{
    struct slice first, rest;
    uint64_t number;
    if (!slice_starts_with(label, PREFIX))
        return false;
    *ret_key = slice_skip(label, PREFIX.len);
    *ret_port = 0;
    rest = slice_split(*ret_key, '.', &first);
    if (slice_parse_u64(first, &number) == 0 && number > 0 && number <= UINT16_MAX) {
        *ret_port = (uint16_t)number;
        *ret_key = rest;
    }
    return true;
}

static bool is_metadata(struct slice key)
{
    return slice_starts_with(key, SLICE_LIT("meta.")) || slice_starts_with(key, SLICE_LIT("gateway."));
}

bool docker_labels_metadata(struct slice label, uint16_t port, struct slice *ret_name)
{
    uint16_t its_port;
    struct slice key;
    if (!split_label(label, &its_port, &key) || !is_metadata(key) || (its_port != 0 && its_port != port))
        return false;
    *ret_name = slice_starts_with(key, SLICE_LIT("meta.")) ? slice_skip(key, strlen("meta.")) : key;
    return ret_name->len > 0;
}

static const struct key *find_key(struct slice name)
{
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
        if (slice_equal_str(name, keys[i].name))
            return &keys[i];
    return NULL;
}

static int fail_unknown(struct slice label, struct slice name, struct err *err)
{
    struct suggest suggest;
    suggest_init(&suggest, name);
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
        suggest_offer(&suggest, keys[i].name);
    const char *near = suggest_best(&suggest);
    if (near)
        return err_set(err, -EINVAL, "label %.*s is not known, did you mean \"%s\"?", SLICE_ARG(label), near);
    return err_set(err, -EINVAL, "label %.*s is not known", SLICE_ARG(label));
}

/* ------------------------------------------------------------------------------------------------ reading */

/* One pass: the labels for all ports, or those of one, which go on top. */
static int read_pass(const struct docker_container *container, uint16_t of_port, struct docker_labels *labels,
                     struct err *err)
{
    for (unsigned i = 0; i < container->n_labels; i++) {
        const struct instance_pair *label = &container->labels[i];
        const char *expected = "";
        struct slice name;
        uint16_t port;
        if (!split_label(label->name, &port, &name) || is_metadata(name))
            continue;
        const struct key *key = find_key(name);
        if (!key)
            return fail_unknown(label->name, name, err);
        if (port != of_port)
            continue;
        if (key->read(labels, label->value, &expected) < 0)
            return err_set(err, -EINVAL, "label %.*s: expected %s", SLICE_ARG(label->name), expected);
        labels->is_service_of_port |= port != 0 && key->read == read_service;
    }
    return 0;
}

int docker_labels_read(const struct docker_container *container, uint16_t port, struct docker_labels *ret_labels,
                       struct err *err)
{
    struct docker_labels labels = {.weight = 1, .check = check_default};
    int r = read_pass(container, 0, &labels, err);
    if (r == 0)
        r = read_pass(container, port, &labels, err);
    if (r == 0)
        *ret_labels = labels;
    return r;
}

int docker_labels_enable(const struct docker_container *container, enum docker_enable *ret_enable, struct err *err)
{
    struct slice value = docker_container_label(container, SLICE_LIT("muster.enable"));
    bool truth = false;
    if (value.len > 0 && read_bool(value, &truth) < 0)
        return err_set(err, -EINVAL, "label muster.enable: expected true or false");
    *ret_enable = value.len == 0 ? DOCKER_ENABLE_UNSAID : truth ? DOCKER_ENABLED : DOCKER_DISABLED;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ ports */

/* Adds one, unless it is there or there are too many. */
static void add_port(uint16_t port, uint16_t *ports, unsigned max, unsigned *n)
{
    for (unsigned i = 0; i < *n; i++)
        if (ports[i] == port)
            return;
    if (*n < max)
        ports[(*n)++] = port;
}

int docker_labels_ports(const struct docker_container *container, uint16_t *ret_ports, unsigned max, unsigned *ret_n,
                        struct err *err)
{
    struct slice item, list = docker_container_label(container, SLICE_LIT("muster.port")), key;
    uint16_t port;
    *ret_n = 0;
    while (list.len > 0) {
        list = slice_split(list, ',', &item);
        if (read_number16(slice_trim(item), 1, &port) < 0)
            return err_set(err, -EINVAL, "label muster.port: expected ports, separated by commas");
        add_port(port, ret_ports, max, ret_n);
    }
    for (unsigned i = 0; i < container->n_labels; i++)
        if (split_label(container->labels[i].name, &port, &key) && port != 0)
            add_port(port, ret_ports, max, ret_n);
    return 0;
}
