/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of words. What several of them have in common (a choice among words, a quantity within limits) is read by one
 * function each.
 */
#include "gateway/policy.h"

#include "base/quantity.h"
#include "base/util.h"
#include "wire/http.h"

#include <errno.h>

#define HOUR_NS (3600 * (uint64_t)NSEC_PER_SEC)

/* Each in the order of its enum. */
static const char *const balances[] = {"p2c", "round_robin", "random", "least", "hash", NULL};
static const char *const contracts[] = {"safe", "key", "none", NULL};
static const char *const switches[] = {"false", "true", NULL};

static int fail(struct slice value, const char *expected, struct err *err)
{
    return err_set(err, -EINVAL, "\"%.*s\" is not valid; expected %s", SLICE_ARG(value), expected);
}

/* The index of the value among the words. */
static int read_choice(struct slice value, const char *const *words, const char *expected, unsigned *ret_index,
                       struct err *err)
{
    for (unsigned i = 0; words[i]; i++) {
        if (slice_equal_str(value, words[i])) {
            *ret_index = i;
            return 0;
        }
    }
    return fail(value, expected, err);
}

static int read_quantity(enum quantity kind, struct slice value, uint64_t min, uint64_t max, uint64_t *ret_value,
                         struct err *err)
{
    static const char *const examples[] = {"a number", "bytes such as 64k or 1M,", "a duration such as 500ms or 5s,"};
    char min_text[QUANTITY_TEXT_MAX], max_text[QUANTITY_TEXT_MAX];
    uint64_t quantity;
    if (quantity_parse(kind, value, &quantity) == 0 && quantity >= min && quantity <= max) {
        *ret_value = quantity;
        return 0;
    }
    quantity_format(kind, min, min_text);
    quantity_format(kind, max, max_text);
    return err_set(err, -EINVAL, "\"%.*s\" is not valid; expected %s from %s to %s", SLICE_ARG(value), examples[kind],
                   min_text, max_text);
}

static int set_balance(struct policy *policy, struct slice value, struct err *err)
{
    unsigned index;
    int r = read_choice(value, balances, "p2c, round_robin, random, least or hash", &index, err);
    if (r < 0)
        return r;
    policy->balance = (enum balance)index;
    if (policy->balance == BALANCE_HASH && policy->hash.source == POLICY_KEY_NONE)
        policy->hash.source = POLICY_KEY_ADDRESS;
    return 0;
}

static int set_hash(struct policy *policy, struct slice value, struct err *err)
{
    struct slice source, name = slice_split(value, ':', &source);
    struct policy_key key = {.name = name};
    if (slice_equal_str(value, "address"))
        key.source = POLICY_KEY_ADDRESS;
    else if (slice_equal_str(source, "header") && http_is_token(name))
        key.source = POLICY_KEY_HEADER;
    else if (slice_equal_str(source, "cookie") && http_is_token(name))
        key.source = POLICY_KEY_COOKIE;
    else
        return fail(value, "address, header:NAME or cookie:NAME", err);
    policy->balance = BALANCE_HASH;
    policy->hash = key;
    return 0;
}

static int set_sticky(struct policy *policy, struct slice value, struct err *err)
{
    if (!http_is_token(value))
        return fail(value, "the name of a cookie", err);
    policy->sticky = value;
    return 0;
}

static int set_retry(struct policy *policy, struct slice value, struct err *err)
{
    unsigned index;
    int r = read_choice(value, contracts, "safe, key or none", &index, err);
    if (r == 0)
        policy->retry = (enum retry_contract)index;
    return r;
}

static int set_hedge(struct policy *policy, struct slice value, struct err *err)
{
    unsigned index;
    int r = read_choice(value, switches, "true or false", &index, err);
    if (r == 0)
        policy->hedge = index;
    return r;
}

static int set_strip(struct policy *policy, struct slice value, struct err *err)
{
    unsigned index = 1;
    int r = slice_is_empty(value) ? 0 : read_choice(value, switches, "true or false", &index, err);
    if (r == 0)
        policy->strip = index;
    return r;
}

static int set_timeout(struct policy *policy, struct slice value, struct err *err)
{
    uint64_t time;
    int r = read_quantity(QUANTITY_DURATION, value, NSEC_PER_MSEC, 24 * HOUR_NS, &time, err);
    if (r == 0)
        policy->timeout_ns = (nsec_t)time;
    return r;
}

static int set_slow_start(struct policy *policy, struct slice value, struct err *err)
{
    uint64_t time;
    int r = read_quantity(QUANTITY_DURATION, value, 0, HOUR_NS, &time, err);
    if (r == 0)
        policy->slow_start_ns = (nsec_t)time;
    return r;
}

static int set_in_flight(struct policy *policy, struct slice value, struct err *err)
{
    uint64_t number;
    int r = read_quantity(QUANTITY_NUMBER, value, 0, POLICY_IN_FLIGHT_LIMIT, &number, err);
    if (r == 0)
        policy->n_in_flight_max = (unsigned)number;
    return r;
}

static int set_queue(struct policy *policy, struct slice value, struct err *err)
{
    uint64_t number;
    int r = read_quantity(QUANTITY_NUMBER, value, 0, POLICY_QUEUE_LIMIT, &number, err);
    if (r == 0)
        policy->n_queued_max = (unsigned)number;
    return r;
}

static int set_body(struct policy *policy, struct slice value, struct err *err)
{
    return read_quantity(QUANTITY_BYTES, value, 0, POLICY_BODY_LIMIT, &policy->body_bytes_max, err);
}

static const struct policy_reader {
    const char *word;
    enum policy_word bit;
    int (*set)(struct policy *policy, struct slice value, struct err *err);
} readers[] = {
    {"balance", POLICY_BALANCE, set_balance},
    {"hash", POLICY_BALANCE, set_hash},
    {"sticky", POLICY_STICKY, set_sticky},
    {"retry", POLICY_RETRY, set_retry},
    {"hedge", POLICY_HEDGE, set_hedge},
    {"strip", POLICY_STRIP, set_strip},
    {"timeout", POLICY_TIMEOUT, set_timeout},
    {"slow_start", POLICY_SLOW_START, set_slow_start},
    {"max_in_flight", POLICY_IN_FLIGHT, set_in_flight},
    {"queue", POLICY_QUEUE, set_queue},
    {"max_body", POLICY_BODY, set_body},
};

int policy_set(struct policy *policy, unsigned *set, struct slice word, struct slice value, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        if (!slice_equal_str(word, readers[i].word))
            continue;
        int r = readers[i].set(policy, value, err);
        if (r == 0)
            *set |= readers[i].bit;
        return r;
    }
    return POLICY_UNKNOWN;
}

void policy_suggest(struct suggest *suggest)
{
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        suggest_offer(suggest, readers[i].word);
}

void policy_overlay(struct policy *policy, const struct policy *over, unsigned set)
{
    if (set & POLICY_BALANCE) {
        policy->balance = over->balance;
        policy->hash = over->hash;
    }
    if (set & POLICY_STICKY)
        policy->sticky = over->sticky;
    if (set & POLICY_RETRY)
        policy->retry = over->retry;
    if (set & POLICY_HEDGE)
        policy->hedge = over->hedge;
    if (set & POLICY_STRIP)
        policy->strip = over->strip;
    if (set & POLICY_TIMEOUT)
        policy->timeout_ns = over->timeout_ns;
    if (set & POLICY_SLOW_START)
        policy->slow_start_ns = over->slow_start_ns;
    if (set & POLICY_IN_FLIGHT)
        policy->n_in_flight_max = over->n_in_flight_max;
    if (set & POLICY_QUEUE)
        policy->n_queued_max = over->n_queued_max;
    if (set & POLICY_BODY)
        policy->body_bytes_max = over->body_bytes_max;
}
