/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config.h"

#include "daemon/config_keys.h"
#include "daemon/server_options.h"
#include "http/server.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A file with this text; gives its name, which is the caller's to free and unlink. */
static char *make_file(const char *text)
{
    char *path = slice_dup(SLICE_LIT("/tmp/muster-config-XXXXXX"));
    int fd = mkstemp(path);
    size_t len = strlen(text);
    expect_true(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    close(fd);
    return path;
}

static char *no_environment[] = {NULL};

/* Loads from a file's text (or NULL), an environment and the words of a command line. */
static int load(const char *file_text, char *const *environment, int argc, const char *const *words,
                struct config **ret_config, struct err *err)
{
    char *path = file_text ? make_file(file_text) : NULL;
    char *argv[16] = {NULL};
    struct arguments arguments;
    argv[0] = slice_dup(SLICE_LIT("serve"));
    for (int i = 0; i < argc; i++)
        argv[i + 1] = slice_dup(slice_from_str(words[i]));
    int r = arguments_parse(argc + 1, argv, &arguments, err);
    if (r == 0) {
        if (path)
            arguments.config_file = path;
        r = config_load(&arguments, environment, ret_config, err);
        arguments_deinit(&arguments);
    }
    if (path) { /* tests do not know the name that was made up */
        char *name = strstr(err->text, path);
        if (name) {
            memmove(name + 4, name + strlen(path), strlen(name + strlen(path)) + 1);
            memcpy(name, "FILE", 4);
        }
        unlink(path);
    }
    free(path);
    for (int i = 0; i <= argc; i++)
        free(argv[i]);
    return r;
}

#define WORDS(...)                                                                                                     \
    (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[])                                    \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static struct config *load_good(const char *file_text, char *const *environment, int argc, const char *const *words)
{
    struct config *config = NULL;
    struct err err = {""};
    int r = load(file_text, environment, argc, words, &config, &err);
    expect_str(err.text, "");
    expect_int(r, 0);
    return config;
}

static void expect_list(const struct config_list *list, unsigned n, const char *const *items)
{
    expect_int(list->n, n);
    for (unsigned i = 0; i < n; i++)
        expect_str(list->items[i], items[i]);
}

static void nothing_is_needed(void)
{
    struct config *config = load_good(NULL, no_environment, 0, NULL);
    expect_list(&config->listen, WORDS("127.0.0.1:2379"));
    expect_list(&config->gateway.listen, WORDS("127.0.0.1:8080"));
    expect_int(config->role, ROLE_ALL);
    expect_int(config->workers, 0);
    expect_str(config->data, "");
    expect_int(config->tls.cert.n, 0);
    expect_int(config->http.head_bytes, 32 * 1024);
    expect_int(config->drain.timeout, 8 * NSEC_PER_SEC);
    config_free(config);
}

static void defaults_are_those_of_the_server(void)
{
    struct config *config = load_good(NULL, no_environment, 0, NULL);
    struct http_server_options ours[ENDPOINT_KINDS_], theirs;
    http_server_options_init(&theirs);
    server_options_fill(config, &(struct listener_tls){0}, ours);
    expect_int(ours[0].limits.head_bytes, theirs.limits.head_bytes);
    expect_int(ours[0].limits.target_bytes, theirs.limits.target_bytes);
    expect_int(ours[0].limits.n_fields, theirs.limits.n_fields);
    expect_int(ours[0].head_timeout_ns, theirs.head_timeout_ns);
    expect_int(ours[0].body_timeout_ns, theirs.body_timeout_ns);
    expect_int(ours[0].idle_timeout_ns, theirs.idle_timeout_ns);
    expect_int(ours[0].answer_timeout_ns, theirs.answer_timeout_ns);
    expect_int(ours[0].send_timeout_ns, theirs.send_timeout_ns);
    expect_int(ours[0].linger_ns, theirs.linger_ns);
    expect_int(ours[0].body_drain_bytes, theirs.body_drain_bytes);
    expect_int(ours[0].send_high_bytes, theirs.send_high_bytes);
    expect_int(ours[0].send_low_bytes, theirs.send_low_bytes);
    expect_int(ours[0].rate_min_bytes, theirs.rate_min_bytes);
    expect_int(ours[0].unsent_bytes, theirs.unsent_bytes);
    expect_int(ours[0].h2_max_streams, theirs.h2_max_streams);
    expect_int(ours[0].n_connections_max, theirs.n_connections_max);
    expect_int(ours[ENDPOINT_GATEWAY].h2_max_streams, 128);
    expect_int(ours[ENDPOINT_GATEWAY_LOCAL].h2_max_streams, 128);
    config_free(config);
}

static void later_sources_win(void)
{
    char level[] = "MUSTER_LOG_LEVEL=warn", workers[] = "MUSTER_WORKERS=3", streams[] = "MUSTER_HTTP_STREAMS=5";
    char *environment[] = {level, workers, streams, NULL};
    const char *file = "log:\n  level: debug\nworkers: 2\nhttp:\n  streams: 4\n  fields: 50\n";
    struct config *config = load_good(
        file, environment,
        WORDS("--log-level", "error", "--set", "http.streams=7", "--set", "log.level=info", "--set", "http.streams=6"));
    expect_int(config->http.fields, 50); /* only the file says it */
    expect_int(config->workers, 3);      /* the environment wins over the file */
    expect_int(config->http.streams, 6); /* --set wins over the environment, the last one over those before */
    expect_int(config->log.level, 3);    /* a flag wins over --set, wherever it stands */
    config_free(config);
}

static void lists_are_replaced_not_joined(void)
{
    char listen[] = "MUSTER_LISTEN=127.0.0.1:1, [::1]:2";
    char *environment[] = {listen, NULL};
    const char *file = "listen: [\"127.0.0.1:7\", \"127.0.0.1:8\"]\ngateway:\n  listen: \":9\"\n";
    struct config *config = load_good(file, no_environment, 0, NULL);
    expect_list(&config->listen, WORDS("127.0.0.1:7", "127.0.0.1:8"));
    expect_list(&config->gateway.listen, WORDS(":9"));
    config_free(config);

    config = load_good(file, environment, 0, NULL);
    expect_list(&config->listen, WORDS("127.0.0.1:1", "[::1]:2"));
    config_free(config);

    config = load_good(file, environment, WORDS("--listen=unix:/run/m", "--set", "listen=:1", "--listen", ":3"));
    expect_list(&config->listen, WORDS("unix:/run/m", ":3"));
    config_free(config);
}

static void units_are_understood(void)
{
    struct config *config = load_good(NULL, no_environment,
                                      WORDS("--set", "http.head_timeout=250ms", "--set", "http.idle_timeout=2h",
                                            "--set", "http.head_bytes=2k", "--set", "http.send_buffer_bytes=1M",
                                            "--set", "http.target_bytes=300", "--set", "drain.timeout=0s"));
    expect_int(config->http.head_timeout, 250 * NSEC_PER_MSEC);
    expect_int(config->http.idle_timeout, 7200 * NSEC_PER_SEC);
    expect_int(config->http.head_bytes, 2048);
    expect_int(config->http.send_buffer_bytes, 1024 * 1024);
    expect_int(config->http.target_bytes, 300);
    expect_int(config->drain.timeout, 0);
    config_free(config);
}

/* What is said of a bad file, environment variable and command line. */
static const struct bad {
    const char *file, *variable, *argument, *text;
} bads[] = {
    {"lisen: x\n", NULL, NULL, "FILE:1: lisen: unknown key, did you mean \"listen\"?"},
    {"\nhttp:\n  head_timout: 1s\n", NULL, NULL,
     "FILE:3: http.head_timout: unknown key, did you mean \"http.head_timeout\"?"},
    {"frobnicate: 1\n", NULL, NULL, "FILE:1: frobnicate: unknown key (see: muster serve --help)"},
    {"workers: many\n", NULL, NULL, "FILE:1: workers: \"many\" is not valid; expected a number from 0 to 64"},
    {"workers: 65\n", NULL, NULL, "FILE:1: workers: \"65\" is out of range; expected a number from 0 to 64"},
    {"workers: -1\n", NULL, NULL, "FILE:1: workers: \"-1\" is not valid; expected a number from 0 to 64"},
    {"listen:\n  - 127.0.0.1:1\n  - localhost\n", NULL, NULL,
     "FILE:3: listen: \"localhost\" is not an address; expected IP:PORT, [IPV6]:PORT, :PORT or unix:/PATH"},
    {"http:\n  head_timeout: 10\n", NULL, NULL,
     "FILE:2: http.head_timeout: \"10\" is not valid; expected a duration such as 500ms, 10s or 5m, from 10ms to 1h"},
    {"http:\n  head_bytes: 1G\n", NULL, NULL,
     "FILE:2: http.head_bytes: \"1G\" is out of range; expected bytes such as 64k or 1M, from 1k to 128k"},
    {"role: both\n", NULL, NULL, "FILE:1: role: \"both\" is not valid; expected registry, gateway or all"},
    {"tls:\n  plain: maybe\n", NULL, NULL, "FILE:2: tls.plain: \"maybe\" is not valid; expected true or false"},
    {"http: 5\n", NULL, NULL, "FILE:1: http: expected the keys that begin with \"http.\", one level deeper"},
    {"workers: [1]\n", NULL, NULL, "FILE:1: workers: expected a number from 0 to 64, not a list"},
    {"workers: {a: 1}\n", NULL, NULL, "FILE:1: workers: expected a number from 0 to 64, not a mapping"},
    {"listen: [[a]]\n", NULL, NULL,
     "FILE:1: listen: expected IP:PORT, [IPV6]:PORT, :PORT or unix:/PATH, not a list inside the list"},
    {"workers:\n", NULL, NULL, "FILE:1: workers: expected a number from 0 to 64, not nothing"},
    {"- a\n", NULL, NULL, "FILE:1: expected a mapping of keys"},
    {"role: gateway\ngateway:\n  listen: []\n", NULL, NULL, "FILE:1: role: with this role no listener is left to open"},
    {"http:\n  target_bytes: 64k\n", NULL, NULL, "FILE:2: http.target_bytes: is more than http.head_bytes"},
    {"tls:\n  cert: [a, b]\n  key: c\n", NULL, NULL,
     "FILE:3: tls.key: expected as many files as tls.cert has, or none"},
    {NULL, "MUSTER_WORKERS=x", NULL, "MUSTER_WORKERS: \"x\" is not valid; expected a number from 0 to 64"},
    {NULL, "MUSTER_LISTEN=:1,,:2", NULL, "MUSTER_LISTEN: an item of the list is empty"},
    {NULL, "MUSTER_TLS_CLIENT_AUTH=require", NULL,
     "MUSTER_TLS_CLIENT_AUTH: needs TLS; expected tls.cert to be set, too"},
    {NULL, NULL, "--workers=x", "--workers: \"x\" is not valid; expected a number from 0 to 64"},
    {NULL, NULL, "--listen=nowhere",
     "--listen: \"nowhere\" is not an address; expected IP:PORT, [IPV6]:PORT, :PORT or unix:/PATH"},
    {NULL, NULL, "--set=workers=x", "--set workers: \"x\" is not valid; expected a number from 0 to 64"},
    {NULL, NULL, "--set=worker=1", "--set: worker: unknown key, did you mean \"workers\"?"},
    {NULL, NULL, "--set=workers", "--set workers: expected KEY=VALUE"},
    {NULL, NULL, "--workrs=1", "--workrs: unknown flag, did you mean --workers?"},
    {NULL, NULL, "--frobnicate", "--frobnicate: unknown flag (see: muster serve --help)"},
    {NULL, NULL, "--workers", "--workers needs a value: N"},
    {NULL, NULL, "--check=yes", "--check takes no value"},
    {NULL, NULL, "--ready-fd=x", "--ready-fd: \"x\" is no descriptor; expected a number"},
    {NULL, NULL, "serve", "serve: unexpected argument (see: muster serve --help)"},
    {NULL, NULL, "--config=/nonexistent/m.yaml", "/nonexistent/m.yaml: cannot read: No such file or directory"},
};

static void what_is_wrong_is_one_clear_line(void)
{
    for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
        const struct bad *bad = &bads[i];
        char *variable = bad->variable ? slice_dup(slice_from_str(bad->variable)) : NULL;
        char *environment[] = {variable, NULL};
        struct config *config = NULL;
        struct err err = {""};
        int r = load(bad->file, environment, bad->argument ? 1 : 0, &bad->argument, &config, &err);
        expect_str(err.text, bad->text);
        expect_true(r < 0 && config == NULL);
        free(variable);
    }
}

static void a_key_cannot_be_given_twice(void)
{
    struct config *config = NULL;
    struct err err = {""};
    expect_int(load("workers: 1\nrole: all\nworkers: 2\n", no_environment, 0, NULL, &config, &err), -EINVAL);
    expect_str(err.text, "FILE:3:1: the key \"workers\" is here twice, first in line 1");
}

static void broken_yaml_is_told_with_its_line(void)
{
    struct config *config = NULL;
    struct err err = {""};
    expect_int(load("workers: 1\nlisten: [\n", no_environment, 0, NULL, &config, &err), -EINVAL);
    expect_true(strncmp(err.text, "FILE:", 5) == 0);
}

static void an_empty_file_says_nothing(void)
{
    config_free(load_good("", no_environment, 0, NULL));
    config_free(load_good("# all of it is commented out\n", no_environment, 0, NULL));
    config_free(load_good("http:\n#  streams: 5\nworkers: 1\n", no_environment, 0, NULL));
}

static void only_likely_slips_are_pointed_at(void)
{
    char port[] = "MUSTER_PORT=tcp://10.0.0.1:2379", host[] = "MUSTER_SERVICE_HOST=10.0.0.1",
         right[] = "MUSTER_LISTEN=:1", address[] = "MUSTER_ADDR=http://x", wrong[] = "MUSTER_LOG_LEVL=debug",
         other[] = "PATH=/bin";
    char *environment[] = {port, host, right, address, wrong, other, NULL};
    char meant[CONFIG_VARIABLE_MAX];
    size_t index = 0;
    expect_str(config_misspelt_variable(environment, &index, meant, sizeof(meant)), wrong);
    expect_str(meant, "MUSTER_LOG_LEVEL");
    expect_str(config_misspelt_variable(environment, &index, meant, sizeof(meant)), NULL);
}

static void each_key_has_its_own_name_everywhere(void)
{
    for (unsigned i = 0; i < n_config_keys; i++) {
        char a[CONFIG_VARIABLE_MAX], b[CONFIG_VARIABLE_MAX];
        config_key_variable(&config_keys[i], a);
        expect_true(config_key_find(slice_from_str(config_keys[i].path)) == &config_keys[i]);
        for (unsigned j = 0; j < i; j++) {
            config_key_variable(&config_keys[j], b);
            expect_true(strcmp(a, b) != 0);
        }
    }
}

static void changes_are_seen_and_swapped(void)
{
    struct config *old = load_good("listen: \":1\"\nlog:\n  level: warn\n", no_environment, 0, NULL);
    struct config *fresh = load_good("listen: \":2\"\nlog:\n  level: warn\n", no_environment, 0, NULL);
    for (unsigned i = 0; i < n_config_keys; i++) {
        bool is_listen = strcmp(config_keys[i].path, "listen") == 0;
        expect_int(config_value_equal(old, fresh, &config_keys[i]), !is_listen);
        if (is_listen)
            config_swap(old, fresh, &config_keys[i]);
    }
    expect_list(&old->listen, WORDS(":2"));
    expect_list(&fresh->listen, WORDS(":1"));
    config_free(old);
    config_free(fresh);
}

static int load_some(void *arg)
{
    const struct arguments *arguments = arg;
    struct config *config = NULL;
    struct err err = {""};
    int r = config_load(arguments, no_environment, &config, &err);
    if (r < 0)
        expect_true(err.text[0] != '\0' && config == NULL);
    config_free(config);
    return r;
}

static void running_out_of_memory_is_an_error(void)
{
    char *path = make_file("listen: [\":1\", \":2\"]\ntls:\n  ca: x\n");
    struct arguments arguments = {.config_file = path, .ready_fd = -1};
    expect_true(fault_alloc_sweep(load_some, &arguments) > 10);
    unlink(path);
    free(path);
}

static const struct test_case cases[] = {
    {"everything has a default", nothing_is_needed},
    {"the defaults are those of the HTTP server", defaults_are_those_of_the_server},
    {"flags win over --set, over the environment, over the file, over the defaults", later_sources_win},
    {"a list is replaced by a later source, and gathered from repeated flags", lists_are_replaced_not_joined},
    {"durations and bytes have units", units_are_understood},
    {"what is wrong is one line: place, key, what was wrong, what was expected", what_is_wrong_is_one_clear_line},
    {"a key given twice in the file is an error", a_key_cannot_be_given_twice},
    {"broken YAML is told with its line", broken_yaml_is_told_with_its_line},
    {"an empty file is a good one", an_empty_file_says_nothing},
    {"misspelt variables are pointed at, foreign ones are not", only_likely_slips_are_pointed_at},
    {"each key has a name of its own in the environment", each_key_has_its_own_name_everywhere},
    {"changed values are seen, and can be swapped between configs", changes_are_seen_and_swapped},
    {"running out of memory is an error", running_out_of_memory_is_an_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
