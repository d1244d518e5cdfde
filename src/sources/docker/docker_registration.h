/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance of the catalogue that a container stands for. Its owner says what is wanted, as often as that changes;
 * the registration sees to it that the catalogue comes to be so, one request at a time, and says why in the engine's
 * words. All on the scout's loop.
 *
 * Registrations have no lease: the engine's list is the truth about them, now and after a restart of the registry.
 */
#pragma once

#include "base/log.h"
#include "io/loop.h"
#include "keeper/curator.h"
#include "sources/docker/docker_offer.h"

struct docker_registration;

/* What registrations share. */
struct docker_registrar {
    struct curator *curator;
    struct loop *loop;
    struct log *log;
    /* It is not wanted and not in the catalogue any more: to be freed. Never from inside a call. */
    void (*on_gone)(struct docker_registration *registration);
    bool is_stopping; /* nothing more is begun */
    _Atomic unsigned n_wanted;
};

struct docker_registration {
    struct docker_registrar *registrar;
    void *owner;
    struct list link; /* the owner's */
    char *service, *id;
    /* wanted */
    bool is_wanted, is_stopped;
    struct buf json; /* the record; compared as text */
    enum docker_health health;
    char words[DOCKER_WORDS_MAX]; /* why it is to be so */
    /* done */
    enum { DOCKER_REGISTRATION_RESTS, DOCKER_REGISTRATION_WRITES, DOCKER_REGISTRATION_WAITS } state;
    bool is_written;      /* as wanted; else it is written again */
    uint64_t incarnation; /* that was told of: */
    bool told_stopped;    /* the source's word */
    enum docker_health told_health;
    /* the request that runs */
    struct curator_request request;
    struct arena arena;
    struct instance_record record;
    char cause[DOCKER_WORDS_MAX];
    struct timer retry;
    struct loop_task gone;
};

/* 0 or -ENOMEM. It is not wanted yet. */
int docker_registration_new(struct docker_registrar *registrar, void *owner, struct slice service, struct slice id,
                            struct docker_registration **ret_registration);
/* No request may run. Accepts NULL. */
void docker_registration_free(struct docker_registration *registration);

struct docker_wish {
    const struct instance_record *record;
    bool is_stopped; /* paused, or asked to stop: no traffic */
    enum docker_health health;
};

/* Whether it is wanted so, and the catalogue has it. */
bool docker_registration_is(const struct docker_registration *registration, const struct docker_wish *wish);
/* Wanted so from now on. 0, or -ENOMEM: as before. */
int docker_registration_want(struct docker_registration *registration, const struct docker_wish *wish,
                             const char *words);
/* No traffic from now on, or again. */
void docker_registration_stop(struct docker_registration *registration, bool is_stopped, const char *words);
/* Not wanted any more: no traffic from now on, and then it is removed. */
void docker_registration_leave(struct docker_registration *registration, const char *words);
/* Nobody can say how it is: the gateway is to prefer others until somebody has looked. */
void docker_registration_suspect(struct docker_registration *registration, const char *words);

/* The end of the daemon: nothing is begun any more; a request that runs is still answered. */
void docker_registration_rest(struct docker_registration *registration);
