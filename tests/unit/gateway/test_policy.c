/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/policy.h"

#include "support/test.h"

#include <errno.h>

static unsigned set_good(struct policy *policy, const char *word, const char *value)
{
    struct err err = {""};
    unsigned set = 0;
    int r = policy_set(policy, &set, slice_from_str(word), slice_from_str(value), &err);
    expect_str(err.text, "");
    expect_int(r, 0);
    return set;
}

static void each_word_sets_its_member(void)
{
    struct policy policy = {0};
    expect_int(set_good(&policy, "balance", "least"), POLICY_BALANCE);
    expect_int(policy.balance, BALANCE_LEAST);
    expect_int(set_good(&policy, "hash", "header:X-User"), POLICY_BALANCE);
    expect_int(policy.balance, BALANCE_HASH);
    expect_int(policy.hash.source, POLICY_KEY_HEADER);
    expect_slice(policy.hash.name, "X-User");
    expect_int(set_good(&policy, "hash", "cookie:sid"), POLICY_BALANCE);
    expect_int(policy.hash.source, POLICY_KEY_COOKIE);
    expect_slice(policy.hash.name, "sid");
    expect_int(set_good(&policy, "sticky", "SESSION"), POLICY_STICKY);
    expect_slice(policy.sticky, "SESSION");
    expect_int(set_good(&policy, "retry", "key"), POLICY_RETRY);
    expect_int(policy.retry, RETRY_KEY);
    expect_int(set_good(&policy, "hedge", "true"), POLICY_HEDGE);
    expect_true(policy.hedge);
    expect_int(set_good(&policy, "strip", ""), POLICY_STRIP);
    expect_true(policy.strip);
    expect_int(set_good(&policy, "strip", "false"), POLICY_STRIP);
    expect_false(policy.strip);
    expect_int(set_good(&policy, "timeout", "1500ms"), POLICY_TIMEOUT);
    expect_int(policy.timeout_ns, 1500 * NSEC_PER_MSEC);
    expect_int(set_good(&policy, "slow_start", "30s"), POLICY_SLOW_START);
    expect_int(policy.slow_start_ns, 30 * NSEC_PER_SEC);
    expect_int(set_good(&policy, "max_in_flight", "100"), POLICY_IN_FLIGHT);
    expect_int(policy.n_in_flight_max, 100);
    expect_int(set_good(&policy, "queue", "50"), POLICY_QUEUE);
    expect_int(policy.n_queued_max, 50);
    expect_int(set_good(&policy, "max_body", "10M"), POLICY_BODY);
    expect_int(policy.body_bytes_max, 10 << 20);
}

static void hashing_goes_by_address_unless_told_otherwise(void)
{
    struct policy policy = {0};
    set_good(&policy, "balance", "hash");
    expect_int(policy.hash.source, POLICY_KEY_ADDRESS);
    set_good(&policy, "hash", "cookie:a");
    set_good(&policy, "balance", "hash");
    expect_int(policy.hash.source, POLICY_KEY_COOKIE);
}

static void what_is_wrong_is_told_and_changes_nothing(void)
{
    static const struct {
        const char *word, *value, *said;
    } samples[] = {
        {"balance", "best", "\"best\" is not valid; expected p2c, round_robin, random, least or hash"},
        {"hash", "header:", "\"header:\" is not valid; expected address, header:NAME or cookie:NAME"},
        {"hash", "address:x", "\"address:x\" is not valid; expected address, header:NAME or cookie:NAME"},
        {"sticky", "a b", "\"a b\" is not valid; expected the name of a cookie"},
        {"retry", "", "\"\" is not valid; expected safe, key or none"},
        {"hedge", "", "\"\" is not valid; expected true or false"},
        {"strip", "on", "\"on\" is not valid; expected true or false"},
        {"timeout", "5", "\"5\" is not valid; expected a duration such as 500ms or 5s, from 1ms to 24h"},
        {"timeout", "0s", "\"0s\" is not valid; expected a duration such as 500ms or 5s, from 1ms to 24h"},
        {"queue", "-1", "\"-1\" is not valid; expected a number from 0 to 1000000"},
        {"max_body", "1T", "\"1T\" is not valid; expected bytes such as 64k or 1M, from 0 to 1024G"},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct policy policy = {.balance = BALANCE_LEAST, .retry = RETRY_KEY, .timeout_ns = 1, .strip = true};
        struct err err = {""};
        unsigned set = 0;
        int r = policy_set(&policy, &set, slice_from_str(samples[i].word), slice_from_str(samples[i].value), &err);
        expect_str(err.text, samples[i].said);
        expect_int(r, -EINVAL);
        expect_int(set, 0);
        expect_int(policy.balance, BALANCE_LEAST);
        expect_int(policy.retry, RETRY_KEY);
        expect_int(policy.timeout_ns, 1);
        expect_true(policy.strip);
    }
}

static void unknown_words_are_told_apart(void)
{
    struct policy policy = {0};
    unsigned set = 0;
    expect_int(policy_set(&policy, &set, SLICE_LIT("timout"), SLICE_LIT("5s"), NULL), POLICY_UNKNOWN);
    struct suggest suggest;
    suggest_init(&suggest, SLICE_LIT("timout"));
    policy_suggest(&suggest);
    expect_str(suggest_best(&suggest), "timeout");
}

static void only_what_is_set_goes_on_top(void)
{
    struct policy policy = {.retry = RETRY_NONE, .timeout_ns = 1, .n_queued_max = 7, .sticky = SLICE_LIT("a")},
                  over = {0};
    unsigned set = 0;
    expect_int(policy_set(&over, &set, SLICE_LIT("timeout"), SLICE_LIT("5s"), NULL), 0);
    expect_int(policy_set(&over, &set, SLICE_LIT("balance"), SLICE_LIT("hash"), NULL), 0);
    policy_overlay(&policy, &over, set);
    expect_int(policy.timeout_ns, 5 * NSEC_PER_SEC);
    expect_int(policy.balance, BALANCE_HASH);
    expect_int(policy.hash.source, POLICY_KEY_ADDRESS);
    expect_int(policy.retry, RETRY_NONE);
    expect_int(policy.n_queued_max, 7);
    expect_slice(policy.sticky, "a");
    policy_overlay(&policy, &over, ~0U);
    expect_int(policy.retry, RETRY_SAFE);
    expect_int(policy.n_queued_max, 0);
    expect_slice(policy.sticky, "");
}

static const struct test_case cases[] = {
    {"each word sets its member", each_word_sets_its_member},
    {"hashing goes by address unless told otherwise", hashing_goes_by_address_unless_told_otherwise},
    {"what is wrong is told, and changes nothing", what_is_wrong_is_told_and_changes_nothing},
    {"unknown words are told apart", unknown_words_are_told_apart},
    {"only what is set goes on top", only_what_is_set_goes_on_top},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
