/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pour steps in between both sides and their user: it has the events of the call and the app of the exchange until
 * its side of the work is done, and then puts back what was there. Bytes that were read with the response's head go by
 * exchange_write, the others through a pipe.
 *
 *     the call:      ours -> the user's again, before on_done, or with on_close
 *     the exchange:  ours -> the user's again, when the call has failed, when the answer is ended, or with on_close
 *
 * Whether bytes can be taken is known by the socket that has them, and whether they can be given by the other one: a
 * pour moves when one of them says so. While the pipe cannot be emptied the call is paused, so each side's time-out
 * counts only when it is its peer who is waited for.
 */
#include "http/pour.h"

#include "base/assert.h"
#include "http/exchange_impl.h"

#include <stdlib.h>

/* Of a pipe's size each, per turn. */
enum { MOVES_MAX = 4 };

struct pour {
    struct client_call *call; /* NULL once it is over */
    const struct client_events *events;
    struct exchange *exchange;
    const struct exchange_app *app;
    void *state;
    struct pipes *pipes;
    struct pipe *pipe;
};

static void give_call_back(struct pour *pour)
{
    struct client_call *call = TAKE(pour->call);
    if (!call)
        return;
    call->events = pour->events;
    call->pour = NULL;
}

/* Ends the pour. */
static void give_exchange_back(struct pour *pour)
{
    give_call_back(pour);
    pour->exchange->app = pour->app;
    pour->exchange->state = pour->state;
    pipes_give(pour->pipes, pour->pipe);
    free(pour);
}

static void pause_call(struct pour *pour, bool paused)
{
    if (pour->call && pour->call->connection)
        client_call_pause(pour->call, paused);
}

/* All is there. */
static void end_if_done(struct pour *pour)
{
    struct exchange *exchange = pour->exchange;
    if (pour->call || pour->pipe->n_bytes > 0)
        return;
    give_exchange_back(pour);
    exchange_end(exchange, NULL, 0);
}

static bool fill(struct pour *pour)
{
    struct client_call *call = pour->call;
    return call && call->connection && call->connection->ops->pour(call, pour->pipe) > 0;
}

static void move(struct pour *pour)
{
    for (int i = 0; i < MOVES_MAX; i++) {
        if (pour->pipe->n_bytes == 0 && !fill(pour))
            return;
        (void)pour->exchange->ops->pour(pour->exchange, pour->pipe); /* on_drain follows, or on_close */
        pause_call(pour, pour->pipe->n_bytes > 0);
        if (pour->pipe->n_bytes > 0)
            return;
    }
}

/* -- what the call tells -- */

static void call_body(struct client_call *call, struct slice bytes)
{
    if (exchange_write(call->pour->exchange, bytes) == EXCHANGE_FULL)
        client_call_pause(call, true);
}

static void call_readable(struct client_call *call)
{
    move(call->pour);
}

static void call_done(struct client_call *call, int result)
{
    struct pour *pour = call->pour;
    give_call_back(pour);
    if (result < 0)
        give_exchange_back(pour);
    else
        end_if_done(pour);
    call->events->on_done(call, result);
}

static const struct client_events call_events = {
    .on_body = call_body,
    .on_readable = call_readable,
    .on_done = call_done,
};

/* -- what the exchange tells -- */

static void exchange_drained(struct exchange *exchange)
{
    struct pour *pour = exchange->state;
    pause_call(pour, false);
    if (pour->pipe->n_bytes > 0)
        move(pour);
    end_if_done(pour);
}

static void exchange_closed(struct exchange *exchange, enum exchange_end end)
{
    give_exchange_back(exchange->state);
    if (exchange->app->on_close)
        exchange->app->on_close(exchange, end);
}

static const struct exchange_app exchange_app = {.on_drain = exchange_drained, .on_close = exchange_closed};

int pour_response(struct client_call *call, struct exchange *exchange)
{
    const struct client_connection_ops *ops = call->connection->ops;
    if (!exchange->ops->pour || !ops->pour || ops->pour_left(call) < POUR_BYTES_MIN)
        return POUR_NO;
    struct pipes *pipes = exchange->ops->pour_begin(exchange);
    struct pipe *pipe = pipes ? pipes_take(pipes) : NULL;
    struct pour *pour = pipe ? malloc(sizeof(*pour)) : NULL;
    if (!pour) {
        if (pipe)
            pipes_give(pipes, pipe);
        return POUR_NO;
    }
    *pour = (struct pour){
        .call = call,
        .events = call->events,
        .exchange = exchange,
        .app = exchange->app,
        .state = exchange->state,
        .pipes = pipes,
        .pipe = pipe,
    };
    ASSERT(exchange->app);
    call->events = &call_events;
    call->pour = pour;
    exchange->app = &exchange_app;
    exchange->state = pour;
    return 0;
}
