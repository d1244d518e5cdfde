/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One state machine: each state but WAITS has a request under way at the store, and on_done moves on.
 *
 *     GRANTS    asks for a lease, when the client gave none
 *     JOINS     writes the key, unless it is there
 *     SETS      writes the value of a key that was there with another one
 *     WAITS     for the newest of the older keys to go; then for the newest of those that are left, and so on. Thus a
 *               key that goes wakes the one who stood behind it, and not the whole line
 *     ENDED     is answered or refused; its key is the client's business, or gone
 *     LEAVES    deletes the key for a client that went away
 */
#include "fronts/etcd/ticket.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LEASE_MS     60000
#define LEASE_DIGITS 18 /* of any lease, with '/' and sign */

enum ticket_state { TICKET_GRANTS, TICKET_JOINS, TICKET_SETS, TICKET_WAITS, TICKET_ENDED, TICKET_LEAVES };

struct ticket {
    struct etcd_stream stream; /* .call NULL: the client is gone */
    enum ticket_state state;
    struct etcd_worker *worker;
    struct ticket_request asked; /* its slices are in bytes */
    int64_t lease, place;
    struct buf begin, end; /* of the keys under the name */
    struct buf key;        /* ours */
    struct await await;
    struct buf older; /* the key that is waited for */
    bool is_asking;   /* the request is under way */
    struct store_request request;
    struct store_compare compare;
    struct store_op success, failure;
    struct auth_guard guard;
    char actor[ETCD_ACTOR_MAX];
    char bytes[];
};

struct slice ticket_name(const struct ticket *ticket)
{
    return ticket->asked.name;
}

struct slice ticket_key(const struct ticket *ticket)
{
    return buf_slice(&ticket->key);
}

int64_t ticket_lease(const struct ticket *ticket)
{
    return ticket->lease;
}

int64_t ticket_place(const struct ticket *ticket)
{
    return ticket->place;
}

int ticket_range(struct slice name, struct buf *begin, struct buf *end)
{
    (void)buf_append(begin, name);
    (void)buf_append_char(begin, '/');
    (void)buf_append(end, name);
    (void)buf_append_char(end, '/' + 1);
    return buf_error(begin) < 0 ? buf_error(begin) : buf_error(end);
}

static void ticket_free(struct ticket *ticket)
{
    store_request_deinit(&ticket->request);
    buf_deinit(&ticket->begin);
    buf_deinit(&ticket->end);
    buf_deinit(&ticket->key);
    buf_deinit(&ticket->older);
    free(ticket);
}

/* Its place is given up in ticket_on_close. */
static void fail(struct ticket *ticket, enum etcd_error error)
{
    etcd_refuse_unknown(ticket->stream.call, error);
}

/* ------------------------------------------------------------------------------------------------ asking */

/* The request may be answered before this returns. */
static void ask(struct ticket *ticket, enum ticket_state state)
{
    ticket->state = state;
    ticket->is_asking = true;
    store_request_deinit(&ticket->request);
    store_submit(ticket->worker->etcd->store, &ticket->request);
}

/* A transaction if the key is as it was made at this revision; 0: it is not there. */
static void ask_if_made_at(struct ticket *ticket, int64_t revision, unsigned n_failure, enum ticket_state state)
{
    ticket->compare = (struct store_compare){
        .target = STORE_CMP_CREATE, .test = STORE_CMP_EQUAL, .key = ticket_key(ticket), .number = revision};
    ticket->request.type = STORE_TXN;
    ticket->request.txn = (struct store_txn){
        .compares = &ticket->compare,
        .n_compares = 1,
        .success = &ticket->success,
        .n_success = 1,
        .failure = &ticket->failure,
        .n_failure = n_failure,
    };
    ask(ticket, state);
}

static struct store_op put_op(const struct ticket *ticket)
{
    return (struct store_op){
        .type = STORE_OP_PUT,
        .put = {.key = ticket_key(ticket), .value = ticket->asked.value, .lease = ticket->lease},
    };
}

/* Who stands in line sees who stands before. */
static enum etcd_error may_join(const struct ticket *ticket)
{
    const struct grpc_call *call = ticket->stream.call;
    enum etcd_error error = etcd_may_write(call, ticket_key(ticket), (struct slice){0});
    return error == ETCD_OK ? etcd_may_read(call, buf_slice(&ticket->begin), buf_slice(&ticket->end)) : error;
}

static void join(struct ticket *ticket)
{
    char digits[LEASE_DIGITS + 1];
    uint64_t magnitude = ticket->lease < 0 ? -(uint64_t)ticket->lease : (uint64_t)ticket->lease;
    int len = snprintf(digits, sizeof(digits), "%s%" PRIx64, ticket->lease < 0 ? "-" : "", magnitude);
    (void)buf_append(&ticket->key, buf_slice(&ticket->begin));
    if (buf_append(&ticket->key, slice_from(digits, (size_t)len)) < 0) {
        fail(ticket, ETCD_TOO_MANY_REQUESTS);
        return;
    }
    enum etcd_error error = may_join(ticket);
    if (error != ETCD_OK) {
        fail(ticket, error);
        return;
    }
    ticket->success = put_op(ticket);
    ticket->failure = (struct store_op){.type = STORE_OP_RANGE, .range.key = ticket_key(ticket)};
    ask_if_made_at(ticket, 0, 1, TICKET_JOINS);
}

static void set_value(struct ticket *ticket)
{
    ticket->success = put_op(ticket);
    ask_if_made_at(ticket, ticket->place, 0, TICKET_SETS);
}

static void leave(struct ticket *ticket)
{
    ticket->success = (struct store_op){.type = STORE_OP_DELETE, .del.key = ticket_key(ticket)};
    ask_if_made_at(ticket, ticket->place, 0, TICKET_LEAVES);
}

/* ------------------------------------------------------------------------------------------------ waiting */

static bool copy_kv(void *ctx, const struct store_kv *kv)
{
    *(struct store_kv *)ctx = *kv;
    return false;
}

/* The first that the range gives: 1, 0: none; or negative. Valid while the view is. */
static int find_first(const struct ticket *ticket, const struct store_view *view, const struct store_range *range,
                      struct store_kv *ret_kv)
{
    struct store_range_result result;
    struct store_kv kv = {0};
    int r = store_range(ticket->worker->etcd->store, view, range, copy_kv, &kv, &result);
    *ret_kv = kv;
    return r < 0 ? r : kv.version > 0;
}

/* The one that stands right before us. */
static int find_older(const struct ticket *ticket, const struct store_view *view, struct store_kv *ret_kv)
{
    const struct store_range range = {
        .key = buf_slice(&ticket->begin),
        .end = buf_slice(&ticket->end),
        .max_create_revision = ticket->place - 1,
        .order = STORE_DESCENDING,
        .by = STORE_BY_CREATE,
        .limit = 1,
        .keys_only = true,
    };
    return find_first(ticket, view, &range, ret_kv);
}

static void answer(struct ticket *ticket, int64_t revision)
{
    struct buf *buf = etcd_answer_begin(ticket->stream.call, revision);
    if (!buf)
        return;
    ticket->asked.add_answer(buf, ticket);
    if (buf_error(buf) == 0)
        ticket->state = TICKET_ENDED;
    etcd_answer_end(ticket->stream.call, buf);
}

/* No older key is left. Ours may have gone with its lease. */
static void take_turn(struct ticket *ticket, const struct store_view *view)
{
    const struct store_range own = {.key = ticket_key(ticket), .keys_only = true};
    struct store_kv kv;
    int r = find_first(ticket, view, &own, &kv);
    if (r < 0) {
        fail(ticket, ETCD_TOO_MANY_REQUESTS);
    } else if (kv.create_revision != ticket->place) {
        ticket->state = TICKET_ENDED;
        fail(ticket, ticket->asked.lost);
    } else {
        answer(ticket, view->revision);
    }
}

static void on_change(struct await *await);

static int await_older(struct ticket *ticket, struct slice key)
{
    await_end(&ticket->await);
    buf_reset(&ticket->older);
    int r = buf_append(&ticket->older, key);
    return r < 0 ? r : await_begin(ticket->worker, &ticket->await, key, (struct slice){0}, on_change);
}

/* Looks once more after the waiting has begun, so that a key which goes in between is noticed. */
static void wait_turn(struct ticket *ticket)
{
    struct store_view view;
    struct store_kv kv;
    int r;
    ticket->state = TICKET_WAITS;
    for (;;) {
        store_view(ticket->worker->etcd->store, false, &view);
        r = find_older(ticket, &view, &kv);
        if (r <= 0 || (ticket->await.hub && slice_equal(kv.key, buf_slice(&ticket->older))))
            break;
        r = await_older(ticket, kv.key);
        if (r < 0)
            break;
    }
    if (r < 0)
        fail(ticket, ETCD_TOO_MANY_REQUESTS);
    else if (r == 0)
        take_turn(ticket, &view);
}

static void on_change(struct await *await)
{
    struct ticket *ticket = container_of(await, struct ticket, await);
    if (!ticket->stream.call->is_finished)
        wait_turn(ticket);
}

/* ------------------------------------------------------------------------------------------------ answers */

static void on_joined(struct ticket *ticket)
{
    const struct store_request *request = &ticket->request;
    if (request->succeeded) {
        ticket->place = request->revision;
        wait_turn(ticket);
        return;
    }
    const struct store_kv *kv = &request->results[0].kvs[0];
    bool is_set = !ticket->asked.sets_value || slice_equal(kv->value, ticket->asked.value);
    ticket->place = kv->create_revision;
    if (is_set)
        wait_turn(ticket);
    else
        set_value(ticket);
}

static void go_on(struct ticket *ticket)
{
    switch (ticket->state) {
    case TICKET_GRANTS:
        ticket->lease = ticket->request.lease_id;
        join(ticket);
        break;
    case TICKET_JOINS:
        on_joined(ticket);
        break;
    case TICKET_SETS:
        if (ticket->request.succeeded)
            wait_turn(ticket);
        else
            fail(ticket, ticket->asked.lost);
        break;
    case TICKET_WAITS:
    case TICKET_ENDED:
    case TICKET_LEAVES:
        ASSERT(!"no request is under way in this state");
    }
}

/* The client is gone. What it may have in the store is taken back, but for a lease, which will run out. */
static void give_up(struct ticket *ticket)
{
    if (ticket->place > 0 && ticket->state != TICKET_ENDED && ticket->state != TICKET_LEAVES)
        leave(ticket);
    else
        ticket_free(ticket);
}

static void on_done(struct store_request *request)
{
    struct ticket *ticket = container_of(request, struct ticket, request);
    ticket->is_asking = false;
    if (ticket->state == TICKET_JOINS && request->outcome == STORE_OK && request->succeeded)
        ticket->place = request->revision;
    if (!ticket->stream.call)
        give_up(ticket);
    else if (ticket->stream.call->is_finished) /* on_close follows */
        return;
    else if (request->outcome != STORE_OK)
        fail(ticket, etcd_error_from(request->outcome));
    else
        go_on(ticket);
}

void ticket_on_close(struct grpc_call *call, enum exchange_end end)
{
    (void)end;
    struct ticket *ticket = call->state;
    if (!ticket)
        return;
    etcd_stream_close(&ticket->stream);
    await_end(&ticket->await);
    ticket->stream.call = NULL;
    if (!ticket->is_asking)
        give_up(ticket);
}

/* ------------------------------------------------------------------------------------------------ taking one */

static struct ticket *ticket_new(struct grpc_call *call, const struct ticket_request *asked)
{
    struct ticket *ticket = calloc(1, sizeof(*ticket) + asked->name.len + asked->value.len);
    if (!ticket)
        return NULL;
    struct slice name = asked->name, value = asked->value;
    if (name.len > 0)
        memcpy(ticket->bytes, name.ptr, name.len);
    if (value.len > 0)
        memcpy(ticket->bytes + name.len, value.ptr, value.len);
    ticket->asked = *asked;
    ticket->asked.name = slice_from(ticket->bytes, name.len);
    ticket->asked.value = slice_from(ticket->bytes + name.len, value.len);
    ticket->lease = asked->lease;
    ticket->worker = etcd_worker_of(call);
    ticket->request.loop = exchange_loop(call->exchange);
    ticket->request.done = on_done;
    if (ticket->worker) {
        struct slice actor = etcd_name_actor(ticket->worker, call);
        memcpy(ticket->actor, actor.ptr, actor.len);
        ticket->request.origin.actor = slice_from(ticket->actor, actor.len);
    }
    if (!ticket->worker || ticket_range(name, &ticket->begin, &ticket->end) < 0) {
        ticket_free(ticket);
        return NULL;
    }
    return ticket;
}

void ticket_take(struct grpc_call *call, const struct ticket_request *request)
{
    if (request->name.len + LEASE_DIGITS > STORE_KEY_MAX || request->value.len > STORE_VALUE_MAX) {
        etcd_refuse_unknown(call, ETCD_TOO_LARGE);
        return;
    }
    struct ticket *ticket = ticket_new(call, request);
    if (!ticket) {
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
        return;
    }
    if (etcd_stream_open(&ticket->stream, call) < 0) {
        ticket_free(ticket);
        return;
    }
    call->state = ticket;
    ticket->request.guard = auth_guard_init(&ticket->guard, call);
    exchange_set_idle_timeout(call->exchange, NSEC_NEVER);
    if (ticket->lease != 0) {
        join(ticket);
        return;
    }
    ticket->request.type = STORE_LEASE_GRANT;
    ticket->request.lease.id = 0;
    ticket->request.lease.ttl_ms = LEASE_MS;
    ask(ticket, TICKET_GRANTS);
}
