/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One try of a request at one instance. While it is under way it is on one of the lists of the instance's slot, by what
 * it waits for, where the watch finds it and those who ask who holds the instance; list_attempt alone moves it, and
 * shows all workers since when the oldest of those that are sent whole has waited.
 */
#include "gateway/relay.h"

#include "base/assert.h"
#include "base/counter.h"
#include "base/util.h"
#include "gateway/reuse.h"
#include "gateway/suspicion.h"

#include <errno.h>

static void count_begin(struct attempt *attempt)
{
    struct runtime_slot *slot = attempt->slot;
    counter_add32(&slot->n_in_flight, 1);
    counter_add(&slot->n_requests, 1);
    if (attempt->is_hedge)
        counter_add(&slot->n_hedges, 1);
    else if (attempt->relay->n_tries > 1)
        counter_add(&slot->n_retries, 1);
}

/* Puts it among those of its kind at the instance, or takes it off them. */
static void list_attempt(struct attempt *attempt, struct list *list)
{
    struct gateway_worker *worker = attempt->relay->worker;
    struct runtime_slot *slot = attempt->slot;
    list_remove(&attempt->link);
    if (list)
        list_push_back(list, &attempt->link);
    nsec_t oldest_ns = 0; /* for all workers to see */
    if (!list_is_empty(&slot->waiting))
        oldest_ns = container_of(slot->waiting.next, struct attempt, link)->sent_ns;
    if (atomic_load_explicit(&slot->oldest_ns, memory_order_relaxed) != oldest_ns)
        atomic_store_explicit(&slot->oldest_ns, oldest_ns, memory_order_relaxed);
    bool is_watched = oldest_ns != 0 || !list_is_empty(&slot->connecting);
    if (!is_watched)
        list_remove(&slot->waiting_link);
    else if (!list_is_linked(&slot->waiting_link))
        list_push_back(&worker->waiting, &slot->waiting_link);
    if (is_watched)
        gateway_worker_watch(worker);
}

/* All of the request is sent: from here on it is the instance that is waited for. */
static void wait_for_answer(struct attempt *attempt)
{
    attempt->sent_ns = loop_now(attempt->relay->worker->loop);
    list_attempt(attempt, &attempt->slot->waiting);
}

/* The longest that a connection may have been idle for this request; 0: only a new one will do. */
static nsec_t idle_max(const struct attempt *attempt)
{
    const struct relay *relay = attempt->relay;
    struct runtime_slot *slot = attempt->slot;
    const struct retry_facts facts = relay_facts(relay, attempt);
    nsec_t now_ns = loop_now(relay->worker->loop);
    bool may_repeat = retry_may_repeat(&facts);
    if (relay->wants_fresh)
        return 0;
    if (!may_repeat && reuse_is_open(slot->runtime, now_ns))
        suspicion_wants_reuse(relay->worker, slot);
    return reuse_idle_max(slot, may_repeat, now_ns);
}

/* All that there is of the body goes with the head if it is all there will be; else behind it. */
static void send_request(struct attempt *attempt, struct client_connection *connection)
{
    struct relay *relay = attempt->relay;
    struct slice body = buf_slice(&relay->kept);
    const struct retry_facts facts = relay_facts(relay, attempt);
    bool is_chunked = relay->framing != HTTP_BODY_LENGTH && relay->framing != HTTP_BODY_NONE;
    bool is_one_piece = !is_chunked && body.len == relay->content_length;
    const struct client_request request = {
        .method = slice_from_str(http_method_name(relay->method)),
        .written = relay->head,
        .body = is_one_piece ? body : (struct slice){0},
        .streamed = !is_one_piece && relay->framing != HTTP_BODY_NONE,
        .content_length = is_chunked ? EXCHANGE_LENGTH_UNKNOWN : relay->content_length,
        .may_switch = relay->may_switch,
        .is_repeatable = retry_may_repeat(&facts),
    };
    relay->wants_fresh = false;
    attempt->state = ATTEMPT_WAIT;
    attempt->is_writing = request.streamed;
    if (request.streamed)
        list_attempt(attempt, &attempt->slot->writing);
    client_call_start(connection, &attempt->call, &request);
    counter_add(attempt->call.reused ? &attempt->slot->n_reused : &attempt->slot->n_connects, 1);
    attempt_write(attempt, request.streamed ? body : (struct slice){0});
    if (!request.streamed)
        wait_for_answer(attempt);
    else if (relay->is_whole)
        attempt_write_end(attempt, NULL, 0);
    relay_keep_within_limits(relay);
}

/* There is no connection to be had. */
static void fail_to_connect(struct attempt *attempt, int result)
{
    struct gateway_worker *worker = attempt->relay->worker;
    enum cause cause = cause_of_errno(result, false);
    if (cause == CAUSE_NO_DESCRIPTOR)
        shortage_of_connect(gateway_shortage(worker->gateway), result, loop_now(worker->loop));
    else if (!cause_is_ours(cause))
        counter_add(&attempt->slot->n_connect_failures, 1);
    attempt_fail(attempt, cause, result == -ETIMEDOUT);
}

static void on_connection(struct pool_wait *wait, int result, struct client_connection *connection)
{
    struct attempt *attempt = container_of(wait, struct attempt, wait);
    struct relay *relay = attempt->relay;
    if (result < 0) {
        fail_to_connect(attempt, result);
        relay_move(relay);
        return;
    }
    send_request(attempt, connection);
    relay_hold_client(relay);
}

void attempt_init(struct attempt *attempt, struct relay *relay)
{
    attempt->relay = relay;
    attempt->state = ATTEMPT_REST;
    attempt->is_writing = false;
    list_init(&attempt->link);
}

void attempt_start(struct attempt *attempt, const struct pick_result *pick, const struct gateway_settings *settings)
{
    struct relay *relay = attempt->relay;
    struct runtime *runtime = pick->target->runtime;
    struct client_connection *connection;
    ASSERT(attempt->state == ATTEMPT_REST && relay->n_tried < RELAY_TRIES_MAX);
    relay->n_tries++;
    attempt->runtime = runtime;
    attempt->timed_out = attempt->is_writing = attempt->is_full = false;
    attempt->sent_ns = 0;
    attempt->call = (struct client_call){.events = &relay_answer_events};
    attempt->wait.on_ready = on_connection;
    attempt->tier = pick->tier;
    attempt->slot = gateway_worker_open(relay->worker, runtime, settings);
    if (!attempt->slot) {
        attempt->state = ATTEMPT_FAILED;
        attempt->cause = CAUSE_INTERNAL;
        return;
    }
    account_attempt(attempt, pick);
    relay->tried[relay->n_tried++] = runtime;
    attempt->slot->n_held++;
    suspicion_of_request(relay->worker, attempt->slot);
    count_begin(attempt);
    attempt->state = ATTEMPT_CONNECT;
    const struct pool_want want = {.idle_max_ns = idle_max(attempt)};
    int r = pool_place_get(attempt->slot->place, &want, &attempt->wait, &connection);
    if (r == 0)
        send_request(attempt, connection);
    else if (r == POOL_WAIT)
        list_attempt(attempt, &attempt->slot->connecting);
    else
        fail_to_connect(attempt, r);
}

void attempt_write(struct attempt *attempt, struct slice bytes)
{
    if (!attempt->is_writing || bytes.len == 0)
        return;
    counter_add(&attempt->slot->n_bytes_out, bytes.len);
    attempt->is_full = client_call_write(&attempt->call, bytes) == EXCHANGE_FULL;
}

void attempt_write_end(struct attempt *attempt, const struct header *trailers, unsigned n_trailers)
{
    if (!attempt->is_writing)
        return;
    attempt->is_writing = false;
    client_call_end(&attempt->call, trailers, n_trailers);
    if (attempt->state == ATTEMPT_WAIT)
        wait_for_answer(attempt);
}

/* It is counted no more. */
static void leave(struct attempt *attempt)
{
    struct runtime_slot *slot = attempt->slot;
    attempt->is_writing = false;
    if (attempt->state == ATTEMPT_ANSWER)
        attempt->relay->n_sent = attempt->call.n_body_bytes;
    if (attempt->state == ATTEMPT_CONNECT)
        pool_cancel(&attempt->wait);
    else
        client_call_cancel(&attempt->call);
    list_attempt(attempt, NULL);
    counter_add32(&slot->n_in_flight, (uint32_t)-1);
    attempt->slot = NULL;
}

/* Ids come from registrations: what could end a quoted string is shown as '?'. */
static void remember_failure(struct attempt *attempt)
{
    struct relay *relay = attempt->relay;
    struct slice id = attempt->slot->runtime->id;
    size_t n = min_size(id.len, sizeof(relay->failed.id) - 1);
    for (size_t i = 0; i < n; i++) {
        char c = id.ptr[i];
        relay->failed.id[i] = c < ' ' || c > '~' || c == '"' || c == '\\' ? '?' : c;
    }
    relay->failed.id[n] = 0;
    relay->has_failed = true;
    relay->failed.was_sent = attempt->call.sent;
    relay->failed.was_sent_whole = attempt->call.sent_whole;
}

void attempt_fail(struct attempt *attempt, enum cause cause, bool timed_out)
{
    struct gateway_worker *worker = attempt->relay->worker;
    bool is_stale = attempt->call.reused && !attempt->call.responded && !timed_out;
    if (is_stale) {
        reuse_of_break(attempt->slot, loop_now(worker->loop));
    } else {
        counter_add(&attempt->slot->by_class[0], !cause_is_ours(cause));
        suspicion_of_failure(worker, attempt->slot, cause);
    }
    attempt_abandon(attempt, cause, timed_out);
}

void attempt_abandon(struct attempt *attempt, enum cause cause, bool timed_out)
{
    ASSERT(attempt->state == ATTEMPT_CONNECT || attempt->state == ATTEMPT_WAIT);
    remember_failure(attempt);
    account_attempt_end(attempt, cause);
    leave(attempt);
    attempt->state = ATTEMPT_FAILED;
    attempt->cause = cause;
    attempt->timed_out = timed_out;
}

void attempt_cancel(struct attempt *attempt)
{
    if (attempt->state == ATTEMPT_CONNECT || attempt->state == ATTEMPT_WAIT)
        account_attempt_end(attempt, CAUSE_NONE);
    if (attempt->state != ATTEMPT_REST && attempt->state != ATTEMPT_FAILED)
        leave(attempt);
    attempt->state = ATTEMPT_REST;
}

void attempt_end(struct attempt *attempt)
{
    ASSERT(attempt->state == ATTEMPT_ANSWER);
    leave(attempt);
    attempt->state = ATTEMPT_REST;
}

void attempt_answered(struct attempt *attempt, unsigned status)
{
    ASSERT(attempt->state == ATTEMPT_WAIT);
    struct runtime_slot *slot = attempt->slot;
    struct gateway_worker *worker = attempt->relay->worker;
    nsec_t now_ns = loop_now(worker->loop);
    attempt->state = ATTEMPT_ANSWER;
    account_attempt_end(attempt, CAUSE_NONE);
    if (attempt->sent_ns > 0)
        runtime_observe(slot, now_ns - attempt->sent_ns, now_ns);
    list_attempt(attempt, &slot->answering);
    counter_add(&slot->by_class[status / 100 < ARRAY_LEN(slot->by_class) ? status / 100 : 0], 1);
    slot->n_reuse_breaks = 0;
    if (attempt->call.reused)
        reuse_of_answer(slot, attempt->call.idle_ns, now_ns);
    suspicion_of_answer(worker, slot);
}
