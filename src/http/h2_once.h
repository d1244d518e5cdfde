/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request by HTTP/2 to a server that is known to speak it, on a connection that is used for nothing else: for gRPC
 * calls that the registry makes by itself.
 *
 *     h2_once_start                  on a stream that is open, or still connecting
 *       -> on_field *                the response's fields, then those of its trailers
 *       -> on_body *                 pieces of its body, between the two
 *       -> on_done                   exactly once, unless it was freed before
 *
 * Callbacks come from events of the stream, never from inside a function below; h2_once_free may be called in on_done,
 * not in the others. No deadline: that is the owner's.
 *
 * What a server can make us take is bounded: H2_ONCE_BYTES_MAX in all, of body as much as a window that is never opened
 * further (64 KB), of fields as much as a frame. What is not as RFC 9113 wants it ends the call.
 */
#pragma once

#include "http/exchange.h"
#include "io/stream.h"

#define H2_ONCE_BYTES_MAX ((size_t)256 * 1024)

struct h2_once;

struct h2_once_events {
    void (*on_field)(void *owner, struct slice name, struct slice value);
    void (*on_body)(void *owner, struct slice bytes);
    /*
     * 0: the response is complete, with this status. Else -ECONNRESET (closed or reset before that), -EBADMSG (`fault`
     * says what is wrong with it; static), -ENOMEM, or another -errno of the stream; status 0.
     */
    void (*on_done)(void *owner, int result, unsigned status, const char *fault);
};

struct h2_once_request {
    struct slice method, scheme, authority, target;
    const struct header *headers; /* lower case, short */
    unsigned n_headers;
    struct slice body; /* at most H2_FRAME_BYTES_MAX */
};

/*
 * Takes the stream over: its events are ours from now on. The request's slices are not needed afterwards. 0 or -ENOMEM:
 * then the stream is closed.
 */
int h2_once_start(struct stream *stream, const struct h2_once_request *request, const struct h2_once_events *events,
                  void *owner, struct h2_once **ret_once);
/* Something of the request was handed to the system. */
bool h2_once_was_sent(const struct h2_once *once);
/* Closes the stream. Accepts NULL. */
void h2_once_free(struct h2_once *once);
