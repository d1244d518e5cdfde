/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the configuration says to the gateway. Made by the daemon, copied by what uses it; a reload publishes another
 * one with the plan, so each request is served by one set of settings from beginning to end.
 */
#pragma once

#include "base/slice.h"
#include "base/time.h"
#include "io/addr_range.h"
#include "io/tls.h"

#include <stdbool.h>
#include <stdint.h>

/* How one of several instances is chosen. */
enum balance {
    BALANCE_P2C, /* the better of two drawn at random, by requests under way, latency and the age of the oldest */
    BALANCE_ROUND_ROBIN,
    BALANCE_RANDOM,
    BALANCE_LEAST, /* fewest requests under way */
    BALANCE_HASH,  /* the same key to the same instance, as long as it is well: struct policy_key */
};

/* Where the key of a hash, or the name of a sticky instance, comes from. */
enum policy_key_source { POLICY_KEY_NONE, POLICY_KEY_ADDRESS, POLICY_KEY_HEADER, POLICY_KEY_COOKIE };

struct policy_key {
    enum policy_key_source source;
    struct slice name; /* of the header, in any case, or of the cookie */
};

/* Which requests may be sent a second time after an instance may have seen them. */
enum retry_contract {
    RETRY_SAFE, /* idempotent methods (RFC 9110 9.2.2) */
    RETRY_KEY,  /* these, and others that carry an Idempotency-Key */
    RETRY_NONE,
};

/*
 * How the requests of a service, or of a route to it, are treated. What nobody said is the configuration's default;
 * then what the service's metadata says, then what the route says.
 */
struct policy {
    enum balance balance;
    struct policy_key hash; /* with BALANCE_HASH */
    struct slice sticky;    /* cookie that keeps a client with its instance; "": none */
    enum retry_contract retry;
    bool hedge;               /* an idempotent request that hangs may be sent to a second instance */
    bool strip;               /* the route's path prefix is taken off before passing on */
    nsec_t timeout_ns;        /* a whole request, until its response has begun */
    nsec_t slow_start_ns;     /* a new instance gets its full share after this; 0: at once */
    unsigned n_in_flight_max; /* requests under way, over all workers; 0: no limit */
    unsigned n_queued_max;    /* beyond that so many wait */
    uint64_t body_bytes_max;  /* of a request; beyond: 413; 0: no limit */
};

#define GATEWAY_NAME_MAX 64

#define POLICY_IN_FLIGHT_LIMIT 10000000
#define POLICY_QUEUE_LIMIT     1000000
#define POLICY_BODY_LIMIT      (1ULL << 40)

enum access_log_format { ACCESS_LOG_OFF, ACCESS_LOG_COMBINED, ACCESS_LOG_JSON };

struct gateway_settings {
    struct policy policy;         /* the defaults */
    struct slice default_service; /* where what no route and no service name claims goes; "": 404 */
    unsigned n_routes;
    const struct slice *routes; /* as written in the configuration; route.h */
    struct slice zone;          /* where this gateway stands; instances of the same zone come first; "": nowhere */
    struct slice name;          /* in Via and Proxy-Status, in front of digits: a token, GATEWAY_NAME_MAX at most */
    bool expose_all;            /* listeners beyond loopback serve every service, not only what is exposed */
    bool odd_addresses;         /* instances at link-local, multicast or unspecified addresses are used too */
    unsigned n_trusted;
    const struct addr_range *trusted; /* proxies in front of us, whose forwarding fields are believed */
    nsec_t connect_timeout_ns;        /* to one instance; then the next one is tried */
    nsec_t first_byte_timeout_ns;     /* from a whole request to the first byte of its response, by one instance */
    nsec_t body_timeout_ns;           /* longest pause inside a response's body */
    nsec_t idle_timeout_ns;           /* of connections to instances */
    nsec_t tunnel_timeout_ns;         /* of an upgraded connection on which nothing moves */
    nsec_t park_ns;                   /* a request to a service that has just lost its last instance waits so long */
    nsec_t park_since_ns;             /* for one that had an instance this lately */
    unsigned n_parked_max;            /* per worker */
    unsigned retry_percent;           /* budget: retries and hedges as a share of a service's requests … */
    unsigned retry_floor;             /* … and so many per second beside */
    nsec_t stall_min_ns;     /* an instance is not called frozen before its oldest request has waited so long */
    unsigned stall_factor;   /* and so many times longer than its slow ones take */
    bool prove;              /* instances in trouble are asked whether they are back, and others once how they close */
    unsigned eject_failures; /* so many connection failures or 5xx answers of the gateway's own kind in a row */
    nsec_t eject_ns;         /* for how long at first; doubles with each time, up to 32 times as long */
    unsigned client_rate;    /* requests per second of one client address; 0: no limit */
    unsigned client_burst;
    unsigned client_connections; /* of one client address, over all workers; 0: no limit */
    unsigned n_records;          /* the last requests that each worker remembers; 0: none */
    enum access_log_format access_log;
    const char *access_log_path; /* "-": standard output */
    struct tls_config *tls;      /* to instances that speak https; NULL: those are not used */
};
