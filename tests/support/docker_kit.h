/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Docker engine of a test: containers in memory, its API over simulated streams, faults as the test wants them; and a
 * muster's source that follows it, with a curator on a store without a disk, all on one loop in virtual time.
 *
 * Each container is of the image "hello" and publishes port 8080; its own address can be reached while it runs.
 */
#pragma once

#include "base/buf.h"
#include "sources/docker/docker_priv.h"
#include "support/registry_kit.h"

#define DOCKER_KIT_CONTAINERS 64
#define DOCKER_KIT_STREAMS    256

struct kit_container {
    char id[65], name[32];
    bool exists, is_running, is_paused;
    const char *health; /* NULL: it has none; "starting", "healthy", "unhealthy" */
    const char *labels; /* members of the JSON object; may be empty */
    int64_t started_ns; /* wall clock */
    int exit_code;
};

struct kit_stream {
    struct stream *stream; /* NULL: free */
    struct buf heard;
    bool was_subscribed, tells_events; /* tells: it listens to what happens */
};

struct docker_kit {
    struct registry_kit base;
    struct errand_office office;
    struct docker *docker;
    bool is_started;
    /* the engine */
    struct kit_container containers[DOCKER_KIT_CONTAINERS];
    struct kit_stream streams[DOCKER_KIT_STREAMS];
    struct buf events;   /* all that ever happened, one JSON text and its NUL after the other */
    bool is_down;        /* connections are refused */
    bool is_unreachable; /* … and its containers' own addresses do not answer */
    bool is_silent;      /* events are lost */
    bool is_garbled;     /* answers are cut in the middle */
    int events_status;   /* of GET /events; 200 */
    bool ends_events;    /* its answer to that ends at once */
    bool listens_late;   /* … and has a head at once, but it listens from kit_listen on */
    const char *api, *min_api;
    unsigned n_listed, n_looked, n_subscribed;
    char last_events[512]; /* target of the last subscription */
};

/* With the source started. options NULL: the defaults. */
void docker_kit_init(struct docker_kit *kit, const struct docker_options *options);
void docker_kit_deinit(struct docker_kit *kit);
/* The source ends, and another process's begins. */
void docker_kit_restart(struct docker_kit *kit, const struct docker_options *options);
void docker_kit_run(struct docker_kit *kit, nsec_t duration_ns);

/* -------- what happens; each tells its event */

void kit_start(struct docker_kit *kit, unsigned i);
/* SIGTERM is sent; it runs on. */
void kit_signal(struct docker_kit *kit, unsigned i, int signal);
void kit_die(struct docker_kit *kit, unsigned i, int exit_code);
void kit_pause(struct docker_kit *kit, unsigned i, bool is_paused);
void kit_health(struct docker_kit *kit, unsigned i, const char *health);
void kit_rename(struct docker_kit *kit, unsigned i, const char *name);
void kit_remove(struct docker_kit *kit, unsigned i);
/* An event by itself, now or from an earlier moment. */
void kit_tell(struct docker_kit *kit, unsigned i, const char *action, const char *attributes, int64_t at_ns);
/* All streams of events are cut. */
void kit_cut(struct docker_kit *kit);
/* After listens_late. */
void kit_listen(struct docker_kit *kit);
/* The engine ends: connections break. */
void kit_down(struct docker_kit *kit);

/* -------- what is seen */

/* "up", "stopped", "gone": the status of the container's instance. */
const char *kit_status(struct docker_kit *kit, unsigned i);
const struct instance *kit_instance(struct docker_kit *kit, unsigned i);
/* The catalogue has what runs, as it is, and nothing else. */
void kit_expect_truth(struct docker_kit *kit);
/* Of all that was noted: lines "KIND by ACTOR: EVIDENCE". */
void kit_expect_timeline(struct docker_kit *kit, const char *expected);
