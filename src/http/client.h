/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to an HTTP server and its response, as a user sees it: a call. The same over HTTP/1.1 (h1_client.h) and
 * whatever else a connection may speak.
 *
 *     client_call_start               on a connection that the pool gave (pool.h); the call is the user's memory
 *       client_call_write *, _end     the request's body, unless it was given whole
 *       -> on_drain                   after a write said "full": there is room again
 *       -> on_info *                  1xx responses
 *       -> on_head                    the response's head; its slices are valid during the call
 *       -> on_body *                  pieces of the body, in order
 *       -> on_trailers                behind a body that had any
 *       -> on_done                    the last call, exactly once, unless the call was cancelled
 *       -> on_switch                  … or this one, when the server speaks another protocol from here on
 *
 * The response may come before the request is complete: it is told at once, and the connection is not used again then.
 *
 * Callbacks come from events of the connection, never from inside a function below; on_done may free the call, and may
 * start another on any connection. The connection goes back to its owner, the pool, by itself, before on_done.
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "http/exchange.h"
#include "io/pipes.h"

struct client_call;
struct client_connection;

struct client_events {
    void (*on_info)(struct client_call *call, const struct http_response *response); /* may be NULL */
    void (*on_head)(struct client_call *call, const struct http_response *response);
    void (*on_body)(struct client_call *call, struct slice bytes);
    void (*on_drain)(struct client_call *call); /* may be NULL */
    /*
     * 0 when the response is complete. Else -ECONNRESET (closed or broken before that), -ETIMEDOUT, -EBADMSG (not a
     * valid response: call->fault says why), -EINVAL (the request is not valid: a blank in the target, a line end in
     * a header), -ENOMEM, or another -errno of the stream.
     */
    void (*on_done)(struct client_call *call, int result);
    /*
     * 101 to a request that allows it (may_switch). The stream is the user's from now on, who sets its on_event or
     * closes it; `early` came behind the response and is valid during the call. The call is over, and the owner of the
     * connection has forgotten it. May be NULL when no request allows it.
     */
    void (*on_switch)(struct client_call *call, const struct http_response *response, struct stream *stream,
                      struct slice early);
    /* As in exchange.h. May be NULL. */
    void (*on_trailers)(struct client_call *call, const struct http_fields *trailers);
    /* pour.c's: the next bytes of the body are to be taken by ops->pour. Others leave it NULL and get on_body. */
    void (*on_readable)(struct client_call *call);
};

struct client_call {
    /* The user's. */
    const struct client_events *events;

    /* What a decision about another try needs to know. */
    bool reused;           /* the connection had carried a call before */
    bool sent;             /* a byte of the request was handed to the system: the server may have seen it */
    bool sent_whole;       /* all of them were */
    bool responded;        /* a byte of the response has come */
    nsec_t idle_ns;        /* how long the connection had been idle when it was taken for this call; 0 for a new one */
    uint64_t n_body_bytes; /* of the response's body, so many were received */
    const char *fault;

    /* The connection's. */
    struct client_connection *connection; /* while it runs */
    struct pour *pour;                    /* while its body goes by itself (pour.c) */
};

struct client_request {
    struct slice method;
    struct slice target;              /* "/path?query", or "*" */
    struct slice authority;           /* the Host */
    const struct header_carry *carry; /* carried on from elsewhere, but for Host; NULL: nothing is */
    const struct header *headers;     /* behind them */
    unsigned n_headers;
    struct slice lines; /* behind those: fields as lines, CRLF included, by who makes them of what was checked only */
    bool is_checked;    /* method, target and authority are as a head had them that was parsed */
    /* It may be sent again, so that it may leave at the end of the turn: `sent` is said of it before it has. */
    bool is_repeatable;
    /* A 101 is allowed: `connection: upgrade` is added, and an Upgrade among the carried fields stays. */
    bool may_switch;
    /*
     * The body: whole in `body` (none when that is empty and the method needs none), or in pieces when `streamed`, of
     * content_length bytes or EXCHANGE_LENGTH_UNKNOWN.
     */
    struct slice body;
    bool streamed;
    uint64_t content_length;
    /* The head as client_request_write has made it; then target, authority and fields are not looked at. */
    struct slice written;
};

/*
 * Appends the head of a request, for who sends it more than once, when what it was made of is gone. 0, -EINVAL (see
 * on_done), -ENOMEM.
 */
int client_request_write(struct buf *head, const struct client_request *request);

/*
 * Sends the head, with `body` in the same send; the head of a streamed request waits for the first of its body, at most
 * until the end of the turn. The request's slices are not needed afterwards.
 */
void client_call_start(struct client_connection *connection, struct client_call *call,
                       const struct client_request *request);

/* 0; EXCHANGE_FULL: taken, but stop until on_drain; negative: the call has failed, on_done follows. */
int client_call_write(struct client_call *call, struct slice bytes);
/*
 * Completes a streamed body; trailers may be none, and go with a body of unknown length only. Less than the promised
 * length breaks the call. The response may be over before that.
 */
void client_call_end(struct client_call *call, const struct header *trailers, unsigned n_trailers);

/* Stops and resumes on_body; the server is held back. */
void client_call_pause(struct client_call *call, bool paused);

/* Gives the call up; no callback comes. Harmless on one that is over. */
void client_call_cancel(struct client_call *call);

/* -- for owners of connections (pool_connection.c) -- */

enum client_loss {
    CLIENT_LOSS_CLOSED,   /* the server has closed it, or it failed */
    CLIENT_LOSS_UNASKED,  /* bytes came that nobody had asked for: it must not be trusted */
    CLIENT_LOSS_IDLE_LONG /* the idle time-out */
};

struct client_owner_ops {
    /* Its call is over. Keep it for another one, or close it: it must be closed when not reusable. */
    void (*on_free)(struct client_connection *connection, bool reusable);
    /* It cannot be used any more although no call ran; it must be closed. */
    void (*on_lost)(struct client_connection *connection, enum client_loss loss);
};

struct client_connection_ops;

struct client_connection {
    const struct client_connection_ops *ops;
    const struct client_owner_ops *owner_ops;
    void *owner;      /* the owner's to use */
    struct list link; /* the owner's to use */

    /* What the owner may want to know. */
    nsec_t idle_since_ns;    /* when its last call was over, or it was opened */
    uint32_t idle_timeout_s; /* how long the server says that it keeps it; 0: it does not say */
    bool was_left;           /* the server has closed it right behind a response, and had not said so */
};

/* What each protocol implements. */
struct client_connection_ops {
    const char *name; /* "h1" */
    void (*start)(struct client_connection *connection, struct client_call *call, const struct client_request *request);
    int (*write)(struct client_call *call, struct slice bytes);
    void (*end)(struct client_call *call, const struct header *trailers, unsigned n_trailers);
    void (*pause)(struct client_call *call, bool paused);
    void (*cancel)(struct client_call *call);
    void (*close)(struct client_connection *connection);
    /* How much of the body may go through a pipe; 0: none. Then: fills the empty pipe; as stream_recv. May be NULL. */
    uint64_t (*pour_left)(const struct client_call *call);
    ssize_t (*pour)(struct client_call *call, struct pipe *pipe);
};

/* Closes the stream and frees the connection, on which no call may run. */
void client_connection_close(struct client_connection *connection);
