/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of JSON-RPC 2.0, each on one line. Pure: bytes in, values out. Batches are refused.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdint.h>

#define RPC_METHOD_MAX 256 /* bytes of a name */

enum rpc_code {
    RPC_PARSE_ERROR = -32700,
    RPC_INVALID_REQUEST = -32600,
    RPC_UNKNOWN_METHOD = -32601,
    RPC_INVALID_PARAMS = -32602,
    RPC_INTERNAL_ERROR = -32603,
    RPC_BUSY = -32000 /* of the range that is the server's own */
};

/*
 * Any JSON value, on one line and without blanks, as it may stand in a message; the caller frees it. 0; -EINVAL with
 * words; -ENOMEM.
 */
int rpc_normalise(struct slice text, size_t limit, char **ret_line, struct err *err);

/* A request with the id 1. `params` is a normalised object or array, or empty. Errors are the buf's. */
void rpc_write_request(struct buf *out, const char *method, struct slice params);

/* `id` as in struct rpc_request, NULL: null. `result` is normalised. */
void rpc_write_result(struct buf *out, const char *id, struct slice result);
void rpc_write_error(struct buf *out, const char *id, int64_t code, const char *message);

struct rpc_request {
    char *method;
    char *params; /* JSON on one line; "null" when there were none */
    char *id;     /* the same, a string or a number; NULL: a notification, which is not answered */
};

/*
 * 0; -EINVAL: then ret_code is what to answer, with the words of err, and ret_request->id may be there; -ENOMEM.
 * Whatever it returns, rpc_request_deinit frees what was given.
 */
int rpc_read_request(struct slice text, size_t limit, struct rpc_request *ret_request, enum rpc_code *ret_code,
                     struct err *err);
void rpc_request_deinit(struct rpc_request *request);

struct rpc_reply {
    char *result; /* JSON on one line; NULL: it is an error */
    int64_t code;
    char *message;
};

/* The reply to a request with the id 1. 0; -EPROTO with words: it is none; -ENOMEM. */
int rpc_read_reply(struct slice text, size_t limit, struct rpc_reply *ret_reply, struct err *err);
void rpc_reply_deinit(struct rpc_reply *reply);
