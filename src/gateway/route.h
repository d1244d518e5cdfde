/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes: which service a request is for, and how it is treated there.
 *
 * A route is written as one line of text, in the configuration (gateway.routes) or in the metadata of a service's
 * instances (`gateway.route`, several of them as `gateway.route.NAME`, where service= is not allowed and means their
 * own):
 *
 *     [HOST]/PREFIX [service=NAME] [method=GET|HEAD] [header=NAME:VALUE] [POLICY]...
 *
 *     api.example.com/v1/ service=orders strip timeout=5s
 *     *.example.com/ service=web sticky=SESSION
 *     /admin/ service=admin method=GET header=x-staff:yes
 *
 * HOST is a name or `*.` and a name, which covers all names that end so; without one, any. Neither the case of a
 * request's host, nor its port, nor a dot at its end matters. A prefix matches whole path elements: /v1 is /v1 and
 * /v1/x, not /v12. POLICY words are those of policy.h. Of the routes that match, the one with the more exact host wins,
 * then the longer prefix, then the one with more conditions, then those of the configuration, then the one written
 * first.
 *
 * The path is compared by its elements, decoded, with dot segments resolved (wire/uri_path.h), and passed on as it
 * came. A path that could be read in two ways is refused.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "gateway/plan.h"
#include "wire/http.h"

#define ROUTE_TEXT_MAX   4096
#define ROUTE_PREFIX_MAX 1024 /* decoded; no more than URI_PATH_DECODED_MAX */
#define ROUTE_HOST_MAX   253

struct route {
    /* what a look-up reads */
    struct plan_cell *cell; /* filled in by the planner, who keeps it for as long as a table has the route */
    bool is_configured;     /* from the configuration, not from metadata; serves everybody */
    unsigned methods;       /* 1 << enum http_method; 0: any */
    unsigned policy_set;    /* which members of `policy` the text sets: policy.h */
    struct slice header_name, header_value; /* "": no condition; the name in any case, the value exactly */
    struct policy policy;
    /* where it lies, and what people read */
    struct slice host; /* lower case; "": any; with is_wildcard what follows "*." */
    bool is_wildcard;
    struct slice prefix;  /* its elements, decoded, each with a '/' in front; "" is all paths */
    struct slice service; /* "": to be filled in by who parses the metadata of one */
    struct slice text;    /* as written */
};

/*
 * 0, -EINVAL with words that name the part and what was expected, -ENOMEM. All slices live in the arena, or are static.
 */
int route_parse(struct slice text, bool is_metadata, struct arena *arena, struct route *ret_route, struct err *err);

/* A compiled set of routes; immutable, read by any thread. Routes are copied, with their texts; each has its cell. */
int route_table_new(const struct route *routes, unsigned n, struct route_table **ret_table);
void route_table_free(struct route_table *table); /* accepts NULL */

enum route_outcome {
    ROUTE_FOUND,
    ROUTE_NONE,       /* 404: no route, no service of that name, no default */
    ROUTE_BAD_PATH,   /* 400: `fault` says why */
    ROUTE_NOT_EXPOSED /* 404 too, with another cause in the log: it is there, but not for who is not on this machine */
};

struct route_match {
    enum route_outcome outcome;
    const char *fault; /* ROUTE_BAD_PATH: static; else NULL */
    /* ROUTE_FOUND only */
    const struct route *route; /* NULL: by the service's name, or the default */
    struct plan_cell *cell;
    struct policy policy; /* the service's, or the defaults if it is not known, with the route's words on top */
    struct slice target;  /* what to pass on as the target: origin form, part of the request's target, or static */
    bool needs_slash;     /* a '/' goes in front of `target`: all of the path was stripped */
};

/*
 * Where the request goes: by the routes; else by the first element of its path, when that is the name of a service;
 * else to the default service. A route whose method or header does not fit is passed over like one with another path:
 * there is no 405, since a route says which service answers, not what can be done there.
 *
 * is_local: the listener is on loopback (or a Unix socket), so what is not exposed is served too. To others it is as if
 * it were not there: the next route that matches is taken, or the default service.
 *
 * Worker only, in the turn in which the plan was read; allocates nothing. The match is valid as long as request and
 * plan.
 */
void route_find(const struct plan *plan, const struct http_request *request, bool is_local,
                struct route_match *ret_match);
