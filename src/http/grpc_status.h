/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of gRPC over HTTP/2 that are not messages: status codes, and how their texts and deadlines are written in
 * header fields. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/time.h"

/* Numbers are the protocol's. */
#define GRPC_STATUSES(X)                                                                                               \
    X(OK, 0)                                                                                                           \
    X(CANCELLED, 1)                                                                                                    \
    X(UNKNOWN, 2)                                                                                                      \
    X(INVALID_ARGUMENT, 3)                                                                                             \
    X(DEADLINE_EXCEEDED, 4)                                                                                            \
    X(NOT_FOUND, 5)                                                                                                    \
    X(ALREADY_EXISTS, 6)                                                                                               \
    X(PERMISSION_DENIED, 7)                                                                                            \
    X(RESOURCE_EXHAUSTED, 8)                                                                                           \
    X(FAILED_PRECONDITION, 9)                                                                                          \
    X(ABORTED, 10)                                                                                                     \
    X(OUT_OF_RANGE, 11)                                                                                                \
    X(UNIMPLEMENTED, 12)                                                                                               \
    X(INTERNAL, 13)                                                                                                    \
    X(UNAVAILABLE, 14)                                                                                                 \
    X(DATA_LOSS, 15)                                                                                                   \
    X(UNAUTHENTICATED, 16)

enum grpc_status {
#define X(name, number) GRPC_##name = number,
    GRPC_STATUSES(X)
#undef X
};

/* "NOT_FOUND"; "" for a number nobody knows. */
const char *grpc_status_name(enum grpc_status status);

/* The status of HTTP that says about the same. */
unsigned grpc_status_http(enum grpc_status status);

/* Appends the text as grpc-message wants it: bytes other than printable ASCII, and '%', as %XX. 0, or buf's error. */
int grpc_message_encode(struct slice text, struct buf *buf);

/* The value of grpc-timeout: at most 8 digits and a unit (H, M, S, m, u, n). 0, or -EINVAL. */
int grpc_timeout_parse(struct slice text, nsec_t *ret_timeout_ns);
