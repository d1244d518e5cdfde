/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/retry.h"

#include "support/test.h"

#include <stdlib.h>

/* The table of retry.h, and of RFC 9110 9.2.2 behind it. */
static const struct {
    const char *what;
    struct retry_facts facts;
    enum retry_decision expected;
} rows[] = {
    {"not connected: GET", {.method = HTTP_METHOD_GET, .is_kept = true}, RETRY_ELSEWHERE},
    {"not connected: POST", {.method = HTTP_METHOD_POST, .is_kept = true}, RETRY_ELSEWHERE},
    {"not connected, and nothing may be retried",
     {.method = HTTP_METHOD_POST, .contract = RETRY_NONE, .is_kept = true},
     RETRY_ELSEWHERE},
    {"not connected, but the body is gone", {.method = HTTP_METHOD_POST}, RETRY_NEVER},
    {"a used connection broke: GET",
     {.method = HTTP_METHOD_GET, .is_kept = true, .sent = true, .reused = true},
     RETRY_FRESH},
    {"a used connection broke: PUT",
     {.method = HTTP_METHOD_PUT, .is_kept = true, .sent = true, .reused = true},
     RETRY_FRESH},
    {"a used connection broke: PUT with a body that is gone",
     {.method = HTTP_METHOD_PUT, .sent = true, .reused = true},
     RETRY_NEVER},
    {"a used connection broke: POST",
     {.method = HTTP_METHOD_POST, .is_kept = true, .sent = true, .reused = true},
     RETRY_NEVER},
    {"a used connection broke: PATCH",
     {.method = HTTP_METHOD_PATCH, .is_kept = true, .sent = true, .reused = true},
     RETRY_NEVER},
    {"a used connection broke: POST with a key that means nothing here",
     {.method = HTTP_METHOD_POST, .has_key = true, .is_kept = true, .sent = true, .reused = true},
     RETRY_NEVER},
    {"a used connection broke: POST with a key",
     {.method = HTTP_METHOD_POST,
      .contract = RETRY_KEY,
      .has_key = true,
      .is_kept = true,
      .sent = true,
      .reused = true},
     RETRY_FRESH},
    {"a used connection broke: POST without a key",
     {.method = HTTP_METHOD_POST, .contract = RETRY_KEY, .is_kept = true, .sent = true, .reused = true},
     RETRY_NEVER},
    {"a new connection broke: GET", {.method = HTTP_METHOD_GET, .is_kept = true, .sent = true}, RETRY_CHARGED},
    {"a new connection broke: GET that nobody may repeat",
     {.method = HTTP_METHOD_GET, .contract = RETRY_NONE, .is_kept = true, .sent = true},
     RETRY_NEVER},
    {"a new connection broke: POST", {.method = HTTP_METHOD_POST, .is_kept = true, .sent = true}, RETRY_NEVER},
    {"no answer in time: GET on a used connection",
     {.method = HTTP_METHOD_GET, .is_kept = true, .sent = true, .reused = true, .timed_out = true},
     RETRY_CHARGED},
    {"an answer had begun", {.method = HTTP_METHOD_GET, .is_kept = true, .sent = true, .responded = true}, RETRY_NEVER},
};

static void the_table_of_retries_holds(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int decision = retry_decide(&rows[i].facts);
        if (decision != (int)rows[i].expected)
            expect_str(rows[i].what, "is decided otherwise");
    }
}

static struct plan_cell *cell_new(unsigned n_workers)
{
    struct plan_cell *cell = aligned_alloc(64, sizeof(*cell) + n_workers * sizeof(cell->shares[0]));
    expect_true(cell != NULL);
    memset(cell, 0, sizeof(*cell) + n_workers * sizeof(cell->shares[0]));
    cell->n_shares = n_workers;
    return cell;
}

static unsigned charge_all(struct plan_cell *cell, const struct gateway_settings *settings, nsec_t now_ns)
{
    unsigned n = 0;
    while (n < 100000 && retry_charge(cell, n % cell->n_shares, settings, now_ns))
        n++;
    return n;
}

static void retries_are_a_share_of_all_workers_requests_and_a_floor(void)
{
    const struct gateway_settings settings = {.retry_percent = 10, .retry_floor = 3};
    struct plan_cell *cell = cell_new(4);
    const nsec_t now_ns = 100 * NSEC_PER_SEC;
    for (unsigned i = 0; i < 4000; i++)
        retry_count_request(cell, i % 4, now_ns);
    expect_int(charge_all(cell, &settings, now_ns), 400 + 15);
    expect_int(cell->shares[1].n_requests, 1000);
    free(cell);
}

static void the_floor_is_there_without_any_requests_and_comes_back(void)
{
    const struct gateway_settings settings = {.retry_percent = 10, .retry_floor = 2};
    struct plan_cell *cell = cell_new(1);
    nsec_t now_ns = 100 * NSEC_PER_SEC;
    expect_int(charge_all(cell, &settings, now_ns), 10);
    now_ns += 5 * NSEC_PER_SEC;
    expect_int(charge_all(cell, &settings, now_ns), 5);
    now_ns += 1000 * NSEC_PER_SEC;
    expect_int(charge_all(cell, &settings, now_ns), 10);
    free(cell);
}

static void requests_of_long_ago_buy_nothing(void)
{
    const struct gateway_settings settings = {.retry_percent = 10, .retry_floor = 0};
    struct plan_cell *cell = cell_new(1);
    nsec_t now_ns = 100 * NSEC_PER_SEC;
    for (unsigned i = 0; i < 1000; i++)
        retry_count_request(cell, 0, now_ns);
    now_ns += 1000 * NSEC_PER_SEC;
    expect_int(charge_all(cell, &settings, now_ns), 0);
    free(cell);
}

static const struct test_case cases[] = {
    {"the table of retries holds", the_table_of_retries_holds},
    {"retries are a share of all workers' requests, and a floor",
     retries_are_a_share_of_all_workers_requests_and_a_floor},
    {"the floor is there without any requests, and comes back", the_floor_is_there_without_any_requests_and_comes_back},
    {"requests of long ago buy nothing", requests_of_long_ago_buy_nothing},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
