/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the source, shared by docker.c, which has the containers, and docker_box.c, which is one of them; and
 * for tests, which have no scout: the same on any loop, started and stopped by hand.
 */
#pragma once

#include "base/hash.h"
#include "base/htab.h"
#include "sources/docker/docker.h"
#include "sources/docker/docker_box.h"
#include "sources/docker/docker_engine.h"

struct docker {
    struct scout_part part;
    struct docker_options options;
    struct arena texts; /* of the options */
    struct log *log;
    struct errand_office *office;
    struct docker_engine engine;
    struct source_registrar registrar;
    struct hash_key hash_key;
    struct htab boxes; /* by id */
    struct list due;   /* boxes that are to be looked at */
    unsigned n_looking;
    _Atomic unsigned n_containers; /* that run */
    _Atomic uint64_t n_events, n_drifts;
};

int docker_new_on(const struct docker_options *options, struct loop *loop, struct curator *curator, struct log *log,
                  struct docker **ret_docker);
struct scout_part *docker_part(struct docker *docker);

/* Has the box looked at as soon as one of those that are looked at is done. */
void docker_look_later(struct docker *docker, struct docker_box *box);
/* One look is over. */
void docker_look_next(struct docker *docker);
/* Others that are registered at this address cannot be there any more. */
void docker_address_taken(struct docker *docker, const struct docker_box *by, struct slice address);
/* Nothing is left of the box: it is freed. */
void docker_forget(struct docker *docker, struct docker_box *box);
