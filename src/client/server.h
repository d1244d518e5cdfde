/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a running service (muster_serve in muster.h): the server, its connections, and the requests that these
 * bring. The server goes through its stages in serve.c; connections are tasks, peer.c; the program answers requests by
 * request.c.
 *
 * Under the client's lock.
 */
#pragma once

#include "base/list.h"
#include "client/client.h"
#include "client/listener.h"
#include "client/session.h"

struct muster_server {
    struct muster_client *client;
    const struct muster_serve_options *options;
    struct session_options by_http, by_line;
    struct listener http, lines;
    size_t n_peers, max_peers;
    nsec_t slow_ns;
    struct list peers;    /* connections */
    struct list requests; /* all that are not answered */
    struct list queue;    /* of these, those that no method was called with yet */
    bool is_leaving;      /* connections end when their request is answered */
    struct task signal;   /* signal_fd */
    int signal_fd;
    unsigned n_stops; /* signals and muster_server_stop */
    struct muster_registration *registration;
    size_t n_needs;
    struct muster_service **needs;
};

/* Outlives its connection, and the server: it is the program's until it is answered and its method has returned. */
struct muster_request {
    struct list link;  /* in the server's requests */
    struct list queue; /* in its queue */
    struct muster_client *client;
    struct muster_server *server; /* NULL: it has ended */
    struct peer *peer;            /* NULL: the connection has gone */
    char *method, *params;
    size_t result_bytes; /* of the longest result */
    bool is_running;     /* its method */
    bool is_answered;
};

/* Takes a connection. 0 or -ENOMEM: it is closed. */
int peer_new(struct muster_server *server, const struct session_options *options, int fd);
/* Closes it. */
void peer_free(struct peer *peer);
struct peer *peer_from_link(struct list *link);

/* It takes no more requests: it ends when the present one is answered, now if there is none but was one before. */
void peer_leave(struct peer *peer);

/* Answers its request. `result` is normalised; NULL: an error. 0 or -ENOMEM: the connection is closed. */
int peer_answer(struct peer *peer, const char *result, int64_t code, const char *message);

/* Of a peer whose session has one; put in the queue. NULL: out of memory. */
struct muster_request *request_new(struct muster_server *server, struct peer *peer, const struct rpc_request *call);
/* Its method begins, and has returned. */
void request_begin(struct muster_request *request);
void request_end(struct muster_request *request);
/* The server ends before the request is answered. */
void request_abandon(struct muster_request *request);
