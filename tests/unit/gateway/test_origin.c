/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/origin.h"

#include "support/test.h"

#include <stdlib.h>

/* Who it is for a gateway that trusts 10.0.0.0/8 and fd00::/8; lists: the fields, ended by NULL. */
static void expect_origin(const char *peer, const char *const *lists, const char *expected)
{
    struct addr_range trusted[2];
    struct addr addr;
    struct peer from, origin;
    struct err err;
    char room[ADDR_TEXT_MAX];
    struct http_fields *fields = calloc(1, sizeof(*fields));
    expect_int(addr_range_parse(SLICE_LIT("10.0.0.0/8"), &trusted[0], &err), 0);
    expect_int(addr_range_parse(SLICE_LIT("fd00::/8"), &trusted[1], &err), 0);
    expect_int(addr_parse(slice_from_str(peer), &addr, &err), 0);
    peer_from_addr(&addr, &from);
    for (; *lists; lists++)
        fields->items[fields->n++] =
            (struct http_field){.id = HTTP_FIELD_X_FORWARDED_FOR, .value = slice_from_str(*lists)};
    const struct gateway_settings settings = {.trusted = trusted, .n_trusted = 2};
    origin_find(&settings, &from, fields, &origin);
    expect_slice(peer_format_ip(&origin, room), expected);
    free(fields);
}

#define LISTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void a_stranger_says_what_he_likes(void)
{
    expect_origin("192.0.2.1:5", LISTS("198.51.100.1"), "192.0.2.1");
    expect_origin("192.0.2.1:5", LISTS("10.0.0.1"), "192.0.2.1");
}

static void a_trusted_proxy_names_the_client(void)
{
    expect_origin("10.0.0.1:5", LISTS("198.51.100.1"), "198.51.100.1");
    expect_origin("10.0.0.1:5", LISTS("198.51.100.1:8080"), "198.51.100.1");
    expect_origin("10.0.0.1:5", LISTS(" [2001:db8::1]:80 "), "2001:db8::1");
    expect_origin("10.0.0.1:5", LISTS("2001:db8::1"), "2001:db8::1");
    expect_origin("10.0.0.1:5", LISTS("::ffff:198.51.100.1"), "198.51.100.1");
}

static void what_stands_in_front_of_the_last_stranger_is_his_own_word(void)
{
    expect_origin("10.0.0.1:5", LISTS("203.0.113.9, 198.51.100.1"), "198.51.100.1");
    expect_origin("10.0.0.1:5", LISTS("203.0.113.9, 198.51.100.1, 10.9.9.9,fd00::1"), "198.51.100.1");
    expect_origin("10.0.0.1:5", LISTS("203.0.113.9", "198.51.100.1", "10.9.9.9"), "198.51.100.1");
}

static void what_cannot_be_read_names_nobody(void)
{
    static const char *const bad[] = {"",
                                      "unknown",
                                      "1.2.3",
                                      "1.2.3.4.5",
                                      "a:b:c",
                                      "1.2.3.4, ",
                                      "11111111111111111111111111111111111111111111111111111"};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_origin("10.0.0.1:5", LISTS(bad[i]), "10.0.0.1");
    expect_origin("10.0.0.1:5", LISTS("198.51.100.1, unknown"), "10.0.0.1");
    expect_origin("10.0.0.1:5", LISTS("198.51.100.1, _hidden, 10.0.0.2"), "10.0.0.2");
}

static const struct test_case cases[] = {
    {"a stranger says what he likes", a_stranger_says_what_he_likes},
    {"a trusted proxy names the client", a_trusted_proxy_names_the_client},
    {"what stands in front of the last stranger is his own word",
     what_stands_in_front_of_the_last_stranger_is_his_own_word},
    {"what cannot be read names nobody", what_cannot_be_read_names_nobody},
};

int main(int argc, char **argv)
{
    return test_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
