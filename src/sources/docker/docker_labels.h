/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the labels of a container ask for: `muster.KEY` for all of its ports, `muster.PORT.KEY` for one. Keys are listed
 * in docker_labels.c and explained in docs/docker.md. Pure.
 */
#pragma once

#include "sources/docker/docker_container.h"

/* Of one port. Slices are parts of the container's. */
struct docker_labels {
    struct slice service; /* "": by another name */
    struct slice protocol, zone, network;
    struct slice tags, needs; /* lists, separated by commas */
    struct slice host, path;  /* of requests that are for it */
    struct slice expose;
    uint16_t weight;
    bool is_service_of_port; /* `service` is said for this port alone */
    bool has_check, ignores_health;
    struct instance_check check;
    nsec_t drain_ns; /* 0: not told */
    enum { DOCKER_LABEL_ANY, DOCKER_LABEL_HOST, DOCKER_LABEL_NETWORK } address;
};

/* 0, or -EINVAL with words that name the label and what was expected. */
int docker_labels_read(const struct docker_container *container, uint16_t port, struct docker_labels *ret_labels,
                       struct err *err);

/* muster.enable. 0, -EINVAL with words. */
enum docker_enable { DOCKER_ENABLE_UNSAID, DOCKER_ENABLED, DOCKER_DISABLED };
int docker_labels_enable(const struct docker_container *container, enum docker_enable *ret_enable, struct err *err);

/*
 * The ports that the labels choose, at most `max`, in no order: those in `muster.port`, and those with labels of their
 * own; exposed or not. 0, or -EINVAL with words.
 */
int docker_labels_ports(const struct docker_container *container, uint16_t *ret_ports, unsigned max, unsigned *ret_n,
                        struct err *err);

/* What is copied to the metadata: `muster.meta.NAME` as NAME, `muster.gateway.WORD` as gateway.WORD. */
bool docker_labels_metadata(struct slice label, uint16_t port, struct slice *ret_name);
