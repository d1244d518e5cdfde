/* SPDX-License-Identifier: Apache-2.0 */
/* The services Cluster and Maintenance. */
#include "support/etcd_kit.h"

#include <stdio.h>

static void the_member_list_has_addresses_that_can_be_reached(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__MemberListRequest request = ETCDSERVERPB__MEMBER_LIST_REQUEST__INIT;
    struct etcd_call *call = etcd_ask(kit, "Cluster/MemberList", &request.base);
    expect_error(call, GRPC_OK, "");
    Etcdserverpb__MemberListResponse *answer = etcd_hear(call, &etcdserverpb__member_list_response__descriptor);
    expect_int(answer->n_members, 1);
    const Etcdserverpb__Member *member = answer->members[0];
    expect_int(member->id, answer->header->member_id);
    expect_true(member->name[0] != '\0');
    expect_false(member->islearner);
    expect_int(member->n_clienturls, 2);
    expect_str(member->clienturls[0], "http://127.0.0.1:2379");
    expect_str(member->clienturls[1], "http://registry.example:9999"); /* as the client calls it */
    etcd_kit_free(kit);
}

static void the_one_member_cannot_be_changed(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__MemberAddRequest add = ETCDSERVERPB__MEMBER_ADD_REQUEST__INIT;
    expect_error(etcd_ask(kit, "Cluster/MemberAdd", &add.base), GRPC_INVALID_ARGUMENT,
                 "etcdserver: given member URLs are invalid");
    char url[] = "http://10.0.0.9:2380";
    add.n_peerurls = 1;
    add.peerurls = &(char *){url};
    expect_error(etcd_ask(kit, "Cluster/MemberAdd", &add.base), GRPC_FAILED_PRECONDITION,
                 "etcdserver: re-configuration failed due to not enough started members");
    Etcdserverpb__MemberRemoveRequest other = ETCDSERVERPB__MEMBER_REMOVE_REQUEST__INIT;
    other.id = 1;
    expect_error(etcd_ask(kit, "Cluster/MemberRemove", &other.base), GRPC_NOT_FOUND, "etcdserver: member not found");
    other.id = 0x5678;
    expect_error(etcd_ask(kit, "Cluster/MemberRemove", &other.base), GRPC_FAILED_PRECONDITION,
                 "etcdserver: re-configuration failed due to not enough started members");
    expect_error(etcd_ask(kit, "Cluster/MemberPromote", &other.base), GRPC_FAILED_PRECONDITION,
                 "etcdserver: can only promote a learner member");
    etcd_kit_free(kit);
}

static Etcdserverpb__StatusResponse *ask_status(struct etcd_kit *kit)
{
    Etcdserverpb__StatusRequest request = ETCDSERVERPB__STATUS_REQUEST__INIT;
    struct etcd_call *call = etcd_ask(kit, "Maintenance/Status", &request.base);
    expect_error(call, GRPC_OK, "");
    return etcd_hear(call, &etcdserverpb__status_response__descriptor);
}

static Etcdserverpb__AlarmResponse *ask_alarms(struct etcd_kit *kit)
{
    Etcdserverpb__AlarmRequest request = ETCDSERVERPB__ALARM_REQUEST__INIT;
    struct etcd_call *call = etcd_ask(kit, "Maintenance/Alarm", &request.base);
    expect_error(call, GRPC_OK, "");
    return etcd_hear(call, &etcdserverpb__alarm_response__descriptor);
}

static void status_is_what_tools_expect(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    expect_int(ask_status(kit)->dbsizeinuse, 0);
    fake_store_put(kit->store, "k", "v");
    Etcdserverpb__StatusResponse *answer = ask_status(kit);
    expect_str(answer->version, "3.6.0");
    expect_int(answer->leader, answer->header->member_id);
    expect_int(answer->dbsize, 123456);
    expect_true(answer->dbsizeinuse > 0 && answer->dbsizequota > 0);
    expect_int(answer->raftterm, 1);
    expect_int(answer->raftindex, 2);
    expect_int(answer->raftappliedindex, 2);
    expect_int(answer->n_errors, 0);
    expect_true(answer->downgradeinfo != NULL);
    expect_false(answer->islearner);
    expect_int(ask_alarms(kit)->n_alarms, 0);
    etcd_kit_free(kit);
}

static void a_full_disk_is_an_alarm(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    fake_store_refuse(kit->store, STORE_NO_SPACE);
    Etcdserverpb__StatusResponse *status = ask_status(kit);
    expect_int(status->n_errors, 1);
    expect_str(status->errors[0], "memberID:22136 alarm:NOSPACE ");
    Etcdserverpb__AlarmResponse *alarms = ask_alarms(kit);
    expect_int(alarms->n_alarms, 1);
    expect_int(alarms->alarms[0]->memberid, 0x5678);
    expect_int(alarms->alarms[0]->alarm, ETCDSERVERPB__ALARM_TYPE__NOSPACE);
    fake_store_refuse(kit->store, STORE_OK);
    expect_int(ask_alarms(kit)->n_alarms, 0);
    etcd_kit_free(kit);
}

static void what_one_server_cannot_do_is_refused(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__DefragmentRequest defragment = ETCDSERVERPB__DEFRAGMENT_REQUEST__INIT;
    expect_error(etcd_ask(kit, "Maintenance/Defragment", &defragment.base), GRPC_OK, "");
    Etcdserverpb__MoveLeaderRequest move = ETCDSERVERPB__MOVE_LEADER_REQUEST__INIT;
    expect_error(etcd_ask(kit, "Maintenance/MoveLeader", &move.base), GRPC_FAILED_PRECONDITION,
                 "etcdserver: bad leader transferee");
    Etcdserverpb__DowngradeRequest downgrade;
    etcdserverpb__downgrade_request__init(&downgrade);
    expect_error(etcd_ask(kit, "Maintenance/Downgrade", &downgrade.base), GRPC_INVALID_ARGUMENT,
                 "etcdserver: invalid downgrade target version");
    downgrade.action = ETCDSERVERPB__DOWNGRADE_REQUEST__DOWNGRADE_ACTION__CANCEL;
    expect_error(etcd_ask(kit, "Maintenance/Downgrade", &downgrade.base), GRPC_FAILED_PRECONDITION,
                 "etcdserver: no inflight downgrade job");
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ hashes */

static Etcdserverpb__HashKVResponse *hash_kv(struct etcd_kit *kit, int64_t revision)
{
    Etcdserverpb__HashKVRequest request = ETCDSERVERPB__HASH_KVREQUEST__INIT;
    request.revision = revision;
    struct etcd_call *call = etcd_ask(kit, "Maintenance/HashKV", &request.base);
    expect_error(call, GRPC_OK, "");
    return etcd_hear(call, &etcdserverpb__hash_kvresponse__descriptor);
}

static void fill(struct etcd_kit *kit)
{
    for (unsigned i = 0; i < 5000; i++) { /* more than one step */
        char key[16];
        (void)snprintf(key, sizeof(key), "k%u", i);
        fake_store_put(kit->store, key, "v");
    }
}

static void equal_states_have_equal_hashes(void)
{
    struct etcd_kit *kit = etcd_kit_new(), *other = etcd_kit_new();
    fill(kit);
    fill(other);
    uint32_t hash = hash_kv(kit, 0)->hash;
    expect_true(hash != 0);
    expect_int(hash_kv(other, 0)->hash, hash);
    fake_store_put(kit->store, "k4999", "w");
    Etcdserverpb__HashKVResponse *answer = hash_kv(kit, 0);
    expect_true(answer->hash != hash);
    expect_int(answer->hash_revision, 5002);
    answer = hash_kv(kit, 5001); /* as it was */
    expect_int(answer->hash, hash);
    expect_int(answer->hash_revision, 5001);
    expect_int(answer->header->revision, 5002);

    Etcdserverpb__HashRequest request = ETCDSERVERPB__HASH_REQUEST__INIT;
    struct etcd_call *call = etcd_ask(other, "Maintenance/Hash", &request.base);
    Etcdserverpb__HashResponse *plain = etcd_hear(call, &etcdserverpb__hash_response__descriptor);
    expect_int(plain->hash, hash);
    etcd_kit_free(kit);
    etcd_kit_free(other);
}

static void the_past_is_hashed_however_much_is_gone(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    int64_t one = fake_store_put(kit->store, "z", "v");
    uint32_t first = hash_kv(kit, 0)->hash;
    fill(kit);
    int64_t then = fake_store_delete(kit->store, "k17");
    uint32_t hash = hash_kv(kit, 0)->hash;
    for (unsigned i = 0; i < 5000; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k%u", i);
        if (i != 17)
            fake_store_delete(kit->store, key);
    }
    expect_int(hash_kv(kit, 0)->hash, first);
    expect_int(hash_kv(kit, one)->hash, first);
    expect_int(hash_kv(kit, then)->hash, hash);
    etcd_kit_free(kit);
}

static void hashes_of_other_times_get_their_error(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    fill(kit);
    fake_store_compact(kit->store, 100);
    Etcdserverpb__HashKVRequest request = ETCDSERVERPB__HASH_KVREQUEST__INIT;
    request.revision = 99;
    expect_error(etcd_ask(kit, "Maintenance/HashKV", &request.base), GRPC_OUT_OF_RANGE,
                 "etcdserver: mvcc: required revision has been compacted");
    request.revision = 9999;
    expect_error(etcd_ask(kit, "Maintenance/HashKV", &request.base), GRPC_OUT_OF_RANGE,
                 "etcdserver: mvcc: required revision is a future revision");
    expect_int(hash_kv(kit, 0)->compact_revision, 100);

    struct etcd_call *call = etcd_call_new(kit, "Maintenance/HashKV");
    call->exchange.app->on_body(&call->exchange, SLICE_LIT("\0\0\0\0\0"));
    etcd_abort(call); /* before it is done */
    etcd_kit_free(kit);
}

static const struct test_case cases[] = {
    {"the past is hashed, however much is gone", the_past_is_hashed_however_much_is_gone},
    {"the member list has addresses that can be reached", the_member_list_has_addresses_that_can_be_reached},
    {"the one member cannot be changed", the_one_member_cannot_be_changed},
    {"status is what tools expect", status_is_what_tools_expect},
    {"a full disk is an alarm", a_full_disk_is_an_alarm},
    {"what one server cannot do is refused", what_one_server_cannot_do_is_refused},
    {"equal states have equal hashes", equal_states_have_equal_hashes},
    {"hashes of other times get their error", hashes_of_other_times_get_their_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
