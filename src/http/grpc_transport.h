/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For those who implement how calls travel: gRPC's own framing (grpc_framed.c) and JSON (grpc_json.c). A transport
 * embeds the call, reads the head of the request, and gives the call these; grpc.c does the rest. Front ends never
 * include this.
 */
#pragma once

#include "http/grpc.h"

struct grpc_transport {
    /*
     * Takes the next message off the bytes that came in. False: all of them are taken and there is no message in them,
     * or they are refused and the call is finished. The message is valid until the next call and as long as the bytes
     * are.
     */
    bool (*next)(struct grpc_call *call, struct slice *bytes, struct slice *ret_message);
    /* Keeps bytes for later, when the front end wants no messages now. */
    void (*hold)(struct grpc_call *call, struct slice bytes);
    /* The client has sent all: whether that is a good end. If not, the call is finished. */
    bool (*end)(struct grpc_call *call);
    /* As grpc_send; the call is not finished. */
    int (*send)(struct grpc_call *call, struct slice message);
    /* Ends the answer. Called once. */
    void (*send_status)(struct grpc_call *call, enum grpc_status status, const char *text);
    void (*free)(struct grpc_call *call);
};

/* NULL when the service has none of that path. */
const struct grpc_method *grpc_find_method(const struct grpc_service *service, struct slice path);

/* The call, which is zeroed, becomes the exchange's app; from now on it is freed by its transport's `free`. */
void grpc_call_init(struct grpc_call *call, const struct grpc_transport *transport, const struct grpc_method *method,
                    void *ctx, struct exchange *exchange);

/* What grpc-timeout in the head says, if anything, holds. 0, or -EINVAL: it is malformed. */
int grpc_call_read_timeout(struct grpc_call *call);

/* Tells the front end of the call. When it is not called, the call must have been finished. */
void grpc_call_open(const struct grpc_service *service, struct grpc_call *call);

/* The value of a field of the request's head, empty when it is not there; in on_request only. */
struct slice grpc_field_value(const struct exchange *exchange, enum http_field_id id);
