/* SPDX-License-Identifier: Apache-2.0 */
/* The service Watch: what a client of one stream sees. */
#include "fronts/etcd/watch_messages.h"
#include "support/etcd_kit.h"
#include "support/fault_alloc.h"

#include <stdio.h>

#define MINUTE (60 * NSEC_PER_SEC)

static Etcdserverpb__WatchResponse *hear(struct etcd_call *call)
{
    return etcd_hear(call, &etcdserverpb__watch_response__descriptor);
}

static Etcdserverpb__WatchCreateRequest create_request(const char *key, const char *end)
{
    Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
    create.key = etcd_bytes(key);
    create.range_end = etcd_bytes(end);
    return create;
}

static void say_create(struct etcd_call *call, Etcdserverpb__WatchCreateRequest *create)
{
    Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
    request.create_request = create;
    etcd_say(call, &request.base);
}

static void say_cancel(struct etcd_call *call, int64_t id)
{
    Etcdserverpb__WatchCancelRequest cancel = ETCDSERVERPB__WATCH_CANCEL_REQUEST__INIT;
    Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
    cancel.watch_id = id;
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CANCEL_REQUEST;
    request.cancel_request = &cancel;
    etcd_say(call, &request.base);
}

static void say_progress(struct etcd_call *call)
{
    Etcdserverpb__WatchProgressRequest progress = ETCDSERVERPB__WATCH_PROGRESS_REQUEST__INIT;
    Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_PROGRESS_REQUEST;
    request.progress_request = &progress;
    etcd_say(call, &request.base);
}

/* A stream with one watch; its created answer is heard. */
static struct etcd_call *watch(struct etcd_kit *kit, Etcdserverpb__WatchCreateRequest *create)
{
    struct etcd_call *call = etcd_call_new(kit, "Watch/Watch");
    say_create(call, create);
    Etcdserverpb__WatchResponse *answer = hear(call);
    expect_true(answer && answer->created && !answer->canceled);
    return call;
}

static struct etcd_call *watch_range(struct etcd_kit *kit, const char *key, const char *end)
{
    Etcdserverpb__WatchCreateRequest create = create_request(key, end);
    return watch(kit, &create);
}

static int64_t put(struct etcd_kit *kit, const char *key, const char *value)
{
    int64_t revision = fake_store_put(kit->store, key, value);
    etcd_kit_run(kit);
    return revision;
}

static int64_t delete (struct etcd_kit *kit, const char *key)
{
    int64_t revision = fake_store_delete(kit->store, key);
    etcd_kit_run(kit);
    return revision;
}

/* The next answer has this one event; value NULL: a deletion. */
static void expect_event(struct etcd_call *call, int64_t id, const char *key, const char *value, int64_t revision)
{
    Etcdserverpb__WatchResponse *answer = hear(call);
    expect_true(answer != NULL);
    expect_int(answer->watch_id, id);
    expect_int(answer->n_events, 1);
    const Mvccpb__Event *event = answer->events[0];
    expect_int(event->type, value ? MVCCPB__EVENT__EVENT_TYPE__PUT : MVCCPB__EVENT__EVENT_TYPE__DELETE);
    expect_data(event->kv->key, key);
    expect_data(event->kv->value, value ? value : "");
    expect_int(event->kv->mod_revision, revision);
    expect_true(answer->header->revision >= revision);
}

/* ------------------------------------------------------------------------------------------------ events */

static void a_watch_sees_its_range_and_nothing_else(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    put(kit, "a/0", "before");
    struct etcd_call *call = etcd_call_new(kit, "Watch/Watch");
    Etcdserverpb__WatchCreateRequest create = create_request("a/", "a0");
    say_create(call, &create);
    Etcdserverpb__WatchResponse *answer = hear(call);
    expect_true(answer->created);
    expect_int(answer->watch_id, 0);
    expect_int(answer->header->revision, 2);
    expect_int(answer->header->cluster_id, 0x1234);

    put(kit, "b", "");
    put(kit, "a/1", "x");
    delete (kit, "a/1");
    expect_event(call, 0, "a/1", "x", 4);
    expect_event(call, 0, "a/1", NULL, 5);
    expect_true(hear(call) == NULL);
    etcd_kit_free(kit);
}

static void single_keys_open_ranges_and_everything(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
    uint8_t zero = 0;
    create.range_end = (ProtobufCBinaryData){1, &zero};
    struct etcd_call *all = watch(kit, &create); /* an empty key is the lowest one */
    create.key = etcd_bytes("m");
    struct etcd_call *from_m = watch(kit, &create);
    struct etcd_call *only_m = watch_range(kit, "m", "");
    put(kit, "a", "1");
    put(kit, "m", "2");
    put(kit, "m2", "3");
    expect_event(all, 0, "a", "1", 2);
    expect_event(all, 0, "m", "2", 3);
    expect_event(all, 0, "m2", "3", 4);
    expect_event(from_m, 0, "m", "2", 3);
    expect_event(from_m, 0, "m2", "3", 4);
    expect_event(only_m, 0, "m", "2", 3);
    expect_true(hear(all) == NULL && hear(from_m) == NULL && hear(only_m) == NULL);
    etcd_kit_free(kit);
}

static void previous_pairs_are_given_to_those_who_ask(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    put(kit, "k", "1");
    Etcdserverpb__WatchCreateRequest create = create_request("k", "");
    struct etcd_call *without = watch(kit, &create);
    create.prev_kv = true;
    struct etcd_call *with = watch(kit, &create);
    put(kit, "k", "2");
    delete (kit, "k");
    put(kit, "k", "3");

    const Mvccpb__Event *event = hear(with)->events[0];
    expect_data(event->prev_kv->value, "1");
    event = hear(with)->events[0];
    expect_int(event->type, MVCCPB__EVENT__EVENT_TYPE__DELETE);
    expect_data(event->prev_kv->value, "2");
    expect_int(event->prev_kv->mod_revision, 3);
    event = hear(with)->events[0];
    expect_true(event->prev_kv == NULL); /* created anew */
    for (unsigned i = 0; i < 3; i++)
        expect_true(hear(without)->events[0]->prev_kv == NULL);
    etcd_kit_free(kit);
}

static void filters_leave_out_a_kind_of_event(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__WatchCreateRequest create = create_request("k", "");
    Etcdserverpb__WatchCreateRequest__FilterType no_put = ETCDSERVERPB__WATCH_CREATE_REQUEST__FILTER_TYPE__NOPUT;
    Etcdserverpb__WatchCreateRequest__FilterType no_delete = ETCDSERVERPB__WATCH_CREATE_REQUEST__FILTER_TYPE__NODELETE;
    create.n_filters = 1;
    create.filters = &no_put;
    struct etcd_call *deletions = watch(kit, &create);
    create.filters = &no_delete;
    struct etcd_call *puts = watch(kit, &create);
    put(kit, "k", "1");
    delete (kit, "k");
    expect_event(deletions, 0, "k", NULL, 3);
    expect_event(puts, 0, "k", "1", 2);
    expect_true(hear(deletions) == NULL && hear(puts) == NULL);
    etcd_kit_free(kit);
}

static void events_of_one_revision_come_together(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    put(kit, "a", "");
    put(kit, "b", "");
    struct etcd_call *call = watch_range(kit, "a", "c");
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    request.key = etcd_bytes("a");
    request.range_end = etcd_bytes("z");
    expect_int(etcd_ask(kit, "KV/DeleteRange", &request.base)->status, GRPC_OK);
    Etcdserverpb__WatchResponse *answer = hear(call);
    expect_int(answer->n_events, 2);
    expect_data(answer->events[0]->kv->key, "a");
    expect_data(answer->events[1]->kv->key, "b");
    expect_true(hear(call) == NULL);
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ from a revision */

static void a_watch_from_the_past_gets_it_all_and_goes_on(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    char value[16];
    for (unsigned i = 2; i < 1500; i++) { /* more than one burst */
        (void)snprintf(value, sizeof(value), "%u", i);
        expect_int(fake_store_put(kit->store, i % 2 ? "odd" : "even", value), i);
    }
    Etcdserverpb__WatchCreateRequest create = create_request("odd", "");
    create.start_revision = 101;
    struct etcd_call *call = watch(kit, &create);
    put(kit, "odd", "1500");
    int64_t next = 101;
    for (Etcdserverpb__WatchResponse *answer; (answer = hear(call));) {
        for (size_t i = 0; i < answer->n_events; i++) {
            expect_int(answer->events[i]->kv->mod_revision, next);
            next += next == 1499 ? 1 : 2;
        }
    }
    expect_int(next, 1502);
    etcd_kit_free(kit);
}

static void a_watch_from_the_future_waits(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__WatchCreateRequest create = create_request("k", "");
    create.start_revision = 4;
    struct etcd_call *call = watch(kit, &create);
    put(kit, "k", "2");
    put(kit, "k", "3");
    expect_true(hear(call) == NULL);
    put(kit, "k", "4");
    expect_event(call, 0, "k", "4", 4);
    etcd_kit_free(kit);
}

static void a_watch_from_what_is_compacted_is_created_and_then_canceled(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    for (unsigned i = 0; i < 5; i++)
        put(kit, "k", "v");
    fake_store_compact(kit->store, 4);
    etcd_kit_run(kit);
    Etcdserverpb__WatchCreateRequest create = create_request("k", "");
    create.start_revision = 3;
    struct etcd_call *call = watch(kit, &create);
    Etcdserverpb__WatchResponse *answer = hear(call);
    expect_true(answer->canceled && !answer->created);
    expect_int(answer->watch_id, 0);
    expect_int(answer->compact_revision, 4);
    expect_str(answer->cancel_reason, "etcdserver: mvcc: required revision has been compacted");
    put(kit, "k", "v");
    expect_true(hear(call) == NULL);

    create.start_revision = 4; /* the compacted revision itself can be had */
    say_create(call, &create);
    answer = hear(call);
    expect_int(answer->watch_id, 1);
    expect_true(answer->created);
    answer = hear(call);
    expect_int(answer->n_events, 4);
    expect_int(answer->events[0]->kv->mod_revision, 4);
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ requests */

static void expect_refused(struct etcd_call *call, const char *reason)
{
    Etcdserverpb__WatchResponse *answer = hear(call);
    expect_true(answer->created && answer->canceled);
    expect_int(answer->watch_id, -1);
    expect_str(answer->cancel_reason, reason);
    expect_int(answer->compact_revision, 0);
}

static void ids_are_given_in_a_row_or_as_asked_for(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__WatchCreateRequest create = create_request("k", "");
    create.watch_id = 1;
    struct etcd_call *call = watch(kit, &create);
    say_create(call, &create);
    expect_refused(call, "mvcc: duplicate watch ID provided on the WatchStream");
    create.watch_id = 0;
    say_create(call, &create);
    expect_int(hear(call)->watch_id, 0);
    say_create(call, &create);
    expect_int(hear(call)->watch_id, 2); /* 1 is taken */
    create.watch_id = -7;
    say_create(call, &create);
    expect_int(hear(call)->watch_id, -7);
    put(kit, "k", "v");
    int64_t sum = 0;
    for (unsigned i = 0; i < 4; i++)
        sum += hear(call)->watch_id;
    expect_int(sum, 1 + 0 + 2 - 7);
    expect_true(hear(call) == NULL);
    etcd_kit_free(kit);
}

static void impossible_watches_are_refused_and_the_stream_goes_on(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = watch_range(kit, "k", "");
    Etcdserverpb__WatchCreateRequest create = create_request("b", "a");
    say_create(call, &create);
    expect_refused(call, "mvcc: watcher range is empty");
    create = create_request("a", "a");
    say_create(call, &create);
    expect_refused(call, "mvcc: watcher range is empty");
    create = create_request("a", "");
    create.start_revision = -1;
    say_create(call, &create);
    expect_refused(call, "etcdserver: mvcc: required revision has been compacted");
    put(kit, "k", "v");
    expect_event(call, 0, "k", "v", 2);
    etcd_kit_free(kit);
}

static void a_canceled_watch_says_so_and_is_silent(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = watch_range(kit, "k", "");
    say_cancel(call, 99); /* unknown: silence */
    expect_true(hear(call) == NULL);
    say_cancel(call, 0);
    Etcdserverpb__WatchResponse *answer = hear(call);
    expect_true(answer->canceled && !answer->created);
    expect_int(answer->watch_id, 0);
    expect_int(answer->compact_revision, 0);
    put(kit, "k", "v");
    expect_true(hear(call) == NULL);
    etcd_kit_free(kit);
}

static void progress_is_reported_on_request(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = watch_range(kit, "k", "");
    put(kit, "other", "");
    say_progress(call);
    Etcdserverpb__WatchResponse *answer = hear(call);
    expect_int(answer->watch_id, -1);
    expect_int(answer->header->revision, 2);
    expect_int(answer->n_events, 0);
    expect_false(answer->created || answer->canceled);
    etcd_kit_free(kit);
}

static void progress_is_reported_only_when_all_is_sent(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = watch_range(kit, "k", "");
    call->is_full = true;
    put(kit, "k", "1");
    put(kit, "k", "2"); /* the watch is parked */
    etcd_say_bytes(call, SLICE_LIT("\x1a\x00"));
    expect_event(call, 0, "k", "1", 2);
    expect_true(hear(call) == NULL);
    etcd_drain(call);
    expect_event(call, 0, "k", "2", 3);
    Etcdserverpb__WatchResponse *answer = hear(call);
    expect_int(answer->watch_id, -1);
    expect_int(answer->header->revision, 3);
    etcd_kit_free(kit);
}

static void quiet_watches_report_progress_now_and_then(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__WatchCreateRequest create = create_request("k", "");
    create.progress_notify = true;
    struct etcd_call *call = watch(kit, &create);
    create.progress_notify = false;
    say_create(call, &create);
    expect_true(hear(call)->created);
    etcd_kit_run_for(kit, 9 * MINUTE);
    expect_true(hear(call) == NULL);
    put(kit, "other", "");
    etcd_kit_run_for(kit, 2 * MINUTE);
    Etcdserverpb__WatchResponse *answer = hear(call);
    expect_int(answer->watch_id, 0);
    expect_int(answer->n_events, 0);
    expect_int(answer->header->revision, 2);
    expect_true(hear(call) == NULL);

    put(kit, "k", "v"); /* not quiet this time */
    expect_true(hear(call) && hear(call));
    etcd_kit_run_for(kit, 11 * MINUTE);
    expect_true(hear(call) == NULL);
    etcd_kit_run_for(kit, 11 * MINUTE);
    expect_int(hear(call)->header->revision, 3);
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ slow clients */

static void a_client_that_does_not_read_costs_little_and_loses_nothing(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *slow = watch_range(kit, "k", ""), *quick = watch_range(kit, "k", "");
    slow->is_full = true;
    char value[16];
    for (unsigned i = 2; i < 3000; i++) {
        (void)snprintf(value, sizeof(value), "%u", i);
        put(kit, "k", value);
        if (i < 200)
            expect_event(quick, 0, "k", value, i);
    }
    expect_true(slow->body.len < 200); /* created, and the one event that filled it */
    etcd_drain(slow);
    int64_t next = 2;
    for (Etcdserverpb__WatchResponse *answer; (answer = hear(slow));) {
        for (size_t i = 0; i < answer->n_events; i++)
            expect_int(answer->events[i]->kv->mod_revision, next++);
        expect_true(answer->header->revision < next);
    }
    expect_int(next, 3000);
    put(kit, "k", "last");
    expect_event(slow, 0, "k", "last", 3000);
    etcd_kit_free(kit);
}

static void a_slow_client_of_what_was_compacted_meanwhile_is_told(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *slow = watch_range(kit, "k", "");
    slow->is_full = true;
    for (unsigned i = 0; i < 10; i++)
        put(kit, "k", "v");
    fake_store_compact(kit->store, 8);
    etcd_kit_run(kit);
    etcd_drain(slow);
    expect_event(slow, 0, "k", "v", 2);
    Etcdserverpb__WatchResponse *answer = hear(slow);
    expect_true(answer->canceled);
    expect_int(answer->compact_revision, 8);
    etcd_kit_free(kit);
}

static void requests_wait_while_answers_are_not_read(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = watch_range(kit, "k", "");
    call->is_full = true;
    Etcdserverpb__WatchCreateRequest create = create_request("k", "");
    for (unsigned i = 0; i < 100; i++)
        say_create(call, &create);
    expect_true(call->is_paused);
    expect_int(hear(call)->watch_id, 1);
    expect_true(hear(call) == NULL);
    etcd_drain(call);
    for (unsigned i = 2; i <= 100; i++)
        expect_int(hear(call)->watch_id, i);
    etcd_kit_free(kit);
}

static void large_revisions_come_in_fragments_to_those_who_ask(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    static char value[WATCH_FRAGMENT_BYTES / 2];
    memset(value, 'x', sizeof(value) - 1);
    static const char *const keys[] = {"k/1", "k/2", "k/3", "k/4", "k/5"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        put(kit, keys[i], value);
    Etcdserverpb__WatchCreateRequest create = create_request("k/", "k0");
    create.prev_kv = true;
    struct etcd_call *whole = watch(kit, &create);
    create.fragment = true;
    struct etcd_call *cut = watch(kit, &create);
    cut->is_full = true; /* fragments are not torn apart even so */
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    request.key = etcd_bytes("k/");
    request.range_end = etcd_bytes("k0");
    expect_int(etcd_ask(kit, "KV/DeleteRange", &request.base)->status, GRPC_OK);

    expect_int(hear(whole)->n_events, 5);
    size_t n_events = 0, n_answers = 0;
    bool has_more = true;
    for (Etcdserverpb__WatchResponse *answer; has_more && (answer = hear(cut)); n_answers++) {
        for (size_t i = 0; i < answer->n_events; i++)
            expect_data(answer->events[i]->kv->key, keys[n_events++]);
        has_more = answer->fragment;
    }
    expect_int(n_events, 5);
    expect_false(has_more);
    expect_true(n_answers >= 2);
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ the end */

static void the_stream_ends_with_its_client_or_its_server(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *gone = watch_range(kit, "k", ""), *broken = watch_range(kit, "k", "");
    struct etcd_call *stays = watch_range(kit, "k", "");
    etcd_end(stays); /* it has said all, and still wants to hear */
    etcd_abort(gone);
    broken->is_broken = true;
    put(kit, "k", "1");
    expect_true(broken->is_closed);
    expect_event(stays, 0, "k", "1", 2);
    etcd_front.stop(kit->front);
    put(kit, "k", "2");
    expect_error(stays, GRPC_UNAVAILABLE, "etcdserver: server stopped");
    expect_true(hear(gone) == NULL);
    etcd_kit_free(kit);
}

static void a_stream_may_not_take_endless_memory(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    static uint8_t key[STORE_KEY_MAX * 8];
    Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
    create.key = (ProtobufCBinaryData){sizeof(key), key};
    struct etcd_call *call = watch(kit, &create);
    for (unsigned i = 1; i < 40; i++)
        say_create(call, &create);
    unsigned n_created = 1;
    for (Etcdserverpb__WatchResponse *answer; (answer = hear(call)); n_created += !answer->canceled)
        if (answer->canceled)
            expect_str(answer->cancel_reason, "etcdserver: too many requests");
    expect_true(n_created > 20 && n_created < 40);
    etcd_kit_free(kit);
}

/* The n-th allocation fails while two watches, one of them behind, are served. True when there was none to fail. */
static bool serve_with_failure(size_t n)
{
    struct etcd_kit *kit = etcd_kit_new();
    put(kit, "k", "1");
    put(kit, "k", "2");
    struct etcd_call *live = watch_range(kit, "k", ""), *late = watch_range(kit, "k", "");
    late->is_full = true;
    put(kit, "k", "3");
    put(kit, "k", "4");
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = etcd_bytes("k");
    request.value = etcd_bytes("5");
    fake_store_hold(kit->store, true);
    struct etcd_call *writer = etcd_ask(kit, "KV/Put", &request.base);

    fault_alloc_arm(n);
    fake_store_hold(kit->store, false);
    etcd_drain(late);
    bool has_failed = fault_alloc_disarm();
    etcd_kit_run_for(kit, NSEC_PER_SEC);

    struct store_view view;
    store_view(kit->store, false, &view);
    expect_true(writer->status != GRPC_OK || view.revision == 6);
    struct etcd_call *calls[] = {live, late};
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (calls[i]->is_broken)
            continue;
        if (calls[i]->status != ETCD_NO_STATUS) {
            expect_error(calls[i], GRPC_UNAVAILABLE, "etcdserver: too many requests");
            continue;
        }
        int64_t next = 4;
        for (Etcdserverpb__WatchResponse *answer; (answer = hear(calls[i]));)
            for (size_t k = 0; k < answer->n_events; k++)
                expect_int(answer->events[k]->kv->mod_revision, next++);
        expect_int(next, view.revision + 1);
    }
    etcd_kit_free(kit);
    return !has_failed;
}

static void lack_of_memory_delays_a_watch_or_ends_its_stream(void)
{
    size_t n = 1;
    while (!serve_with_failure(n))
        expect_true(n++ < 200);
    expect_true(n > 5);
}

/* The same while a watch of "k" is made: from revision 2, with reports of progress. */
static bool create_with_failure(size_t n)
{
    struct etcd_kit *kit = etcd_kit_new();
    put(kit, "k", "1");
    struct etcd_call *call = etcd_call_prepare(kit, "Watch/Watch");
    fault_alloc_arm(n);
    etcd_call_open(call);
    if (call->status == ETCD_NO_STATUS)
        call->exchange.app->on_body(&call->exchange, SLICE_LIT("\0\0\0\0\x09\x0a\x07\x0a\x01k\x18\x02\x20\x01"));
    etcd_kit_run(kit);
    bool has_failed = fault_alloc_disarm();
    etcd_kit_run_for(kit, NSEC_PER_SEC);
    if (call->status != ETCD_NO_STATUS) {
        expect_true(call->status == GRPC_UNAVAILABLE || call->status == GRPC_RESOURCE_EXHAUSTED);
    } else if (!call->is_broken) {
        Etcdserverpb__WatchResponse *answer = hear(call);
        expect_true(answer->created);
        if (answer->canceled)
            expect_str(answer->cancel_reason, "etcdserver: too many requests");
        else
            expect_event(call, 0, "k", "1", 2);
    }
    etcd_kit_free(kit);
    return !has_failed;
}

static void lack_of_memory_refuses_a_watch(void)
{
    size_t n = 1;
    while (!create_with_failure(n))
        expect_true(n++ < 200);
    expect_true(n > 5);
}

static const struct test_case cases[] = {
    {"a watch sees its range and nothing else", a_watch_sees_its_range_and_nothing_else},
    {"single keys, open ranges and everything are watched", single_keys_open_ranges_and_everything},
    {"previous pairs are given to those who ask", previous_pairs_are_given_to_those_who_ask},
    {"filters leave out a kind of event", filters_leave_out_a_kind_of_event},
    {"the events of one revision come together", events_of_one_revision_come_together},
    {"a watch from the past gets it all and goes on", a_watch_from_the_past_gets_it_all_and_goes_on},
    {"a watch from the future waits", a_watch_from_the_future_waits},
    {"a watch from what is compacted is created and then canceled",
     a_watch_from_what_is_compacted_is_created_and_then_canceled},
    {"ids are given in a row, or as asked for", ids_are_given_in_a_row_or_as_asked_for},
    {"impossible watches are refused and the stream goes on", impossible_watches_are_refused_and_the_stream_goes_on},
    {"a canceled watch says so and is silent", a_canceled_watch_says_so_and_is_silent},
    {"progress is reported on request", progress_is_reported_on_request},
    {"progress is reported only when all is sent", progress_is_reported_only_when_all_is_sent},
    {"quiet watches report progress now and then", quiet_watches_report_progress_now_and_then},
    {"a client that does not read costs little and loses nothing",
     a_client_that_does_not_read_costs_little_and_loses_nothing},
    {"a slow client of what was compacted meanwhile is told", a_slow_client_of_what_was_compacted_meanwhile_is_told},
    {"requests wait while answers are not read", requests_wait_while_answers_are_not_read},
    {"large revisions come in fragments to those who ask", large_revisions_come_in_fragments_to_those_who_ask},
    {"a stream may not take endless memory", a_stream_may_not_take_endless_memory},
    {"lack of memory delays a watch or ends its stream", lack_of_memory_delays_a_watch_or_ends_its_stream},
    {"lack of memory refuses a watch", lack_of_memory_refuses_a_watch},
    {"the stream ends with its client or its server", the_stream_ends_with_its_client_or_its_server},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
