/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of a pool that are being opened. An attempt is not bound to the wait that caused it: what comes of it
 * goes to the one who waits longest, be it a connection or a failure.
 */
#include "http/pool_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Idle connections that are closed for one attempt: others may be quicker to take what is free then. */
#define GIVE_WAY_MAX 8

struct attempt {
    struct list link; /* in place->attempts */
    struct pool_place *place;
    struct stream *stream;
    struct timer timer;
    bool in_handshake;
};

/* The place still counts what came of it as open. Gives the stream to the caller. */
static struct stream *attempt_end(struct attempt *attempt)
{
    struct stream *stream = attempt->stream;
    loop_cancel(attempt->place->pool->loop, &attempt->timer);
    list_remove(&attempt->link);
    attempt->place->n_attempts--;
    free(attempt);
    return stream;
}

/* The stream of the attempt is closed, or was already. */
static void attempt_failed(struct pool_place *place, int error)
{
    pool_count_closed(place);
    place->pool->stats.n_connect_failed++;
    struct pool_wait *wait = pool_next_wait(place, true);
    pool_serve_waits(place);
    pool_drop_if_unused(place);
    if (wait)
        wait->on_ready(wait, error, NULL);
}

static void attempt_fail(struct attempt *attempt, int error)
{
    struct pool_place *place = attempt->place;
    stream_close(attempt_end(attempt));
    attempt_failed(place, error);
}

static void attempt_done(struct attempt *attempt)
{
    struct pool_place *place = attempt->place;
    int r = pool_add_connection(place, attempt_end(attempt));
    if (r < 0)
        attempt_failed(place, r);
}

static void on_event(struct stream *stream, unsigned new_bits);

static void begin_handshake(struct attempt *attempt)
{
    struct pool_place *place = attempt->place;
    attempt->in_handshake = true;
    int r = tls_connect(TAKE(attempt->stream), place->tls, place->server_name, on_event, attempt, &attempt->stream);
    if (r < 0)
        attempt_fail(attempt, r);
}

static void on_event(struct stream *stream, unsigned new_bits)
{
    struct attempt *attempt = stream->owner;
    (void)new_bits;
    if (stream->bits & STREAM_FAILED)
        attempt_fail(attempt, stream->error);
    else if (!(stream->bits & STREAM_OPEN))
        return;
    else if (attempt->place->tls && !attempt->in_handshake)
        begin_handshake(attempt);
    else
        attempt_done(attempt);
}

static void on_timer(struct timer *timer)
{
    attempt_fail(container_of(timer, struct attempt, timer), -ETIMEDOUT);
}

/* What is idle has no claim to a descriptor that somebody wants. */
static int open_stream(struct pool_place *place, struct attempt *attempt)
{
    struct pool *pool = place->pool;
    unsigned n_tries = GIVE_WAY_MAX;
    int r;
    do
        r = pool->options.connect(pool->loop, &place->addr, NSEC_NEVER, on_event, attempt, &attempt->stream);
    while ((r == -EMFILE || r == -ENFILE) && n_tries-- > 0 && pool_give_way(pool, place));
    return r;
}

int pool_attempt_start(struct pool_place *place)
{
    struct pool *pool = place->pool;
    struct attempt *attempt = malloc(sizeof(*attempt));
    if (!attempt)
        return -ENOMEM;
    *attempt = (struct attempt){.place = place};
    int r = open_stream(place, attempt);
    if (r < 0) {
        free(attempt);
        return r;
    }
    list_init(&attempt->link);
    list_push_back(&place->attempts, &attempt->link);
    timer_init(&attempt->timer, on_timer);
    loop_arm(pool->loop, &attempt->timer, loop_now(pool->loop) + pool->options.connect_timeout_ns);
    place->n_attempts++;
    place->n_open++;
    pool->stats.n_open++;
    return 0;
}

void pool_close_attempts(struct pool_place *place)
{
    list_for_each (link, &place->attempts) {
        stream_close(attempt_end(container_of(link, struct attempt, link)));
        pool_count_closed(place);
    }
}
