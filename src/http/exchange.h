/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request and its answer, as a front end sees it: the same over HTTP/1.1, HTTP/2 and TLS.
 *
 * Life of an exchange, on the thread of its connection:
 *
 *     handler->on_request         the head is there. Answer now, or set `app` and answer later.
 *       -> app->on_body  *        pieces of the body, in order (none when the front end answers in on_request)
 *       -> app->on_end            the body is complete
 *     exchange_respond            the whole answer at once,   or
 *     exchange_begin, _write *, _end     the answer in pieces, as it comes
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

#include "base/buf.h"
#include "io/stream.h"
#include "wire/http.h"

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
 * Copies what cannot be sent now. 0: go on; EXCHANGE_FULL: taken, but stop until on_drain; negative: the exchange is
 * broken, on_close follows.
 */
enum { EXCHANGE_FULL = 1 };
int exchange_write(struct exchange *exchange, struct slice bytes);

/* Sends what earlier writes have gathered now rather than at the end of the loop's turn. */
void exchange_flush(struct exchange *exchange);

/* Completes an answer begun with exchange_begin; trailers may be none. Less than the promised length is an abort. */
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
