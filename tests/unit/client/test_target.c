/* SPDX-License-Identifier: Apache-2.0 */
#include "client/target.h"

#include "support/test.h"

#include <errno.h>

static void expect_target(const char *text, const char *protocol, const char *host, unsigned port)
{
    struct target target;
    struct err err = {""};
    int r = target_parse(slice_from_str(text), &target, &err);
    expect_str(err.text, "");
    expect_int(r, 0);
    expect_str(target.protocol, protocol);
    expect_str(target.host, host);
    expect_int(target.port, port);
}

static void all_forms_are_known(void)
{
    expect_target("tcp@localhost:80", "tcp", "localhost", 80);
    expect_target("HTTP@[::1]:8080", "http", "::1", 8080);
    expect_target("http://10.0.0.1:80/path", "http", "10.0.0.1", 80);
    expect_target("https@a.example:443", "https", "a.example", 443);
    expect_target("10.0.0.1:7", "tcp", "10.0.0.1", 7);
    expect_target("unix@/run/a.sock", "unix", "", 0);
}

static void others_are_told(void)
{
    static const char *const wrong[] = {"",           "tcp@",           "tcp@host", "host",          "tcp@[::1]",
                                        "tcp@host:0", "tcp@host:99999", "@host:1",  "unix@relative", "tcp@ho st:1"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct target target;
        struct err err = {""};
        expect_int(target_parse(slice_from_str(wrong[i]), &target, &err), -EINVAL);
        expect_true(*err.text != '\0');
    }
}

static void what_is_wrong_is_told_of_the_whole_address(void)
{
    struct target target;
    struct err err = {""};
    expect_int(target_parse(SLICE_LIT("tcp@host:99999"), &target, &err), -EINVAL);
    expect_str(err.text, "address \"tcp@host:99999\": expected a port from 1 to 65535 after the host");
    expect_int(target_parse(SLICE_LIT("unix@relative"), &target, &err), -EINVAL);
    expect_str(err.text, "address \"unix@relative\": expected an absolute path behind the scheme");
}

static const struct test_case cases[] = {
    {"all forms are known", all_forms_are_known},
    {"others are told", others_are_told},
    {"what is wrong is told of the whole address", what_is_wrong_is_told_of_the_whole_address},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
