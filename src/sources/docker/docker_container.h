/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container as the engine describes it (GET /containers/{id}/json), as far as it matters here. Pure.
 *
 * Lenient about what is missing, since engines differ; strict about what is there: a port is a number, a text a text.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "catalog/instance.h"
#include "sources/docker/docker_event.h"

#define DOCKER_LABELS_MAX   1024
#define DOCKER_PORTS_MAX    64
#define DOCKER_NETWORKS_MAX 64
/* Longest description that is read. */
#define DOCKER_CONTAINER_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* A TCP port of the container: exposed, and perhaps published. In order of number. */
struct docker_port {
    uint16_t number;
    uint16_t host_port;   /* 0: not published */
    struct slice host_ip; /* "0.0.0.0", "::", "": on all addresses of the host */
};

struct docker_network {
    struct slice name;
    struct slice ip; /* "": none */
};

enum docker_health { DOCKER_HEALTH_NONE, DOCKER_HEALTH_STARTING, DOCKER_HEALTHY, DOCKER_UNHEALTHY };

struct docker_container {
    char id[DOCKER_ID_LEN + 1];
    struct slice name;   /* without the leading '/' */
    struct slice image;  /* as it was asked for: "hello:latest" */
    bool is_image_an_id; /* it was asked for by its id */
    bool is_running;     /* and not between two restarts */
    bool is_paused;
    bool is_on_host_network; /* its ports are the host's */
    enum docker_health health;
    struct slice health_words; /* the first line that its last health check printed */
    struct slice status;       /* "running", "exited" */
    int exit_code;
    struct slice started; /* as the engine writes it */
    int64_t started_ns;   /* since 1970, by the engine's clock; 0: unknown */
    int stop_signal;
    const struct instance_pair *labels; /* at most DOCKER_LABELS_MAX; more are left out */
    unsigned n_labels;
    const struct docker_port *ports;
    unsigned n_ports;
    const struct docker_network *networks; /* in the order of their names */
    unsigned n_networks;
};

/* 0, -EINVAL with words, -ENOMEM. Slices live in the arena. */
int docker_container_parse(struct slice json, struct arena *arena, struct docker_container *ret_container,
                           struct err *err);

/* The value of a label; empty when there is none. */
struct slice docker_container_label(const struct docker_container *container, struct slice name);

/*
 * The ids in the engine's list of containers (GET /containers/json), cut, one after the other, each with its NUL.
 * 0, -EINVAL with words, -ENOMEM.
 */
#define DOCKER_LIST_BYTES_MAX ((size_t)32 * 1024 * 1024)
int docker_list_parse(struct slice json, struct buf *ids, struct err *err);
