/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance of a service as the catalogue knows it: what was registered, and how it is.
 *
 * Immutable once published, in one allocation with all its texts, reference-counted: a change makes a new one. Who
 * reads one under RCU may use it until the end of the loop's turn, or takes a reference to keep it.
 *
 * The registered part is the record: JSON in a key of the store (instance_record.h). What a party found out about the
 * instance is a reason; its status follows from all reasons together and is never set by anybody.
 */
#pragma once

#include "base/slice.h"
#include "base/time.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CATALOG_NAME_MAX 255  /* of a service */
#define CATALOG_ID_MAX   1024 /* of an instance */

/*
 * Why an instance is not simply up. Each is set and cleared by one party, independently of the others. In order of
 * weight: the first of those that are set is the instance's status.
 * X(name, text for people and protocols)
 */
#define INSTANCE_REASONS(X)                                                                                            \
    X(MAINTENANCE, "maintenance")   /* out of service on purpose: owner, reason, deadline */                           \
    X(STOPPED, "stopped")           /* its source says so: container paused or stopping */                             \
    X(FAILING, "failing")           /* its check fails */                                                              \
    X(DRAINING, "draining")         /* finishes what it has, takes nothing new: owner, reason, deadline */             \
    X(STARTING, "starting")         /* its first check has not passed yet */                                           \
    X(HELD, "held")                 /* its key went in a mass loss, without evidence that it is dead */                \
    X(DISCONNECTED, "disconnected") /* the connection that held it broke; it may come back within its grace */         \
    X(SUSPECT, "suspect")           /* the gateway or another observer has doubts; volatile */                         \
    X(FLAPPING, "flapping")         /* came and went too often lately */

enum instance_reason {
#define X(name, text) INSTANCE_REASON_##name,
    INSTANCE_REASONS(X)
#undef X
        INSTANCE_UP /* none */
};

#define INSTANCE_HAS(instance, reason) (((instance)->reasons >> INSTANCE_REASON_##reason) & 1U)

/* Whether traffic may go there. */
enum instance_offer {
    INSTANCE_OFFERED,     /* yes */
    INSTANCE_LAST_RESORT, /* when no instance is better: disconnected, suspect, held, flapping */
    INSTANCE_WITHHELD,    /* never */
};

struct instance_pair {
    struct slice name, value;
};

/* How it is to be checked. */
enum instance_check_type { INSTANCE_CHECK_TCP, INSTANCE_CHECK_HTTP, INSTANCE_CHECK_GRPC, INSTANCE_CHECK_TTL };

struct instance_check {
    enum instance_check_type type;
    struct slice target; /* HTTP: path or URL; gRPC: service name; TCP: "" or host:port */
    uint32_t interval_ms, timeout_ms;
    uint32_t retry_ms;         /* the interval after a failure; 0: the same */
    uint16_t to_fail, to_pass; /* so many in a row */
    uint32_t remove_after_ms;  /* failing for so long: deregistered; 0: never */
};

/* The part of a record that most instances have nothing of: aside, so that those take less memory. */
struct instance_details {
    struct slice zone;
    struct slice owner;   /* authenticated name; "": nobody's */
    struct slice session; /* a registration held by a connection: which; "" none */
    uint16_t n_tags, n_needs, n_metadata;
    const struct slice *tags, *needs; /* needs: names of required services */
    const struct instance_pair *metadata;
    const struct instance_check *check; /* NULL: only its lease says that it lives */
};

/* What was registered. */
struct instance_record {
    struct slice address;  /* verbatim, as its own protocol answers it: "tcp@127.0.0.1:9000" */
    struct slice protocol; /* "tcp", "http", "grpc", ...; "" unknown */
    struct slice host;     /* name or IP without brackets; "" for unix sockets and what is no address */
    struct slice origin;   /* which protocol or source registered it: "srpc", "hub", "rest", "etcd", "docker" */
    uint16_t port;
    uint16_t weight;                        /* 1 unless told; 0: gets nothing */
    const struct instance_details *details; /* NULL: nothing of it. Read it by instance_details */
};

/* Drain and maintenance. */
struct instance_order {
    struct slice owner, reason;
    int64_t since_ms, until_ms; /* wall clock; until 0: without end */
};

/* Each NULL: none. */
struct instance_orders {
    const struct instance_order *drain, *maintenance;
};

struct instance {
    _Atomic uint32_t refs;
    uint32_t reasons; /* 1 << enum instance_reason */
    struct slice service, id;
    struct slice key; /* the store's key that it stands for */
    struct instance_record record;
    const struct instance_orders *orders;  /* NULL: none. Read them by instance_orders */
    int64_t lease;                         /* of its key; 0: none */
    int64_t create_revision, mod_revision; /* of its key */
    int64_t registered_ms;                 /* wall clock: this incarnation */
    int64_t changed_ms;                    /* its last change of status */
    int64_t revision;                      /* the catalogue's, of its last change */
    uint64_t incarnation;                  /* another process under the same name has another one; never 0 */
};

/*
 * A copy to change, and to make another instance of; its texts are the old one's. An assignment would read the count,
 * which other threads write.
 */
struct instance instance_model(const struct instance *instance);

/*
 * One like `model`, whose texts, lists and orders may lie anywhere: they are copied. The caller owns the one reference.
 * 0 or -ENOMEM.
 */
int instance_new(const struct instance *model, struct instance **ret_instance);

const struct instance *instance_ref(const struct instance *instance);
/* Accepts NULL. What readers can still reach is held by the directory, so any thread may drop its own reference. */
void instance_unref(const struct instance *instance);

/* Never NULL: of a record without, those that are all empty. */
const struct instance_details *instance_details(const struct instance_record *record);
/* Never NULL. */
const struct instance_orders *instance_orders(const struct instance *instance);

/* The weightiest of its reasons, or INSTANCE_UP. */
enum instance_reason instance_status(const struct instance *instance);
enum instance_offer instance_offer(const struct instance *instance);
/* "draining", "up". Static. */
struct slice instance_reason_text(enum instance_reason reason);
