/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its answer, as a front end sees it: the same over HTTP/1.1, HTTP/2 and TLS.
 *
 * Life of an exchange, on the thread of its connection:
 *
 *     handler->on_request         the head is there. Answer now, or set `app` and answer later.
 *       -> app->on_body  *        pieces of the body, in order (none when the front end answers in on_request)
 *       -> app->on_trailers       behind a body that had any
 *       -> app->on_end            the body is complete
 *     exchange_inform  *          1xx answers in front of it
 *     exchange_respond            the whole answer at once,   or
 *     exchange_begin, _write *, _end     the answer in pieces, as it comes,   or
 *     exchange_switch             another protocol from here on
 *       -> app->on_drain          after a write said "full": there is room again
 *       -> app->on_close          the last call, always, exactly once for an exchange that has an app: answered, or
 *                                 aborted by the client, a deadline or a shutdown (status says which)
 *
 * Without an app the exchange is over for the front end when on_request returns, and must have been answered.
 * request->… and its slices are valid during on_request only; a front end copies what must outlive it.
 * An answer before the body is complete is fine: what remains of the body is drained within limits, or the connection
 * is closed after the answer.
 *
 * The calls below never call back: what follows from them (on_drain, on_close, more of the body) comes in a later turn,
 * or when the callback that made them has returned. An exchange may be used from another exchange's callbacks.
 */
#pragma once

#include "http/carry.h"
#include "io/stream.h"

struct exchange;

enum exchange_end {
    EXCHANGE_DONE,     /* answered completely, as far as we can know */
    EXCHANGE_ABORTED,  /* the client went away or reset the stream */
    EXCHANGE_TIMEOUT,  /* a deadline passed */
    EXCHANGE_SHUTDOWN, /* the server is stopping */
};

/* All but on_close may be NULL: what they would tell is then of no interest. */
struct exchange_app {
    void (*on_body)(struct exchange *exchange, struct slice bytes);
    void (*on_end)(struct exchange *exchange);
    void (*on_drain)(struct exchange *exchange);
    void (*on_close)(struct exchange *exchange, enum exchange_end end);
    /*
     * In front of on_end. Those that could change how the message is delimited, routed or authorised are left out. The
     * slices are valid during the call.
     */
    void (*on_trailers)(struct exchange *exchange, const struct http_fields *trailers);
};

/* A field of an answer. Names are lower case. The server adds date, content-length and connection management. */
struct header {
    struct slice name, value;
};

struct exchange_ops; /* what HTTP/1.1 and HTTP/2 each implement; exchange_impl.h */

struct exchange {
    const struct exchange_ops *ops;
    const struct exchange_app *app; /* NULL until the front end sets it */
    void *state;                    /* the front end's to use */
    struct http_request *request;   /* valid during on_request only; NULL afterwards */
};

/* Where requests go. `ctx` is the handler's. */
struct exchange_handler {
    void (*on_request)(void *ctx, struct exchange *exchange);
    void *ctx;
};

/* The loop it lives on, for timers and mail. */
struct loop *exchange_loop(const struct exchange *exchange);
const struct peer *exchange_peer(const struct exchange *exchange);
/* The stream below, for what TLS knows (tls_peer_name). */
struct stream *exchange_stream(const struct exchange *exchange);

/*
 * The whole answer. Ends the exchange: without an app it is gone on return, with one on_close follows. Bodies of HEAD
 * answers are left out by the server, their length is not. Bytes in a header's value that could end it are sent as
 * blanks.
 */
void exchange_respond(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                      struct slice body);

/* The same with content-type text/plain and a body made from fmt, for short answers and errors. */
void exchange_respond_text(struct exchange *exchange, unsigned status, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * Answer in pieces. content_length: EXCHANGE_LENGTH_UNKNOWN, or exactly what will be written. 0, or negative when the
 * exchange is broken: on_close follows.
 */
#define EXCHANGE_LENGTH_UNKNOWN UINT64_MAX
int exchange_begin(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                   uint64_t content_length);

/*
 * The same with fields that are carried on from elsewhere, in front of `headers`; of length and connection the server
 * tells its own. `date` is added only when neither has one. The length of an answer that has no body (to HEAD, 304) is
 * told as it is given.
 */
int exchange_begin_carry(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                         const struct header *headers, unsigned n_headers, uint64_t content_length);

/*
 * An answer in front of the answer: 100, 102, 103, any number of them. It leaves at once. Clients of HTTP/1.0, which
 * know none, do not get it, and neither do those that have left much unread: what they do not read is not kept for
 * them. carry may be NULL.
 */
void exchange_inform(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                     const struct header *headers, unsigned n_headers);

/*
 * In on_request: 100 is not said by the server when the client waits for it, but by the front end (exchange_inform), or
 * not at all, with an answer.
 */
void exchange_hold_continue(struct exchange *exchange);

/* Bytes that were passed on by exchange_switch, each way. */
struct tunnel_result {
    uint64_t to_client, to_other;
};

/*
 * What a client is connected to when the protocol is switched: the stream, which is taken over in any case; bytes that
 * came on it already, valid during the call; the longest time in which nothing moves either way; and where bytes are
 * counted, until on_close.
 */
struct tunnel {
    struct stream *other;
    struct slice early;
    nsec_t idle_timeout_ns;
    struct tunnel_result *result;
};

/*
 * Answers 101 with these fields, Upgrade among them (`connection: upgrade` is added), and passes bytes on between
 * client and tunnel->other, both ways, from then on. What the client has sent behind its request goes first. The end of
 * one side is passed on to the other one; at last, on_close says how it was: EXCHANGE_DONE when both had ended. Until
 * then exchange_end, without trailers, ends both: what has come by then still goes to the client, and to the other side
 * as far as that takes it at once.
 *
 * Only for a request that asked for it (request->upgrade). 0, -ENOTSUP over HTTP/2, -ENOMEM; on failure the stream is
 * closed and the exchange is still to be answered.
 */
int exchange_switch(struct exchange *exchange, const struct header_carry *carry, const struct header *headers,
                    unsigned n_headers, const struct tunnel *tunnel);

/*
 * Copies what cannot be sent now; little pieces leave together, at the end of the turn at the latest. 0: go on;
 * EXCHANGE_FULL: taken, but stop until on_drain; negative: the exchange is broken, on_close follows.
 */
enum { EXCHANGE_FULL = 1 };
int exchange_write(struct exchange *exchange, struct slice bytes);

/*
 * Completes an answer begun with exchange_begin; trailers may be none, and are sent where the protocol can. Less than
 * the promised length is an abort.
 */
void exchange_end(struct exchange *exchange, const struct header *trailers, unsigned n_trailers);

/* Gives the exchange up so that the client notices: connection closed (HTTP/1) or stream reset (HTTP/2). */
void exchange_abort(struct exchange *exchange);

/* Stops and resumes on_body; the client is held back by flow control. */
void exchange_pause(struct exchange *exchange, bool paused);

/*
 * Longest time without progress before the exchange is ended with EXCHANGE_TIMEOUT; NSEC_NEVER for watches and streams.
 * Until it is set, the server's answer_timeout_ns holds. With NSEC_NEVER a client that closes its sending side when its
 * request is complete is taken for gone; otherwise it gets its answer.
 */
void exchange_set_idle_timeout(struct exchange *exchange, nsec_t timeout_ns);

/*
 * For front ends that need the whole body, called in on_request: collects it and calls on_whole once, with bytes valid
 * during the call. More than max_bytes are answered with 413, and on_whole is not called. The app and the state that
 * were set before are in place again when on_whole is called, which answers, now or later (with an app); its on_close
 * is called also when on_whole is not.
 */
typedef void (*exchange_whole_fn)(struct exchange *exchange, struct slice body);
void exchange_collect(struct exchange *exchange, size_t max_bytes, exchange_whole_fn on_whole);
