/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted of HTTP serving. One set per process, shared by all servers, made before the workers start; each
 * worker counts in its own slot.
 */
#pragma once

#include "base/metrics.h"
#include "http/talkers.h"

enum http_protocol {
    HTTP_PROTOCOL_1,
    HTTP_PROTOCOL_2,
    HTTP_PROTOCOLS_,
};

/* Statuses by their first digit: 1xx to 5xx. */
#define HTTP_STATUS_CLASSES 5

struct http_metrics {
    struct metrics_gauge open;
    struct metrics_counter accepted, refused, handshake_failed, malformed;
    struct metrics_counter connections[HTTP_PROTOCOLS_];
    struct metrics_counter requests[HTTP_PROTOCOLS_][HTTP_STATUS_CLASSES];
    struct talkers *talkers;
};

/* 0, or what metrics_register_counter or talkers_new gives. The metrics live as long as the registry. */
int http_metrics_new(struct metrics *metrics, struct http_metrics **ret_metrics);
void http_metrics_free(struct http_metrics *metrics); /* accepts NULL */

static inline void http_metrics_opened(const struct http_metrics *metrics, unsigned slot)
{
    metrics_gauge_add(&metrics->open, slot, 1);
    metrics_counter_add(&metrics->accepted, slot, 1);
}

static inline void http_metrics_closed(const struct http_metrics *metrics, unsigned slot)
{
    metrics_gauge_add(&metrics->open, slot, -1);
}

/* Beyond the limit, or while draining. */
static inline void http_metrics_refused(const struct http_metrics *metrics, unsigned slot)
{
    metrics_counter_add(&metrics->refused, slot, 1);
}

static inline void http_metrics_handshake_failed(const struct http_metrics *metrics, unsigned slot)
{
    metrics_counter_add(&metrics->handshake_failed, slot, 1);
}

static inline void http_metrics_malformed(const struct http_metrics *metrics, unsigned slot)
{
    metrics_counter_add(&metrics->malformed, slot, 1);
}

static inline void http_metrics_recognised(const struct http_metrics *metrics, unsigned slot,
                                           enum http_protocol protocol)
{
    metrics_counter_add(&metrics->connections[protocol], slot, 1);
}

static inline void http_metrics_request(const struct http_metrics *metrics, unsigned slot, enum http_protocol protocol,
                                        unsigned status)
{
    unsigned first_digit = status / 100;
    if (first_digit < 1 || first_digit > HTTP_STATUS_CLASSES)
        first_digit = HTTP_STATUS_CLASSES; /* a gateway may relay a status that nobody knows */
    metrics_counter_add(&metrics->requests[protocol][first_digit - 1], slot, 1);
}
