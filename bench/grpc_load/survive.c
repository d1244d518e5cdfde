/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases through a restart of the server, which ends every connection: a turn makes new ones.
 */
#include "lease.h"

#include "modes.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct survive {
    struct leases leases;
    uint64_t n_answered, n_alive, n_keys;
};

static void begin_register(struct caller *caller)
{
    registration_begin(caller, (int64_t)caller->load->options.ttl);
}

static void reply_register(struct caller *caller, struct slice message)
{
    struct survive *survive = caller->load->state;
    registration_reply(caller, message);
    if (caller->n_calls == 0)
        leases_add(&survive->leases, caller->lease);
}

static bool next_register(struct caller *caller)
{
    return registration_next(caller, SPACE_EXPIRING);
}

static void prepare_survive(struct load *load)
{
    static const struct operation registration = {begin_register, reply_register, next_register};
    load->state = calloc(1, sizeof(struct survive));
    if (!load->state)
        errx(EXIT_FAILURE, "out of memory");
    load_connect(load);
    struct callers callers = {.operation = &registration, .until = NSEC_NEVER, .n_left = load->options.leases};
    callers_run(load, &callers);
    samples_reset(&load->samples);
    load_disconnect(load);
}

static void on_renewed(struct call *call, struct slice message)
{
    struct survive *survive = call->user;
    survive->n_answered++;
    survive->n_alive += get_number(message, KEEPALIVE_REPLY_TTL) > 0;
}

static void renew_all(struct load *load)
{
    struct survive *survive = load->state;
    struct call call = {.on_message = on_renewed, .user = survive};
    survive->n_answered = survive->n_alive = 0;
    call_open(&call, load->conns[0], PATH_KEEPALIVE, true);
    for (uint64_t i = 0; i < survive->leases.n; i++) {
        add_keepalive(call_begin(&call), survive->leases.ids[i]);
        call_send(&call);
    }
    while (survive->n_answered < survive->leases.n)
        load_wait(load);
    call_deinit(&call);
}

static void begin_count(struct caller *caller)
{
    struct key begin, end;
    add_range_count(caller_call(caller, PATH_RANGE), space_begin(SPACE_EXPIRING, &begin),
                    space_end(SPACE_EXPIRING, &end));
    caller_send(caller);
}

static void keep_count(struct caller *caller, struct slice message)
{
    ((struct survive *)caller->load->state)->n_keys = get_number(message, RANGE_REPLY_COUNT);
}

static void turn_survive(struct load *load)
{
    static const struct operation count = {.begin = begin_count, .reply = keep_count};
    struct survive *survive = load->state;
    nsec_t began = now_ns();
    load_connect(load);
    struct callers callers = {.operation = &count, .until = NSEC_NEVER, .n_left = 1};
    callers_run(load, &callers);
    samples_reset(&load->samples);
    renew_all(load);
    load_disconnect(load);
    load_print(load, survive->leases.n, now_ns() - began);
    printf(" alive=%" PRIu64 " keys=%" PRIu64, survive->n_alive, survive->n_keys);
}

static void end_survive(struct load *load)
{
    struct survive *survive = load->state;
    leases_deinit(&survive->leases);
    free(survive);
}

/* A turn counts how many of options.leases registrations are still there, then how many leases could be renewed. */
const struct mode mode_survive = {"survive", prepare_survive, turn_survive, end_survive};
