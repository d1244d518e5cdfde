/* SPDX-License-Identifier: Apache-2.0 */
#include "sources/docker/docker_offer.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>

/* Like the engine's defaults, on this machine. */
static const struct docker_rules plain = {.host = SLICE_LIT("127.0.0.1")};

struct offered {
    struct arena arena;
    struct docker_container container;
    struct docker_offers offers;
    struct err err;
    int result;
};

#define PUBLISHED(port, host_port) "\"" #port "/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"" #host_port "\"}]"
#define EXPOSED(port)              "\"" #port "/tcp\":null"

/* A running container "web-1" of that image, in the networks back (10.0.0.2) and front (10.1.0.2). */
static struct offered *make(const char *image, const char *ports, const char *labels)
{
    static struct offered offered;
    struct buf json = {0};
    offered = (struct offered){.result = 0};
    buf_printf(&json,
               "{\"Id\":\"0123456789abcdef\",\"Name\":\"/web-1\",\"State\":{\"Running\":true,\"StartedAt\":"
               "\"2026-11-21T17:22:20Z\"},\"Config\":{\"Image\":\"%s\",\"Labels\":{%s}},\"NetworkSettings\":"
               "{\"Ports\":{%s},\"Networks\":{\"back\":{\"IPAddress\":\"10.0.0.2\"},\"front\":{\"IPAddress\":"
               "\"10.1.0.2\"}}}}",
               image, labels, ports);
    expect_int(docker_container_parse(buf_slice(&json), &offered.arena, &offered.container, NULL), 0);
    buf_deinit(&json);
    return &offered;
}

/* Lines "SERVICE ID ADDRESS", or the words for what is wrong; good until the next call. */
static const char *judge(struct offered *offered, const struct docker_rules *rules, enum docker_address prefers)
{
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    offered->result =
        docker_offer_list(&offered->container, rules, prefers, &offered->arena, &offered->offers, &offered->err);
    if (offered->result < 0)
        return offered->err.text;
    for (unsigned i = 0; i < offered->offers.n; i++) {
        const struct docker_offer *offer = &offered->offers.list[i];
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s %.*s %.*s", i ? "\n" : "",
                                SLICE_ARG(offer->service), SLICE_ARG(offer->id), SLICE_ARG(offer->record.address));
    }
    return text;
}

#define expect_offer(image, ports, labels, rules, expected)                                                            \
    do {                                                                                                               \
        struct offered *offered_ = make(image, ports, labels);                                                         \
        expect_str(judge(offered_, rules, DOCKER_ADDRESS_HOST), expected);                                             \
        arena_deinit(&offered_->arena);                                                                                \
    } while (0)

/* ------------------------------------------------------------------------------------------------ names */

static void the_service_is_named(void)
{
    const char *port = PUBLISHED(8080, 32768);
    expect_offer("hello:latest", port, "", &plain, "hello 0123456789ab:8080 127.0.0.1:32768");
    expect_offer("registry.example:5000/team/hello:1.2@sha256:77", port, "", &plain,
                 "hello 0123456789ab:8080 127.0.0.1:32768");
    expect_offer("hello", port, "\"com.docker.compose.service\":\"web\",\"com.docker.compose.project\":\"p\"", &plain,
                 "web 0123456789ab:8080 127.0.0.1:32768");
    expect_offer("hello", port, "\"com.docker.swarm.service.name\":\"stack_web\"", &plain,
                 "stack_web 0123456789ab:8080 127.0.0.1:32768");
    expect_offer("hello", port, "\"com.docker.compose.service\":\"web\",\"muster.service\":\"shop\"", &plain,
                 "shop 0123456789ab:8080 127.0.0.1:32768");
    expect_offer("sha256:9ed00733aacb7e", port, "", &plain, "web-1 0123456789ab:8080 127.0.0.1:32768");
}

static void several_ports_are_several_services(void)
{
    const char *ports = PUBLISHED(9090, 32769) "," PUBLISHED(8080, 32768) "," EXPOSED(70);
    expect_offer("hello", ports, "", &plain,
                 "hello-8080 0123456789ab:8080 127.0.0.1:32768\nhello-9090 0123456789ab:9090 127.0.0.1:32769");
    expect_offer("hello", ports, "\"muster.port\":\"9090\"", &plain, "hello 0123456789ab:9090 127.0.0.1:32769");
    expect_offer("hello", ports, "\"muster.8080.service\":\"api\",\"muster.9090.service\":\"admin\"", &plain,
                 "api 0123456789ab:8080 127.0.0.1:32768\nadmin 0123456789ab:9090 127.0.0.1:32769");
    expect_offer("hello", ports, "\"muster.port\":\"9090, 8080\",\"muster.8080.service\":\"api\"", &plain,
                 "api 0123456789ab:8080 127.0.0.1:32768\nhello-9090 0123456789ab:9090 127.0.0.1:32769");
}

/* ------------------------------------------------------------------------------------------------ whether */

static void only_who_is_published_or_asks(void)
{
    expect_offer("hello", EXPOSED(8080), "", &plain, "");
    expect_offer("hello", "", "", &plain, "");
    expect_offer("hello", EXPOSED(8080), "\"muster.enable\":\"true\"", &plain, "hello 0123456789ab:8080 10.0.0.2:8080");
    expect_offer("hello", "", "\"muster.port\":\"7000\"", &plain, "hello 0123456789ab:7000 10.0.0.2:7000");
    expect_offer("hello", PUBLISHED(80, 32768), "\"muster.enable\":\"false\"", &plain, "");
}

static void the_rules_narrow(void)
{
    const char *port = PUBLISHED(80, 32768), *all = "hello 0123456789ab:80 127.0.0.1:32768";
    const struct slice images[] = {SLICE_LIT("other"), SLICE_LIT("team/hello")};
    struct docker_rules rules = {.host = plain.host, .images = images, .n_images = 2};
    expect_offer("team/hello:3", port, "", &rules, all);
    expect_offer("hello:3", port, "", &rules, "");
    rules.n_images = 0;
    rules.label = SLICE_LIT("stage");
    expect_offer("hello", port, "\"stage\":\"prod\"", &rules, all);
    expect_offer("hello", port, "\"other\":\"prod\"", &rules, "");
    rules.label = SLICE_LIT("stage=prod");
    expect_offer("hello", port, "\"stage\":\"prod\"", &rules, all);
    expect_offer("hello", port, "\"stage\":\"test\"", &rules, "");
    rules.label = (struct slice){0};
    rules.is_opt_in = true;
    expect_offer("hello", port, "", &rules, "");
    expect_offer("hello", port, "\"muster.enable\":\"true\"", &rules, all);
}

static void who_does_not_run_offers_nothing(void)
{
    struct offered *offered = make("hello", PUBLISHED(80, 32768), "");
    offered->container.is_running = false;
    expect_str(judge(offered, &plain, DOCKER_ADDRESS_HOST), "");
    expect_int(offered->result, 0);
    arena_deinit(&offered->arena);
}

/* ------------------------------------------------------------------------------------------------ addresses */

static void host_or_network(void)
{
    const char *port = PUBLISHED(80, 32768);
    const char *host = "hello 0123456789ab:80 127.0.0.1:32768", *own = "hello 0123456789ab:80 10.0.0.2:80";
    struct docker_rules rules = plain;
    struct offered *offered = make("hello", port, "");
    expect_str(judge(offered, &rules, DOCKER_ADDRESS_NETWORK), own);
    expect_slice(offered->offers.list[0].published, "127.0.0.1:32768");
    expect_slice(offered->offers.list[0].own, "10.0.0.2:80");
    arena_deinit(&offered->arena);
    rules.address = DOCKER_ADDRESS_NETWORK;
    expect_offer("hello", port, "", &rules, own);
    rules.network = SLICE_LIT("front");
    expect_offer("hello", port, "", &rules, "hello 0123456789ab:80 10.1.0.2:80");
    rules.network = SLICE_LIT("none");
    expect_offer("hello", port, "", &rules, "it has no address in the network none");
    expect_offer("hello", port, "\"muster.network\":\"back\"", &rules, own);
    expect_offer("hello", port, "\"muster.address\":\"host\"", &rules, host);
    rules = (struct docker_rules){.host = plain.host, .address = DOCKER_ADDRESS_HOST};
    expect_offer("hello", EXPOSED(80), "\"muster.port\":\"80\"", &rules, "port 80 is not published");
    expect_offer("hello", port, "\"muster.address\":\"network\"", &rules, own);
}

static void a_remote_engine_has_networks_of_its_own(void)
{
    struct docker_rules rules = {.host = SLICE_LIT("docker.example"), .is_remote = true};
    struct offered *offered = make("hello", PUBLISHED(80, 32768), "");
    expect_str(judge(offered, &rules, DOCKER_ADDRESS_NETWORK), "hello 0123456789ab:80 docker.example:32768");
    expect_true(offered->offers.list[0].own.len == 0);
    arena_deinit(&offered->arena);
    expect_offer("hello", EXPOSED(80), "\"muster.port\":\"80\"", &rules, "port 80 is not published");
}

static void the_address_that_a_port_is_published_on(void)
{
    expect_offer("hello", "\"80/tcp\":[{\"HostIp\":\"10.9.8.7\",\"HostPort\":\"81\"}]", "", &plain,
                 "hello 0123456789ab:80 10.9.8.7:81");
    expect_offer("hello", "\"80/tcp\":[{\"HostIp\":\"fd00::1\",\"HostPort\":\"81\"}]", "", &plain,
                 "hello 0123456789ab:80 [fd00::1]:81");
    struct offered *offered = make("hello", EXPOSED(80), "\"muster.port\":\"80\"");
    offered->container.is_on_host_network = true;
    expect_str(judge(offered, &plain, DOCKER_ADDRESS_HOST), "hello 0123456789ab:80 127.0.0.1:80");
    arena_deinit(&offered->arena);
}

/* ------------------------------------------------------------------------------------------------ the record */

static void labels_become_the_record(void)
{
    struct offered *offered = make(
        "hello", PUBLISHED(8080, 32768),
        "\"muster.weight\":\"5\",\"muster.8080.weight\":\"7\",\"muster.protocol\":\"grpc\",\"muster.zone\":\"a\","
        "\"muster.tags\":\"v2, blue\",\"muster.needs\":\"db\",\"muster.host\":\"x.example\",\"muster.path\":\"/api\","
        "\"muster.expose\":\"true\",\"muster.meta.team\":\"shop\",\"muster.gateway.timeout\":\"5s\","
        "\"muster.check\":\"http:/health\",\"muster.check.interval\":\"2s\",\"muster.drain\":\"1m\","
        "\"muster.9090.weight\":\"9\",\"muster.port\":\"8080\",\"muster.enable\":\"true\"");
    offered->container.health = DOCKER_HEALTHY;
    (void)judge(offered, &plain, DOCKER_ADDRESS_HOST);
    struct buf json = {0};
    expect_int(offered->result, 0);
    expect_int(offered->offers.n, 2); /* the other one has a label, and so is asked for */
    instance_record_write(&json, &offered->offers.list[0].record);
    expect_slice(buf_slice(&json),
                 "{\"address\":\"127.0.0.1:32768\",\"protocol\":\"grpc\",\"weight\":7,\"zone\":\"a\","
                 "\"tags\":[\"v2\",\"blue\"],\"needs\":[\"db\"],\"metadata\":{\"docker.name\":\"web-1\","
                 "\"docker.image\":\"hello\",\"expose\":\"true\",\"gateway.route\":\"x.example/api\",\"team\":\"shop\","
                 "\"gateway.timeout\":\"5s\"},\"check\":{\"type\":\"http\",\"target\":\"/health\",\"interval_ms\":2000,"
                 "\"timeout_ms\":1000,\"to_fail\":3,\"to_pass\":1},\"origin\":\"docker\","
                 "\"session\":\"0123456789ab@2026-11-21T17:22:20Z\"}");
    expect_int(offered->offers.drain_ns, 60 * NSEC_PER_SEC);
    expect_false(offered->offers.has_health);
    buf_deinit(&json);
    arena_deinit(&offered->arena);
}

static void the_engines_health_is_a_check(void)
{
    struct offered *offered = make("hello", PUBLISHED(8080, 32768), "");
    offered->container.health = DOCKER_HEALTH_STARTING;
    (void)judge(offered, &plain, DOCKER_ADDRESS_HOST);
    expect_true(offered->offers.has_health);
    expect_int(instance_details(&offered->offers.list[0].record)->check->type, INSTANCE_CHECK_TTL);
    arena_deinit(&offered->arena);
    offered = make("hello", PUBLISHED(8080, 32768), "\"muster.check\":\"none\"");
    offered->container.health = DOCKER_UNHEALTHY;
    (void)judge(offered, &plain, DOCKER_ADDRESS_HOST);
    expect_false(offered->offers.has_health);
    expect_true(!instance_details(&offered->offers.list[0].record)->check);
    arena_deinit(&offered->arena);
}

static void wrong_labels_are_said(void)
{
    static const struct {
        const char *labels, *words;
    } cases[] = {
        {"\"muster.wieght\":\"1\"", "label muster.wieght is not known, did you mean \"weight\"?"},
        {"\"muster.80.x1y2z3\":\"1\"", "label muster.80.x1y2z3 is not known"},
        {"\"muster.weight\":\"heavy\"", "label muster.weight: expected a number from 0 to 65535"},
        {"\"muster.enable\":\"yes\"", "label muster.enable: expected true or false"},
        {"\"muster.port\":\"80,x\"", "label muster.port: expected ports, separated by commas"},
        {"\"muster.check\":\"ping\"",
         "label muster.check: expected none, tcp, grpc, grpc:SERVICE, http:/PATH or /PATH"},
        {"\"muster.check.interval\":\"5\"",
         "label muster.check.interval: expected a duration such as 5s, from 100ms to 24h"},
        {"\"muster.drain\":\"99999999999h\"", "label muster.drain: expected a duration such as 30s, from 1s to 24h"},
        {"\"muster.path\":\"api\"", "label muster.path: expected a path that begins with /"},
        {"\"muster.address\":\"any\"", "label muster.address: expected host or network"},
        {"\"muster.service\":\"..\"", "\"..\" is no name of service: it would mean a folder"},
        {"\"muster.tags\":\"a\\tb\"", "\"tags\": expected a text without control characters"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        expect_offer("hello", PUBLISHED(80, 32768), cases[i].labels, &plain, cases[i].words);
}

static int offer_without_memory(void *arg)
{
    struct arena arena = {0};
    struct docker_offers offers;
    const struct docker_container *container = arg;
    int r = docker_offer_list(container, &plain, DOCKER_ADDRESS_HOST, &arena, &offers, NULL);
    expect_true(r < 0 || offers.n == 1);
    arena_deinit(&arena);
    return r;
}

static void without_memory(void)
{
    struct offered *offered = make("hello", PUBLISHED(80, 32768), "\"muster.tags\":\"a,b\",\"muster.meta.x\":\"y\"");
    expect_true(fault_alloc_sweep(offer_without_memory, &offered->container) > 0);
    arena_deinit(&offered->arena);
}

static const struct test_case cases[] = {
    {"the service is named by label, Compose, Swarm or image", the_service_is_named},
    {"several ports are several services, unless labels say more", several_ports_are_several_services},
    {"who publishes a port is offered, or who asks for it", only_who_is_published_or_asks},
    {"the rules narrow by image, by label, to those that opt in", the_rules_narrow},
    {"who does not run offers nothing", who_does_not_run_offers_nothing},
    {"the address of the host or that in a network", host_or_network},
    {"a remote engine has networks of its own", a_remote_engine_has_networks_of_its_own},
    {"the address that a port is published on", the_address_that_a_port_is_published_on},
    {"labels become the record", labels_become_the_record},
    {"what the engine says of its health is a check", the_engines_health_is_a_check},
    {"wrong labels are said", wrong_labels_are_said},
    {"any allocation may fail", without_memory},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
