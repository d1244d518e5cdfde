/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look at an instance: is it there, and is it well? By its check, or by knocking when it has none. Lives on the
 * scout's loop; one look at a time.
 */
#pragma once

#include "catalog/instance.h"
#include "http/errand.h"

struct probe;
typedef void (*probe_done_fn)(struct probe *probe);

enum probe_verdict {
    PROBE_GOOD,
    PROBE_BAD,
    PROBE_DEAD, /* bad, and nobody is there: the host refuses connections */
    PROBE_VOID, /* our own delay, the end of the daemon, or no place to look at: says nothing about the instance */
};

/* What probes share. */
struct probe_kit {
    /* the caller's */
    struct errand_office *office;
    struct tls_config *tls, *tls_h2; /* checks by TLS look at the answer, not at the certificate */
    /* the probes' */
    unsigned n_looks;
    struct timer pulse; /* armed while looks run */
    nsec_t held_up_ns;  /* when it was seen last that this thread was held up; 0: never */
};

#define PROBE_EVIDENCE_MAX 256

struct probe {
    /* the caller's */
    struct probe_kit *kit;
    probe_done_fn done; /* never from inside a call; may start it again, or free it */
    void *owner;
    /* the answer */
    enum probe_verdict verdict;
    char evidence[PROBE_EVIDENCE_MAX]; /* "HTTP 503 from 10.0.0.7:80/health", "connection refused by …" */
    /* the probe's */
    struct errand errand;
    struct buf question;             /* gRPC: the request's message */
    char host[RESOLVER_NAME_MAX];    /* of a Unix socket */
    const struct instance *instance; /* a reference, while it runs */
    nsec_t started_ns;
    int failure; /* of making the request */
    bool is_cancelled;
};

/* Whether a good look at it means an answer of its program, rather than a connection that its host has taken. */
bool probe_hears(const struct instance *instance);

void probe_init(struct probe *probe, struct probe_kit *kit, probe_done_fn done, void *owner);
/* At rest only. */
void probe_deinit(struct probe *probe);

/* Keeps the instance until `done`. */
void probe_start(struct probe *probe, const struct instance *instance);
/* `done` comes, with PROBE_VOID. Harmless at rest. */
void probe_cancel(struct probe *probe);
