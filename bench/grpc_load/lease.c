/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases: granted with a key on each, and kept alive.
 */
#include "lease.h"

#include "modes.h"

#include <err.h>
#include <stdlib.h>

/* Growing by doubling: the room is known from n alone. */
void leases_add(struct leases *leases, int64_t id)
{
    if ((leases->n & (leases->n - 1)) == 0) {
        leases->ids = realloc(leases->ids, (leases->n ? leases->n * 2 : 1) * sizeof(int64_t));
        if (!leases->ids)
            errx(EXIT_FAILURE, "out of memory");
    }
    leases->ids[leases->n++] = id;
}

void leases_deinit(struct leases *leases)
{
    free(leases->ids);
    *leases = (struct leases){0};
}

/* ------------------------------------------------------------------------------------------------ registrations */

void registration_begin(struct caller *caller, int64_t ttl)
{
    add_grant(caller_call(caller, PATH_GRANT), ttl);
    caller_send(caller);
}

void registration_reply(struct caller *caller, struct slice message)
{
    if (caller->n_calls == 0)
        caller->lease = (int64_t)get_number(message, GRANT_REPLY_ID);
}

bool registration_next(struct caller *caller, enum key_space space)
{
    if (caller->n_calls > 1)
        return false;
    struct key key = key_of(space, caller->load->n_made++);
    add_put(caller_call(caller, PATH_PUT), key_slice(&key), buf_slice(&caller->load->value), caller->lease);
    caller_send(caller);
    return true;
}

static void begin_register(struct caller *caller)
{
    registration_begin(caller, (int64_t)caller->load->options.ttl);
}

static bool next_register(struct caller *caller)
{
    return registration_next(caller, SPACE_REGISTERED);
}

static void turn_register(struct load *load)
{
    static const struct operation registration = {begin_register, registration_reply, next_register};
    load_turn(load, &registration);
}

/* A turn registers instances that were not there before, each with a lease of options.ttl. */
const struct mode mode_register = {"register", load_connect, turn_register, NULL};

/* ------------------------------------------------------------------------------------------------ keep-alives */

/* One stream, with its part of the leases, which it renews in a circle. */
struct beat {
    struct keepalive *all;
    struct call call;
    const int64_t *ids;
    uint64_t n_ids, next;
    nsec_t *sent; /* when each message on the way was, in a circle of options.window */
    uint64_t n_sent, n_answered;
};

struct keepalive {
    struct load *load;
    struct leases leases;
    struct beat *beats; /* one on each connection */
    nsec_t until;
    uint64_t n_busy; /* messages on the way */
};

static void send_beat(struct beat *beat)
{
    beat->sent[beat->n_sent++ % beat->all->load->options.window] = now_ns();
    add_keepalive(call_begin(&beat->call), beat->ids[beat->next]);
    call_send(&beat->call);
    beat->next = (beat->next + 1) % beat->n_ids;
    beat->all->n_busy++;
}

static void on_beat_answered(struct call *call, struct slice message)
{
    struct beat *beat = call->user;
    struct keepalive *all = beat->all;
    if (get_number(message, KEEPALIVE_REPLY_TTL) == 0)
        errx(EXIT_FAILURE, "a lease that is kept alive has expired");
    nsec_t now = now_ns();
    samples_add(&all->load->samples, now - beat->sent[beat->n_answered++ % all->load->options.window]);
    all->n_busy--;
    if (now < all->until)
        send_beat(beat);
}

static void begin_grant(struct caller *caller)
{
    add_grant(caller_call(caller, PATH_GRANT), (int64_t)caller->load->options.ttl);
    caller_send(caller);
}

static void keep_lease(struct caller *caller, struct slice message)
{
    struct keepalive *all = caller->load->state;
    leases_add(&all->leases, (int64_t)get_number(message, GRANT_REPLY_ID));
}

static void open_beat(struct keepalive *all, uint64_t i)
{
    const struct options *options = &all->load->options;
    struct beat *beat = &all->beats[i];
    uint64_t n = all->leases.n / options->conns;
    *beat = (struct beat){
        .all = all,
        .call = {.on_message = on_beat_answered, .user = beat},
        .ids = all->leases.ids + i * n,
        .n_ids = n,
        .sent = calloc(options->window, sizeof(nsec_t)),
    };
    if (!beat->sent)
        errx(EXIT_FAILURE, "out of memory");
    call_open(&beat->call, all->load->conns[i], PATH_KEEPALIVE, true);
}

static void prepare_keepalive(struct load *load)
{
    static const struct operation grant = {.begin = begin_grant, .reply = keep_lease};
    struct keepalive *all = calloc(1, sizeof(*all));
    if (!all || !(all->beats = calloc(load->options.conns, sizeof(struct beat))))
        errx(EXIT_FAILURE, "out of memory");
    all->load = load;
    load->state = all;
    load_connect(load);
    struct callers callers = {.operation = &grant, .until = NSEC_NEVER, .n_left = load->options.leases};
    callers_run(load, &callers);
    samples_reset(&load->samples);
    for (uint64_t i = 0; i < load->options.conns; i++)
        open_beat(all, i);
}

static void turn_keepalive(struct load *load)
{
    struct keepalive *all = load->state;
    nsec_t began = now_ns();
    all->until = began + (nsec_t)load->options.ms * NSEC_PER_MSEC;
    for (uint64_t i = 0; i < load->options.conns; i++)
        for (uint64_t n = 0; n < load->options.window; n++)
            send_beat(&all->beats[i]);
    while (all->n_busy > 0)
        load_wait(load);
    load_print(load, load->samples.n, now_ns() - began);
}

static void end_keepalive(struct load *load)
{
    struct keepalive *all = load->state;
    for (uint64_t i = 0; i < load->options.conns; i++) {
        free(all->beats[i].sent);
        call_deinit(&all->beats[i].call);
    }
    free(all->beats);
    leases_deinit(&all->leases);
    free(all);
}

/* A turn renews options.leases leases, shared out among options.conns streams, options.window at a time on each. */
const struct mode mode_keepalive = {"keepalive", prepare_keepalive, turn_keepalive, end_keepalive};
