/* SPDX-License-Identifier: Apache-2.0 */
#include "client/address.h"

#include "support/test.h"

#include <errno.h>
#include <stdio.h>

static const struct {
    const char *text;
    enum address_scheme scheme;
    const char *host, *port;
} goods[] = {
    {"http://127.0.0.1:2379", ADDRESS_HTTP, "127.0.0.1", "2379"},
    {"https://registry.example:443", ADDRESS_HTTPS, "registry.example", "443"},
    {"http://registry.example", ADDRESS_HTTP, "registry.example", "2379"},
    {"HTTP://registry.example/", ADDRESS_HTTP, "registry.example", "2379"},
    {"https://[::1]:1", ADDRESS_HTTPS, "::1", "1"},
    {"[fe80::1%eth0]", ADDRESS_HTTP, "fe80::1%eth0", "2379"},
    {"localhost:65535", ADDRESS_HTTP, "localhost", "65535"},
    {" localhost ", ADDRESS_HTTP, "localhost", "2379"},
    {"unix:/run/muster.sock", ADDRESS_UNIX, "/run/muster.sock", ""},
    {"unix:@muster", ADDRESS_UNIX, "@muster", ""},
};

static void addresses_are_understood(void)
{
    for (size_t i = 0; i < ARRAY_LEN(goods); i++) {
        struct address address;
        struct err err = {""};
        int r = address_parse(slice_from_str(goods[i].text), &address, &err);
        expect_str(err.text, "");
        expect_int(r, 0);
        expect_int(address.scheme, goods[i].scheme);
        expect_str(address.host, goods[i].host);
        expect_str(address.port, goods[i].port);
    }
}

static const struct {
    const char *text, *reason;
} bads[] = {
    {"", "expected HOST or HOST:PORT, with an IPv6 address in brackets"},
    {"http://", "expected HOST or HOST:PORT, with an IPv6 address in brackets"},
    {"http://a b", "expected HOST or HOST:PORT, with an IPv6 address in brackets"},
    {"http://user@host", "expected HOST or HOST:PORT, with an IPv6 address in brackets"},
    {"http://host/path", "expected HOST or HOST:PORT, with an IPv6 address in brackets"},
    {"ftp://host", "expected a port from 1 to 65535 after the host"},
    {"[::1", "expected HOST or HOST:PORT, with an IPv6 address in brackets"},
    {"::1", "expected HOST or HOST:PORT, with an IPv6 address in brackets"},
    {"[::1]x", "expected a port from 1 to 65535 after the host"},
    {"host:", "expected a port from 1 to 65535 after the host"},
    {"host:0", "expected a port from 1 to 65535 after the host"},
    {"host:65536", "expected a port from 1 to 65535 after the host"},
    {"host:000001", "expected a port from 1 to 65535 after the host"},
    {"unix:", "expected an absolute path behind the scheme"},
    {"unix:muster.sock", "expected an absolute path behind the scheme"},
};

static void what_is_wrong_is_told(void)
{
    for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
        struct address address;
        struct err err = {""};
        char expected[256];
        expect_int(address_parse(slice_from_str(bads[i].text), &address, &err), -EINVAL);
        snprintf(expected, sizeof(expected), "address \"%s\": %s", bads[i].text, bads[i].reason);
        expect_str(err.text, expected);
    }
}

static void what_is_too_long_is_refused(void)
{
    char text[400];
    struct address address;
    memset(text, 'a', sizeof(text));
    expect_int(address_parse(slice_from(text, sizeof(text)), &address, NULL), -EINVAL);
    memcpy(text, "unix:/", 6);
    expect_int(address_parse(slice_from(text, sizeof(text)), &address, NULL), -EINVAL);
}

static const struct test_case cases[] = {
    {"addresses are understood", addresses_are_understood},
    {"what is wrong is told", what_is_wrong_is_told},
    {"what is too long is refused", what_is_too_long_is_refused},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
