/* SPDX-License-Identifier: Apache-2.0 */
#include "base/array.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <stdlib.h>

static void items_stay_while_it_grows(void)
{
    unsigned *items = NULL;
    size_t n = 0, room = 0;
    while (n < 1000) {
        items = array_grow(items, n, &room, sizeof(*items));
        expect_true(items && room > n);
        items[n] = (unsigned)n;
        n++;
    }
    for (size_t i = 0; i < n; i++)
        expect_int(items[i], i);
    expect_true(room < 2 * n + 16);
    free(items);
}

static void without_memory_it_is_as_before(void)
{
    size_t room = 0;
    unsigned *items = array_grow(NULL, 0, &room, sizeof(*items));
    size_t n = room;
    items[n - 1] = 7;
    fault_alloc_arm(1);
    expect_true(array_grow(items, n, &room, sizeof(*items)) == NULL);
    expect_true(fault_alloc_disarm());
    expect_int(room, n);
    expect_int(items[n - 1], 7);
    free(items);
}

static const struct test_case cases[] = {
    {"items stay while it grows", items_stay_while_it_grows},
    {"without memory it is as before", without_memory_it_is_as_before},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
