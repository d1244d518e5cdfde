/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words in which a policy is written, in routes and in the metadata of services (key `gateway.WORD`):
 *
 *     balance=p2c|round_robin|random|least|hash     hash=address|header:NAME|cookie:NAME (implies balance=hash)
 *     sticky=COOKIE     retry=safe|key|none     hedge=true|false     strip=true|false (`strip`: true)
 *     timeout=5s     slow_start=30s     max_in_flight=N     queue=N     max_body=BYTES
 *
 * balance=hash alone goes by the client's address.
 */
#pragma once

#include "base/err.h"
#include "base/suggest.h"
#include "gateway/settings.h"

enum policy_word {
    POLICY_BALANCE = 1 << 0, /* hash too */
    POLICY_STICKY = 1 << 1,
    POLICY_RETRY = 1 << 2,
    POLICY_HEDGE = 1 << 3,
    POLICY_STRIP = 1 << 4,
    POLICY_TIMEOUT = 1 << 5,
    POLICY_SLOW_START = 1 << 6,
    POLICY_IN_FLIGHT = 1 << 7,
    POLICY_QUEUE = 1 << 8,
    POLICY_BODY = 1 << 9,
};

/*
 * Sets what `word` says ("balance", "timeout"). Slices are parts of `value`. 0 and the bit in *set; POLICY_UNKNOWN:
 * no such word; -EINVAL with what was wrong and expected (the word itself is not in it). On failure nothing changes.
 */
enum { POLICY_UNKNOWN = 1 };
int policy_set(struct policy *policy, unsigned *set, struct slice word, struct slice value, struct err *err);

/* Offers all words. */
void policy_suggest(struct suggest *suggest);

/* Puts those members of `over` that are set on top. */
void policy_overlay(struct policy *policy, const struct policy *over, unsigned set);
