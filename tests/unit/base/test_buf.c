/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

static void owns_nothing_when_empty(void)
{
    struct buf buf = {0};
    expect_slice(buf_slice(&buf), "");
    expect_true(buf.ptr == NULL);
    expect_int(buf_append(&buf, SLICE_LIT("")), 0);
    expect_true(buf.ptr == NULL);
    buf_deinit(&buf);
}

static void appends_in_order(void)
{
    struct buf buf = {0};
    expect_int(buf_append(&buf, SLICE_LIT("GET ")), 0);
    expect_int(buf_append_str(&buf, "/livez"), 0);
    expect_int(buf_append_char(&buf, '?'), 0);
    expect_int(buf_append_u64(&buf, 42), 0);
    expect_int(buf_printf(&buf, "&%s=%d", "x", -7), 0);
    expect_slice(buf_slice(&buf), "GET /livez?42&x=-7");
    buf_deinit(&buf);
}

static void writes_numbers_at_their_ends(void)
{
    struct buf buf = {0};
    expect_int(buf_append_u64(&buf, 0), 0);
    expect_int(buf_append_char(&buf, ' '), 0);
    expect_int(buf_append_u64(&buf, UINT64_MAX), 0);
    expect_slice(buf_slice(&buf), "0 18446744073709551615");
    buf_deinit(&buf);
}

static void keeps_zero_bytes(void)
{
    struct buf buf = {0};
    expect_int(buf_append(&buf, SLICE_LIT("a\0b")), 0);
    expect_bytes(buf_slice(&buf), SLICE_LIT("a\0b"));
    buf_deinit(&buf);
}

static void grows_without_losing_bytes(void)
{
    struct buf buf = {0};
    for (int i = 0; i < 10000; i++)
        expect_int(buf_append_char(&buf, (char)('a' + i % 26)), 0);
    expect_int(buf.len, 10000);
    for (size_t i = 0; i < buf.len; i++)
        expect_int(buf.ptr[i], 'a' + i % 26);
    buf_deinit(&buf);
}

static void reserved_room_counts_after_commit(void)
{
    struct buf buf = {0};
    char *room;
    expect_int(buf_reserve(&buf, 5, &room), 0);
    memcpy(room, "abcde", 5);
    expect_slice(buf_slice(&buf), "");
    buf_commit(&buf, 3);
    expect_slice(buf_slice(&buf), "abc");
    buf_deinit(&buf);
}

static void fills_up_to_its_limit_and_no_further(void)
{
    struct buf buf = {.limit = 8};
    expect_int(buf_append_str(&buf, "12345"), 0);
    expect_int(buf_printf(&buf, "%d", 678), 0);
    expect_int(buf_append_char(&buf, '9'), -EMSGSIZE);
    expect_slice(buf_slice(&buf), "12345678");
    buf_deinit(&buf);
}

static void remembers_the_first_error(void)
{
    struct buf buf = {.limit = 4};
    expect_int(buf_append_str(&buf, "abc"), 0);
    expect_int(buf_append_str(&buf, "too long"), -EMSGSIZE);
    /* "d" would fit, but after what is missing it would make a text with a hole. */
    expect_int(buf_append_char(&buf, 'd'), -EMSGSIZE);
    expect_int(buf_printf(&buf, "d"), -EMSGSIZE);
    expect_int(buf_error(&buf), -EMSGSIZE);
    expect_slice(buf_slice(&buf), "abc");

    buf_reset(&buf);
    expect_int(buf_error(&buf), 0);
    expect_int(buf_append_str(&buf, "abcd"), 0);
    expect_slice(buf_slice(&buf), "abcd");
    buf_deinit(&buf);
}

static void keeps_its_limit_over_deinit(void)
{
    struct buf buf = {.limit = 4};
    expect_int(buf_append_str(&buf, "abcd"), 0);
    buf_deinit(&buf);
    expect_true(buf.ptr == NULL);
    expect_int(buf_append_str(&buf, "abcde"), -EMSGSIZE);
    buf_deinit(&buf);
}

static void consumes_from_the_front(void)
{
    struct buf buf = {0};
    expect_int(buf_append_str(&buf, "headbody"), 0);
    buf_consume(&buf, 0);
    buf_consume(&buf, 4);
    expect_slice(buf_slice(&buf), "body");
    buf_consume(&buf, 4);
    expect_slice(buf_slice(&buf), "");
    buf_deinit(&buf);
}

static void a_failed_allocation_leaves_the_bytes(void)
{
    struct buf buf = {0};
    expect_int(buf_append_str(&buf, "kept"), 0);
    char *room;
    fault_alloc_arm(1);
    expect_int(buf_reserve(&buf, 4096, &room), -ENOMEM);
    expect_true(fault_alloc_disarm());
    expect_int(buf_error(&buf), -ENOMEM);
    expect_slice(buf_slice(&buf), "kept");
    buf_deinit(&buf);
}

static void an_absurd_length_is_refused(void)
{
    struct buf buf = {0};
    char *room;
    expect_int(buf_append_str(&buf, "x"), 0);
    expect_int(buf_reserve(&buf, SIZE_MAX, &room), -EMSGSIZE);
    buf_reset(&buf);
    expect_int(buf_reserve(&buf, SIZE_MAX, &room), -ENOMEM);
    buf_deinit(&buf);
}

static int write_a_page(void *arg)
{
    (void)arg;
    struct buf buf = {0};
    for (int i = 0; i < 200; i++) {
        (void)buf_append_str(&buf, "line ");
        (void)buf_printf(&buf, "%d\n", i);
    }
    int error = buf_error(&buf);
    buf_deinit(&buf);
    return error;
}

static void any_allocation_may_fail(void)
{
    expect_true(fault_alloc_sweep(write_a_page, NULL) > 1);
}

static void commit_too_much(void *arg)
{
    (void)arg;
    struct buf buf = {0};
    buf_commit(&buf, 1);
}

static void committing_more_than_reserved_is_a_bug(void)
{
    expect_abort(commit_too_much, NULL);
}

static const struct test_case cases[] = {
    {"an empty buf owns nothing", owns_nothing_when_empty},
    {"what is appended stands in order", appends_in_order},
    {"the smallest and the largest number are written", writes_numbers_at_their_ends},
    {"zero bytes are bytes", keeps_zero_bytes},
    {"growing keeps all bytes", grows_without_losing_bytes},
    {"reserved room counts after the commit", reserved_room_counts_after_commit},
    {"a buf can be filled up to its limit and no further", fills_up_to_its_limit_and_no_further},
    {"the first error stays until the reset", remembers_the_first_error},
    {"the limit outlives deinit", keeps_its_limit_over_deinit},
    {"bytes are consumed from the front", consumes_from_the_front},
    {"a failed allocation leaves the bytes as they were", a_failed_allocation_leaves_the_bytes},
    {"an absurd length is refused", an_absurd_length_is_refused},
    {"any allocation may fail", any_allocation_may_fail},
    {"committing more than was reserved is a bug", committing_more_than_reserved_is_a_bug},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
