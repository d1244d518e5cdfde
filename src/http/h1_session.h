/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of an HTTP/1 server session, shared by h1_session.c, which reads requests and moves the state machine, and
 * h1_exchange.c, which writes answers. Others use session.h.
 */
#pragma once

#include "http/exchange_impl.h"
#include "http/session.h"

/*
 * One request at a time:
 *
 *     HEAD -> BODY -> ANSWER -> HEAD      read, then answered
 *             BODY -> DRAIN  -> HEAD      answered before the body was read
 *     BODY, ANSWER -> TUNNEL              another protocol is spoken (h1_tunnel.c)
 *     any -> OVER
 *
 * Which of them, and when, is decided in h1_session.c alone.
 */
enum h1_state {
    H1_HEAD,   /* between requests, or inside a head */
    H1_BODY,   /* the body goes to the front end */
    H1_ANSWER, /* the body is complete, the answer is not */
    H1_DRAIN,  /* the answer is complete, the rest of the body is thrown away */
    H1_TUNNEL, /* bytes are passed on, both ways */
    H1_OVER,   /* http_connection_done was called */
};

/* How far the answer is, and how its body is delimited. */
enum h1_answer {
    H1_ANSWER_NONE,
    H1_ANSWER_LENGTH,  /* by a promised length, of which answer_left is to come */
    H1_ANSWER_CHUNKED, /* by chunks */
    H1_ANSWER_CLOSE,   /* by closing, to an HTTP/1.0 client */
    H1_ANSWER_NO_BODY, /* what is written is left out: HEAD, 204, 304 */
    H1_ANSWER_DONE,
};

/* What the client is to do, no slower than options->rate_min_bytes. */
enum h1_pace {
    H1_PACE_NONE,  /* nothing */
    H1_PACE_TAKES, /* take what is unsent */
    H1_PACE_SENDS, /* send the rest of its body */
};

struct h1_session {
    struct session session;
    struct exchange exchange; /* the running one, while is_running */
    struct http1_body body;   /* of its request */
    struct h1_tunnel *tunnel; /* once the protocol was switched; else NULL */
    struct buf *held;         /* input that waits: an incomplete head, or requests behind the running one; else NULL */
    uint64_t answer_left;     /* see h1_answer; in H1_DRAIN: how much may still be thrown away */
    uint32_t answer_timeout_ms; /* UINT32_MAX: never */
    uint8_t state : 4;          /* enum h1_state */
    uint8_t pace : 4;           /* enum h1_pace that the deadline is set for */
    uint8_t answer;             /* enum h1_answer */
    bool is_running : 1;        /* from on_request to on_close */
    bool is_head : 1;           /* the request is HEAD */
    bool is_http10 : 1;         /* the request is HTTP/1.0 */
    bool keep_alive : 1;        /* another request may follow */
    bool expecting : 1;         /* the client waits for 100 … */
    bool holds_continue : 1;    /* … which the front end says */
    bool may_switch : 1;        /* the request asks for another protocol */
    bool paused : 1;            /* the front end takes no body now */
    bool writer_waits : 1;      /* the front end waits for on_drain … */
    bool pipe_waits : 1;        /* … with bytes in a pipe that the client does not take */
    bool aborted : 1;           /* the front end gave the exchange up */
    bool in_tick : 1;
    bool searched : 1;   /* what is held is an incomplete head */
    bool blocked : 1;    /* something is unsent: the send deadline counts */
    bool progressed : 1; /* the deadline is to be moved */
};

extern const struct exchange_ops h1_exchange_ops;

/* Rounded up to milliseconds. */
void h1_set_answer_timeout(struct h1_session *h1, nsec_t timeout_ns);

/* Moves the deadline to where it belongs in the present state; a client that goes on with what it does earns it. */
void h1_move_deadline(struct h1_session *h1);
/* The client has moved n bytes of what it is to do, if that is it. */
void h1_earn(struct h1_session *h1, enum h1_pace pace, size_t n);

/* h1_tunnel.c: takes options->other over. 0 or -ENOMEM. */
int h1_tunnel_new(struct h1_session *h1, const struct tunnel *options, struct h1_tunnel **ret_tunnel);
void h1_tunnel_free(struct h1_tunnel *tunnel);
/* Bytes of the client that were read before. 0 or a negative errno. */
int h1_tunnel_take(struct h1_tunnel *tunnel, struct slice bytes);
/*
 * Passes on what there is. The session is woken when there is more to do. Outcomes, or a negative errno when one side
 * is broken.
 */
enum h1_tunnel_outcome {
    H1_TUNNEL_STILL = 0, /* nothing moved */
    H1_TUNNEL_MOVED,
    H1_TUNNEL_OVER, /* both sides have ended, and it was passed on */
};
int h1_tunnel_move(struct h1_tunnel *tunnel);
/* Nothing more comes: tells the other side, unless something still waits for it. */
void h1_tunnel_end(struct h1_tunnel *tunnel);

/* A short answer in plain text that closes the connection, for what is refused. text: NULL in answer to HEAD. */
void h1_put_refusal(struct http_connection *connection, unsigned status, const char *text);
