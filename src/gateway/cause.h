/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why the gateway itself answered, or gave up, instead of passing on what an instance said: the status, the word for it
 * in Proxy-Status (RFC 9209), and words for people. One list, for answers, logs, metrics and `muster why`. What is
 * there but not for this client (NOT_EXPOSED) is told to him in the same words as what is not.
 */
#pragma once

#include "base/slice.h"

/* X(name, status, error of Proxy-Status, words) */
#define CAUSES(X)                                                                                                      \
    X(NONE, 0, "", "")                                                                                                 \
    X(NO_ROUTE, 404, "destination_not_found", "no route and no service for this path")                                 \
    X(NOT_EXPOSED, 404, "destination_not_found", "no route and no service for this path")                              \
    X(BAD_PATH, 400, "http_request_error", "the path can be read in two ways")                                         \
    X(BAD_METHOD, 405, "http_request_error", "the gateway does not serve this method")                                 \
    X(BAD_UPGRADE, 400, "http_request_error", "an upgrade with a request body")                                        \
    X(LOOP, 508, "proxy_loop_detected", "the request has been through this gateway before")                            \
    X(BODY_TOO_LARGE, 413, "http_request_error", "the request body is larger than this service takes")                 \
    X(TOO_MANY_REQUESTS, 429, "http_request_denied", "too many requests from this address")                            \
    X(NO_INSTANCE, 503, "destination_unavailable", "No backend entry in the service registry")                         \
    X(QUEUE_FULL, 503, "connection_limit_reached", "too many requests wait for this service")                          \
    X(QUEUE_TIMEOUT, 503, "connection_limit_reached", "the request waited too long for its turn")                      \
    X(CONNECT_REFUSED, 502, "connection_refused", "the instance refused the connection")                               \
    X(CONNECT_TIMEOUT, 504, "connection_timeout", "the instance did not take the connection in time")                  \
    X(CONNECT_FAILED, 502, "destination_ip_unroutable", "the instance could not be reached")                           \
    X(TLS_FAILED, 502, "tls_protocol_error", "the TLS handshake with the instance failed")                             \
    X(TLS_CERTIFICATE, 502, "tls_certificate_error", "the instance's certificate was refused")                         \
    X(TERMINATED, 502, "connection_terminated", "the instance closed the connection before it answered")               \
    X(RESPONSE_TIMEOUT, 504, "http_response_timeout", "the instance did not answer in time")                           \
    X(BAD_RESPONSE, 502, "http_protocol_error", "the instance's answer is not valid HTTP")                             \
    X(INCOMPLETE, 502, "http_response_incomplete", "the instance's answer broke off")                                  \
    X(REMOVED, 503, "destination_unavailable", "the instance was removed while the request waited for it")             \
    X(TUNNEL_CUT, 0, "", "the instance was removed, which ended the tunnel to it")                                     \
    X(NO_DESCRIPTOR, 503, "proxy_internal_error", "the gateway has no descriptor left to connect to an instance")      \
    X(INTERNAL, 503, "proxy_internal_error", "the gateway is out of memory or local ports")                            \
    X(CLIENT_GONE, 0, "", "the client went away")                                                                      \
    X(CLIENT_SLOW, 0, "", "the client sent or read too slowly")                                                        \
    X(STOPPED, 0, "", "the gateway was stopped")

enum cause {
#define X(name, status, error, text) CAUSE_##name,
    CAUSES(X)
#undef X
        CAUSES_
};

/* Static. */
unsigned cause_status(enum cause cause);
struct slice cause_error(enum cause cause); /* "connection_refused" */
struct slice cause_text(enum cause cause);
struct slice cause_name(enum cause cause); /* "CONNECT_REFUSED", for logs and metrics */

/* It is the gateway that lacks something, which says nothing about the instance. */
bool cause_is_ours(enum cause cause);

/* What a failed call or connection means. was_open: there was a connection, and TLS was agreed. */
enum cause cause_of_errno(int result, bool was_open);
