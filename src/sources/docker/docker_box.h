/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One container that is followed. Whatever may have changed about it, it is looked at: the engine is asked how it is,
 * and its registrations are brought in line with the answer. An answer counts only when no event about the container
 * came after it was asked for; so events may come in any order, twice, or late.
 *
 * Three things are not waited for: that it died, that it was asked to stop, and that it is gone.
 */
#pragma once

#include "base/htab.h"
#include "sources/docker/docker_engine.h"
#include "sources/docker/docker_reach.h"
#include "sources/source_registration.h"

struct docker;

/* Why it is looked at; of two reasons the later one here counts. */
enum docker_look {
    DOCKER_LOOK_CHECK,   /* the list is read now and then: all should be as the events told */
    DOCKER_LOOK_CONFIRM, /* it was not, a moment ago */
    DOCKER_LOOK_SYNC,    /* what is new in the list was told by no event */
    DOCKER_LOOK_EVENT,
};

struct docker_box {
    struct htab_node node; /* the owner's, by id */
    struct docker *docker;
    char id[DOCKER_ID_LEN + 1];
    bool is_listed; /* the owner's, while it reads a list */
    bool is_running;
    /* looking */
    enum { DOCKER_BOX_RESTS, DOCKER_BOX_DUE, DOCKER_BOX_LOOKS } state;
    enum docker_look look;
    bool is_outdated; /* an event came while it is looked at */
    struct list due;
    struct docker_ask ask;
    struct timer again;
    char words[DOCKER_WORDS_MAX]; /* the engine's, of the event for which it is looked at */
    uint64_t fault;               /* a hash of why it is not offered, as the log was told; 0: it is */
    /* as last seen */
    int64_t started_ns; /* by the engine's clock; 0: it does not run */
    int stop_signal;
    nsec_t stop_ns; /* how long it may take to stop */
    bool had_oom;
    /* asked to stop */
    nsec_t stopping_until_ns; /* 0: not */
    struct timer stopping;
    /* which of its addresses is used */
    bool has_address;
    enum docker_address address;
    struct docker_reach reach;
    struct list registrations;
};

/* 0 or -ENOMEM. */
int docker_box_new(struct docker *docker, const char *id, struct docker_box **ret_box);
/* Nothing of it may be under way. */
void docker_box_free(struct docker_box *box);

/* words: NULL, or what the engine said. */
void docker_box_look(struct docker_box *box, enum docker_look look, const char *words);
/* The owner has room for it: asks. */
void docker_box_begin(struct docker_box *box);
void docker_box_on_event(struct docker_box *box, const struct docker_event *event);
/* An instance that the catalogue has of it already. 0 or -ENOMEM. */
int docker_box_adopt(struct docker_box *box, const struct instance *instance);
/* It does not run any more. */
void docker_box_leave(struct docker_box *box, const char *words);
/* The engine cannot be asked. */
void docker_box_suspect(struct docker_box *box, const char *words);
/* A registration of it is in the catalogue no more. */
void docker_box_on_gone(struct docker_box *box, struct source_registration *registration);
/* The end of the daemon. */
void docker_box_stop(struct docker_box *box);
