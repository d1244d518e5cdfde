/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many leases run out in one second while others put keys. Leases are granted one by one, each with so many whole
 * seconds that it ends in the second after one moment, the same for all; a watch tells when their keys are gone.
 */
#include "lease.h"

#include "modes.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* How long the puts run undisturbed before the moment, to compare with. */
#define CALM (2 * NSEC_PER_SEC)
/* A put that begins just before the moment may already wait for an expiry. */
#define MARGIN (100 * NSEC_PER_MSEC)

/* Many, since the leases are to be granted long before the moment. */
#define N_REGISTRANTS 256

struct expire {
    struct load *load;
    struct call watch;
    bool is_watching;
    nsec_t moment, last_deadline;
    uint64_t n_gone;
    nsec_t first_gone, last_gone;
    struct callers callers; /* the foreground */
};

static void on_watch_message(struct call *call, struct slice message)
{
    struct expire *expire = call->user;
    if (get_number(message, WATCH_REPLY_CREATED))
        expire->is_watching = true;
    if (now_ns() < expire->moment)
        return; /* the puts of the registrations */
    expire->last_gone = now_ns();
    if (expire->n_gone == 0)
        expire->first_gone = expire->last_gone;
    expire->n_gone += count_elements(message, WATCH_REPLY_EVENTS);
    if (expire->n_gone == expire->load->options.leases)
        expire->callers.until = 0;
}

static void begin_register(struct caller *caller)
{
    struct expire *expire = caller->load->state;
    nsec_t left = expire->moment - now_ns();
    if (left < CALM)
        errx(EXIT_FAILURE, "the leases took too long to grant: more lead");
    caller->key = (uint64_t)((left + NSEC_PER_SEC - 1) / NSEC_PER_SEC);
    registration_begin(caller, (int64_t)caller->key);
}

/* A lease began before its answer came: from then on counted, it lasts at most until here. */
static bool next_register(struct caller *caller)
{
    struct expire *expire = caller->load->state;
    nsec_t deadline = now_ns() + (nsec_t)caller->key * NSEC_PER_SEC;
    if (caller->n_calls == 1 && deadline > expire->last_deadline)
        expire->last_deadline = deadline;
    return registration_next(caller, SPACE_EXPIRING);
}

static void begin_put(struct caller *caller)
{
    struct load *load = caller->load;
    struct key key = key_of(SPACE_STORED, load_random(load, load->options.keys));
    add_put(caller_call(caller, PATH_PUT), key_slice(&key), buf_slice(&load->value), 0);
    caller_send(caller);
}

static void prepare_expire(struct load *load)
{
    struct expire *expire = calloc(1, sizeof(*expire));
    if (!expire)
        errx(EXIT_FAILURE, "out of memory");
    load->state = expire;
    expire->load = load;
    expire->watch = (struct call){.on_message = on_watch_message, .user = expire};
    load_connect(load);
    call_open(&expire->watch, load->conns[0], PATH_WATCH, true);
    struct key begin, end;
    add_watch_create(call_begin(&expire->watch), space_begin(SPACE_EXPIRING, &begin), space_end(SPACE_EXPIRING, &end));
    call_send(&expire->watch);
    while (!expire->is_watching)
        load_wait(load);
}

/* The puts of one phase, their times printed under a name. */
static void put_until(struct expire *expire, nsec_t until, const char *name)
{
    static const struct operation put = {.begin = begin_put};
    expire->callers = (struct callers){.operation = &put, .until = until, .n_left = UINT64_MAX};
    callers_run(expire->load, &expire->callers);
    samples_print(&expire->load->samples, name);
    samples_reset(&expire->load->samples);
}

static void turn_expire(struct load *load)
{
    static const struct operation registration = {begin_register, registration_reply, next_register};
    struct expire *expire = load->state;
    nsec_t began = now_ns();
    expire->moment = began + (nsec_t)load->options.lead * NSEC_PER_SEC;
    struct callers callers = {
        .operation = &registration,
        .n_callers = N_REGISTRANTS,
        .until = NSEC_NEVER,
        .n_left = load->options.leases,
    };
    callers_run(load, &callers);
    samples_reset(&load->samples);
    while (now_ns() < expire->moment - CALM)
        client_turn(load->client, 1);

    printf("ops=%" PRIu64 " seconds=%" PRIu64, load->options.leases, load->options.lead);
    put_until(expire, expire->moment - MARGIN, "calm_");
    put_until(expire, expire->last_deadline + (nsec_t)load->options.patience * NSEC_PER_SEC, "");
    printf(" gone=%" PRIu64 " late_ms=%.1f span_ms=%.1f", expire->n_gone,
           (double)(expire->last_gone - expire->last_deadline) / 1e6,
           (double)(expire->last_gone - expire->first_gone) / 1e6);
}

static void end_expire(struct load *load)
{
    struct expire *expire = load->state;
    call_deinit(&expire->watch);
    free(expire);
}

/*
 * A turn lets options.leases leases run out options.lead seconds after its beginning. It says how many were gone
 * options.patience seconds later at the latest, how late the last of them was, how far from the first, and how long
 * puts of options.callers callers took before ("calm_") and meanwhile.
 */
const struct mode mode_expire = {"expire", prepare_expire, turn_expire, end_expire};
