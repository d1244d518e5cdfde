/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers the metrics of HTTP serving.
 */
#include "http/metrics.h"

#include <errno.h>
#include <stdlib.h>

static const char *const protocol_names[HTTP_PROTOCOLS_] = {
    [HTTP_PROTOCOL_1] = "http1",
    [HTTP_PROTOCOL_2] = "http2",
};

static const char *const class_names[HTTP_STATUS_CLASSES] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

static int register_requests(struct metrics *metrics, struct http_metrics *http, enum http_protocol protocol)
{
    for (size_t i = 0; i < HTTP_STATUS_CLASSES; i++) {
        struct metrics_label labels[] = {
            {"protocol", slice_from_str(protocol_names[protocol])},
            {"code", slice_from_str(class_names[i])},
        };
        struct metrics_desc desc = {
            .name = "muster_http_requests_total",
            .help = "Requests answered, by protocol and class of status.",
            .labels = labels,
            .n_labels = ARRAY_LEN(labels),
        };
        int r = metrics_register_counter(metrics, &desc, &http->requests[protocol][i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int register_protocol(struct metrics *metrics, struct http_metrics *http, enum http_protocol protocol)
{
    struct metrics_label label = {"protocol", slice_from_str(protocol_names[protocol])};
    struct metrics_desc desc = {
        .name = "muster_http_connections_total",
        .help = "Connections whose protocol was recognised.",
        .labels = &label,
        .n_labels = 1,
    };
    int r = metrics_register_counter(metrics, &desc, &http->connections[protocol]);
    return r < 0 ? r : register_requests(metrics, http, protocol);
}

static int register_all(struct metrics *metrics, struct http_metrics *http)
{
    const struct {
        struct metrics_counter *counter;
        const char *name, *help;
    } counters[] = {
        {&http->accepted, "muster_http_connections_accepted_total", "Connections taken on."},
        {&http->refused, "muster_http_connections_refused_total", "Connections turned away: too many, or stopping."},
        {&http->handshake_failed, "muster_http_tls_handshakes_failed_total", "TLS handshakes that failed."},
        {&http->malformed, "muster_http_requests_malformed_total", "Requests refused as malformed or too slow."},
    };
    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        struct metrics_desc desc = {.name = counters[i].name, .help = counters[i].help};
        int r = metrics_register_counter(metrics, &desc, counters[i].counter);
        if (r < 0)
            return r;
    }
    struct metrics_desc open = {.name = "muster_http_connections_open", .help = "Connections that are open."};
    int r = metrics_register_gauge(metrics, &open, &http->open);
    for (enum http_protocol protocol = 0; r == 0 && protocol < HTTP_PROTOCOLS_; protocol++)
        r = register_protocol(metrics, http, protocol);
    return r;
}

int http_metrics_new(struct metrics *metrics, struct http_metrics **ret_metrics)
{
    struct http_metrics *http = calloc(1, sizeof(*http));
    if (!http)
        return -ENOMEM;
    int r = register_all(metrics, http);
    if (r == 0)
        r = talkers_new(http->accepted.cells.n_slots, &http->talkers);
    if (r < 0) {
        free(http);
        return r;
    }
    *ret_metrics = http;
    return 0;
}

void http_metrics_free(struct http_metrics *metrics)
{
    if (metrics)
        talkers_free(metrics->talkers);
    free(metrics);
}
