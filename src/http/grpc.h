/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC calls on exchanges, server side. A front end describes its methods in a table and hands its exchanges over:
 *
 *     static const struct grpc_method methods[] = {
 *         {.path = SLICE_LIT("/etcdserverpb.KV/Put"), .on_message = put},
 *         {.path = SLICE_LIT("/etcdserverpb.Watch/Watch"), .client_streams = true, .server_streams = true, …},
 *     };
 *     static const struct grpc_service service = {methods, ARRAY_LEN(methods), .max_message_bytes = 1024};
 *     grpc_serve(&service, instance, exchange);      in on_request
 *
 * Life of a call, on the thread of its connection:
 *
 *     on_open           the call is there; what must be read of the request's head is read here. May be NULL
 *       on_message *    each message of the client; exactly one unless client_streams
 *       on_end          the client has sent its last message (when client_streams)
 *     grpc_send *       at any time from on_open on, as many as the method has answers; then
 *     grpc_finish       the status. For methods with one answer grpc_reply is both
 *       on_drain        there is room again after grpc_send said EXCHANGE_FULL
 *       on_close        the last call, always, and exactly once; call->state is freed here. May be NULL
 *
 * The calls below never call back. What a client can do wrong is answered here with the status that the protocol wants;
 * its other calls go on.
 */
#pragma once

#include "http/exchange.h"
#include "http/grpc_status.h"

struct grpc_call;
struct grpc_transport; /* grpc_transport.h */

struct grpc_method {
    struct slice path;   /* "/package.Service/Method" */
    bool client_streams; /* any number of messages, else exactly one */
    bool server_streams; /* any number of answers; with either, the call may last for ever */
    unsigned access;     /* the front end's to use: what its `admit` asks of the caller */
    void (*on_open)(struct grpc_call *call);
    void (*on_message)(struct grpc_call *call, struct slice message);
    void (*on_end)(struct grpc_call *call);
    void (*on_drain)(struct grpc_call *call);
    void (*on_close)(struct grpc_call *call, enum exchange_end end);
};

struct grpc_service {
    const struct grpc_method *methods;
    unsigned n_methods;
    size_t max_message_bytes; /* of the client; longer: RESOURCE_EXHAUSTED */
    /*
     * Called first of all, when the request's head is there. False: it has finished the call, and none of the method's
     * callbacks comes. NULL: all are admitted.
     */
    bool (*admit)(struct grpc_call *call);
};

struct grpc_call {
    const struct grpc_method *method;
    struct exchange *exchange; /* its request is valid in on_open only */
    void *ctx;                 /* as given to grpc_serve */
    void *state;               /* the front end's to use */
    uint64_t caller;           /* the same: who calls, as `admit` has found; 0 at first */
    /* grpc.c's */
    const struct grpc_transport *transport;
    struct timer deadline;
    struct loop_task resume;
    bool is_open : 1;      /* the front end knows of it */
    bool is_finished : 1;  /* the status is sent, or the call is given up */
    bool is_paused : 1;    /* on_message must wait */
    bool has_message : 1;  /* one has come */
    bool is_received : 1;  /* the client has sent all */
    bool is_ended : 1;     /* … and that was dealt with */
    bool is_timed_out : 1; /* by the client's deadline */
};

/* Takes over the exchange, in on_request. `service` is static; `ctx` outlives its calls. */
void grpc_serve(const struct grpc_service *service, void *ctx, struct exchange *exchange);

/* Answers the exchange with an error instead, in on_request. */
void grpc_refuse(struct exchange *exchange, enum grpc_status status, const char *text);

/*
 * For a path that nobody serves, in on_request: answers a gRPC call with UNIMPLEMENTED, as its client makes little of a
 * 404. False, and nothing done: it is no gRPC call.
 */
bool grpc_refuse_unclaimed(struct exchange *exchange);

/* A message to the client. 0: go on; EXCHANGE_FULL: taken, but stop until on_drain; negative: on_close follows. */
int grpc_send(struct grpc_call *call, struct slice message);

/* Ends the call. text: for people, NULL for none. Harmless on a call that is finished already. */
void grpc_finish(struct grpc_call *call, enum grpc_status status, const char *text);
void grpc_finishf(struct grpc_call *call, enum grpc_status status, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The one answer of a method that has one: the message and GRPC_OK. */
void grpc_reply(struct grpc_call *call, struct slice message);

/* Stops and resumes on_message; the client is held back by flow control. */
void grpc_pause(struct grpc_call *call, bool paused);
