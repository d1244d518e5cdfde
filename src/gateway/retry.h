/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a request that failed is sent again: one function for the whole gateway, by what is known of the attempt and
 * nothing else, and the budget that bounds what retries and hedges may cost a service.
 *
 * | what happened to the attempt                             | sent again                                       |
 * |----------------------------------------------------------|--------------------------------------------------|
 * | no connection, or not a byte of the request was sent     | any method, to another instance, free            |
 * | a connection that was used before broke without a byte   | if it may be repeated: on a new connection, free |
 * | the same on a new connection, or no answer in time       | if it may be repeated and the budget allows      |
 * | bytes of an answer came, or some of the body is not kept | never                                            |
 *
 * May be repeated: idempotent methods, and with RETRY_KEY those that carry an Idempotency-Key; with RETRY_NONE nothing.
 */
#pragma once

#include "gateway/plan.h"
#include "wire/http.h"

struct retry_facts {
    enum http_method method;
    enum retry_contract contract;
    bool has_key;   /* the request has an Idempotency-Key */
    bool is_kept;   /* all of its body that was read is there to be sent again */
    bool sent;      /* a byte of it was handed to the system: the instance may have seen it */
    bool reused;    /* the connection had carried a call before */
    bool timed_out; /* the connection did not break, the answer did not come */
    bool responded; /* a byte of a response has come */
};

enum retry_decision {
    RETRY_NEVER,
    RETRY_ELSEWHERE, /* at another instance if there is one; free */
    RETRY_FRESH,     /* on a new connection, at the same instance or another; free */
    RETRY_CHARGED,   /* at another instance, if retry_charge allows it */
};

enum retry_decision retry_decide(const struct retry_facts *facts);

/* Whether the instance may see the request twice without harm. Hedging asks this too. */
bool retry_may_repeat(const struct retry_facts *facts);

/* A request was taken up for the service, which feeds its budget. */
void retry_count_request(struct plan_cell *cell, unsigned worker, nsec_t now_ns);

/*
 * Takes one retry or hedge off the budget of the service: over the last seconds there are at most retry_percent of its
 * requests, and retry_floor per second beside. False: the budget is spent.
 */
bool retry_charge(struct plan_cell *cell, unsigned worker, const struct gateway_settings *settings, nsec_t now_ns);
