/* SPDX-License-Identifier: Apache-2.0 */
#include "io/rest.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

static void what_is_added_comes_behind(void)
{
    struct backlog backlog = {.n_bytes_max = SIZE_MAX};
    struct rest *rest = NULL;
    expect_int(rest_bytes(rest).len, 0);
    expect_int(rest_add(&rest, SLICE_LIT("hello "), &backlog), 0);
    rest_skip(&rest, 2, &backlog);
    expect_int(rest_add(&rest, SLICE_LIT("world"), &backlog), 0);
    expect_slice(rest_bytes(rest), "llo world");
    rest_skip(&rest, 8, &backlog);
    expect_slice(rest_bytes(rest), "d");
    expect_true(backlog.n_bytes >= 9); /* memory, not bytes */
    rest_skip(&rest, 1, &backlog);
    expect_true(!rest);
    expect_int(backlog.n_bytes, 0);
}

static void want_of_memory_changes_nothing(void)
{
    struct backlog backlog = {.n_bytes_max = SIZE_MAX};
    struct rest *rest = NULL;
    expect_int(rest_add(&rest, SLICE_LIT("hello"), &backlog), 0);
    fault_alloc_arm(1);
    expect_int(rest_add(&rest, SLICE_LIT("world"), &backlog), -ENOMEM);
    expect_true(fault_alloc_disarm());
    expect_slice(rest_bytes(rest), "hello");
    rest_drop(&rest, &backlog);
    rest_drop(&rest, &backlog); /* nothing to do */
    expect_int(backlog.n_bytes, 0);
}

static const struct test_case cases[] = {
    {"what is added comes behind what is there", what_is_added_comes_behind},
    {"want of memory is told and changes nothing", want_of_memory_changes_nothing},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
