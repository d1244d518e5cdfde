/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests. On the caller's thread: what is wrong is found, and what the directory and a lease can answer is answered.
 * What must be written goes straight from there to the store, whose answer comes to the curator's loop; there the tick
 * has the catalogue pass the commit (curator_request_settle) and answers on the caller's loop.
 *
 * A registration is a lease, whose id is picked here, and a put, submitted together: one batch, one sync. The put
 * refers to the lease by its id, so neither waits for the other.
 *
 *     LEAVES -> WRITING -> WRITTEN -> settled, or WRITING again (the lease died or its id was taken)
 */
#include "keeper/curator.h"

#include "base/assert.h"
#include "base/random.h"
#include "catalog/instance_record.h"
#include "catalog/updates.h"
#include "keeper/curator_priv.h"

#include <errno.h>
#include <stdio.h>

#define TRIES_MAX 3

enum { LEAVES, WRITING, WRITTEN };

/* ------------------------------------------------------------------------------------------------ answers */

static void answer_now(struct curator_request *request, enum curator_outcome outcome)
{
    request->outcome = outcome;
    request->revision = catalog_revision(request->curator->catalog);
    request->done(request);
}

static void refuse_now(struct curator_request *request, enum store_outcome outcome)
{
    request->store_outcome = outcome;
    answer_now(request, CURATOR_REFUSED);
}

static void deliver_answer(struct mail *mail)
{
    struct curator_request *request = container_of(mail, struct curator_request, mail);
    request->done(request);
}

void curator_request_deinit(struct curator_request *request)
{
    store_request_deinit(&request->store);
    store_request_deinit(&request->grant);
    buf_deinit(&request->key);
    buf_deinit(&request->value);
}

/* ------------------------------------------------------------------------------------------------ to the store */

/* On the curator's thread: one answer of the store. */
static void store_done(struct curator_request *request)
{
    if (--request->n_parts > 0)
        return;
    request->state = WRITTEN;
    request->next = NULL;
    *request->curator->last_written = request;
    request->curator->last_written = &request->next;
    curator_wake(request->curator);
}

static void on_store(struct store_request *store)
{
    store_done(container_of(store, struct curator_request, store));
}

static void on_grant(struct store_request *grant)
{
    store_done(container_of(grant, struct curator_request, grant));
}

static void address_to_us(struct curator_request *request, struct store_request *store, store_done_fn done)
{
    store->loop = request->curator->loop;
    store->done = done;
    store->origin = request->origin;
}

/* Submits `store`, and before it `grant` when a new lease is wanted. */
static void write_parts(struct curator_request *request, bool grants)
{
    struct curator *curator = request->curator;
    request->state = WRITING;
    request->n_parts = grants ? 2 : 1;
    address_to_us(request, &request->store, on_store);
    if (grants) {
        address_to_us(request, &request->grant, on_grant);
        store_submit(curator->store, &request->grant);
    }
    store_submit(curator->store, &request->store);
}

/* From the caller's thread, what will be answered by the curator's. False: it has stopped, and that was the answer. */
static bool leave(struct curator_request *request)
{
    atomic_fetch_add(&request->curator->n_under_way, 1);
    if (!atomic_load(&request->curator->is_stopped))
        return true;
    atomic_fetch_sub(&request->curator->n_under_way, 1);
    refuse_now(request, STORE_STOPPED);
    return false;
}

/* The key or value could not be made. */
static bool is_spoilt(struct curator_request *request)
{
    int r = buf_error(&request->key) < 0 ? buf_error(&request->key) : buf_error(&request->value);
    if (r == -EMSGSIZE) {
        (void)err_set(&request->err, r, "the record is longer than %zu bytes", INSTANCE_RECORD_VALUE_MAX);
        answer_now(request, CURATOR_INVALID);
    } else if (r < 0) {
        refuse_now(request, STORE_OUT_OF_MEMORY);
    }
    return r < 0;
}

/* ------------------------------------------------------------------------------------------------ what is there */

static const struct directory_service *find_service(const struct curator_request *request)
{
    return directory_find(catalog_directory(request->curator->catalog), request->service);
}

static const struct instance *find(const struct curator_request *request)
{
    return directory_look_up(catalog_directory(request->curator->catalog), request->service, request->id);
}

bool curator_may_change(const struct curator_request *request, const struct instance *instance)
{
    struct slice owner = instance_details(&instance->record)->owner;
    return owner.len == 0 || request->is_admin || slice_equal(owner, request->identity);
}

/* As the timeline of the instance will tell, unless there is no memory for that. */
static void turn_away(struct curator_request *request, const struct instance *instance)
{
    char words[UPDATES_TEXT_MAX + 32];
    const struct slice who = request->identity.len ? updates_cut(request->identity) : SLICE_LIT("nobody known");
    int n = snprintf(words, sizeof(words), "it is not owned by %.*s", SLICE_ARG(who));
    const struct catalog_event event = {
        .type = CATALOG_REFUSED,
        .report = {.service = instance->service,
                   .id = instance->id,
                   .actor = request->origin.actor,
                   .evidence = slice_from(words, (size_t)n)},
    };
    (void)curator_report(request->curator, &event);
    answer_now(request, CURATOR_NOT_OWNER);
}

static bool see_revision(void *ctx, const struct store_kv *kv)
{
    *(int64_t *)ctx = kv->mod_revision;
    return true;
}

/* Whether the key is as the catalogue has it: neither gone nor written since. */
static bool is_current(const struct curator_request *request, const struct instance *instance)
{
    struct store *store = request->curator->store;
    struct store_view view;
    struct store_range_result result;
    int64_t revision = 0;
    store_view(store, false, &view);
    (void)store_range(store, &view, &(struct store_range){.key = instance->key}, see_revision, &revision, &result);
    return revision == instance->mod_revision;
}

static int64_t touch(const struct curator_request *request, const struct instance *instance)
{
    if (instance->lease == 0)
        return 0;
    return store_lease_touch(request->curator->store, instance->lease, loop_now(request->loop));
}

static bool is_ours(int64_t lease)
{
    return lease >> 48 == CURATOR_LEASE_MARK;
}

/* ------------------------------------------------------------------------------------------------ registering */

/* 0, or the -errno of getrandom(2). */
static int pick_lease(struct curator_request *request)
{
    uint64_t number;
    int r = random_system(&number, sizeof(number));
    if (r == 0)
        request->lease = (int64_t)CURATOR_LEASE_MARK << 48 | (int64_t)(number >> 16);
    return r;
}

/* Writes the record, with a lease that is granted together with it, the one that is there, or none. */
static void write_record(struct curator_request *request, bool grants)
{
    request->op = (struct store_op){
        .type = STORE_OP_PUT,
        .put = {.key = buf_slice(&request->key), .value = buf_slice(&request->value), .lease = request->lease},
    };
    request->store.type = STORE_TXN;
    request->store.txn = (struct store_txn){.success = &request->op, .n_success = 1};
    request->grant.type = STORE_LEASE_GRANT;
    request->grant.lease.id = request->lease;
    request->grant.lease.ttl_ms = request->ttl_ms;
    write_parts(request, grants);
}

/* To whom it belongs from now on. */
static struct slice owner_of(const struct curator_request *request, const struct instance *instance)
{
    return request->is_admin && instance ? instance_details(&instance->record)->owner : request->identity;
}

static void register_anew(struct curator_request *request, const struct instance *instance, int64_t left_ms)
{
    struct instance_record record = *request->record;
    struct instance_details details = *instance_details(&record);
    details.owner = owner_of(request, instance);
    record.details = &details;
    instance_record_key(&request->key, request->service, request->id);
    request->value.limit = INSTANCE_RECORD_VALUE_MAX;
    instance_record_write(&request->value, &record);
    if (is_spoilt(request))
        return;
    bool keeps = request->ttl_ms == 0 || (left_ms > 0 && left_ms == request->ttl_ms);
    request->lease = keeps && request->ttl_ms > 0 ? instance->lease : 0;
    if (!keeps && pick_lease(request) < 0) {
        refuse_now(request, STORE_OUT_OF_MEMORY);
        return;
    }
    request->old_lease = instance && instance->lease != request->lease ? instance->lease : 0;
    request->incarnation = instance ? instance->incarnation : 0;
    request->ttl_left_ms = request->ttl_ms;
    if (leave(request))
        write_record(request, !keeps);
}

static void submit_register(struct curator_request *request)
{
    if (instance_record_check_names(request->service, request->id, &request->err) < 0) {
        answer_now(request, CURATOR_INVALID);
        return;
    }
    if (request->ttl_ms > 0 && request->ttl_ms < request->curator->min_ttl_ms)
        request->ttl_ms = request->curator->min_ttl_ms;
    const struct instance *instance = find(request);
    if (instance && !curator_may_change(request, instance)) {
        turn_away(request, instance);
        return;
    }
    if (instance && !slice_starts_with(instance->key, INSTANCE_RECORD_PREFIX)) {
        answer_now(request, CURATOR_FOREIGN);
        return;
    }
    struct instance_record record = *request->record;
    struct instance_details details = *instance_details(&record);
    details.owner = owner_of(request, instance);
    record.details = &details;
    bool is_same = instance && !INSTANCE_HAS(instance, HELD) && instance_record_equal(&instance->record, &record) &&
                   is_current(request, instance);
    int64_t left_ms = instance ? touch(request, instance) : 0;
    if (is_same && left_ms == request->ttl_ms && (left_ms > 0) == (instance->lease != 0)) {
        request->ttl_left_ms = left_ms;
        answer_now(request, CURATOR_OK);
        return;
    }
    register_anew(request, instance, left_ms);
}

static void submit_renew(struct curator_request *request)
{
    const struct instance *instance = find(request);
    if (!instance || INSTANCE_HAS(instance, HELD) || !is_current(request, instance)) {
        answer_now(request, CURATOR_NOT_FOUND);
        return;
    }
    if (!curator_may_change(request, instance)) {
        turn_away(request, instance);
        return;
    }
    request->ttl_left_ms = touch(request, instance);
    bool is_alive = request->ttl_left_ms > 0 || instance->lease == 0;
    answer_now(request, is_alive ? CURATOR_OK : CURATOR_NOT_FOUND);
}

/* ------------------------------------------------------------------------------------------------ ending, ordering */

static void on_held(struct mail *mail)
{
    struct curator_request *request = container_of(mail, struct curator_request, mail);
    request->n_parts = 1;
    store_done(request);
}

/* A lease of ours goes with its key, in one commit. */
static void remove_key(struct curator_request *request, const struct instance *instance)
{
    buf_append(&request->key, instance->key);
    request->lease = is_ours(instance->lease) ? instance->lease : 0;
    if (is_spoilt(request) || !leave(request))
        return;
    if (request->lease != 0) {
        request->store.type = STORE_LEASE_REVOKE;
        request->store.lease.id = request->lease;
    } else {
        request->op = (struct store_op){.type = STORE_OP_DELETE, .del = {.key = buf_slice(&request->key)}};
        request->store.type = STORE_TXN;
        request->store.txn = (struct store_txn){.success = &request->op, .n_success = 1};
    }
    write_parts(request, false);
}

static void submit_deregister(struct curator_request *request)
{
    const struct instance *instance = find(request);
    if (!instance) {
        answer_now(request, CURATOR_NOT_FOUND);
    } else if (!curator_may_change(request, instance)) {
        turn_away(request, instance);
    } else if (!INSTANCE_HAS(instance, HELD)) {
        remove_key(request, instance);
    } else if (leave(request)) { /* its key is gone: it only has to be let go */
        request->mail.deliver = on_held;
        loop_post(request->curator->loop, &request->mail);
    }
}

/* Looks at the instances only where it matters who owns them, and up to the first that is another's. */
static bool may_change_all(const struct curator_request *request, const struct directory_service *service)
{
    if (request->is_admin || service->n_owned == 0)
        return true;
    struct directory_cursor at = {.service = service};
    for (const struct instance *instance; (instance = directory_next(&at));)
        if (!curator_may_change(request, instance))
            return false;
    return true;
}

static void submit_order(struct curator_request *request)
{
    const struct directory_service *service = find_service(request);
    const struct instance *instance = service && request->id.len ? find(request) : NULL;
    bool is_there = request->id.len ? instance != NULL : service != NULL;
    if (instance_record_check_names(request->service, request->id.len ? request->id : SLICE_LIT("-"), &request->err) <
        0) {
        answer_now(request, CURATOR_INVALID);
        return;
    }
    if (!is_there && request->order.since_ms != 0) {
        answer_now(request, CURATOR_NOT_FOUND);
        return;
    }
    if (instance && !curator_may_change(request, instance)) {
        turn_away(request, instance);
        return;
    }
    if (!instance && service && !may_change_all(request, service)) {
        answer_now(request, CURATOR_NOT_OWNER);
        return;
    }
    if (request->order.owner.len > CURATOR_TEXT_MAX || request->order.reason.len > CURATOR_TEXT_MAX) {
        (void)err_set(&request->err, -EINVAL, "owner and reason have at most %d bytes each", CURATOR_TEXT_MAX);
        answer_now(request, CURATOR_INVALID);
        return;
    }
    curator_order_write(request);
    if (!is_spoilt(request) && leave(request))
        write_parts(request, false);
}

void curator_submit(struct curator *curator, struct curator_request *request)
{
    request->curator = curator;
    request->state = LEAVES;
    switch (request->type) {
    case CURATOR_REGISTER:
        submit_register(request);
        return;
    case CURATOR_RENEW:
        submit_renew(request);
        return;
    case CURATOR_DEREGISTER:
        submit_deregister(request);
        return;
    case CURATOR_DRAIN:
    case CURATOR_MAINTAIN:
        submit_order(request);
        return;
    }
    ASSERT(!"a type of request");
}

/* ------------------------------------------------------------------------------------------------ settling */

/* True: it is written again. */
static bool try_again(struct curator_request *request)
{
    bool is_taken = request->grant.outcome == STORE_LEASE_EXISTS;
    if ((!is_taken && request->store.outcome != STORE_NO_LEASE) || ++request->n_tries == TRIES_MAX)
        return false;
    store_request_deinit(&request->store);
    request->grant.outcome = STORE_OK;
    if (pick_lease(request) < 0)
        return false;
    write_record(request, true);
    return true;
}

static int settle_held(struct curator_request *request)
{
    const struct catalog_event event = {
        .type = CATALOG_PROBE,
        .report = {.service = request->service,
                   .id = request->id,
                   .actor = request->origin.actor,
                   .evidence = SLICE_LIT("deregistered")},
    };
    return curator_step(request->curator, &event);
}

static int settle_order(struct curator_request *request)
{
    const struct catalog_event event = {
        .type = request->type == CURATOR_DRAIN ? CATALOG_DRAIN : CATALOG_MAINTAIN,
        .order = {.service = request->service,
                  .id = request->id,
                  .order = request->order,
                  .actor = request->origin.actor},
    };
    return curator_step(request->curator, &event);
}

/* The store has done it. 0, or -ENOMEM: again later. */
static int settle_type(struct curator_request *request)
{
    switch (request->type) {
    case CURATOR_REGISTER:
    case CURATOR_RENEW:
        return 0;
    case CURATOR_DEREGISTER:
        return request->key.len == 0 ? settle_held(request) : 0;
    case CURATOR_DRAIN:
    case CURATOR_MAINTAIN:
        return settle_order(request);
    }
    ASSERT(!"a type of request");
}

/* What an answer of the store other than well means for the request. */
static void set_refused(struct curator_request *request, enum store_outcome outcome)
{
    bool is_gone = request->type == CURATOR_DEREGISTER && outcome == STORE_NO_LEASE;
    request->outcome = is_gone ? CURATOR_NOT_FOUND : CURATOR_REFUSED;
    request->store_outcome = outcome;
}

enum curator_settled curator_request_settle(struct curator_request *request)
{
    enum store_outcome outcome = request->grant.outcome ? request->grant.outcome : request->store.outcome;
    if (outcome != STORE_OK) {
        if (request->type == CURATOR_REGISTER && try_again(request))
            return CURATOR_AGAIN;
        set_refused(request, outcome);
        return CURATOR_SETTLED;
    }
    if (request->store.revision > request->curator->passed || settle_type(request) < 0)
        return CURATOR_WAITS;
    bool deletes = request->type == CURATOR_DEREGISTER && request->store.n_results > 0;
    request->outcome = deletes && request->store.results[0].count == 0 ? CURATOR_NOT_FOUND : CURATOR_OK;
    return CURATOR_SETTLED;
}

void curator_request_answer(struct curator_request *request)
{
    struct curator *curator = request->curator;
    request->revision = catalog_revision(curator->catalog);
    if (request->type == CURATOR_REGISTER && request->outcome == CURATOR_OK) {
        const struct instance *instance = find(request);
        request->was_new = instance && instance->incarnation != request->incarnation;
        if (is_ours(request->old_lease))
            curator_write_revoke(curator, request->old_lease);
    }
    request->mail.deliver = deliver_answer;
    loop_post(request->loop, &request->mail);
    atomic_fetch_sub(&curator->n_under_way, 1);
}
