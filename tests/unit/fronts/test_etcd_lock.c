/* SPDX-License-Identifier: Apache-2.0 */
/* Lock and Election: lines of keys in the store, and those who look at them. */
#include "fronts/etcd/v3election.pb-c.h"
#include "fronts/etcd/v3lock.pb-c.h"
#include "support/etcd_kit.h"
#include "support/fault_alloc.h"

#include <errno.h>
#include <stdio.h>

/* ------------------------------------------------------------------------------------------------ the store */

static void grant(struct etcd_kit *kit, int64_t id, int64_t ttl_s)
{
    Etcdserverpb__LeaseGrantRequest request = ETCDSERVERPB__LEASE_GRANT_REQUEST__INIT;
    request.id = id;
    request.ttl = ttl_s;
    expect_int(etcd_ask(kit, "Lease/LeaseGrant", &request.base)->status, GRPC_OK);
}

static void revoke(struct etcd_kit *kit, int64_t id)
{
    Etcdserverpb__LeaseRevokeRequest request = ETCDSERVERPB__LEASE_REVOKE_REQUEST__INIT;
    request.id = id;
    expect_int(etcd_ask(kit, "Lease/LeaseRevoke", &request.base)->status, GRPC_OK);
}

static bool note_key(void *ctx, const struct store_kv *kv)
{
    struct buf *keys = ctx;
    return buf_printf(keys, "%.*s ", SLICE_ARG(kv->key)) == 0;
}

/* All keys of the store, by age. */
static const char *keys_of(struct etcd_kit *kit)
{
    static char text[4096];
    const struct store_range all = {
        .key = SLICE_LIT("\0"), .end = SLICE_LIT("\0"), .order = STORE_ASCENDING, .by = STORE_BY_CREATE};
    struct store_view view;
    struct store_range_result result;
    struct buf keys = {0};
    store_view(kit->store, true, &view);
    expect_int(store_range(kit->store, &view, &all, note_key, &keys, &result), STORE_OK);
    store_release(kit->store, &view);
    (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARG(buf_slice(&keys)));
    buf_deinit(&keys);
    return text;
}

/* ------------------------------------------------------------------------------------------------ clients */

static struct etcd_call *lock(struct etcd_kit *kit, const char *name, int64_t lease)
{
    V3lockpb__LockRequest request = V3LOCKPB__LOCK_REQUEST__INIT;
    request.name = etcd_bytes(name);
    request.lease = lease;
    return etcd_ask(kit, "/v3lockpb.Lock/Lock", &request.base);
}

static void expect_locked(struct etcd_call *call, const char *key)
{
    expect_int(call->status, GRPC_OK);
    V3lockpb__LockResponse *answer = etcd_hear(call, &v3lockpb__lock_response__descriptor);
    expect_data(answer->key, key);
    expect_true(answer->header->revision > 1);
}

static void unlock(struct etcd_kit *kit, const char *key)
{
    V3lockpb__UnlockRequest request = V3LOCKPB__UNLOCK_REQUEST__INIT;
    request.key = etcd_bytes(key);
    expect_int(etcd_ask(kit, "/v3lockpb.Lock/Unlock", &request.base)->status, GRPC_OK);
}

static struct etcd_call *campaign(struct etcd_kit *kit, int64_t lease, const char *value)
{
    V3electionpb__CampaignRequest request = V3ELECTIONPB__CAMPAIGN_REQUEST__INIT;
    request.name = etcd_bytes("e");
    request.lease = lease;
    request.value = etcd_bytes(value);
    return etcd_ask(kit, "/v3electionpb.Election/Campaign", &request.base);
}

static V3electionpb__LeaderKey *expect_elected(struct etcd_call *call, const char *key)
{
    expect_int(call->status, GRPC_OK);
    V3electionpb__CampaignResponse *answer = etcd_hear(call, &v3electionpb__campaign_response__descriptor);
    expect_data(answer->leader->name, "e");
    expect_data(answer->leader->key, key);
    return answer->leader;
}

static struct etcd_call *proclaim(struct etcd_kit *kit, V3electionpb__LeaderKey *leader, const char *value)
{
    V3electionpb__ProclaimRequest request = V3ELECTIONPB__PROCLAIM_REQUEST__INIT;
    request.leader = leader;
    request.value = etcd_bytes(value);
    return etcd_ask(kit, "/v3electionpb.Election/Proclaim", &request.base);
}

static struct etcd_call *observe(struct etcd_kit *kit)
{
    V3electionpb__LeaderRequest request = V3ELECTIONPB__LEADER_REQUEST__INIT;
    request.name = etcd_bytes("e");
    return etcd_ask(kit, "/v3electionpb.Election/Observe", &request.base);
}

static void expect_seen(struct etcd_call *call, const char *key, const char *value)
{
    V3electionpb__LeaderResponse *answer = etcd_hear(call, &v3electionpb__leader_response__descriptor);
    expect_true(answer != NULL);
    expect_data(answer->kv->key, key);
    expect_data(answer->kv->value, value);
}

static void expect_seen_nothing(struct etcd_call *call)
{
    expect_true(etcd_hear(call, &v3electionpb__leader_response__descriptor) == NULL);
    expect_int(call->status, ETCD_NO_STATUS);
}

/* ------------------------------------------------------------------------------------------------ locks */

static void a_lock_goes_from_one_to_the_next(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 0x10, 60);
    grant(kit, 0x11, 60);
    expect_locked(lock(kit, "l", 0x10), "l/10");
    struct etcd_call *second = lock(kit, "l", 0x11);
    expect_int(second->status, ETCD_NO_STATUS);
    expect_str(keys_of(kit), "l/10 l/11 ");
    fake_store_put(kit->store, "l/0", "younger keys do not matter, nor do other names");
    fake_store_put(kit->store, "l0", "");
    expect_int(second->status, ETCD_NO_STATUS);
    unlock(kit, "l/10");
    expect_locked(second, "l/11");
    etcd_kit_free(kit);
}

static void many_wait_in_order(void)
{
    enum { N = 100 };
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *calls[N];
    char key[16];
    for (int i = 0; i < N; i++) {
        grant(kit, i + 1, 600);
        calls[i] = lock(kit, "l", i + 1);
    }
    for (int i = 0; i < N; i++) {
        (void)snprintf(key, sizeof(key), "l/%x", (unsigned)i + 1);
        expect_locked(calls[i], key);
        if (i + 1 < N)
            expect_int(calls[i + 1]->status, ETCD_NO_STATUS);
        unlock(kit, key);
    }
    expect_str(keys_of(kit), "");
    etcd_kit_free(kit);
}

static void one_in_the_middle_may_go(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *calls[4];
    for (int i = 0; i < 4; i++) {
        grant(kit, i + 1, 60);
        calls[i] = lock(kit, "l", i + 1);
    }
    revoke(kit, 2);
    etcd_abort(calls[2]);
    etcd_kit_run(kit);
    expect_str(keys_of(kit), "l/1 l/4 ");
    expect_int(calls[3]->status, ETCD_NO_STATUS);
    unlock(kit, "l/1");
    expect_locked(calls[3], "l/4");
    expect_error(calls[1], GRPC_UNKNOWN, "mutex: session is expired");
    etcd_kit_free(kit);
}

static void a_lease_that_runs_out_gives_the_lock_on(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 5);
    grant(kit, 2, 60);
    expect_locked(lock(kit, "l", 1), "l/1");
    struct etcd_call *second = lock(kit, "l", 2);
    etcd_kit_run_for(kit, 6 * NSEC_PER_SEC);
    expect_int(fake_store_expire(kit->store), 1);
    etcd_kit_run(kit);
    expect_locked(second, "l/2");
    etcd_kit_free(kit);
}

/* Whatever its call is just doing. */
static void who_goes_away_leaves_no_key(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 60);
    grant(kit, 2, 60);
    fake_store_hold(kit->store, true);
    struct etcd_call *granting = lock(kit, "l", 0);
    etcd_abort(granting);
    struct etcd_call *joining = lock(kit, "l", 1);
    etcd_abort(joining);
    fake_store_hold(kit->store, false);
    etcd_kit_run(kit);
    expect_str(keys_of(kit), "");

    expect_locked(lock(kit, "l", 1), "l/1");
    struct etcd_call *waiting = lock(kit, "l", 2);
    etcd_abort(waiting);
    etcd_kit_run(kit);
    expect_str(keys_of(kit), "l/1 ");
    etcd_kit_free(kit);
}

static void a_server_that_stops_says_so(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 60);
    grant(kit, 2, 60);
    grant(kit, 3, 60);
    expect_locked(lock(kit, "l", 1), "l/1");
    struct etcd_call *waiting = lock(kit, "l", 2), *observing = observe(kit);
    fake_store_hold(kit->store, true);
    struct etcd_call *joining = lock(kit, "l", 3);
    etcd_front.stop(kit->front);
    etcd_kit_run(kit);
    expect_error(waiting, GRPC_UNAVAILABLE, "etcdserver: server stopped");
    expect_error(joining, GRPC_UNAVAILABLE, "etcdserver: server stopped");
    expect_error(observing, GRPC_UNAVAILABLE, "etcdserver: server stopped");
    fake_store_hold(kit->store, false);
    etcd_kit_run(kit);
    expect_str(keys_of(kit), "l/1 ");
    expect_error(lock(kit, "l", 2), GRPC_UNAVAILABLE, "etcdserver: server stopped");
    etcd_kit_free(kit);
}

static void what_the_store_refuses_is_said(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    fake_store_refuse(kit->store, STORE_NO_SPACE);
    expect_error(lock(kit, "l", 0), GRPC_UNKNOWN, "etcdserver: mvcc: database space exceeded");
    expect_error(lock(kit, "l", 5), GRPC_UNKNOWN, "etcdserver: mvcc: database space exceeded");
    fake_store_refuse(kit->store, STORE_STOPPED);
    expect_error(campaign(kit, 5, "v"), GRPC_UNAVAILABLE, "etcdserver: server stopped");
    fake_store_refuse(kit->store, STORE_OK);
    expect_error(campaign(kit, 5, "v"), GRPC_UNKNOWN, "etcdserver: requested lease not found");
    etcd_kit_free(kit);
}

static void let_fail(struct etcd_kit *kit, enum fault_kind kind, unsigned skip, enum store_outcome outcome)
{
    fault_store_clear(kit->faulty);
    fault_store_add(
        kit->faulty,
        &(struct fault){
            .kind = kind, .request_type = FAULT_EVERY_REQUEST, .skip = skip, .times = 1, .outcome = (int)outcome});
}

/* At its first request (the lease), its second (the key), its third (the value). */
static void a_campaign_may_fail_at_each_request(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    for (unsigned n = 0; n < 2; n++) {
        let_fail(kit, FAULT_REFUSE, n, STORE_NO_SPACE);
        expect_error(campaign(kit, 0, "v"), GRPC_UNKNOWN, "etcdserver: mvcc: database space exceeded");
        expect_str(keys_of(kit), "");
    }
    grant(kit, 1, 60);
    V3electionpb__LeaderKey *leader = expect_elected(campaign(kit, 1, "a"), "e/1");
    let_fail(kit, FAULT_REFUSE, 0, STORE_OUT_OF_MEMORY);
    expect_error(proclaim(kit, leader, "b"), GRPC_UNKNOWN, "etcdserver: too many requests");
    expect_int(proclaim(kit, leader, "b")->status, GRPC_OK);
    let_fail(kit, FAULT_REFUSE, 1, STORE_STOPPED);
    expect_error(campaign(kit, 1, "c"), GRPC_UNAVAILABLE, "etcdserver: server stopped");
    expect_str(keys_of(kit), ""); /* who cannot set its value resigns, as with etcd */
    etcd_kit_free(kit);
}

/* The key was written, and who asked was told that it was not: with the same lease it is still the same place. */
static void a_lock_whose_answer_was_lost_can_be_asked_for_again(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 60);
    grant(kit, 2, 60);
    let_fail(kit, FAULT_LOSE, 0, STORE_STOPPED);
    expect_error(lock(kit, "l", 1), GRPC_UNAVAILABLE, "etcdserver: server stopped");
    struct etcd_call *second = lock(kit, "l", 2);
    expect_int(second->status, ETCD_NO_STATUS);
    expect_locked(lock(kit, "l", 1), "l/1");
    unlock(kit, "l/1");
    expect_locked(second, "l/2");
    etcd_kit_free(kit);
}

static void a_line_that_cannot_be_read_is_told(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 60);
    fault_store_add(kit->faulty, &(struct fault){.kind = FAULT_RANGE, .times = 1, .outcome = -ENOMEM});
    expect_error(lock(kit, "l", 1), GRPC_UNKNOWN, "etcdserver: too many requests");
    expect_str(keys_of(kit), "");
    expect_locked(lock(kit, "l", 1), "l/1");
    etcd_kit_free(kit);
}

/* The answer is on its way when the client goes. */
static void who_goes_away_before_a_late_answer_leaves_no_key(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 60);
    fault_store_add(kit->faulty,
                    &(struct fault){.kind = FAULT_DELAY, .request_type = STORE_TXN, .times = 1, .n_turns = 3});
    V3lockpb__LockRequest request = V3LOCKPB__LOCK_REQUEST__INIT;
    request.name = etcd_bytes("l");
    request.lease = 1;
    fake_store_hold(kit->store, true);
    struct etcd_call *call = etcd_ask(kit, "/v3lockpb.Lock/Lock", &request.base);
    fake_store_hold(kit->store, false);
    expect_str(keys_of(kit), "l/1 ");
    etcd_abort(call);
    etcd_kit_run(kit);
    expect_str(keys_of(kit), "");
    expect_int(fault_store_hits(kit->faulty), 1);
    etcd_kit_free(kit);
}

static void malformed_messages_are_refused(void)
{
    static const char *const methods[] = {
        "/v3lockpb.Lock/Lock",
        "/v3lockpb.Lock/Unlock",
        "/v3electionpb.Election/Campaign",
        "/v3electionpb.Election/Leader",
        "/v3electionpb.Election/Proclaim",
        "/v3electionpb.Election/Resign",
        "/v3electionpb.Election/Observe",
    };
    struct etcd_kit *kit = etcd_kit_new();
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct etcd_call *call = etcd_call_new(kit, methods[i]);
        etcd_say_bytes(call, SLICE_LIT("\x0a\x05x"));
        expect_error(call, GRPC_INTERNAL, "grpc: error unmarshalling request: the message is malformed");
    }
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ elections */

static void a_leader_proves_itself(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 60);
    grant(kit, 2, 60);
    V3electionpb__LeaderKey *leader = expect_elected(campaign(kit, 1, "a"), "e/1");
    expect_int(leader->lease, 1);
    expect_int(proclaim(kit, leader, "b")->status, GRPC_OK);
    leader->rev++;
    expect_error(proclaim(kit, leader, "c"), GRPC_UNKNOWN, "election: not leader");
    V3electionpb__ResignRequest resign = V3ELECTIONPB__RESIGN_REQUEST__INIT;
    resign.leader = leader;
    expect_int(etcd_ask(kit, "/v3electionpb.Election/Resign", &resign.base)->status, GRPC_OK);
    expect_str(keys_of(kit), "e/1 ");
    leader->rev--;
    struct etcd_call *second = campaign(kit, 2, "x");
    expect_int(second->status, ETCD_NO_STATUS);
    expect_int(etcd_ask(kit, "/v3electionpb.Election/Resign", &resign.base)->status, GRPC_OK);
    (void)expect_elected(second, "e/2");
    etcd_kit_free(kit);
}

static void a_proposal_keeps_the_lease(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 60);
    V3electionpb__LeaderKey *leader = expect_elected(campaign(kit, 1, "a"), "e/1");
    leader->lease = 0;
    expect_int(proclaim(kit, leader, "b")->status, GRPC_OK);
    revoke(kit, 1);
    expect_str(keys_of(kit), "");
    etcd_kit_free(kit);
}

static void an_observer_sees_all_in_order(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *early = observe(kit);
    expect_seen_nothing(early);
    /* All in one burst: two proposals, one who stands behind, the leader goes, the next proposes. */
    fake_store_put(kit->store, "e/1", "a");
    fake_store_put(kit->store, "e/1", "b");
    fake_store_put(kit->store, "e/2", "x");
    fake_store_delete(kit->store, "e/1");
    fake_store_put(kit->store, "e/2", "y");
    fake_store_put(kit->store, "other", "");
    etcd_kit_run(kit);
    expect_seen(early, "e/1", "a");
    expect_seen(early, "e/1", "b");
    expect_seen(early, "e/2", "x");
    expect_seen(early, "e/2", "y");
    expect_seen_nothing(early);
    struct etcd_call *late = observe(kit);
    expect_seen(late, "e/2", "y");
    fake_store_delete(kit->store, "e/2");
    etcd_kit_run(kit);
    expect_seen_nothing(early);
    expect_seen_nothing(late);
    fake_store_put(kit->store, "e/2", "again");
    etcd_kit_run(kit);
    expect_seen(early, "e/2", "again");
    expect_seen(late, "e/2", "again");
    etcd_kit_free(kit);
}

static void an_observer_that_does_not_read_waits(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *call = observe(kit);
    call->is_full = true;
    for (int i = 0; i < 3; i++) {
        fake_store_put(kit->store, "e/1", (const char *const[]){"a", "b", "c"}[i]);
        etcd_kit_run(kit);
    }
    expect_seen(call, "e/1", "a"); /* taken all the same */
    expect_seen_nothing(call);
    etcd_drain(call);
    expect_seen(call, "e/1", "b");
    expect_seen(call, "e/1", "c");
    expect_seen_nothing(call);
    etcd_kit_free(kit);
}

static void an_observer_far_behind_is_told_of_the_present(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *slow = observe(kit), *slower = observe(kit);
    slow->is_full = slower->is_full = true;
    fake_store_put(kit->store, "e/1", "a");
    etcd_kit_run(kit);
    expect_seen(slow, "e/1", "a");
    expect_seen(slower, "e/1", "a");
    fake_store_put(kit->store, "e/1", "lost");
    int64_t revision = fake_store_put(kit->store, "e/1", "now");
    etcd_kit_run(kit);
    fake_store_compact(kit->store, revision);
    etcd_drain(slow);
    expect_seen(slow, "e/1", "now");
    expect_seen_nothing(slow);
    for (int i = 0; i < 5000; i++)
        fake_store_put(kit->store, "other", "");
    fake_store_put(kit->store, "e/1", "later");
    etcd_kit_run(kit);
    etcd_drain(slower);
    expect_seen(slower, "e/1", "later");
    expect_seen_nothing(slower);
    expect_seen(slow, "e/1", "later");
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ memory */

/* Refused, and without a place in the line; or well. */
static void expect_all_or_nothing(struct etcd_kit *kit, struct etcd_call *call)
{
    bool has_key = strstr(keys_of(kit), "l/2") != NULL;
    if (call->status == GRPC_OK || call->status == ETCD_NO_STATUS)
        expect_true(has_key || call->is_broken);
    else
        expect_false(has_key);
}

/* The n-th allocation fails while a call gets in line. True when there was none to fail. */
static bool join_with_failure(size_t n)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 60);
    grant(kit, 2, 60);
    expect_locked(lock(kit, "l", 1), "l/1");
    struct etcd_call *call = etcd_call_prepare(kit, "/v3lockpb.Lock/Lock");
    fault_alloc_arm(n);
    etcd_call_open(call);
    if (call->status == ETCD_NO_STATUS)
        call->exchange.app->on_body(&call->exchange, SLICE_LIT("\0\0\0\0\x05\x0a\x01l\x10\x02"));
    etcd_kit_run(kit);
    bool has_failed = fault_alloc_disarm();
    etcd_kit_run(kit);
    expect_all_or_nothing(kit, call);
    etcd_kit_free(kit);
    return !has_failed;
}

/* The same while its turn comes, and an observer is told. */
static bool go_on_with_failure(size_t n)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 60);
    grant(kit, 2, 60);
    grant(kit, 3, 60);
    expect_locked(lock(kit, "l", 1), "l/1");
    struct etcd_call *second = lock(kit, "l", 2), *third = lock(kit, "l", 3), *observer = observe(kit);
    fake_store_hold(kit->store, true);
    etcd_abort(second);
    Etcdserverpb__LeaseRevokeRequest request = ETCDSERVERPB__LEASE_REVOKE_REQUEST__INIT;
    request.id = 1;
    struct etcd_call *revoking = etcd_ask(kit, "Lease/LeaseRevoke", &request.base);
    Etcdserverpb__PutRequest put = ETCDSERVERPB__PUT_REQUEST__INIT;
    put.key = etcd_bytes("e/1");
    struct etcd_call *putting = etcd_ask(kit, "KV/Put", &put.base);
    fault_alloc_arm(n);
    fake_store_hold(kit->store, false);
    etcd_kit_run(kit);
    bool has_failed = fault_alloc_disarm();
    etcd_kit_run(kit);
    if (!has_failed) {
        expect_int(revoking->status, GRPC_OK);
        expect_int(putting->status, GRPC_OK);
        expect_locked(third, "l/3");
        expect_seen(observer, "e/1", "");
    }
    etcd_kit_free(kit);
    return !has_failed;
}

static void lack_of_memory_fails_the_call_alone(void)
{
    size_t n = 1;
    while (!join_with_failure(n))
        expect_true(n++ < 200);
    expect_true(n > 5);
    n = 1;
    while (!go_on_with_failure(n))
        expect_true(n++ < 200);
    expect_true(n > 5);
}

static const struct test_case cases[] = {
    {"a lock goes from one to the next", a_lock_goes_from_one_to_the_next},
    {"many wait in order", many_wait_in_order},
    {"one in the middle of the line may go", one_in_the_middle_may_go},
    {"a lease that runs out gives the lock on", a_lease_that_runs_out_gives_the_lock_on},
    {"who goes away leaves no key", who_goes_away_leaves_no_key},
    {"a server that stops says so", a_server_that_stops_says_so},
    {"what the store refuses is said", what_the_store_refuses_is_said},
    {"a campaign may fail at each of its requests", a_campaign_may_fail_at_each_request},
    {"a lock whose answer was lost can be asked for again", a_lock_whose_answer_was_lost_can_be_asked_for_again},
    {"a line that cannot be read is told", a_line_that_cannot_be_read_is_told},
    {"who goes away before a late answer leaves no key", who_goes_away_before_a_late_answer_leaves_no_key},
    {"malformed messages are refused", malformed_messages_are_refused},
    {"a leader proves itself by its revision", a_leader_proves_itself},
    {"a proposal keeps the lease of its key", a_proposal_keeps_the_lease},
    {"an observer sees all in order", an_observer_sees_all_in_order},
    {"an observer that does not read waits", an_observer_that_does_not_read_waits},
    {"an observer far behind is told of the present", an_observer_far_behind_is_told_of_the_present},
    {"lack of memory fails the call and nothing else", lack_of_memory_fails_the_call_alone},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
