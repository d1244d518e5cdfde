/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/docker_config.h"

#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct made {
    struct config *config;
    struct docker_config docker;
    struct err err;
    int result;
};

/* From a setting, "" for none, and the environment. */
static void make(struct made *made, const char *setting, char *const *environment)
{
    char serve[] = "serve", set[] = "--set", text[256];
    char *argv[] = {serve, set, text, NULL};
    struct arguments arguments;
    (void)snprintf(text, sizeof(text), "%s", setting);
    *made = (struct made){.result = 0};
    expect_int(arguments_parse(*setting ? 3 : 1, argv, &arguments, &made->err), 0);
    expect_int(config_load(&arguments, (char *const[]){NULL}, &made->config, &made->err), 0);
    arguments_deinit(&arguments);
    made->result = docker_config_make(made->config, environment, &made->docker, &made->err);
}

static void made_free(struct made *made)
{
    if (made->result == 0)
        docker_config_deinit(&made->docker);
    config_free(made->config);
}

static void expect_host(const char *setting, const char *variable, const char *host, unsigned port, const char *reached)
{
    struct made made;
    char text[256];
    (void)snprintf(text, sizeof(text), "DOCKER_HOST=%s", variable);
    make(&made, setting, (char *const[]){text, NULL});
    expect_int(made.result, 0);
    expect_slice(made.docker.options.host, host);
    expect_int(made.docker.options.port, port);
    expect_slice(made.docker.options.rules.host, reached);
    expect_int(made.docker.options.rules.is_remote, port != 0);
    made_free(&made);
}

static void where_the_engine_is(void)
{
    expect_host("", "", "unix:///var/run/docker.sock", 0, "127.0.0.1");
    expect_host("", "unix:///tmp/d.sock", "unix:///tmp/d.sock", 0, "127.0.0.1");
    expect_host("sources.docker.host=unix:///x", "tcp://there:1", "unix:///x", 0, "127.0.0.1");
    expect_host("", "tcp://there", "there", 2375, "there");
    expect_host("", "tcp://10.0.0.1:99", "10.0.0.1", 99, "10.0.0.1");
    expect_host("", "tcp://[fd00::1]:99", "fd00::1", 99, "fd00::1");
    expect_host("", "tcp://[fd00::1]", "fd00::1", 2375, "fd00::1");
    expect_host("sources.docker.host_address=edge", "tcp://there:1", "there", 1, "edge");
}

static void what_is_no_host(void)
{
    static const char *const wrong[] = {"ssh://there",   "there:1",       "tcp://",           "tcp://:1",
                                        "tcp://there:x", "tcp://there:0", "tcp://there:70000"};
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        struct made made;
        char text[64], words[256];
        (void)snprintf(text, sizeof(text), "DOCKER_HOST=%s", wrong[i]);
        (void)snprintf(words, sizeof(words),
                       "DOCKER_HOST: \"%s\" is not valid; expected unix:///PATH or tcp://HOST:PORT", wrong[i]);
        make(&made, "", (char *const[]){text, NULL});
        expect_int(made.result, -EINVAL);
        expect_str(made.err.text, words);
        made_free(&made);
    }
}

static void rules_are_as_configured(void)
{
    struct made made;
    make(&made, "sources.docker.images=a,team/b", (char *const[]){NULL});
    expect_int(made.docker.options.rules.n_images, 2);
    expect_slice(made.docker.options.rules.images[1], "team/b");
    expect_int(made.docker.options.mode, DOCKER_AUTO);
    expect_int(made.docker.options.list_every_ns, 30 * NSEC_PER_SEC);
    made_free(&made);
    make(&made, "sources.docker.address=network", (char *const[]){NULL});
    expect_int(made.docker.options.rules.address, DOCKER_ADDRESS_NETWORK);
    made_free(&made);
    make(&made, "sources.docker.mode=off", (char *const[]){NULL});
    expect_int(made.docker.options.mode, DOCKER_OFF);
    made_free(&made);
}

static void certificates_that_are_missing_are_told(void)
{
    struct made made;
    char host[] = "DOCKER_HOST=tcp://there", verify[] = "DOCKER_TLS_VERIFY=1", path[] = "DOCKER_CERT_PATH=/nowhere";
    make(&made, "", (char *const[]){host, verify, path, NULL});
    expect_true(made.result < 0 && strstr(made.err.text, "/nowhere/"));
    made_free(&made);
}

static const struct test_case cases[] = {
    {"where the engine is: setting, environment, the usual socket", where_the_engine_is},
    {"what is no host is told", what_is_no_host},
    {"rules are as configured", rules_are_as_configured},
    {"certificates that are missing are told", certificates_that_are_missing_are_told},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
