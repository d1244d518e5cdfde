/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/docker/docker_container.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

/* As engine 20.10 describes one, but for what is not read. */
static const char description[] =
    "{\"Id\":\"b5e98563b4a69e88a2afc236e741259db9bdeb4398e0554b8a82ac4a972f3053\","
    "\"State\":{\"Status\":\"running\",\"Running\":true,\"Paused\":true,\"Restarting\":false,\"Dead\":false,"
    "\"StartedAt\":\"2026-11-21T17:22:20.094708164Z\",\"Health\":{\"Status\":\"unhealthy\",\"FailingStreak\":3,"
    "\"Log\":[{\"ExitCode\":0,\"Output\":\"good\"},{\"ExitCode\":1,\"Output\":\" no answer\\nat all\"}]}},"
    "\"Image\":\"sha256:9ed00733aacb7ebdf5b7ae119a7be6586f99660960da042ef6bfa1d8f8716919\",\"Name\":\"/web-1\","
    "\"HostConfig\":{\"NetworkMode\":\"default\"},"
    "\"Config\":{\"ExposedPorts\":{\"8080/tcp\":{},\"53/udp\":{},\"9090/tcp\":{}},\"Image\":\"hello:2\","
    "\"StopSignal\":\"SIGQUIT\",\"Labels\":{\"x\":\"y\",\"empty\":\"\"}},"
    "\"NetworkSettings\":{\"Ports\":{\"9090/tcp\":null,\"53/udp\":[{\"HostIp\":\"\",\"HostPort\":\"53\"}],"
    "\"8080/tcp\":[{\"HostIp\":\"::\",\"HostPort\":\"32769\"},{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"32768\"}]},"
    "\"Networks\":{\"front\":{\"IPAddress\":\"10.201.0.2\",\"GlobalIPv6Address\":\"\"},"
    "\"back\":{\"IPAddress\":\"\",\"GlobalIPv6Address\":\"fd00::2\"}}}}";

static void expect_description(const struct docker_container *container)
{
    expect_str(container->id, "b5e98563b4a6");
    expect_slice(container->name, "web-1");
    expect_slice(container->image, "hello:2");
    expect_true(container->is_running && container->is_paused && !container->is_on_host_network);
    expect_false(container->is_image_an_id);
    expect_int(container->health, DOCKER_UNHEALTHY);
    expect_slice(container->health_words, "no answer");
    expect_slice(container->started, "2026-11-21T17:22:20.094708164Z");
    expect_int(container->started_ns, 1795281740094708164);
    expect_int(container->stop_signal, SIGQUIT);
    expect_int(container->n_labels, 2);
    expect_slice(docker_container_label(container, SLICE_LIT("x")), "y");
    expect_true(docker_container_label(container, SLICE_LIT("z")).len == 0);
    expect_int(container->n_ports, 2);
    expect_int(container->ports[0].number, 8080);
    expect_int(container->ports[0].host_port, 32768);
    expect_slice(container->ports[0].host_ip, "0.0.0.0");
    expect_int(container->ports[1].number, 9090);
    expect_int(container->ports[1].host_port, 0);
    expect_int(container->n_networks, 2);
    expect_slice(container->networks[0].name, "back");
    expect_slice(container->networks[0].ip, "fd00::2");
    expect_slice(container->networks[1].ip, "10.201.0.2");
}

static void what_the_engine_says(void)
{
    struct arena arena = {0};
    struct docker_container container;
    expect_int(docker_container_parse(slice_from_str(description), &arena, &container, NULL), 0);
    expect_description(&container);
    arena_deinit(&arena);
}

/* Of a running container with these members besides. */
static int parse(struct arena *arena, const char *members, struct docker_container *ret_container, struct err *err)
{
    struct buf json = {0};
    buf_printf(&json, "{\"Id\":\"0123456789abcdef\"%s}", members);
    int r = docker_container_parse(buf_slice(&json), arena, ret_container, err);
    buf_deinit(&json);
    return r;
}

static void what_is_left_out_is_empty(void)
{
    struct arena arena = {0};
    struct docker_container container;
    expect_int(parse(&arena, ",\"State\":{}", &container, NULL), 0);
    expect_false(container.is_running || container.is_paused);
    expect_int(container.n_labels + container.n_ports + container.n_networks, 0);
    expect_int(container.stop_signal, SIGTERM);
    expect_int(container.started_ns, 0);
    expect_int(
        parse(&arena, ",\"State\":{\"Running\":true},\"Config\":null,\"NetworkSettings\":null", &container, NULL), 0);
    expect_true(container.is_running);
    arena_deinit(&arena);
}

static void between_two_restarts_it_does_not_run(void)
{
    struct arena arena = {0};
    struct docker_container container;
    expect_int(parse(&arena, ",\"State\":{\"Running\":true,\"Restarting\":true}", &container, NULL), 0);
    expect_false(container.is_running);
    arena_deinit(&arena);
}

static void an_image_that_is_an_id(void)
{
    struct arena arena = {0};
    struct docker_container container;
    const char *members = ",\"State\":{},\"Image\":\"sha256:9ed00733aacb7ebd\",\"Config\":{\"Image\":\"9ed00733aacb\"}";
    expect_int(parse(&arena, members, &container, NULL), 0);
    expect_true(container.is_image_an_id);
    arena_deinit(&arena);
}

static void moments(void)
{
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:01Z", 1000000000},
        {"1970-01-01T01:00:00.5+01:00", 500000000},
        {"1970-01-01T00:00:00.000000001Z", 1},
        {"0001-01-01T00:00:00Z", 0},
        {"yesterday", 0},
        {"", 0},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena = {0};
        struct docker_container container;
        char members[128];
        (void)snprintf(members, sizeof(members), ",\"State\":{\"StartedAt\":\"%s\"}", cases[i].text);
        expect_int(parse(&arena, members, &container, NULL), 0);
        expect_int(container.started_ns, cases[i].ns);
        arena_deinit(&arena);
    }
}

static void what_is_wrong_is_said(void)
{
    static const struct {
        const char *members, *words;
    } cases[] = {
        {"", "\"State\": expected an object"},
        {",\"State\":{\"StartedAt\":5}", "\"StartedAt\": expected a text"},
        {",\"State\":{},\"Name\":[]", "\"Name\": expected a text"},
        {",\"State\":{},\"NetworkSettings\":{\"Ports\":{\"80/tcp\":[{\"HostPort\":\"x\"}]}}",
         "\"HostPort\": expected the text of a port from 1 to 65535"},
        {",\"State\":{},\"NetworkSettings\":{\"Networks\":{\"a\":{\"IPAddress\":7}}}",
         "\"IPAddress\": expected a text"},
    };
    struct docker_container container;
    struct err err;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena = {0};
        expect_int(parse(&arena, cases[i].members, &container, &err), -EINVAL);
        expect_str(err.text, cases[i].words);
        arena_deinit(&arena);
    }
    struct arena arena = {0};
    expect_int(docker_container_parse(SLICE_LIT("{\"Id\":\"12\"}"), &arena, &container, &err), -EINVAL);
    expect_str(err.text, "\"Id\": expected at least 12 hexadecimal digits");
    expect_int(docker_container_parse(SLICE_LIT("[]"), &arena, &container, &err), -EINVAL);
    arena_deinit(&arena);
}

static void huge_sets_are_cut(void)
{
    struct buf members = {0};
    struct arena arena = {0};
    struct docker_container container;
    buf_append_str(&members, ",\"State\":{},\"Config\":{\"Labels\":{");
    for (unsigned i = 0; i < 5000; i++)
        buf_printf(&members, "%s\"label%u\":\"value\"", i ? "," : "", i);
    buf_append_str(&members, "},\"ExposedPorts\":{");
    for (unsigned i = 1; i < 5000; i++)
        buf_printf(&members, "%s\"%u/tcp\":{}", i > 1 ? "," : "", i);
    buf_append_str(&members, "}},\"NetworkSettings\":{\"Networks\":{");
    for (unsigned i = 0; i < 5000; i++)
        buf_printf(&members, "%s\"net%u\":{\"IPAddress\":\"10.0.0.1\"}", i ? "," : "", i);
    buf_append_str(&members, "}}");
    buf_append_char(&members, '\0');
    expect_int(parse(&arena, members.ptr, &container, NULL), 0);
    expect_int(container.n_labels, DOCKER_LABELS_MAX);
    expect_int(container.n_ports, DOCKER_PORTS_MAX);
    expect_int(container.n_networks, DOCKER_NETWORKS_MAX);
    arena_deinit(&arena);
    buf_deinit(&members);
}

static void cut_anywhere_it_is_refused(void)
{
    struct docker_container container;
    for (size_t n = 0; n < sizeof(description) - 1; n++) {
        struct arena arena = {0};
        expect_int(docker_container_parse(slice_from(description, n), &arena, &container, NULL), -EINVAL);
        arena_deinit(&arena);
    }
}

static int read_description(void *arg)
{
    struct arena arena = {0};
    struct docker_container container;
    (void)arg;
    int r = docker_container_parse(slice_from_str(description), &arena, &container, NULL);
    if (r == 0)
        expect_description(&container);
    arena_deinit(&arena);
    return r;
}

static void without_memory(void)
{
    expect_true(fault_alloc_sweep(read_description, NULL) > 0);
}

/* ------------------------------------------------------------------------------------------------ the list */

static void the_list(void)
{
    struct buf ids = {0};
    struct err err;
    expect_int(
        docker_list_parse(SLICE_LIT("[{\"Id\":\"0123456789abcdef\",\"Names\":[\"/a\"]},{\"Id\":\"fedcba9876543210\"}]"),
                          &ids, &err),
        0);
    expect_int(ids.len, 2 * (DOCKER_ID_LEN + 1));
    expect_str(ids.ptr, "0123456789ab");
    expect_str(ids.ptr + DOCKER_ID_LEN + 1, "fedcba987654");
    buf_reset(&ids);
    expect_int(docker_list_parse(SLICE_LIT("[]"), &ids, &err), 0);
    expect_int(ids.len, 0);
    expect_int(docker_list_parse(SLICE_LIT("{\"message\":\"no\"}"), &ids, &err), -EINVAL);
    expect_str(err.text, "expected an array");
    expect_int(docker_list_parse(SLICE_LIT("[{}]"), &ids, &err), -EINVAL);
    expect_int(docker_list_parse(SLICE_LIT("[{\"Id\":"), &ids, &err), -EINVAL);
    buf_deinit(&ids);
}

static const struct test_case cases[] = {
    {"what the engine says of a container", what_the_engine_says},
    {"what is left out is empty", what_is_left_out_is_empty},
    {"between two restarts it does not run", between_two_restarts_it_does_not_run},
    {"an image that was asked for by its id", an_image_that_is_an_id},
    {"moments with fractions and offsets", moments},
    {"what is wrong is said", what_is_wrong_is_said},
    {"huge sets of labels, ports and networks are cut", huge_sets_are_cut},
    {"a description that is cut anywhere is refused", cut_anywhere_it_is_refused},
    {"any allocation may fail", without_memory},
    {"the list of containers", the_list},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
