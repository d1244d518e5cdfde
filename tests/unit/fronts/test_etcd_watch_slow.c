/* SPDX-License-Identifier: Apache-2.0 */
/* The service Watch under pressure: clients that do not read, large revisions, many watches, no memory. */
#include "fronts/etcd/watch_messages.h"
#include "support/fault_alloc.h"
#include "support/watch_client.h"

#include <stdio.h>

/* ------------------------------------------------------------------------------------------------ slow clients */

static void a_client_that_does_not_read_costs_little_and_loses_nothing(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *slow = watch_open_range(kit, "k", ""), *quick = watch_open_range(kit, "k", "");
    slow->is_full = true;
    char value[16];
    for (unsigned i = 2; i < 3000; i++) {
        (void)snprintf(value, sizeof(value), "%u", i);
        etcd_put(kit, "k", value);
        if (i < 200)
            watch_expect_event(quick, 0, "k", value, i);
    }
    expect_true(slow->body.len < 200); /* created, and the one event that filled it */
    etcd_drain(slow);
    int64_t next = 2;
    for (Etcdserverpb__WatchResponse *answer; (answer = watch_hear(slow));) {
        for (size_t i = 0; i < answer->n_events; i++)
            expect_int(answer->events[i]->kv->mod_revision, next++);
        expect_true(answer->header->revision < next);
    }
    expect_int(next, 3000);
    etcd_put(kit, "k", "last");
    watch_expect_event(slow, 0, "k", "last", 3000);
    etcd_kit_free(kit);
}

static void a_slow_client_of_what_was_compacted_meanwhile_is_told(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *slow = watch_open_range(kit, "k", "");
    slow->is_full = true;
    for (unsigned i = 0; i < 10; i++)
        etcd_put(kit, "k", "v");
    fake_store_compact(kit->store, 8);
    etcd_kit_run(kit);
    etcd_drain(slow);
    watch_expect_event(slow, 0, "k", "v", 2);
    Etcdserverpb__WatchResponse *answer = watch_hear(slow);
    expect_true(answer->canceled);
    expect_int(answer->compact_revision, 8);
    etcd_kit_free(kit);
}

static void requests_wait_while_answers_are_not_read(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = watch_open_range(kit, "k", "");
    call->is_full = true;
    Etcdserverpb__WatchCreateRequest create = watch_request("k", "");
    for (unsigned i = 0; i < 100; i++)
        watch_say_create(call, &create);
    expect_true(call->is_paused);
    expect_int(watch_hear(call)->watch_id, 1);
    expect_true(watch_hear(call) == NULL);
    etcd_drain(call);
    for (unsigned i = 2; i <= 100; i++)
        expect_int(watch_hear(call)->watch_id, i);
    etcd_kit_free(kit);
}

static void large_revisions_come_in_fragments_to_those_who_ask(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    static char value[WATCH_FRAGMENT_BYTES / 2];
    memset(value, 'x', sizeof(value) - 1);
    static const char *const keys[] = {"k/1", "k/2", "k/3", "k/4", "k/5"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        etcd_put(kit, keys[i], value);
    Etcdserverpb__WatchCreateRequest create = watch_request("k/", "k0");
    create.prev_kv = true;
    struct etcd_call *whole = watch_open(kit, &create);
    create.fragment = true;
    struct etcd_call *cut = watch_open(kit, &create);
    cut->is_full = true; /* fragments are not torn apart even so */
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    request.key = etcd_bytes("k/");
    request.range_end = etcd_bytes("k0");
    expect_int(etcd_ask(kit, "KV/DeleteRange", &request.base)->status, GRPC_OK);

    expect_int(watch_hear(whole)->n_events, 5);
    size_t n_events = 0, n_answers = 0;
    bool has_more = true;
    for (Etcdserverpb__WatchResponse *answer; has_more && (answer = watch_hear(cut)); n_answers++) {
        for (size_t i = 0; i < answer->n_events; i++)
            expect_data(answer->events[i]->kv->key, keys[n_events++]);
        has_more = answer->fragment;
    }
    expect_int(n_events, 5);
    expect_false(has_more);
    expect_true(n_answers >= 2);
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ memory */

static void a_stream_may_not_take_endless_memory(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    static uint8_t key[STORE_KEY_MAX * 8];
    Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
    create.key = (ProtobufCBinaryData){sizeof(key), key};
    struct etcd_call *call = watch_open(kit, &create);
    for (unsigned i = 1; i < 40; i++)
        watch_say_create(call, &create);
    unsigned n_created = 1;
    for (Etcdserverpb__WatchResponse *answer; (answer = watch_hear(call)); n_created += !answer->canceled)
        if (answer->canceled)
            expect_str(answer->cancel_reason, "etcdserver: too many requests");
    expect_true(n_created > 20 && n_created < 40);
    etcd_kit_free(kit);
}

/* The n-th allocation fails while two watches, one of them behind, are served. True when there was none to fail. */
static bool serve_with_failure(size_t n)
{
    struct etcd_kit *kit = etcd_kit_new();
    etcd_put(kit, "k", "1");
    etcd_put(kit, "k", "2");
    struct etcd_call *live = watch_open_range(kit, "k", ""), *late = watch_open_range(kit, "k", "");
    late->is_full = true;
    etcd_put(kit, "k", "3");
    etcd_put(kit, "k", "4");
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
        for (Etcdserverpb__WatchResponse *answer; (answer = watch_hear(calls[i]));)
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
    etcd_put(kit, "k", "1");
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
        Etcdserverpb__WatchResponse *answer = watch_hear(call);
        expect_true(answer->created);
        if (answer->canceled)
            expect_str(answer->cancel_reason, "etcdserver: too many requests");
        else
            watch_expect_event(call, 0, "k", "1", 2);
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
    {"a client that does not read costs little and loses nothing",
     a_client_that_does_not_read_costs_little_and_loses_nothing},
    {"a slow client of what was compacted meanwhile is told", a_slow_client_of_what_was_compacted_meanwhile_is_told},
    {"requests wait while answers are not read", requests_wait_while_answers_are_not_read},
    {"etcd#19441: large revisions come in fragments to those who ask",
     large_revisions_come_in_fragments_to_those_who_ask},
    {"a stream may not take endless memory", a_stream_may_not_take_endless_memory},
    {"lack of memory delays a watch or ends its stream", lack_of_memory_delays_a_watch_or_ends_its_stream},
    {"lack of memory refuses a watch", lack_of_memory_refuses_a_watch},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
