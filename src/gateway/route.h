/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes: which service a request is for, and how it is treated there.
 *
 * A route is written as one line of text, in the configuration (gateway.routes) or in the metadata of a service's
 * instances (`gateway.route`, several of them as `gateway.route.NAME`, where service= is not allowed and means their own):
 *
 *     [HOST]/PREFIX [service=NAME] [method=GET,HEAD] [header=NAME:VALUE] [strip] [POLICY]...
 *
 *     api.example.com/v1/ service=orders strip timeout=5s
 *     *.example.com/ service=web sticky=SESSION
 *     /admin/ service=admin method=GET header=x-staff:yes
 *
 * HOST is a name or `*.` and a name; without one, any. A prefix matches whole path elements: /v1 is /v1 and /v1/x, not
 * /v12. POLICY words are those of policy.h. Of the routes that match, the one with the more exact host wins, then the
 * longer prefix, then the one with more conditions, then those of the configuration, then the one written first.
 *
 * The path is compared after normalisation (percent-decoded where that is safe, dot segments resolved), and passed on as
 * it came. A path whose normal form could be read in two ways (%2f, %5c, %00, a dot segment above the root) is refused.
 */
#pragma once

#include "base/err.h"
#include "gateway/plan.h"
#include "wire/http.h"

struct route {
    struct slice text; /* as written */
    struct slice host; /* lower case; "": any; with is_wildcard what follows "*." */
    bool is_wildcard;
    struct slice prefix;                    /* normalised, without the last '/'; "" is all paths */
    unsigned methods;                       /* 1 << enum http_method; 0: any */
    struct slice header_name, header_value; /* "": no condition */
    struct slice service;                   /* "": to be filled in by who parses the metadata of one */
    unsigned policy_set;                    /* which members of `policy` the text sets: policy.h */
    struct policy policy;
    struct plan_cell *cell; /* filled in by the planner; a reference */
    bool is_configured;     /* from the configuration, not from metadata; makes its service reachable from everywhere */
};

/* 0, -EINVAL with words that name the part and what was expected, -ENOMEM. Slices live in the arena. */
struct arena;
int route_parse(struct slice text, bool is_metadata, struct arena *arena, struct route *ret_route, struct err *err);

/* A compiled set of routes; immutable. The routes are copied, with their texts; cells are referenced. */
int route_table_new(const struct route *routes, unsigned n, struct route_table **ret_table);
void route_table_free(struct route_table *table); /* accepts NULL */

enum route_outcome {
    ROUTE_FOUND,
    ROUTE_NONE,       /* 404: no route, no service of that name, no default */
    ROUTE_BAD_PATH,   /* 400: `fault` says why */
    ROUTE_NOT_EXPOSED /* 404 too, with other words in the log: it is there, but not for who is not on this machine */
};

struct route_match {
    enum route_outcome outcome;
    const struct route *route; /* NULL: by the service's name, or the default */
    struct plan_cell *cell;
    struct policy policy; /* the service's, with the route's words on top */
    struct slice target;  /* what to pass on as the target: request->target, or a part of it (strip) */
    const char *fault;    /* static */
};

/*
 * Where the request goes: by the routes; else by the first element of its path, when that is the name of a service; else
 * to the default service. is_local: the listener is on loopback (or a Unix socket), so what is not exposed is served too.
 */
void route_find(const struct plan *plan, const struct http_request *request, bool is_local,
                struct route_match *ret_match);
