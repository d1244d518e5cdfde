/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance of the catalogue that a source stands for. The source says what is wanted, as often as that changes; the
 * registration sees to it that the catalogue comes to be so, one request at a time, and says why in the source's words.
 * All on the scout's loop.
 *
 * Registrations have no lease: the source is the truth about them, now and after a restart of the registry. Those of
 * another origin are left alone when they are not wanted any more.
 */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "catalog/instance_record.h"
#include "io/loop.h"
#include "keeper/curator.h"

#define SOURCE_WORDS_MAX 256 /* with the NUL */

/* What the source's own check says, where there is one: told as the result of a TTL check. */
enum source_health { SOURCE_HEALTH_UNKNOWN, SOURCE_HEALTH_GOOD, SOURCE_HEALTH_BAD };

struct source_registration;

/* What registrations share. */
struct source_registrar {
    const char *origin;     /* "docker": of the records, and who changes them; static */
    const char *succession; /* why one is removed before the next session of its name is written; static */
    struct curator *curator;
    struct loop *loop;
    struct log *log;
    /* It is not wanted and not in the catalogue any more: to be freed. Never from inside a call. */
    void (*on_gone)(struct source_registration *registration);
    bool is_stopping; /* nothing more is begun */
    _Atomic unsigned n_wanted;
};

struct source_registration {
    struct source_registrar *registrar;
    void *owner;
    struct list link; /* the owner's */
    char *service, *id;
    /* wanted */
    bool is_wanted, is_stopped;
    struct buf json; /* the record; compared as text */
    enum source_health health;
    char words[SOURCE_WORDS_MAX]; /* why it is to be so */
    /* done */
    enum { SOURCE_REGISTRATION_RESTS, SOURCE_REGISTRATION_WRITES, SOURCE_REGISTRATION_WAITS } state;
    bool is_written;      /* as wanted; else it is written again */
    uint64_t incarnation; /* that was told of: */
    bool told_stopped;    /* the source's word */
    enum source_health told_health;
    /* the request that runs */
    struct curator_request request;
    struct arena arena;
    struct instance_record record;
    char cause[SOURCE_WORDS_MAX];
    struct timer retry;
    struct loop_task gone;
};

/* 0 or -ENOMEM. It is not wanted yet. */
int source_registration_new(struct source_registrar *registrar, void *owner, struct slice service, struct slice id,
                            struct source_registration **ret_registration);
/* No request may run. Accepts NULL. */
void source_registration_free(struct source_registration *registration);

struct source_wish {
    const struct instance_record *record;
    bool is_stopped; /* paused, or asked to stop: no traffic */
    enum source_health health;
};

/* Whether it is wanted so, and the catalogue has it. */
bool source_registration_is(const struct source_registration *registration, const struct source_wish *wish);
/* It is wanted and should be in the catalogue, but is not. */
bool source_registration_is_missing(const struct source_registration *registration);
/* Wanted so from now on. 0, or -ENOMEM: as before. */
int source_registration_want(struct source_registration *registration, const struct source_wish *wish,
                             const char *words);
/* No traffic from now on, or again. */
void source_registration_stop(struct source_registration *registration, bool is_stopped, const char *words);
/* Not wanted any more: no traffic from now on, and then it is removed. */
void source_registration_leave(struct source_registration *registration, const char *words);
/* Nobody can say how it is: the gateway is to prefer others until somebody has looked. */
void source_registration_suspect(struct source_registration *registration, const char *words);

/* The end of the daemon: nothing is begun any more; a request that runs is still answered. */
void source_registration_rest(struct source_registration *registration);
