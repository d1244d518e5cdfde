/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PROOF_REUSE wants a connection that a request has used, since servers may treat that otherwise than our question: if
 * there is none, the instance does not keep them.
 */
#include "gateway/prove.h"

#include "base/assert.h"
#include "gateway/suspicion.h"

#include <errno.h>
#include <stdlib.h>

struct proof {
    struct gateway_worker *worker;
    struct runtime_slot *slot;
    enum proof_kind kind;
    nsec_t begun_ns;
    struct pool_wait wait;
    struct client_call call;
    struct timer timer;
};

static struct proof *proof_of(struct client_call *call)
{
    return container_of(call, struct proof, call);
}

/* Gives up what runs, if anything does. */
static void end(struct proof *proof)
{
    proof->slot->care.running = NULL;
    loop_cancel(proof->worker->loop, &proof->timer);
    pool_cancel(&proof->wait);
    client_call_cancel(&proof->call);
    free(proof);
}

static void finish(struct proof *proof, int result)
{
    struct gateway_worker *worker = proof->worker;
    struct runtime_slot *slot = proof->slot;
    enum proof_kind kind = proof->kind;
    end(proof);
    suspicion_of_proof(worker, slot, kind, result);
}

static void send_question(struct proof *proof, struct client_connection *connection);

static void on_connection(struct pool_wait *wait, int result, struct client_connection *connection)
{
    struct proof *proof = container_of(wait, struct proof, wait);
    if (result < 0)
        finish(proof, result);
    else
        send_question(proof, connection);
}

/* 0 or why there is no connection to be had. */
static int ask(struct proof *proof)
{
    const struct pool_want want = {.idle_max_ns = proof->kind == PROOF_LIFE ? 0 : NSEC_NEVER};
    struct client_connection *connection;
    int r = pool_place_get(proof->slot->place, &want, &proof->wait, &connection);
    if (r == 0)
        send_question(proof, connection);
    return r < 0 ? r : 0;
}

/* A connection that only our question has used is given up: the next one would take it for one of a request. */
static void on_head(struct client_call *call, const struct http_response *response)
{
    struct proof *proof = proof_of(call);
    (void)response;
    if (!call->reused)
        finish(proof, proof->kind == PROOF_LIFE ? 0 : -ENOTCONN);
}

static void on_body(struct client_call *call, struct slice bytes)
{
    (void)call, (void)bytes;
}

static void on_done(struct client_call *call, int result)
{
    struct proof *proof = proof_of(call);
    finish(proof, proof->kind == PROOF_LIFE && call->responded ? 0 : result);
}

static void send_question(struct proof *proof, struct client_connection *connection)
{
    static const struct client_events events = {.on_head = on_head, .on_body = on_body, .on_done = on_done};
    static const struct header agent = {SLICE_LIT("user-agent"), SLICE_LIT("muster")};
    const struct addr *addr = &proof->slot->runtime->addr;
    char text[ADDR_TEXT_MAX];
    const struct client_request request = {
        .method = SLICE_LIT("OPTIONS"),
        .target = SLICE_LIT("*"),
        .authority = addr->any.sa_family == AF_UNIX ? SLICE_LIT("localhost") : addr_format(addr, text),
        .headers = &agent,
        .n_headers = 1,
    };
    proof->call = (struct client_call){.events = &events};
    client_call_start(connection, &proof->call, &request);
}

static void on_timeout(struct timer *timer)
{
    struct proof *proof = container_of(timer, struct proof, timer);
    finish(proof, proof->kind == PROOF_LIFE && proof->call.responded ? 0 : -ETIMEDOUT);
}

int prove_start(struct gateway_worker *worker, struct runtime_slot *slot, enum proof_kind kind, nsec_t timeout_ns)
{
    ASSERT(slot->place && !slot->care.running);
    struct proof *proof = malloc(sizeof(*proof));
    if (!proof)
        return -ENOMEM;
    *proof = (struct proof){
        .worker = worker,
        .slot = slot,
        .kind = kind,
        .begun_ns = loop_now(worker->loop),
        .wait.on_ready = on_connection,
    };
    list_init(&proof->wait.link);
    slot->care.running = proof;
    timer_init(&proof->timer, on_timeout);
    loop_arm(worker->loop, &proof->timer, proof->begun_ns + timeout_ns);
    int r = ask(proof);
    if (r < 0)
        end(proof);
    return r;
}

void prove_cancel(struct runtime_slot *slot)
{
    if (slot->care.running)
        end(slot->care.running);
}

nsec_t prove_begun_ns(const struct runtime_slot *slot)
{
    return slot->care.running ? slot->care.running->begun_ns : NSEC_NEVER;
}
