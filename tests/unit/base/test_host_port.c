/* SPDX-License-Identifier: Apache-2.0 */
#include "base/host_port.h"

#include "support/test.h"

static void expect_written(struct slice host, unsigned port, const char *expected)
{
    char text[256 + HOST_PORT_EXTRA];
    struct slice written = host_port_write(host, port, host.len + HOST_PORT_EXTRA, text);
    expect_slice(written, expected);
    expect_int(text[written.len], 0);
}

static void names_and_addresses(void)
{
    expect_written(SLICE_LIT("db.example"), 5432, "db.example:5432");
    expect_written(SLICE_LIT("10.0.0.7"), 80, "10.0.0.7:80");
    expect_written(SLICE_LIT(""), 0, ":0");
    expect_written(SLICE_LIT("::1"), 65535, "[::1]:65535");
    expect_written(SLICE_LIT("fe80::1%eth0"), 1, "[fe80::1%eth0]:1");
}

static void what_does_not_fit_is_cut_off(void)
{
    char text[8];
    expect_slice(host_port_write(SLICE_LIT("a.host"), 80, sizeof(text), text), "a.host:");
}

static const struct test_case cases[] = {
    {"names and addresses are written, IPv6 in brackets", names_and_addresses},
    {"what does not fit is cut off", what_does_not_fit_is_cut_off},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
