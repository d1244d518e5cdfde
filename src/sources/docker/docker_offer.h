/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container offers: the instances of services that it stands for, by its ports, its labels and the rules of the
 * configuration. Pure: the same container under the same rules gives the same offers.
 *
 * The service is named by the label `muster.service`, else by Compose or Swarm, else it is the image's short name; a
 * container that offers several ports has the port behind it. The instance's id is the container's id and the port, its
 * session the container's start: so another run of a container is another incarnation, whatever address it has.
 */
#pragma once

#include "catalog/instance_record.h"
#include "sources/docker/docker_labels.h"

/* Which of its addresses the gateway is to use. */
enum docker_address {
    DOCKER_ADDRESS_PROBE,   /* the one that answers */
    DOCKER_ADDRESS_HOST,    /* the published port */
    DOCKER_ADDRESS_NETWORK, /* the container's own, in its network */
};

/* The rules of the configuration. Slices outlive their use. */
struct docker_rules {
    bool is_opt_in;             /* only containers with muster.enable=true */
    const struct slice *images; /* only those of these images, by short or whole name; none: all */
    unsigned n_images;
    struct slice label; /* only those with this label: "NAME" or "NAME=VALUE"; "": all */
    enum docker_address address;
    bool is_remote;       /* the engine is on another machine: its networks are not ours */
    struct slice host;    /* where ports are reached that are published on all addresses of the host */
    struct slice network; /* of several networks, the address in this one; "": the first by name */
};

struct docker_offer {
    struct slice service, id;
    struct instance_record record; /* its address is one of the two */
    struct slice published, own;   /* "HOST:PORT"; "": there is none, or it must not be used */
};

struct docker_offers {
    struct docker_offer list[DOCKER_PORTS_MAX];
    unsigned n;
    bool has_health; /* the engine's HEALTHCHECK is what says how it is */
    nsec_t drain_ns; /* how long a container that was asked to stop may take; 0: not told */
};

/*
 * 0, also when it offers nothing; -EINVAL with words: a label is wrong, or there is no address; -ENOMEM. Records have
 * the address `prefers` where there are two. Slices live in the arena, in the container, and in the rules.
 */
int docker_offer_list(const struct docker_container *container, const struct docker_rules *rules,
                      enum docker_address prefers, struct arena *arena, struct docker_offers *ret_offers,
                      struct err *err);

/* Parts of the image's name: without registry, path, tag and digest. */
struct slice docker_image_short(struct slice image);
