/* SPDX-License-Identifier: Apache-2.0 */
#include "io/addr_range.h"
#include "support/test.h"

#include <errno.h>

static bool has(const char *range_text, const char *addr_text)
{
    struct addr_range range;
    struct addr addr;
    struct peer peer;
    struct err err;
    expect_int(addr_range_parse(slice_from_str(range_text), &range, &err), 0);
    expect_int(addr_parse(slice_from_str(addr_text), &addr, &err), 0);
    peer_from_addr(&addr, &peer);
    return addr_range_has(&range, &peer);
}

static void test_addresses_are_found_in_ranges(void)
{
    expect_true(has("10.0.0.0/8", "10.255.1.2:1"));
    expect_true(!has("10.0.0.0/8", "11.0.0.1:1"));
    expect_true(has("192.168.4.0/22", "192.168.7.255:1"));
    expect_true(!has("192.168.4.0/22", "192.168.8.0:1"));
    expect_true(has("127.0.0.1", "127.0.0.1:80"));
    expect_true(!has("127.0.0.1", "127.0.0.2:80"));
    expect_true(has("0.0.0.0/0", "8.8.8.8:80"));
    expect_true(!has("0.0.0.0/0", "[::1]:80"));
    expect_true(has("fd00::/8", "[fdab::1]:80"));
    expect_true(!has("fd00::/8", "[fe80::1]:80"));
    expect_true(has("127.0.0.1", "[::ffff:127.0.0.1]:80"));
    expect_true(!has("0.0.0.0/0", "unix:/tmp/x"));
}

static void test_what_is_no_range_is_refused(void)
{
    static const char *const bad[] = {"", "/", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "x", "1.2.3.4/8x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct addr_range range;
        struct err err;
        expect_int(addr_range_parse(slice_from_str(bad[i]), &range, &err), -EINVAL);
        expect_true(strstr(err.text, "range of addresses") != NULL);
    }
}

static const struct test_case cases[] = {
    {"addresses are found in ranges", test_addresses_are_found_in_ranges},
    {"what is no range is refused with words", test_what_is_no_range_is_refused},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
