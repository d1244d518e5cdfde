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
    PROBE_VOID, /* our own delay, or the end of the daemon: says nothing about the instance */
};

/* What probes share. */
struct probe_kit {
    struct errand_office *office;
    struct tls_config *tls; /* checks by https look at the answer, not at the certificate */
};

#define PROBE_EVIDENCE_MAX 256

struct probe {
    /* the caller's */
    struct probe_kit *kit;
    probe_done_fn done; /* never from inside a call; may start it again, or free it */
    /* the answer */
    enum probe_verdict verdict;
    char evidence[PROBE_EVIDENCE_MAX]; /* "HTTP 503 from 10.0.0.7:80/health", "connection refused by …" */
    /* the probe's */
    struct errand errand;
    char host[RESOLVER_NAME_MAX]; /* of a Unix socket */
    nsec_t deadline_ns;
    bool is_cancelled;
};

void probe_init(struct probe *probe, struct probe_kit *kit, probe_done_fn done);
/* At rest only. */
void probe_deinit(struct probe *probe);

/* The instance must stay until `done`. */
void probe_start(struct probe *probe, const struct instance *instance);
/* `done` comes, with PROBE_VOID. Harmless at rest. */
void probe_cancel(struct probe *probe);
bool probe_rests(const struct probe *probe);
