/* SPDX-License-Identifier: Apache-2.0 */
#include "io/addr.h"

#include "support/test.h"

#include <errno.h>

static struct addr parse(const char *text)
{
    struct addr addr;
    struct err err;
    if (addr_parse(slice_from_str(text), &addr, &err) < 0)
        test_fail(__FILE__, __LINE__, "%s", err.text);
    return addr;
}

static void expect_round_trip(const char *text, const char *expected)
{
    char out[ADDR_TEXT_MAX];
    struct addr addr = parse(text);
    struct slice formatted = addr_format(&addr, out);
    expect_slice(formatted, expected);
    expect_int(out[formatted.len], 0);
    struct addr again = parse(expected);
    expect_true(addr_equal(&addr, &again));
}

static void text_to_address_and_back(void)
{
    expect_round_trip("127.0.0.1:80", "127.0.0.1:80");
    expect_round_trip("0.0.0.0:0", "0.0.0.0:0");
    expect_round_trip("255.255.255.255:65535", "255.255.255.255:65535");
    expect_round_trip("[::1]:2379", "[::1]:2379");
    expect_round_trip("[2001:DB8:0:0::1]:1", "[2001:db8::1]:1");
    expect_round_trip("[fe80::1%7]:80", "[fe80::1%7]:80");
    expect_round_trip("[fe80::1%lo]:80", "[fe80::1%1]:80");
    expect_round_trip(":8080", "[::]:8080");
    expect_round_trip("unix:/run/muster.sock", "unix:/run/muster.sock");
    expect_round_trip("unix:relative", "unix:relative");
    expect_round_trip("unix:@abstract", "unix:@abstract");

    char longest[6 + 107] = "unix:";
    memset(longest + 5, 'x', 107);
    expect_round_trip(longest, longest);
}

static void refuses_what_is_no_address(void)
{
    static const char *const bad[] = {
        "",
        ":",
        "80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        "1.2.3:80",
        "1.2.3.4.5:1",
        "name:80",
        "localhost:80",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[]:80",
        "[::g]:80",
        "[::1:80",
        "::1]:80",
        "[fe80::1%]:1",
        "[fe80::1%nolink]:1",
        "1.2.3.4:-1",
        " 1.2.3.4:1",
        "1.2.3.4:+80",
        "01.2.3.4444:1",
        "unix:",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct addr addr;
        struct err err = {""};
        if (addr_parse(slice_from_str(bad[i]), &addr, &err) != -EINVAL)
            test_fail(__FILE__, __LINE__, "\"%s\" was taken for an address", bad[i]);
        expect_true(err.text[0] != 0);
    }

    struct addr addr;
    char too_long[5 + 108];
    memset(too_long, 'x', sizeof(too_long));
    memcpy(too_long, "unix:", 5);
    expect_int(addr_parse(slice_from(too_long, sizeof(too_long)), &addr, NULL), -EINVAL);
    expect_int(addr_parse(slice_from("unix:a\0b", 8), &addr, NULL), -EINVAL);
    expect_int(addr_parse(slice_from("1.2.3.4\0:80", 11), &addr, NULL), -EINVAL);
}

static void peer_remembers_ip_and_port(void)
{
    static const char *const texts[] = {"10.1.2.3:4567", "[2001:db8::7]:1"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct addr addr = parse(texts[i]), again;
        struct peer peer;
        char text[ADDR_TEXT_MAX];
        peer_from_addr(&addr, &peer);
        expect_slice(peer_format(&peer, text), texts[i]);
        addr_from_ip(&peer, &again);
        expect_true(addr_equal(&addr, &again));
    }
    struct addr addr = parse("[2001:db8::7]:1");
    struct peer peer;
    char text[ADDR_TEXT_MAX];
    peer_from_addr(&addr, &peer);
    expect_slice(peer_format_ip(&peer, text), "2001:db8::7");

    addr = parse("unix:/x");
    peer_from_addr(&addr, &peer);
    expect_slice(peer_format(&peer, text), "unix:");
    expect_slice(peer_format_ip(&peer, text), "unix:");
}

static void v4_inside_v6_is_v4(void)
{
    struct addr addr = parse("[::ffff:127.0.0.1]:80");
    struct peer peer;
    char text[ADDR_TEXT_MAX];
    peer_from_addr(&addr, &peer);
    expect_slice(peer_format(&peer, text), "127.0.0.1:80");
    expect_true(addr_is_loopback(&addr));
}

static void knows_loopback_and_unspecified(void)
{
    static const struct {
        const char *text;
        bool is_loopback, is_unspecified;
    } table[] = {
        {"127.0.0.1:1", true, false},      {"127.9.9.9:1", true, false}, {"[::1]:1", true, false},
        {"unix:/x", true, false},          {"10.0.0.1:1", false, false}, {"0.0.0.0:1", false, true},
        {"[::]:1", false, true},           {":1", false, true},          {"[::ffff:0.0.0.0]:1", false, true},
        {"[2001:db8::1]:1", false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct addr addr = parse(table[i].text);
        expect_int(addr_is_loopback(&addr), table[i].is_loopback);
        expect_int(addr_is_unspecified(&addr), table[i].is_unspecified);
    }
}

static void equality_looks_at_everything(void)
{
    static const char *const all_different[] = {
        "127.0.0.1:80",   "127.0.0.1:81",   "127.0.0.2:80", "[::1]:80", "[::1]:81",
        "[fe80::1%1]:80", "[fe80::1%2]:80", "unix:/a",      "unix:/b",  "unix:@a",
    };
    for (size_t i = 0; i < ARRAY_LEN(all_different); i++)
        for (size_t k = 0; k < ARRAY_LEN(all_different); k++) {
            struct addr a = parse(all_different[i]), b = parse(all_different[k]);
            expect_int(addr_equal(&a, &b), i == k);
        }
}

static const struct test_case cases[] = {
    {"text becomes an address and text again", text_to_address_and_back},
    {"what is no address is refused with a reason", refuses_what_is_no_address},
    {"a peer remembers IP and port", peer_remembers_ip_and_port},
    {"an IPv4 peer of a dual-stack socket is IPv4", v4_inside_v6_is_v4},
    {"loopback and unspecified addresses are known", knows_loopback_and_unspecified},
    {"addresses are equal only in every part", equality_looks_at_everything},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
