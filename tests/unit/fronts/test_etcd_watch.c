/* SPDX-License-Identifier: Apache-2.0 */
/* The service Watch: what a client of one stream sees. */
#include "support/watch_client.h"

#include <stdio.h>

#define MINUTE (60 * NSEC_PER_SEC)

/* ------------------------------------------------------------------------------------------------ events */

static void a_watch_sees_its_range_and_nothing_else(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    etcd_put(kit, "a/0", "before");
    struct etcd_call *call = etcd_call_new(kit, "Watch/Watch");
    Etcdserverpb__WatchCreateRequest create = watch_request("a/", "a0");
    watch_say_create(call, &create);
    Etcdserverpb__WatchResponse *answer = watch_hear(call);
    expect_true(answer->created);
    expect_int(answer->watch_id, 0);
    expect_int(answer->header->revision, 2);
    expect_int(answer->header->cluster_id, 0x1234);

    etcd_put(kit, "b", "");
    etcd_put(kit, "a/1", "x");
    etcd_delete(kit, "a/1");
    watch_expect_event(call, 0, "a/1", "x", 4);
    watch_expect_event(call, 0, "a/1", NULL, 5);
    expect_true(watch_hear(call) == NULL);
    etcd_kit_free(kit);
}

static void commits_wake_only_loops_that_watch(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = watch_open_range(kit, "k", "");
    etcd_put(kit, "k", "1");
    watch_expect_event(call, 0, "k", "1", 2);
    etcd_abort(call);
    etcd_put(kit, "k", "2"); /* shows that nobody watches any more */
    unsigned n_news = fake_store_n_news(kit->store);
    etcd_put(kit, "k", "3");
    etcd_put(kit, "k", "4");
    expect_int(fake_store_n_news(kit->store), n_news);

    call = watch_open_range(kit, "k", "");
    etcd_put(kit, "k", "5");
    watch_expect_event(call, 0, "k", "5", 6);
    Etcdserverpb__WatchCreateRequest create = watch_request("k", "");
    create.start_revision = 3;
    struct etcd_call *late = watch_open(kit, &create);
    etcd_put(kit, "k", "6");
    watch_expect_event(call, 0, "k", "6", 7);
    int64_t next = 3;
    for (Etcdserverpb__WatchResponse *answer; (answer = watch_hear(late)) != NULL;)
        for (size_t i = 0; i < answer->n_events; i++)
            expect_int(answer->events[i]->kv->mod_revision, next++);
    expect_int(next, 8);
    etcd_kit_free(kit);
}

static void single_keys_open_ranges_and_everything(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
    uint8_t zero = 0;
    create.range_end = (ProtobufCBinaryData){1, &zero};
    struct etcd_call *all = watch_open(kit, &create); /* an empty key is the lowest one */
    create.key = etcd_bytes("m");
    struct etcd_call *from_m = watch_open(kit, &create);
    struct etcd_call *only_m = watch_open_range(kit, "m", "");
    etcd_put(kit, "a", "1");
    etcd_put(kit, "m", "2");
    etcd_put(kit, "m2", "3");
    watch_expect_event(all, 0, "a", "1", 2);
    watch_expect_event(all, 0, "m", "2", 3);
    watch_expect_event(all, 0, "m2", "3", 4);
    watch_expect_event(from_m, 0, "m", "2", 3);
    watch_expect_event(from_m, 0, "m2", "3", 4);
    watch_expect_event(only_m, 0, "m", "2", 3);
    expect_true(watch_hear(all) == NULL && watch_hear(from_m) == NULL && watch_hear(only_m) == NULL);
    etcd_kit_free(kit);
}

static void previous_pairs_are_given_to_those_who_ask(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    etcd_put(kit, "k", "1");
    Etcdserverpb__WatchCreateRequest create = watch_request("k", "");
    struct etcd_call *without = watch_open(kit, &create);
    create.prev_kv = true;
    struct etcd_call *with = watch_open(kit, &create);
    etcd_put(kit, "k", "2");
    etcd_delete(kit, "k");
    etcd_put(kit, "k", "3");

    const Mvccpb__Event *event = watch_hear(with)->events[0];
    expect_data(event->prev_kv->value, "1");
    event = watch_hear(with)->events[0];
    expect_int(event->type, MVCCPB__EVENT__EVENT_TYPE__DELETE);
    expect_data(event->prev_kv->value, "2");
    expect_int(event->prev_kv->mod_revision, 3);
    event = watch_hear(with)->events[0];
    expect_true(event->prev_kv == NULL); /* created anew */
    for (unsigned i = 0; i < 3; i++)
        expect_true(watch_hear(without)->events[0]->prev_kv == NULL);
    etcd_kit_free(kit);
}

static void filters_leave_out_a_kind_of_event(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__WatchCreateRequest create = watch_request("k", "");
    Etcdserverpb__WatchCreateRequest__FilterType no_put = ETCDSERVERPB__WATCH_CREATE_REQUEST__FILTER_TYPE__NOPUT;
    Etcdserverpb__WatchCreateRequest__FilterType no_delete = ETCDSERVERPB__WATCH_CREATE_REQUEST__FILTER_TYPE__NODELETE;
    create.n_filters = 1;
    create.filters = &no_put;
    struct etcd_call *deletions = watch_open(kit, &create);
    create.filters = &no_delete;
    struct etcd_call *puts = watch_open(kit, &create);
    etcd_put(kit, "k", "1");
    etcd_delete(kit, "k");
    watch_expect_event(deletions, 0, "k", NULL, 3);
    watch_expect_event(puts, 0, "k", "1", 2);
    expect_true(watch_hear(deletions) == NULL && watch_hear(puts) == NULL);
    etcd_kit_free(kit);
}

static void events_of_one_revision_come_together(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    etcd_put(kit, "a", "");
    etcd_put(kit, "b", "");
    struct etcd_call *call = watch_open_range(kit, "a", "c");
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    request.key = etcd_bytes("a");
    request.range_end = etcd_bytes("z");
    expect_int(etcd_ask(kit, "KV/DeleteRange", &request.base)->status, GRPC_OK);
    Etcdserverpb__WatchResponse *answer = watch_hear(call);
    expect_int(answer->n_events, 2);
    expect_data(answer->events[0]->kv->key, "a");
    expect_data(answer->events[1]->kv->key, "b");
    expect_true(watch_hear(call) == NULL);
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
    Etcdserverpb__WatchCreateRequest create = watch_request("odd", "");
    create.start_revision = 101;
    struct etcd_call *call = watch_open(kit, &create);
    etcd_put(kit, "odd", "1500");
    int64_t next = 101;
    for (Etcdserverpb__WatchResponse *answer; (answer = watch_hear(call));) {
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
    Etcdserverpb__WatchCreateRequest create = watch_request("k", "");
    create.start_revision = 4;
    struct etcd_call *call = watch_open(kit, &create);
    etcd_put(kit, "k", "2");
    etcd_put(kit, "k", "3");
    expect_true(watch_hear(call) == NULL);
    etcd_put(kit, "k", "4");
    watch_expect_event(call, 0, "k", "4", 4);
    etcd_kit_free(kit);
}

static void a_watch_from_what_is_compacted_is_created_and_then_canceled(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    for (unsigned i = 0; i < 5; i++)
        etcd_put(kit, "k", "v");
    fake_store_compact(kit->store, 4);
    etcd_kit_run(kit);
    Etcdserverpb__WatchCreateRequest create = watch_request("k", "");
    create.start_revision = 3;
    struct etcd_call *call = watch_open(kit, &create);
    Etcdserverpb__WatchResponse *answer = watch_hear(call);
    expect_true(answer->canceled && !answer->created);
    expect_int(answer->watch_id, 0);
    expect_int(answer->compact_revision, 4);
    expect_str(answer->cancel_reason, "etcdserver: mvcc: required revision has been compacted");
    etcd_put(kit, "k", "v");
    expect_true(watch_hear(call) == NULL);

    create.start_revision = 4; /* the compacted revision itself can be had */
    watch_say_create(call, &create);
    answer = watch_hear(call);
    expect_int(answer->watch_id, 1);
    expect_true(answer->created);
    answer = watch_hear(call);
    expect_int(answer->n_events, 4);
    expect_int(answer->events[0]->kv->mod_revision, 4);
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ requests */

static void expect_refused(struct etcd_call *call, const char *reason)
{
    Etcdserverpb__WatchResponse *answer = watch_hear(call);
    expect_true(answer->created && answer->canceled);
    expect_int(answer->watch_id, -1);
    expect_str(answer->cancel_reason, reason);
    expect_int(answer->compact_revision, 0);
}

static void ids_are_given_in_a_row_or_as_asked_for(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__WatchCreateRequest create = watch_request("k", "");
    create.watch_id = 1;
    struct etcd_call *call = watch_open(kit, &create);
    watch_say_create(call, &create);
    expect_refused(call, "mvcc: duplicate watch ID provided on the WatchStream");
    create.watch_id = 0;
    watch_say_create(call, &create);
    expect_int(watch_hear(call)->watch_id, 0);
    watch_say_create(call, &create);
    expect_int(watch_hear(call)->watch_id, 2); /* 1 is taken */
    create.watch_id = -7;
    watch_say_create(call, &create);
    expect_int(watch_hear(call)->watch_id, -7);
    etcd_put(kit, "k", "v");
    int64_t sum = 0;
    for (unsigned i = 0; i < 4; i++)
        sum += watch_hear(call)->watch_id;
    expect_int(sum, 1 + 0 + 2 - 7);
    expect_true(watch_hear(call) == NULL);
    etcd_kit_free(kit);
}

static void impossible_watches_are_refused_and_the_stream_goes_on(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = watch_open_range(kit, "k", "");
    Etcdserverpb__WatchCreateRequest create = watch_request("b", "a");
    watch_say_create(call, &create);
    expect_refused(call, "mvcc: watcher range is empty");
    create = watch_request("a", "a");
    watch_say_create(call, &create);
    expect_refused(call, "mvcc: watcher range is empty");
    create = watch_request("a", "");
    create.start_revision = -1;
    watch_say_create(call, &create);
    expect_refused(call, "etcdserver: mvcc: required revision has been compacted");
    etcd_put(kit, "k", "v");
    watch_expect_event(call, 0, "k", "v", 2);
    etcd_kit_free(kit);
}

static void a_canceled_watch_says_so_and_is_silent(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = watch_open_range(kit, "k", "");
    watch_say_cancel(call, 99); /* unknown: silence */
    expect_true(watch_hear(call) == NULL);
    watch_say_cancel(call, 0);
    Etcdserverpb__WatchResponse *answer = watch_hear(call);
    expect_true(answer->canceled && !answer->created);
    expect_int(answer->watch_id, 0);
    expect_int(answer->compact_revision, 0);
    etcd_put(kit, "k", "v");
    expect_true(watch_hear(call) == NULL);
    etcd_kit_free(kit);
}

static void progress_is_reported_on_request(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = watch_open_range(kit, "k", "");
    etcd_put(kit, "other", "");
    watch_say_progress(call);
    Etcdserverpb__WatchResponse *answer = watch_hear(call);
    expect_int(answer->watch_id, -1);
    expect_int(answer->header->revision, 2);
    expect_int(answer->n_events, 0);
    expect_false(answer->created || answer->canceled);
    etcd_kit_free(kit);
}

static void progress_is_reported_only_when_all_is_sent(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = watch_open_range(kit, "k", "");
    call->is_full = true;
    etcd_put(kit, "k", "1");
    etcd_put(kit, "k", "2"); /* the watch is parked */
    etcd_say_bytes(call, SLICE_LIT("\x1a\x00"));
    watch_expect_event(call, 0, "k", "1", 2);
    expect_true(watch_hear(call) == NULL);
    etcd_drain(call);
    watch_expect_event(call, 0, "k", "2", 3);
    Etcdserverpb__WatchResponse *answer = watch_hear(call);
    expect_int(answer->watch_id, -1);
    expect_int(answer->header->revision, 3);
    etcd_kit_free(kit);
}

static void quiet_watches_report_progress_now_and_then(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__WatchCreateRequest create = watch_request("k", "");
    create.progress_notify = true;
    struct etcd_call *call = watch_open(kit, &create);
    create.progress_notify = false;
    watch_say_create(call, &create);
    expect_true(watch_hear(call)->created);
    etcd_kit_run_for(kit, 9 * MINUTE);
    expect_true(watch_hear(call) == NULL);
    etcd_put(kit, "other", "");
    etcd_kit_run_for(kit, 2 * MINUTE);
    Etcdserverpb__WatchResponse *answer = watch_hear(call);
    expect_int(answer->watch_id, 0);
    expect_int(answer->n_events, 0);
    expect_int(answer->header->revision, 2);
    expect_true(watch_hear(call) == NULL);

    etcd_put(kit, "k", "v"); /* not quiet this time */
    expect_true(watch_hear(call) && watch_hear(call));
    etcd_kit_run_for(kit, 11 * MINUTE);
    expect_true(watch_hear(call) == NULL);
    etcd_kit_run_for(kit, 11 * MINUTE);
    expect_int(watch_hear(call)->header->revision, 3);
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ the end */

static void the_stream_ends_with_its_client_or_its_server(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *gone = watch_open_range(kit, "k", ""), *broken = watch_open_range(kit, "k", "");
    struct etcd_call *stays = watch_open_range(kit, "k", "");
    etcd_end(stays); /* it has said all, and still wants to hear */
    etcd_abort(gone);
    broken->is_broken = true;
    etcd_put(kit, "k", "1");
    expect_true(broken->is_closed);
    watch_expect_event(stays, 0, "k", "1", 2);
    etcd_front.stop(kit->front);
    etcd_put(kit, "k", "2");
    expect_error(stays, GRPC_UNAVAILABLE, "etcdserver: server stopped");
    expect_true(watch_hear(gone) == NULL);
    etcd_kit_free(kit);
}

static const struct test_case cases[] = {
    {"commits wake only loops that watch", commits_wake_only_loops_that_watch},
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
    {"the stream ends with its client or its server", the_stream_ends_with_its_client_or_its_server},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
