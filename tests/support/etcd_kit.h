/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The etcd front end on a store in memory, with clients that have no connection: calls are exchanges which the test
 * plays. Messages are protobuf-c's, so that its opinion of the protocol is held against ours.
 *
 *     struct etcd_kit *kit = etcd_kit_new();
 *     struct etcd_call *call = etcd_ask(kit, "KV/Put", &put.base);
 *     expect_int(call->status, GRPC_OK);
 *     Etcdserverpb__PutResponse *answer = etcd_hear(call, &etcdserverpb__put_response__descriptor);
 *     etcd_kit_free(kit);
 */
#pragma once

#include "fronts/etcd/etcd.h"
#include "fronts/etcd/rpc.pb-c.h"
#include "fronts/system_view.h"
#include "http/grpc.h"
#include "store/fault/fault.h"
#include "support/fake_store.h"
#include "support/sim.h"
#include "support/test.h"

#define ETCD_NO_STATUS (-1)

struct etcd_kit {
    struct rcu_domain rcu;
    struct sim *sim;
    struct loop *loop;
    struct store *store;
    struct store *faulty; /* what the front end sees of it: with what a test lets go wrong (fault_store_add) */
    struct stream *stream, *far_stream; /* said to be below every call */
    struct system_listener listeners[3];
    struct system_facts facts;
    struct system_view system;
    struct access access;
    void *front;
    struct list calls;
};

struct etcd_call {
    struct exchange exchange; /* first */
    struct http_request request;
    struct http_fields fields;
    struct list link;
    struct etcd_kit *kit;
    struct buf body;   /* of the answer */
    size_t heard;      /* bytes of it that etcd_hear has given */
    int status;        /* grpc-status; ETCD_NO_STATUS while the call runs */
    char message[256]; /* grpc-message */
    char path[64];
    struct peer peer;
    bool is_full;   /* set by the test: writes are taken, but said to be too many */
    bool is_broken; /* set by the test: writes fail */
    bool is_paused; /* by the front end */
    bool is_closed;
    size_t n_written_full;                 /* messages taken while it was full */
    ProtobufCMessage *heard_messages[256]; /* freed with the call */
    unsigned n_heard;
};

/* 0 or -ENOMEM. */
int etcd_kit_try_new(struct etcd_kit **ret_kit);
struct etcd_kit *etcd_kit_new(void);
/* Closes what is open. */
void etcd_kit_free(struct etcd_kit *kit);

/* Everything that can happen now happens; and all of duration_ns. */
void etcd_kit_run(struct etcd_kit *kit);
void etcd_kit_run_for(struct etcd_kit *kit, nsec_t duration_ns);

/* Begins a call of "KV/Put", or of "/v3lockpb.Lock/Lock" in full. It is freed with the kit. */
struct etcd_call *etcd_call_new(struct etcd_kit *kit, const char *method);
/* The same in two steps, for tests of failing allocations: the first one is the kit's own. */
struct etcd_call *etcd_call_prepare(struct etcd_kit *kit, const char *method);
void etcd_call_open(struct etcd_call *call);
/* In between: a field of the request's head. Both must stay. */
void etcd_call_add_field(struct etcd_call *call, const char *name, const char *value);
/* Sends a message; bytes as they are. */
void etcd_say(struct etcd_call *call, const ProtobufCMessage *message);
void etcd_say_bytes(struct etcd_call *call, struct slice message);
/* The client has said all. */
void etcd_end(struct etcd_call *call);
/* The client goes away. */
void etcd_abort(struct etcd_call *call);
/* The client reads again. */
void etcd_drain(struct etcd_call *call);

/* A whole call with one message. */
struct etcd_call *etcd_ask(struct etcd_kit *kit, const char *method, const ProtobufCMessage *message);

/* The same by one who shows a token; NULL: none. Waits for the end of the call, also when other threads work on it. */
struct etcd_call *etcd_ask_as(struct etcd_kit *kit, const char *token, const char *method,
                              const ProtobufCMessage *message);

/* The next message of the answer, which must be there; NULL: there is none. It lives as long as the call. */
void *etcd_hear(struct etcd_call *call, const ProtobufCMessageDescriptor *type);

/* The call ended with this error. */
#define expect_error(call, code, text)                                                                                 \
    do {                                                                                                               \
        const struct etcd_call *refused = (call);                                                                      \
        expect_int(refused->status, code);                                                                             \
        expect_str(refused->message, text);                                                                            \
    } while (0)

static inline ProtobufCBinaryData etcd_bytes(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

#define expect_data(binary, expected) expect_slice(slice_from((binary).data, (binary).len), expected)
