/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who calls which service, as one worker sees it: by the name in a client's certificate that was verified, else by its
 * address. Which service a caller's address belongs to is found out by who asks for the edges, not for each request.
 *
 * The table has a fixed size. An edge that nothing came over for a while makes room for another one; when there is none
 * such, what comes is counted for the kind of its address: of this machine, of a private network, or of another one.
 */
#pragma once

#include "base/hash.h"
#include "base/slice.h"
#include "base/time.h"
#include "io/addr.h"

#define EDGES_MAX       4096
#define EDGE_CALLER_MAX 64

enum edge_kind { EDGE_CERTIFICATE, EDGE_ADDRESS, EDGE_LOCAL, EDGE_PRIVATE, EDGE_OTHER };

struct edge {
    enum edge_kind kind;
    struct slice caller;           /* EDGE_CERTIFICATE */
    struct peer peer;              /* EDGE_ADDRESS; without port */
    uint64_t service;              /* plan_cell.hash */
    uint64_t n_requests, n_errors; /* answers of 5xx, or none */
    double rate;                   /* requests per second, lately */
};

struct edges;

/* 0 or -ENOMEM. */
int edges_new(const struct hash_key *key, struct edges **ret_edges);
/* Accepts NULL. */
void edges_free(struct edges *edges);

/* Its worker only. caller: "" without a certificate. */
void edges_count(struct edges *edges, struct slice caller, const struct peer *peer, uint64_t service, bool is_error,
                 nsec_t now_ns);

/* Any thread; the worker goes on counting. */
void edges_each(struct edges *edges, nsec_t now_ns, void (*fn)(void *ctx, const struct edge *edge), void *ctx);
