/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source that makes instances of containers: those of one engine of Docker, or of what speaks its API, are in the
 * catalogue as long as they run. Whom it takes, under which names and addresses, is in docker_offer.h; how it keeps up
 * with the engine in docker_engine.h and docker_box.h.
 *
 * The engine's list is the truth about every instance whose origin is "docker": at the start, and after each loss of
 * the connection, those that run no more are removed. While the engine cannot be reached they stay, under suspicion. An
 * engine that is switched off has no containers.
 *
 * A part of the scout.
 */
#pragma once

#include "base/metrics.h"
#include "http/scout.h"
#include "keeper/curator.h"
#include "sources/docker/docker_offer.h"

struct docker;

enum docker_mode {
    DOCKER_AUTO, /* an engine that is not there is none to worry about */
    DOCKER_ON,
    DOCKER_OFF
};

/* Texts are copied. */
struct docker_options {
    enum docker_mode mode;
    struct slice host; /* "unix:/path", or a name or address */
    uint16_t port;
    struct tls_config *tls; /* a reference is taken; NULL: plain */
    struct docker_rules rules;
    nsec_t list_every_ns; /* 30 s */
    nsec_t poll_every_ns; /* 3 s: where the engine does not tell its events */
    nsec_t stop_ns;       /* 60 s: who was asked to stop and still runs after that gets requests again */
};

void docker_options_init(struct docker_options *options);

/* Joins the scout. 0, -ENOMEM, or another -errno. */
int docker_new(const struct docker_options *options, struct scout *scout, struct curator *curator, struct log *log,
               struct docker **ret_docker);
/* When the scout has stopped. Accepts NULL. */
void docker_free(struct docker *docker);

struct docker_stats {
    const char *state;           /* "off", "waiting", "connecting", "following", "polling"; static */
    const char *trouble;         /* why the engine cannot be reached; static; "" */
    int64_t success_ms, next_ms; /* wall clock: the last answer or event, 0: none yet; the next try, 0: none due */
    unsigned n_containers;       /* that run */
    unsigned n_instances;        /* that are made of them */
    uint64_t n_events, n_drifts; /* drift: what the list showed, and no event had told */
};
/* Any thread. */
void docker_get_stats(const struct docker *docker, struct docker_stats *ret_stats);
/* "unix:///var/run/docker.sock": whom it follows. As long as it lives; any thread. */
struct slice docker_host(const struct docker *docker);

/* All muster_docker_*: docs/docker.md. 0 or the registry's error. */
int docker_register_metrics(struct docker *docker, struct metrics *metrics);
