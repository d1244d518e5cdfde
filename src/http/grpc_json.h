/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC methods for clients that speak JSON over plain HTTP, as the gateway in front of gRPC servers has made it custom:
 * a POST whose body is the request, and an answer whose body is the reply. The methods are the same as for grpc_serve
 * and notice no difference.
 *
 * A method with one answer gives it as the body. A stream of answers is a body without an end, of one line for each:
 * {"result":{…}}. A client's stream of messages is objects one after the other. An empty body is the message in which
 * nothing is set; what follows the one message of a method is not looked at.
 *
 * An error has the HTTP status that goes with the code, and as its body {"error","message","code","details"}; in a
 * stream that has begun it is the last line, {"error":{"message","code",…}}.
 */
#pragma once

#include "http/grpc.h"

#include <protobuf-c/protobuf-c.h>

struct grpc_json_route {
    struct slice path;   /* "kv/range", behind what the front end has as its prefix */
    struct slice method; /* "/etcdserverpb.KV/Range" */
    const ProtobufCMessageDescriptor *request, *answer;
};

struct grpc_json_service {
    const struct grpc_service *service;
    const struct grpc_json_route *routes;
    unsigned n_routes;
};

/*
 * Takes over the exchange, in on_request. `path` is what the request's path has behind the prefix. The service is
 * static; `ctx` outlives its calls.
 */
void grpc_json_serve(const struct grpc_json_service *service, void *ctx, struct slice path, struct exchange *exchange);
