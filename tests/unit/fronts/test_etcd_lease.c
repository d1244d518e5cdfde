/* SPDX-License-Identifier: Apache-2.0 */
/* The service Lease. */
#include "support/etcd_kit.h"

static Etcdserverpb__LeaseGrantResponse *grant(struct etcd_kit *kit, int64_t id, int64_t ttl_s)
{
    Etcdserverpb__LeaseGrantRequest request = ETCDSERVERPB__LEASE_GRANT_REQUEST__INIT;
    request.id = id;
    request.ttl = ttl_s;
    struct etcd_call *call = etcd_ask(kit, "Lease/LeaseGrant", &request.base);
    expect_error(call, GRPC_OK, "");
    return etcd_hear(call, &etcdserverpb__lease_grant_response__descriptor);
}

static void put_with(struct etcd_kit *kit, const char *key, int64_t lease)
{
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = etcd_bytes(key);
    request.lease = lease;
    expect_int(etcd_ask(kit, "KV/Put", &request.base)->status, GRPC_OK);
}

static Etcdserverpb__LeaseTimeToLiveResponse *time_to_live(struct etcd_kit *kit, int64_t id, bool with_keys)
{
    Etcdserverpb__LeaseTimeToLiveRequest request = ETCDSERVERPB__LEASE_TIME_TO_LIVE_REQUEST__INIT;
    request.id = id;
    request.keys = with_keys;
    struct etcd_call *call = etcd_ask(kit, "Lease/LeaseTimeToLive", &request.base);
    expect_error(call, GRPC_OK, "");
    return etcd_hear(call, &etcdserverpb__lease_time_to_live_response__descriptor);
}

static Etcdserverpb__LeaseKeepAliveResponse *keep_alive(struct etcd_call *call, int64_t id)
{
    Etcdserverpb__LeaseKeepAliveRequest request = ETCDSERVERPB__LEASE_KEEP_ALIVE_REQUEST__INIT;
    request.id = id;
    etcd_say(call, &request.base);
    return etcd_hear(call, &etcdserverpb__lease_keep_alive_response__descriptor);
}

static void a_grant_tells_id_and_ttl(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__LeaseGrantResponse *answer = grant(kit, 0, 10);
    expect_true(answer->id > 0);
    expect_int(answer->ttl, 10);
    expect_int(answer->header->revision, 1);
    answer = grant(kit, 77, 1);
    expect_int(answer->id, 77);
    expect_int(answer->ttl, 1);
    expect_int(grant(kit, 78, 0)->ttl, 1);
    expect_int(grant(kit, 79, -5)->ttl, 1);
    expect_int(grant(kit, 80, 9000000000)->ttl, 9000000000);
    etcd_kit_free(kit);
}

static void bad_grants_get_their_error(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 7, 10);
    Etcdserverpb__LeaseGrantRequest request = ETCDSERVERPB__LEASE_GRANT_REQUEST__INIT;
    request.id = 7;
    request.ttl = 10;
    expect_error(etcd_ask(kit, "Lease/LeaseGrant", &request.base), GRPC_FAILED_PRECONDITION,
                 "etcdserver: lease already exists");
    request.ttl = 9000000001;
    expect_error(etcd_ask(kit, "Lease/LeaseGrant", &request.base), GRPC_OUT_OF_RANGE,
                 "etcdserver: too large lease TTL");
    request.ttl = INT64_MAX;
    expect_error(etcd_ask(kit, "Lease/LeaseGrant", &request.base), GRPC_OUT_OF_RANGE,
                 "etcdserver: too large lease TTL");
    etcd_kit_free(kit);
}

static void a_kept_lease_lives_and_a_left_one_dies_with_its_keys(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    int64_t kept = grant(kit, 0, 5)->id, left = grant(kit, 0, 5)->id;
    put_with(kit, "kept", kept);
    put_with(kit, "left", left);
    struct etcd_call *stream = etcd_call_new(kit, "Lease/LeaseKeepAlive");
    for (unsigned i = 0; i < 3; i++) {
        etcd_kit_run_for(kit, 4 * NSEC_PER_SEC);
        (void)fake_store_expire(kit->store);
        Etcdserverpb__LeaseKeepAliveResponse *answer = keep_alive(stream, kept);
        expect_int(answer->id, kept);
        expect_int(answer->ttl, 5);
    }
    expect_int(keep_alive(stream, left)->ttl, 0);
    expect_int(stream->status, ETCD_NO_STATUS); /* a dead lease is no end of the stream */
    expect_int(time_to_live(kit, left, false)->ttl, -1);

    Etcdserverpb__LeaseTimeToLiveResponse *info = time_to_live(kit, kept, true);
    expect_int(info->ttl, 5);
    expect_int(info->grantedttl, 5);
    expect_int(info->n_keys, 1);
    expect_data(info->keys[0], "kept");
    expect_int(time_to_live(kit, kept, false)->n_keys, 0);

    etcd_end(stream);
    expect_error(stream, GRPC_OK, "");
    etcd_kit_free(kit);
}

static void a_heartbeat_that_is_dropped_is_told(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    fault_store_add(kit->faulty, &(struct fault){.kind = FAULT_TOUCH, .skip = 1, .times = 1});
    grant(kit, 5, 60);
    struct etcd_call *stream = etcd_call_new(kit, "Lease/LeaseKeepAlive");
    expect_int(keep_alive(stream, 5)->ttl, 60);
    expect_int(keep_alive(stream, 5)->ttl, 0);
    expect_int(keep_alive(stream, 5)->ttl, 60);
    etcd_kit_free(kit);
}

static void keep_alives_are_answered_in_order(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 10);
    grant(kit, 2, 20);
    struct etcd_call *stream = etcd_call_new(kit, "Lease/LeaseKeepAlive");
    /* Three in one piece: 1, 404, 2. */
    stream->exchange.app->on_body(&stream->exchange,
                                  SLICE_LIT("\0\0\0\0\2\x08\x01\0\0\0\0\3\x08\x94\x03\0\0\0\0\2\x08\x02"));
    static const int64_t expected[][2] = {{1, 10}, {404, 0}, {2, 20}};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        Etcdserverpb__LeaseKeepAliveResponse *answer =
            etcd_hear(stream, &etcdserverpb__lease_keep_alive_response__descriptor);
        expect_int(answer->id, expected[i][0]);
        expect_int(answer->ttl, expected[i][1]);
    }
    etcd_kit_free(kit);
}

static void a_client_that_does_not_read_is_not_listened_to(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 1, 10);
    struct etcd_call *stream = etcd_call_new(kit, "Lease/LeaseKeepAlive");
    stream->is_full = true;
    expect_true(keep_alive(stream, 1) != NULL); /* taken all the same */
    expect_true(stream->is_paused);
    expect_true(keep_alive(stream, 1) == NULL);
    etcd_drain(stream);
    expect_false(stream->is_paused);
    Etcdserverpb__LeaseKeepAliveResponse *answer =
        etcd_hear(stream, &etcdserverpb__lease_keep_alive_response__descriptor);
    expect_int(answer->ttl, 10);
    etcd_kit_free(kit);
}

static void a_revoked_lease_is_gone_with_its_keys(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    grant(kit, 5, 100);
    put_with(kit, "a", 5);
    put_with(kit, "b", 5);
    Etcdserverpb__LeaseRevokeRequest request = ETCDSERVERPB__LEASE_REVOKE_REQUEST__INIT;
    request.id = 5;
    struct etcd_call *call = etcd_ask(kit, "Lease/LeaseRevoke", &request.base);
    expect_error(call, GRPC_OK, "");
    Etcdserverpb__LeaseRevokeResponse *answer = etcd_hear(call, &etcdserverpb__lease_revoke_response__descriptor);
    expect_int(answer->header->revision, 4); /* both keys in one */
    expect_error(etcd_ask(kit, "Lease/LeaseRevoke", &request.base), GRPC_NOT_FOUND,
                 "etcdserver: requested lease not found");
    etcd_kit_free(kit);
}

static void leases_are_listed(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__LeaseLeasesRequest request = ETCDSERVERPB__LEASE_LEASES_REQUEST__INIT;
    struct etcd_call *call = etcd_ask(kit, "Lease/LeaseLeases", &request.base);
    Etcdserverpb__LeaseLeasesResponse *answer = etcd_hear(call, &etcdserverpb__lease_leases_response__descriptor);
    expect_int(answer->n_leases, 0);
    grant(kit, 3, 10);
    grant(kit, 4, 10);
    call = etcd_ask(kit, "Lease/LeaseLeases", &request.base);
    answer = etcd_hear(call, &etcdserverpb__lease_leases_response__descriptor);
    expect_int(answer->n_leases, 2);
    expect_int(answer->leases[0]->id + answer->leases[1]->id, 7);
    etcd_kit_free(kit);
}

static void streams_end_when_the_server_stops(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    struct etcd_call *stream = etcd_call_new(kit, "Lease/LeaseKeepAlive");
    etcd_front.stop(kit->front);
    etcd_kit_run(kit);
    expect_error(stream, GRPC_UNAVAILABLE, "etcdserver: server stopped");
    stream = etcd_call_new(kit, "Lease/LeaseKeepAlive");
    etcd_kit_run(kit);
    expect_error(stream, GRPC_UNAVAILABLE, "etcdserver: server stopped");
    etcd_kit_free(kit);
}

static const struct test_case cases[] = {
    {"a grant tells id and TTL; the least is a second", a_grant_tells_id_and_ttl},
    {"bad grants get their error", bad_grants_get_their_error},
    {"a kept lease lives, a left one dies with its keys", a_kept_lease_lives_and_a_left_one_dies_with_its_keys},
    {"a heartbeat that is dropped is told", a_heartbeat_that_is_dropped_is_told},
    {"keep-alives are answered in order", keep_alives_are_answered_in_order},
    {"a client that does not read is not listened to", a_client_that_does_not_read_is_not_listened_to},
    {"a revoked lease is gone with its keys", a_revoked_lease_is_gone_with_its_keys},
    {"leases are listed", leases_are_listed},
    {"streams end when the server stops", streams_end_when_the_server_stops},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
