/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway tells about itself, as JSON for those who show it (docs/openapi.yaml): its last requests and what
 * was decided of them, in words; what services and instances have to do; who calls whom.
 *
 * Each writes one value. In one turn of an RCU reader, while the workers go on.
 */
#pragma once

#include "gateway/gateway.h"
#include "wire/json_writer.h"

/* Of those that fit all of it, the newest. */
struct tell_question {
    struct slice id, service;        /* "": any */
    unsigned status_min, status_max; /* 0 to 999: any; 0: there was no answer */
    int64_t since_ms;                /* wall clock */
    unsigned limit;
};

void tell_requests(const struct gateway *gateway, const struct tell_question *question, struct json_writer *json);

/* service: of this one; "": of all. */
void tell_traffic(const struct gateway *gateway, struct slice service, struct json_writer *json);

/* At most so many edges, the busiest; callers that are no service are told by their address or kind. */
#define TELL_CALLS_MAX 1000
void tell_calls(const struct gateway *gateway, struct json_writer *json);
