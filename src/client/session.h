/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's side of one connection that brings JSON-RPC requests: HTTP/1.1, or a request on each line. Pure: bytes
 * in, requests out, replies in, bytes out. One request at a time; what follows it waits until it is answered.
 *
 * HTTP: POST to the path of the options is a request. GET /heart-beat is answered with 200, and so are POST and DELETE
 * to /services, by which a hub tells of its changes.
 */
#pragma once

#include "base/buf.h"
#include "client/rpc.h"
#include "wire/http1.h"

struct session_options {
    bool is_line;
    const char *path; /* HTTP */
    size_t message_bytes;
};

enum session_step {
    SESSION_MORE,    /* more bytes must come */
    SESSION_REQUEST, /* session->request is to be answered by session_reply or session_fail */
    SESSION_BUSY,    /* it still is */
    SESSION_ENDED    /* nothing more is read; what is in `out` is the last */
};

struct session {
    const struct session_options *options;
    enum { SESSION_AT_START, SESSION_IN_BODY, SESSION_ANSWERING, SESSION_OVER } state;
    /* Set by whoever wants to close: the present request is the last, or the next one if none was there yet. */
    bool is_last;
    bool has_answered;
    struct buf in, out, body;
    size_t searched;
    struct http1_body framing;
    unsigned answer; /* of HTTP: the status that the whole request gets; 0: it is a call */
    bool is_head, keep_alive;
    struct rpc_request request;
};

/* The options must stay. */
void session_init(struct session *session, const struct session_options *options);
void session_deinit(struct session *session);

/* How many bytes may be given now. */
size_t session_room(const struct session *session);
/* 0 or -ENOMEM. */
int session_take(struct session *session, struct slice bytes);

/* Goes on with the bytes that are there; writes answers to `out`. An enum session_step, or -ENOMEM. */
int session_step(struct session *session);

/* True between requests, with nothing of the next one there. */
bool session_is_idle(const struct session *session);

/* Answers the request. `result` is normalised. 0 or -ENOMEM. */
int session_reply(struct session *session, struct slice result);
int session_fail(struct session *session, int64_t code, const char *message);
