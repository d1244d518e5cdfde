/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP/2 server connection (h2_session_new is declared in session.h), as its own files see it:
 *
 *     h2_session.c     life: reading and sending, deadlines, drain, the end
 *     h2_callbacks.c   what nghttp2 tells: frames and header blocks that came, frames that went
 *     h2_stream.c      one stream and its exchange: what a front end calls
 *     h2_request.c     a header block becomes a request
 *     h2_io.c          nghttp2 opened, bytes in and out
 *     h2_guard.c       how much abuse is borne
 *
 * How an event goes: bytes are received into nghttp2, whose callbacks hand requests and body to the front ends and note
 * what they answer; then everything goes out in one send; then news is settled (exchanges that ended are closed,
 * writers that waited are called). What is written outside of this, by timers or mail, is sent once at the end of the
 * turn.
 *
 * Invariants:
 * 1. A front end is called from two places only: a callback of nghttp2 (on_request, on_body, on_end) and the settling
 *    of news. No call that a front end makes calls it back.
 * 2. nghttp2 is never run from its own callbacks (is_busy).
 * 3. Streams are freed by settling, or with the session.
 */
#pragma once

#include "base/buf.h"
#include "http/h2_guard.h"
#include "http/session.h"

#include <nghttp2/nghttp2.h>

struct h2_stream;

struct h2_session {
    struct session session;
    nghttp2_session *ng;
    struct list streams; /* all */
    struct list news;    /* those that have something to settle */
    unsigned n_streams;
    struct h2_guard guard;
    struct buf block;      /* the header block that is being received; at most one is at any time */
    size_t n_queued;       /* bytes of answers that flow control holds back, all streams together */
    size_t n_unsent;       /* bytes that the peer did not take, when we last looked */
    nsec_t received_ns;    /* when bytes last came */
    nsec_t blocked_ns;     /* when the peer last took something of n_unsent; NSEC_NEVER when nothing waits */
    nsec_t block_began_ns; /* NSEC_NEVER when no header block is being received */
    nsec_t reset_ns;       /* when we last reset a stream; 0 before that */
    nsec_t pinged_ns;      /* when we asked whether the peer is alive; NSEC_NEVER when we do not wonder */
    nsec_t drain_began_ns; /* NSEC_NEVER but between the two steps of a drain */
    int error;             /* the first failure after which nothing can be said any more */
    bool is_busy : 1;      /* nghttp2 is running */
    bool is_draining : 1;
    bool is_done : 1;          /* the connection was told */
    bool block_is_too_big : 1; /* fields were left out */
};

/* Pings of ours, told apart by their payload. */
enum h2_ping {
    H2_PING_LIVENESS = 1,
    H2_PING_DRAIN = 2,
};

static inline const struct http_server_options *h2_session_options(const struct h2_session *session)
{
    return http_connection_options(session->session.connection);
}

static inline struct loop *h2_session_loop(const struct h2_session *session)
{
    return http_connection_loop(session->session.connection);
}

static inline nsec_t h2_session_now(const struct h2_session *session)
{
    return loop_now(h2_session_loop(session));
}

/* Sees to it that what was written is sent, and news settled, before the turn ends. */
void h2_session_schedule(struct h2_session *session);

/* Sends now, unless nghttp2 is running (then it is sent right afterwards). */
void h2_session_flush(struct h2_session *session);

/* Remembers the failure of a call of nghttp2; the connection ends at the next settling. Passes the result through. */
int h2_session_check(struct h2_session *session, int ng_result);

/* Takes the price of an offence; an empty account ends the connection with ENHANCE_YOUR_CALM. */
void h2_session_charge(struct h2_session *session, enum h2_offence offence);

/* The second step of a drain: what has begun may end, nothing else is accepted. */
void h2_session_end_drain(struct h2_session *session);

/* Makes session->ng. 0 or -ENOMEM. */
int h2_io_open(struct h2_session *session);

/* Gives nghttp2 bytes; failures are in session->error. */
void h2_io_feed(struct h2_session *session, struct slice bytes);

/* Receives until there is no more, or until the peer should read first. True when the peer has sent its last byte. */
bool h2_io_receive(struct h2_session *session);

/* Sends what there is to send; does nothing when nghttp2 is running. */
void h2_io_send(struct h2_session *session);

/* True when nghttp2 has nothing more to say or to hear, and all is sent. */
bool h2_io_is_over(const struct h2_session *session);

/* Sets the callbacks of h2_callbacks.c. */
void h2_callbacks_set(nghttp2_session_callbacks *callbacks);
