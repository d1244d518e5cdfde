/* SPDX-License-Identifier: Apache-2.0 */
/* The service KV. */
#include "fronts/etcd/etcd_impl.h"
#include "support/etcd_kit.h"

#include <errno.h>

#define NO_KEY "etcdserver: key is not provided"

static Etcdserverpb__PutResponse *put(struct etcd_kit *kit, const char *key, const char *value)
{
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = etcd_bytes(key);
    request.value = etcd_bytes(value);
    request.prev_kv = true;
    struct etcd_call *call = etcd_ask(kit, "KV/Put", &request.base);
    expect_int(call->status, GRPC_OK);
    return etcd_hear(call, &etcdserverpb__put_response__descriptor);
}

static Etcdserverpb__RangeResponse *range(struct etcd_kit *kit, const Etcdserverpb__RangeRequest *request)
{
    struct etcd_call *call = etcd_ask(kit, "KV/Range", &request->base);
    expect_error(call, GRPC_OK, "");
    return etcd_hear(call, &etcdserverpb__range_response__descriptor);
}

static Etcdserverpb__RangeRequest range_request(const char *key, const char *end)
{
    Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
    request.key = etcd_bytes(key);
    request.range_end = etcd_bytes(end);
    return request;
}

static void a_put_is_answered_with_header_and_previous_pair(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__PutResponse *answer = put(kit, "k", "1");
    expect_int(answer->header->cluster_id, 0x1234);
    expect_int(answer->header->member_id, 0x5678);
    expect_int(answer->header->raft_term, 1);
    expect_int(answer->header->revision, 2);
    expect_true(answer->prev_kv == NULL);

    answer = put(kit, "k", "2");
    expect_int(answer->header->revision, 3);
    expect_data(answer->prev_kv->key, "k");
    expect_data(answer->prev_kv->value, "1");
    expect_int(answer->prev_kv->create_revision, 2);
    expect_int(answer->prev_kv->mod_revision, 2);
    expect_int(answer->prev_kv->version, 1);
    etcd_kit_free(kit);
}

static void a_range_tells_pairs_count_and_more(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    put(kit, "a/1", "x");
    put(kit, "a/2", "y");
    put(kit, "a/3", "z");
    put(kit, "b", "");

    Etcdserverpb__RangeRequest request = range_request("a/", "a0");
    request.limit = 2;
    Etcdserverpb__RangeResponse *answer = range(kit, &request);
    expect_int(answer->header->revision, 5);
    expect_int(answer->n_kvs, 2);
    expect_data(answer->kvs[0]->key, "a/1");
    expect_data(answer->kvs[1]->value, "y");
    expect_int(answer->kvs[1]->mod_revision, 3);
    expect_int(answer->count, 3);
    expect_true(answer->more);

    request.limit = 0;
    request.count_only = true;
    answer = range(kit, &request);
    expect_int(answer->n_kvs, 0);
    expect_int(answer->count, 3);
    expect_false(answer->more);

    request = range_request("a/", "a0");
    request.keys_only = true;
    request.sort_order = ETCDSERVERPB__RANGE_REQUEST__SORT_ORDER__DESCEND;
    request.sort_target = ETCDSERVERPB__RANGE_REQUEST__SORT_TARGET__VALUE;
    answer = range(kit, &request);
    expect_int(answer->n_kvs, 3);
    expect_data(answer->kvs[0]->key, "a/3");
    expect_int(answer->kvs[0]->value.len, 0);
    etcd_kit_free(kit);
}

static void everything_is_a_range_from_zero_to_zero(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    put(kit, "a", "");
    put(kit, "b", "");
    Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
    uint8_t zero = 0;
    request.key = request.range_end = (ProtobufCBinaryData){1, &zero};
    expect_int(range(kit, &request)->count, 2);
    request.key = etcd_bytes("b");
    expect_int(range(kit, &request)->count, 1);
    request = range_request("b", "a"); /* no range, and no error */
    expect_int(range(kit, &request)->count, 0);
    etcd_kit_free(kit);
}

static void old_revisions_are_read_and_the_header_is_of_now(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    put(kit, "k", "1");
    put(kit, "k", "2");
    Etcdserverpb__RangeRequest request = range_request("k", "");
    request.revision = 2;
    Etcdserverpb__RangeResponse *answer = range(kit, &request);
    expect_data(answer->kvs[0]->value, "1");
    expect_int(answer->header->revision, 3);

    request.revision = 4;
    struct etcd_call *call = etcd_ask(kit, "KV/Range", &request.base);
    expect_error(call, GRPC_OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision");

    Etcdserverpb__CompactionRequest compaction = ETCDSERVERPB__COMPACTION_REQUEST__INIT;
    compaction.revision = 3;
    call = etcd_ask(kit, "KV/Compact", &compaction.base);
    expect_int(call->status, GRPC_OK);
    Etcdserverpb__CompactionResponse *compacted = etcd_hear(call, &etcdserverpb__compaction_response__descriptor);
    expect_int(compacted->header->revision, 3);
    request.revision = 2;
    call = etcd_ask(kit, "KV/Range", &request.base);
    expect_error(call, GRPC_OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted");
    call = etcd_ask(kit, "KV/Compact", &compaction.base);
    expect_error(call, GRPC_OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted");
    compaction.revision = 100;
    call = etcd_ask(kit, "KV/Compact", &compaction.base);
    expect_error(call, GRPC_OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision");
    etcd_kit_free(kit);
}

static void a_deletion_tells_how_many_and_which(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    put(kit, "a", "1");
    put(kit, "b", "2");
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    request.key = etcd_bytes("a");
    request.range_end = etcd_bytes("c");
    request.prev_kv = true;
    struct etcd_call *call = etcd_ask(kit, "KV/DeleteRange", &request.base);
    Etcdserverpb__DeleteRangeResponse *answer = etcd_hear(call, &etcdserverpb__delete_range_response__descriptor);
    expect_int(answer->deleted, 2);
    expect_int(answer->n_prev_kvs, 2);
    expect_data(answer->prev_kvs[1]->value, "2");
    expect_int(answer->header->revision, 4);

    call = etcd_ask(kit, "KV/DeleteRange", &request.base);
    answer = etcd_hear(call, &etcdserverpb__delete_range_response__descriptor);
    expect_int(answer->deleted, 0);
    expect_int(answer->header->revision, 4); /* nothing happened */
    etcd_kit_free(kit);
}

/* "if k does not exist then put it, else get it": the first step of every lock. */
static void a_transaction_answers_with_its_branch(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT;
    compare.target = ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE;
    compare.key = etcd_bytes("k");
    compare.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION;
    Etcdserverpb__PutRequest putting = ETCDSERVERPB__PUT_REQUEST__INIT;
    putting.key = etcd_bytes("k");
    putting.value = etcd_bytes("v");
    Etcdserverpb__RangeRequest getting = range_request("k", "");
    Etcdserverpb__RequestOp put_op = ETCDSERVERPB__REQUEST_OP__INIT, get_op = ETCDSERVERPB__REQUEST_OP__INIT;
    put_op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
    put_op.request_put = &putting;
    get_op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
    get_op.request_range = &getting;
    Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT;
    txn.n_compare = txn.n_success = txn.n_failure = 1;
    txn.compare = &(Etcdserverpb__Compare *){&compare};
    txn.success = &(Etcdserverpb__RequestOp *){&put_op};
    txn.failure = &(Etcdserverpb__RequestOp *){&get_op};

    struct etcd_call *call = etcd_ask(kit, "KV/Txn", &txn.base);
    Etcdserverpb__TxnResponse *answer = etcd_hear(call, &etcdserverpb__txn_response__descriptor);
    expect_true(answer->succeeded);
    expect_int(answer->header->revision, 2);
    expect_int(answer->n_responses, 1);
    expect_int(answer->responses[0]->response_case, ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_PUT);
    expect_int(answer->responses[0]->response_put->header->revision, 2);

    /* The same inside another one. */
    Etcdserverpb__RequestOp inner = ETCDSERVERPB__REQUEST_OP__INIT;
    inner.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN;
    inner.request_txn = &txn;
    Etcdserverpb__TxnRequest outer = ETCDSERVERPB__TXN_REQUEST__INIT;
    outer.n_success = 1;
    outer.success = &(Etcdserverpb__RequestOp *){&inner};
    call = etcd_ask(kit, "KV/Txn", &outer.base);
    answer = etcd_hear(call, &etcdserverpb__txn_response__descriptor);
    expect_true(answer->succeeded);
    expect_int(answer->header->revision, 2);
    const Etcdserverpb__TxnResponse *nested = answer->responses[0]->response_txn;
    expect_false(nested->succeeded);
    expect_int(nested->n_responses, 1);
    expect_data(nested->responses[0]->response_range->kvs[0]->value, "v");
    expect_int(nested->responses[0]->response_range->count, 1);
    etcd_kit_free(kit);
}

static void a_version_of_the_api_must_be_a_text(void)
{
    static const struct {
        struct slice version;
        bool is_good;
    } calls[] = {{SLICE_LIT("3.6"), true}, {SLICE_LIT("\xc3\xa4"), true}, {SLICE_LIT("3.6\xff"), false}};
    struct etcd_kit *kit = etcd_kit_new();
    for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
        struct etcd_call *call = etcd_call_prepare(kit, "KV/Range");
        call->fields.items[call->fields.n++] =
            (struct http_field){.name = SLICE_LIT("client-api-version"), .value = calls[i].version};
        etcd_call_open(call);
        if (!calls[i].is_good)
            expect_error(call, GRPC_INVALID_ARGUMENT, "etcdserver: invalid client api version");
        else
            expect_int(call->status, ETCD_NO_STATUS);
    }
    etcd_kit_free(kit);
}

static void bad_puts_get_their_error(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    expect_error(etcd_ask(kit, "KV/Put", &request.base), GRPC_INVALID_ARGUMENT, NO_KEY);
    request.key = etcd_bytes("k");
    request.lease = 99;
    expect_error(etcd_ask(kit, "KV/Put", &request.base), GRPC_NOT_FOUND, "etcdserver: requested lease not found");
    request.ignore_lease = true;
    expect_error(etcd_ask(kit, "KV/Put", &request.base), GRPC_INVALID_ARGUMENT, "etcdserver: lease is provided");
    request.lease = 0;
    expect_error(etcd_ask(kit, "KV/Put", &request.base), GRPC_INVALID_ARGUMENT, "etcdserver: key not found");
    request.ignore_value = true;
    request.value = etcd_bytes("v");
    expect_error(etcd_ask(kit, "KV/Put", &request.base), GRPC_INVALID_ARGUMENT, "etcdserver: value is provided");
    etcd_kit_free(kit);
}

static void bad_transactions_get_their_error(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__PutRequest putting = ETCDSERVERPB__PUT_REQUEST__INIT;
    putting.key = etcd_bytes("k");
    Etcdserverpb__RequestOp op = ETCDSERVERPB__REQUEST_OP__INIT;
    Etcdserverpb__RequestOp *ops[130];
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        ops[i] = &op;
    Etcdserverpb__TxnRequest txn = ETCDSERVERPB__TXN_REQUEST__INIT;
    txn.success = ops;
    txn.n_success = 1;
    expect_error(etcd_ask(kit, "KV/Txn", &txn.base), GRPC_INVALID_ARGUMENT, "etcdserver: key not found");
    op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
    op.request_put = &putting;
    txn.n_success = 2;
    expect_error(etcd_ask(kit, "KV/Txn", &txn.base), GRPC_INVALID_ARGUMENT,
                 "etcdserver: duplicate key given in txn request");
    txn.n_success = 129;
    expect_error(etcd_ask(kit, "KV/Txn", &txn.base), GRPC_INVALID_ARGUMENT,
                 "etcdserver: too many operations in txn request");
    txn.n_success = 1;
    expect_error(etcd_ask(kit, "KV/Txn", &txn.base), GRPC_OK, "");
    etcd_kit_free(kit);
}

static void requests_beyond_the_limit_are_refused(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    static char value[ETCD_WRITE_MAX + 1];
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = etcd_bytes("k");
    request.value = (ProtobufCBinaryData){sizeof(value), (uint8_t *)value};
    expect_error(etcd_ask(kit, "KV/Put", &request.base), GRPC_INVALID_ARGUMENT, "etcdserver: request is too large");
    request.value.len = ETCD_WRITE_MAX - 100;
    expect_error(etcd_ask(kit, "KV/Put", &request.base), GRPC_OK, "");
    request.value.len = 1;
    request.key = (ProtobufCBinaryData){STORE_KEY_MAX + 1, (uint8_t *)value};
    expect_error(etcd_ask(kit, "KV/Put", &request.base), GRPC_INVALID_ARGUMENT, "etcdserver: request is too large");

    struct etcd_call *call = etcd_call_new(kit, "KV/Put");
    call->exchange.app->on_body(&call->exchange, SLICE_LIT("\0\x7f\xff\xff\xff"));
    expect_int(call->status, GRPC_RESOURCE_EXHAUSTED);
    etcd_kit_free(kit);
}

static void what_is_no_message_gets_its_error_on_every_method(void)
{
    static const char *const methods[] = {
        "KV/Range",
        "KV/Put",
        "KV/DeleteRange",
        "KV/Txn",
        "KV/Compact",
        "Lease/LeaseGrant",
        "Lease/LeaseRevoke",
        "Lease/LeaseTimeToLive",
        "Lease/LeaseKeepAlive",
        "Watch/Watch",
    };
    struct etcd_kit *kit = etcd_kit_new();
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct etcd_call *call = etcd_call_new(kit, methods[i]);
        etcd_say_bytes(call, SLICE_LIT("\x0a\xff"));
        expect_error(call, GRPC_INTERNAL, "grpc: error unmarshalling request: the message is malformed");
    }
    struct etcd_call *call = etcd_call_new(kit, "KV/Steal");
    expect_error(call, GRPC_UNIMPLEMENTED, "unknown method Steal for service etcdserverpb.KV");
    etcd_kit_free(kit);
}

/* Every outcome that a request can have, in etcd's words. */
static void what_the_store_refuses_is_told(void)
{
    static const struct {
        enum store_outcome outcome;
        int status;
        const char *text;
    } refusals[] = {
        {STORE_COMPACTED, GRPC_OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"},
        {STORE_FUTURE_REVISION, GRPC_OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"},
        {STORE_NO_LEASE, GRPC_NOT_FOUND, "etcdserver: requested lease not found"},
        {STORE_LEASE_EXISTS, GRPC_FAILED_PRECONDITION, "etcdserver: lease already exists"},
        {STORE_TTL_TOO_LARGE, GRPC_OUT_OF_RANGE, "etcdserver: too large lease TTL"},
        {STORE_NO_KEY, GRPC_INVALID_ARGUMENT, "etcdserver: key not found"},
        {STORE_DUPLICATE_KEY, GRPC_INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request"},
        {STORE_TOO_MANY_OPS, GRPC_INVALID_ARGUMENT, "etcdserver: too many operations in txn request"},
        {STORE_TOO_LARGE, GRPC_INVALID_ARGUMENT, "etcdserver: request is too large"},
        {STORE_NO_SPACE, GRPC_RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"},
        {STORE_READ_ONLY, GRPC_RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"},
        {STORE_OUT_OF_MEMORY, GRPC_RESOURCE_EXHAUSTED, "etcdserver: too many requests"},
        {STORE_STOPPED, GRPC_UNAVAILABLE, "etcdserver: server stopped"},
    };
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = etcd_bytes("k");
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        fault_store_clear(kit->faulty);
        fault_store_add(kit->faulty, &(struct fault){.kind = i % 2 ? FAULT_LOSE : FAULT_REFUSE,
                                                     .request_type = FAULT_EVERY_REQUEST,
                                                     .times = 1,
                                                     .outcome = (int)refusals[i].outcome});
        expect_error(etcd_ask(kit, "KV/Put", &request.base), refusals[i].status, refusals[i].text);
        expect_error(etcd_ask(kit, "KV/Put", &request.base), GRPC_OK, "");
    }
    etcd_kit_free(kit);
}

static void a_read_that_fails_is_told(void)
{
    static const struct {
        int outcome, status;
        const char *text;
    } failures[] = {
        {STORE_COMPACTED, GRPC_OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"},
        {STORE_FUTURE_REVISION, GRPC_OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"},
        {-ENOMEM, GRPC_RESOURCE_EXHAUSTED, "etcdserver: too many requests"},
    };
    struct etcd_kit *kit = etcd_kit_new();
    put(kit, "k", "1");
    Etcdserverpb__RangeRequest request = range_request("k", "");
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        fault_store_clear(kit->faulty);
        fault_store_add(kit->faulty, &(struct fault){.kind = FAULT_RANGE, .times = 1, .outcome = failures[i].outcome});
        expect_error(etcd_ask(kit, "KV/Range", &request.base), failures[i].status, failures[i].text);
        expect_int(range(kit, &request)->count, 1);
    }
    etcd_kit_free(kit);
}

static void a_client_that_leaves_before_the_answer_harms_nobody(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = etcd_bytes("k");
    fake_store_hold(kit->store, true);
    struct etcd_call *gone = etcd_ask(kit, "KV/Put", &request.base);
    struct etcd_call *late = etcd_ask(kit, "KV/Put", &request.base);
    expect_int(gone->status, ETCD_NO_STATUS);
    etcd_abort(gone);
    fake_store_hold(kit->store, false);
    etcd_kit_run(kit);
    expect_int(late->status, GRPC_OK);
    expect_int(gone->body.len, 0);
    Etcdserverpb__PutResponse *answer = etcd_hear(late, &etcdserverpb__put_response__descriptor);
    expect_int(answer->header->revision, 3); /* both were done */
    etcd_kit_free(kit);
}

/* The client's deadline passes first: grpc.c has ended the call when the store answers. */
static void an_answer_after_the_deadline_is_thrown_away(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = etcd_bytes("k");
    fake_store_hold(kit->store, true);
    struct etcd_call *call = etcd_ask(kit, "KV/Put", &request.base);
    struct grpc_call *grpc = call->exchange.state;
    grpc_finish(grpc, GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
    fake_store_hold(kit->store, false);
    etcd_kit_run(kit);
    expect_error(call, GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
    expect_int(call->body.len, 0);
    etcd_kit_free(kit);
}

static const struct test_case cases[] = {
    {"a version of the API must be a text", a_version_of_the_api_must_be_a_text},
    {"a put is answered with header and previous pair", a_put_is_answered_with_header_and_previous_pair},
    {"a range tells pairs, count and more", a_range_tells_pairs_count_and_more},
    {"everything is a range from zero to zero", everything_is_a_range_from_zero_to_zero},
    {"old revisions are read, until they are compacted", old_revisions_are_read_and_the_header_is_of_now},
    {"a deletion tells how many and which", a_deletion_tells_how_many_and_which},
    {"a transaction answers with the branch it took", a_transaction_answers_with_its_branch},
    {"bad puts get their error", bad_puts_get_their_error},
    {"bad transactions get their error", bad_transactions_get_their_error},
    {"requests beyond 1.5 MiB are refused", requests_beyond_the_limit_are_refused},
    {"what is no message gets its error on every method", what_is_no_message_gets_its_error_on_every_method},
    {"whatever the store refuses is told in etcd's words", what_the_store_refuses_is_told},
    {"a read that fails is told", a_read_that_fails_is_told},
    {"a client that leaves before the answer harms nobody", a_client_that_leaves_before_the_answer_harms_nobody},
    {"an answer after the deadline is thrown away", an_answer_after_the_deadline_is_thrown_away},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
