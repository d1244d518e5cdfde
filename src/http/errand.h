/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An errand: one small request to another program, on a connection of its own, whole, within one deadline. For what the
 * registry asks by itself: checks, heartbeats, notices. Names are resolved; "unix:/path" and addresses are taken. An
 * errand without a method only knocks: it is done when somebody takes the connection. Over HTTP/2 it may be a gRPC
 * call.
 *
 * Owned by the caller, who zeroes it, fills in his part and waits for on_done, which comes exactly once, never from
 * inside a call of his. All on one loop.
 */
#pragma once

#include "base/buf.h"
#include "http/h2_once.h"
#include "http/pool.h"
#include "io/resolver.h"

#define ERRAND_HEADERS_MAX 8

struct errand;
typedef void (*errand_done_fn)(struct errand *errand);

/* What the errands of a loop share. The pool's connections are used once. */
struct errand_office {
    struct loop *loop;
    struct pool *pool;
    struct resolver *resolver;
    pool_connect_fn connect; /* for knocks: tcp_connect, or what a test puts in its place */
};

/* Slices must stay until on_done. */
struct errand_request {
    struct slice host; /* name, address without brackets, or "unix:/path" */
    uint16_t port;
    struct tls_config *tls;       /* NULL: plain */
    bool is_h2;                   /* by HTTP/2, which the host is known to speak; body of at most 16 KB */
    struct slice method, target;  /* method "": knocks */
    const struct header *headers; /* at most ERRAND_HEADERS_MAX; host and connection are added */
    unsigned n_headers;
    struct slice body;
    nsec_t timeout_ns;
    size_t body_max_bytes; /* of the answer: what is beyond is cut off */
};

enum errand_state {
    ERRAND_RESTS,
    ERRAND_RESOLVES,
    ERRAND_CONNECTS,
    ERRAND_ASKS,
    ERRAND_KNOCKS,
    ERRAND_CALLS, /* by HTTP/2, connecting included */
    ERRAND_ENDS,  /* on_done is on its way */
};

struct errand {
    /* the caller's */
    struct errand_request request;
    errand_done_fn on_done; /* may free it, or start it again */
    /* the answer */
    int result;      /* 0, or -errno: -ENOENT no such host, -ETIMEDOUT, -ECONNREFUSED, -ECONNRESET, -EBADMSG, … */
    bool was_sent;   /* something of the request had left: it may have been acted upon */
    unsigned status; /* with result 0 */
    int64_t date_s;  /* the other's clock, since 1970; 0: it did not say, or by HTTP/2 */
    int grpc_status; /* by HTTP/2: as the answer says; -1: it does not */
    struct buf body;
    /* the errand's */
    enum errand_state state;
    struct errand_office *office;
    struct resolve_request resolve;
    unsigned i_addr; /* of its answer: the one that is tried */
    struct pool_wait wait;
    struct client_call call;
    struct stream *stream; /* ERRAND_KNOCKS */
    struct h2_once *h2;    /* ERRAND_CALLS */
    const char *fault;     /* with -EBADMSG */
    struct timer timer;
    struct loop_task done;
};

/* The errand must rest. */
void errand_start(struct errand_office *office, struct errand *errand);
/* Ends it now: on_done comes with -ECANCELED. Harmless when it rests or is done already. */
void errand_cancel(struct errand *errand);
/* Frees the answer. The errand must rest. */
void errand_deinit(struct errand *errand);

/* Where it was asked, of a host's addresses. With result 0, until it is started again. */
void errand_addr(const struct errand *errand, struct addr *ret_addr);

/* Why it failed, for people: "connection refused", "no such host". Static. */
const char *errand_failure(const struct errand *errand);
