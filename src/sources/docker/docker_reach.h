/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a container's two addresses can be reached from here: its own, in its network, or that of the port which the
 * host publishes. Found out by knocking. All on the scout's loop.
 */
#pragma once

#include "http/errand.h"
#include "sources/docker/docker_offer.h"

struct docker_reach;
typedef void (*docker_reach_fn)(struct docker_reach *reach, enum docker_address found);

/* Embedded in its owner, zeroed. */
struct docker_reach {
    /* the owner's */
    struct errand_office *office;
    docker_reach_fn done; /* never from inside a call; not after docker_reach_cancel */
    /* its own */
    struct errand errand;
    enum { DOCKER_REACH_RESTS, DOCKER_REACH_KNOCKS, DOCKER_REACH_PAUSES, DOCKER_REACH_ENDS } state;
    enum docker_address asked; /* what is knocked at */
    bool is_ours;              /* its own address is one of a network that we are in */
    struct timer timer;
    nsec_t until_ns, pause_ns;
    char own[ADDR_TEXT_MAX], published[ADDR_TEXT_MAX];
};

/* Both addresses are "HOST:PORT". It must rest. */
void docker_reach_start(struct docker_reach *reach, struct slice own, struct slice published);
/* `done` does not come. It rests in a later turn. Harmless at rest. */
void docker_reach_cancel(struct docker_reach *reach);
/* At rest. */
void docker_reach_deinit(struct docker_reach *reach);
