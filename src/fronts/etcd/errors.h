/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be wrong with a call, in etcd's words: clients compare these texts, so each is exactly what etcd says.
 */
#pragma once

#include "http/grpc.h"
#include "store/store.h"

#define ETCD_ERRORS(X)                                                                                                 \
    X(OK, OK, "")                                                                                                      \
    X(EMPTY_KEY, INVALID_ARGUMENT, "etcdserver: key is not provided")                                                  \
    X(KEY_NOT_FOUND, INVALID_ARGUMENT, "etcdserver: key not found")                                                    \
    X(VALUE_PROVIDED, INVALID_ARGUMENT, "etcdserver: value is provided")                                               \
    X(LEASE_PROVIDED, INVALID_ARGUMENT, "etcdserver: lease is provided")                                               \
    X(TOO_MANY_OPS, INVALID_ARGUMENT, "etcdserver: too many operations in txn request")                                \
    X(DUPLICATE_KEY, INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request")                               \
    X(INVALID_SORT, INVALID_ARGUMENT, "etcdserver: invalid sort option")                                               \
    X(INVALID_VERSION, INVALID_ARGUMENT, "etcdserver: invalid client api version")                                     \
    X(TOO_LARGE, INVALID_ARGUMENT, "etcdserver: request is too large")                                                 \
    X(BAD_MEMBER_URLS, INVALID_ARGUMENT, "etcdserver: given member URLs are invalid")                                  \
    X(BAD_DOWNGRADE, INVALID_ARGUMENT, "etcdserver: invalid downgrade target version")                                 \
    X(USER_EMPTY, INVALID_ARGUMENT, "etcdserver: user name is empty")                                                  \
    X(ROLE_EMPTY, INVALID_ARGUMENT, "etcdserver: role name is empty")                                                  \
    X(AUTH_FAILED, INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password")                 \
    X(NO_PERMISSION_GIVEN, INVALID_ARGUMENT, "etcdserver: permission not given")                                       \
    X(INVALID_AUTH_MGMT, INVALID_ARGUMENT, "etcdserver: invalid auth management")                                      \
    X(BAD_PASSWORD, INVALID_ARGUMENT, "etcdserver: a password has at most 72 bytes, and no zero byte")                 \
    X(BAD_HASH, INVALID_ARGUMENT, "etcdserver: the hashed password is not a bcrypt hash in base64")                    \
    X(AUTH_OLD_REVISION, INVALID_ARGUMENT, "etcdserver: revision of auth store is old")                                \
    X(COMPACTED, OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")                               \
    X(FUTURE_REVISION, OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision")                       \
    X(TTL_TOO_LARGE, OUT_OF_RANGE, "etcdserver: too large lease TTL")                                                  \
    X(NO_SPACE, RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")                                       \
    X(TOO_MANY_REQUESTS, RESOURCE_EXHAUSTED, "etcdserver: too many requests")                                          \
    X(LEASE_NOT_FOUND, NOT_FOUND, "etcdserver: requested lease not found")                                             \
    X(MEMBER_NOT_FOUND, NOT_FOUND, "etcdserver: member not found")                                                     \
    X(LEASE_EXISTS, FAILED_PRECONDITION, "etcdserver: lease already exists")                                           \
    X(TOO_FEW_MEMBERS, FAILED_PRECONDITION, "etcdserver: re-configuration failed due to not enough started members")   \
    X(NO_LEARNER, FAILED_PRECONDITION, "etcdserver: can only promote a learner member")                                \
    X(BAD_TRANSFEREE, FAILED_PRECONDITION, "etcdserver: bad leader transferee")                                        \
    X(NO_DOWNGRADE, FAILED_PRECONDITION, "etcdserver: no inflight downgrade job")                                      \
    X(NO_ROOT_USER, FAILED_PRECONDITION, "etcdserver: root user does not exist")                                       \
    X(NO_ROOT_ROLE, FAILED_PRECONDITION, "etcdserver: root user does not have root role")                              \
    X(USER_EXISTS, FAILED_PRECONDITION, "etcdserver: user name already exists")                                        \
    X(USER_NOT_FOUND, FAILED_PRECONDITION, "etcdserver: user name not found")                                          \
    X(ROLE_EXISTS, FAILED_PRECONDITION, "etcdserver: role name already exists")                                        \
    X(ROLE_NOT_FOUND, FAILED_PRECONDITION, "etcdserver: role name not found")                                          \
    X(ROLE_NOT_GRANTED, FAILED_PRECONDITION, "etcdserver: role is not granted to the user")                            \
    X(PERMISSION_NOT_GRANTED, FAILED_PRECONDITION, "etcdserver: permission is not granted to the role")                \
    X(AUTH_NOT_ENABLED, FAILED_PRECONDITION, "etcdserver: authentication is not enabled")                              \
    X(INVALID_TOKEN, UNAUTHENTICATED, "etcdserver: invalid auth token")                                                \
    X(PERMISSION_DENIED, PERMISSION_DENIED, "etcdserver: permission denied")                                           \
    X(NO_LEADER_KEY, UNKNOWN, "\"leader\" field must be provided")                                                     \
    X(NOT_LEADER, UNKNOWN, "election: not leader")                                                                     \
    X(NO_ELECTED, UNKNOWN, "election: no leader")                                                                      \
    X(SESSION_EXPIRED, UNKNOWN, "mutex: session is expired")                                                           \
    X(SNAPSHOT_FAILED, INTERNAL, "the snapshot could not be written: see the log of muster")                           \
    X(STOPPED, UNAVAILABLE, "etcdserver: server stopped")                                                              \
    X(MALFORMED, INTERNAL, "grpc: error unmarshalling request: the message is malformed")

enum etcd_error {
#define X(name, code, text) ETCD_##name,
    ETCD_ERRORS(X)
#undef X
};

const char *etcd_error_text(enum etcd_error error);
enum grpc_status etcd_error_status(enum etcd_error error);

/* What the store said, in these words. */
enum etcd_error etcd_error_from(enum store_outcome outcome);

/* Ends the call with the error. */
void etcd_refuse(struct grpc_call *call, enum etcd_error error);
/* The same for Lock and Election, where etcd gives the words without their code: UNKNOWN. */
void etcd_refuse_unknown(struct grpc_call *call, enum etcd_error error);
