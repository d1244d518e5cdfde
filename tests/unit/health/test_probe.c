/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at an instance whose server is our own, over simulated streams. */
#include "catalog/instance_record.h"
#include "health/probe.h"
#include "http/grpc_frames.h"
#include "http/server.h"
#include "support/certs.h"
#include "support/office_kit.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* How whoever is asked behaves. */
struct peer_plan {
    int connect_error;
    bool is_silent, closes_at_once;
    unsigned status;
    const char *grpc_status; /* NULL: none */
    struct slice body;
};

struct kit {
    struct sim *sim;
    struct loop *loop;
    struct http_server *server;
    struct certs *certs;
    struct errand_office office;
    struct probe_kit probes;
    struct probe probe;
    struct arena arena;
    struct instance *instance;
    struct stream *far; /* of a silent one */
    struct peer_plan plan;
    struct addr addr; /* that was connected to */
    struct buf seen;
    int n_done;
};

/* connect has no context of its own: a case has one kit, and a process of its own. */
static struct kit *the_kit;

static int connect_sim(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event,
                       void *owner, struct stream **ret_stream)
{
    (void)loop, (void)deadline_ns;
    struct kit *kit = the_kit;
    struct stream *end;
    const struct sim_options network = {.connect_ns = 1, .connect_error = kit->plan.connect_error};
    kit->addr = *addr;
    int r = sim_connect(kit->sim, &network, on_event, owner, ret_stream, &end);
    if (r < 0)
        return r;
    if (kit->plan.closes_at_once)
        stream_close(end);
    else if (kit->plan.is_silent || kit->plan.connect_error)
        kit->far = end;
    else
        http_server_adopt(kit->server, end, &(struct peer){.family = AF_INET});
    return 0;
}

static void on_whole(struct exchange *exchange, struct slice body)
{
    const struct peer_plan *plan = &the_kit->plan;
    buf_append(&the_kit->seen, body);
    if (!plan->grpc_status) {
        exchange_respond(exchange, plan->status, NULL, 0, plan->body);
        return;
    }
    const struct header status = {SLICE_LIT("grpc-status"), slice_from_str(plan->grpc_status)};
    expect_int(exchange_begin(exchange, plan->status, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    (void)exchange_write(exchange, plan->body);
    exchange_end(exchange, &status, 1);
}

static void on_request(void *ctx, struct exchange *exchange)
{
    (void)ctx;
    const struct http_request *request = exchange->request;
    buf_printf(&the_kit->seen, "%.*s %.*s %.*s ", SLICE_ARG(request->method_text), SLICE_ARG(request->target),
               SLICE_ARG(request->authority));
    exchange_collect(exchange, 1000, on_whole);
}

static void on_done(struct probe *probe)
{
    expect_true(probe->owner == the_kit);
    the_kit->n_done++;
}

static void make_tls(struct kit *kit)
{
    static const char *const alpn[] = {"h2", "http/1.1", NULL};
    kit->certs = certs_new(30);
    const struct tls_identity identity = certs_issue(kit->certs, &(struct cert_options){.names = "DNS:other.test"});
    struct http_server_options options;
    http_server_options_init(&options);
    options.plain_allowed = true;
    expect_int(tls_config_new_server(&(struct tls_options){.identities = &identity, .n_identities = 1, .alpn = alpn},
                                     &options.tls, NULL),
               0);
    http_server_set_options(kit->server, &options);
    (void)tls_config_unref(options.tls);
    expect_int(tls_config_new_client(&(struct tls_options){.peer_check = TLS_PEER_IGNORE}, &kit->probes.tls, NULL), 0);
    expect_int(tls_config_new_client(&(struct tls_options){.peer_check = TLS_PEER_IGNORE, .alpn = alpn},
                                     &kit->probes.tls_h2, NULL),
               0);
}

static struct kit *kit_new(const char *record)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    struct http_server_options options;
    struct instance model = {.service = SLICE_LIT("web"), .id = SLICE_LIT("1"), .incarnation = 1};
    struct err err;
    expect_true(kit);
    the_kit = kit;
    kit->plan.status = 200;
    http_server_options_init(&options);
    expect_int(sim_new(NULL, &kit->sim, &kit->loop), 0);
    expect_int(http_server_new(kit->loop, &options, &(struct exchange_handler){on_request, kit}, NULL, 0, &kit->server),
               0);
    office_kit_open(&kit->office, kit->loop, connect_sim);
    kit->probes.office = &kit->office;
    if (instance_record_parse(slice_from_str(record), INSTANCE_RECORD_LENIENT, &kit->arena, &model.record, &err) < 0)
        test_fail(__FILE__, __LINE__, "%s", err.text);
    expect_int(instance_new(&model, &kit->instance), 0);
    probe_init(&kit->probe, &kit->probes, on_done, kit);
    return kit;
}

static void kit_free(struct kit *kit)
{
    probe_deinit(&kit->probe);
    instance_unref(kit->instance);
    arena_deinit(&kit->arena);
    office_kit_close(&kit->office);
    http_server_free(kit->server);
    stream_close(kit->far);
    (void)tls_config_unref(kit->probes.tls);
    (void)tls_config_unref(kit->probes.tls_h2);
    if (kit->certs)
        certs_free(kit->certs);
    buf_deinit(&kit->seen);
    loop_free(kit->loop);
    free(kit);
}

static void look(struct kit *kit)
{
    kit->n_done = 0;
    buf_reset(&kit->seen);
    probe_start(&kit->probe, kit->instance);
    expect_int(kit->n_done, 0);
    sim_run_for(kit->sim, 2 * NSEC_PER_SEC);
    expect_int(kit->n_done, 1);
    expect_int(kit->probes.n_looks, 0);
}

/* One look of that record, at whoever does as planned. */
static void expect_look(const char *record, const struct peer_plan *plan, enum probe_verdict verdict,
                        const char *evidence)
{
    struct kit *kit = kit_new(record);
    kit->plan = *plan;
    look(kit);
    expect_str(kit->probe.evidence, evidence);
    expect_int(kit->probe.verdict, verdict);
    kit_free(kit);
}

#define RECORD(address, check) "{\"address\": \"" address "\", \"check\": {" check "}}"
#define TCP                    RECORD("tcp@10.0.0.1:80", "\"type\": \"tcp\"")
#define HTTP                   RECORD("10.0.0.1:80", "\"type\": \"http\", \"target\": \"/health?a=1\"")
#define GRPC                   RECORD("10.0.0.1:80", "\"type\": \"grpc\", \"target\": \"web\"")

static const struct peer_plan refused = {.connect_error = -ECONNREFUSED}, silent = {.is_silent = true},
                              well = {.status = 200};

/* ------------------------------------------------------------------------------------------------ TCP */

static void a_knock(void)
{
    expect_look(TCP, &silent, PROBE_GOOD, "connected to 10.0.0.1:80");
    expect_look(TCP, &refused, PROBE_DEAD, "connection refused: 10.0.0.1:80");
    expect_look(TCP, &(struct peer_plan){.connect_error = -EHOSTUNREACH}, PROBE_BAD,
                "no route to the host: 10.0.0.1:80");
    expect_look(TCP, &(struct peer_plan){.connect_error = -ENOMEM}, PROBE_VOID, "cannot connect: 10.0.0.1:80");
    expect_look("{\"address\": \"[::1]:80\"}", &silent, PROBE_GOOD, "connected to [::1]:80");
    expect_look(RECORD("10.0.0.1:80", "\"type\": \"tcp\", \"target\": \"10.0.0.2:81\""), &silent, PROBE_GOOD,
                "connected to 10.0.0.2:81");
    expect_look(RECORD("10.0.0.1:80", "\"type\": \"tcp\", \"target\": \"[::2]:81\""), &silent, PROBE_GOOD,
                "connected to [::2]:81");
    expect_look(RECORD("10.0.0.1:80", "\"type\": \"tcp\", \"target\": \"10.0.0.2:x\""), &silent, PROBE_BAD,
                "its check names nothing that could be asked");
}

/* As clients of the header registry may register: "whatever they call it". */
static void an_address_that_is_none(void)
{
    expect_look("{\"address\": \"somewhere\"}", &silent, PROBE_VOID, "its check names nothing that could be asked");
    expect_look(RECORD("somewhere", "\"type\": \"ttl\", \"interval_ms\": 1000"), &silent, PROBE_VOID,
                "its check names nothing that could be asked");
    expect_look(RECORD("somewhere", "\"type\": \"tcp\""), &silent, PROBE_BAD,
                "its check names nothing that could be asked");
    expect_look(RECORD("somewhere", "\"type\": \"tcp\", \"target\": \"10.0.0.1:80\""), &silent, PROBE_GOOD,
                "connected to 10.0.0.1:80");
}

static void a_knock_on_a_socket(void)
{
    expect_look("{\"address\": \"unix@/run/web.sock\"}", &silent, PROBE_GOOD, "connected to unix:/run/web.sock");
    expect_look("{\"address\": \"unix@/run/web.sock\"}", &(struct peer_plan){.connect_error = -ENOENT}, PROBE_DEAD,
                "no such socket: unix:/run/web.sock");
}

/* ------------------------------------------------------------------------------------------------ HTTP */

static void an_answer_by_http(void)
{
    expect_look(HTTP, &well, PROBE_GOOD, "HTTP 200 from 10.0.0.1:80/health?a=1");
    expect_look(HTTP, &(struct peer_plan){.status = 204}, PROBE_GOOD, "HTTP 204 from 10.0.0.1:80/health?a=1");
    expect_look(HTTP, &(struct peer_plan){.status = 302}, PROBE_BAD, "HTTP 302 from 10.0.0.1:80/health?a=1");
    expect_look(HTTP, &(struct peer_plan){.status = 503}, PROBE_BAD, "HTTP 503 from 10.0.0.1:80/health?a=1");
    expect_look(HTTP, &refused, PROBE_DEAD, "connection refused: 10.0.0.1:80/health?a=1");
    expect_look(HTTP, &silent, PROBE_BAD, "no answer in time: 10.0.0.1:80/health?a=1");
    expect_look(HTTP, &(struct peer_plan){.closes_at_once = true}, PROBE_BAD,
                "connection broken before the answer was complete: 10.0.0.1:80/health?a=1");
}

struct target {
    const char *record, *seen;
};

static void where_it_asks(void)
{
    static const struct target targets[] = {
        {RECORD("10.0.0.1:80", "\"type\": \"http\""), "GET / 10.0.0.1:80 "},
        {RECORD("http://10.0.0.1:80", "\"type\": \"http\", \"target\": \"/a\""), "GET /a 10.0.0.1:80 "},
        {RECORD("10.0.0.1:80", "\"type\": \"http\", \"target\": \"http://10.0.0.2\""), "GET / 10.0.0.2:80 "},
        {RECORD("10.0.0.1:80", "\"type\": \"http\", \"target\": \"http://10.0.0.2:81/b\""), "GET /b 10.0.0.2:81 "},
        {RECORD("10.0.0.1:80", "\"type\": \"http\", \"target\": \"http://[::2]/b/c\""), "GET /b/c [::2]:80 "},
        {RECORD("unix@/run/web.sock", "\"type\": \"http\", \"target\": \"/a\""), "GET /a localhost "},
        {RECORD("unix@/run/web.sock", "\"type\": \"http\", \"target\": \"http://10.0.0.2/\""), "GET / 10.0.0.2:80 "},
    };
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct kit *kit = kit_new(targets[i].record);
        look(kit);
        expect_slice(buf_slice(&kit->seen), targets[i].seen);
        expect_int(kit->probe.verdict, PROBE_GOOD);
        kit_free(kit);
    }
}

static void what_cannot_be_asked(void)
{
    static const char *const targets[] = {
        "health", "http://", "http:///a", "http://a:b/", "http://[::1", "ftp://a/", "http://10.0.0.1:65536/"};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        char record[256];
        (void)snprintf(record, sizeof(record), RECORD("10.0.0.1:80", "\"type\": \"http\", \"target\": \"%s\""),
                       targets[i]);
        struct kit *kit = kit_new(record);
        look(kit);
        if (slice_starts_with(slice_from_str(targets[i]), SLICE_LIT("http://[")))
            expect_int(kit->probe.verdict, PROBE_GOOD); /* the bracket closes at the end */
        else
            expect_str(kit->probe.evidence, "its check names nothing that could be asked");
        kit_free(kit);
    }
}

/* Whose certificate it is matters to those who go there, not to us. */
static void by_tls(void)
{
    static const struct target targets[] = {
        {RECORD("https://10.0.0.1:443", "\"type\": \"http\", \"target\": \"/a\""), "GET /a 10.0.0.1:443 "},
        {RECORD("10.0.0.1:80", "\"type\": \"http\", \"target\": \"https://10.0.0.2/b\""), "GET /b 10.0.0.2:443 "},
    };
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct kit *kit = kit_new(targets[i].record);
        make_tls(kit);
        look(kit);
        expect_slice(buf_slice(&kit->seen), targets[i].seen);
        expect_int(kit->probe.verdict, PROBE_GOOD);
        kit_free(kit);
    }
}

/* ------------------------------------------------------------------------------------------------ gRPC */

#define ANSWER(bytes) "\0\0\0\0\2" bytes

static void an_answer_by_grpc(void)
{
    const struct peer_plan serving = {.status = 200, .grpc_status = "0", .body = SLICE_LIT(ANSWER("\x08\1"))};
    struct peer_plan plan = serving;
    struct kit *kit = kit_new(GRPC);
    kit->plan = serving;
    look(kit);
    expect_str(kit->probe.evidence, "SERVING from 10.0.0.1:80");
    expect_int(kit->probe.verdict, PROBE_GOOD);
    expect_true(slice_equal(buf_slice(&kit->seen), SLICE_LIT("POST /grpc.health.v1.Health/Check 10.0.0.1:80 "
                                                             "\0\0\0\0\5\x0a\3web")));
    kit_free(kit);

    expect_look(RECORD("unix@/run/web.sock", "\"type\": \"grpc\""), &serving, PROBE_GOOD,
                "SERVING from unix:/run/web.sock");
    plan.body = SLICE_LIT(ANSWER("\x08\2"));
    expect_look(GRPC, &plan, PROBE_BAD, "NOT_SERVING from 10.0.0.1:80");
    plan.body = SLICE_LIT(ANSWER("\x08\x09"));
    expect_look(GRPC, &plan, PROBE_BAD, "no health status from 10.0.0.1:80");
    plan.body = SLICE_LIT("\0\0\0\0\0");
    expect_look(GRPC, &plan, PROBE_BAD, "UNKNOWN from 10.0.0.1:80");
    plan.body = SLICE_LIT("\1\0\0\0\2\x08\1");
    expect_look(GRPC, &plan, PROBE_BAD, "no health status from 10.0.0.1:80");
    plan.body = SLICE_LIT(ANSWER("\x08\1") ANSWER("\x08\1"));
    expect_look(GRPC, &plan, PROBE_BAD, "no health status from 10.0.0.1:80");
    plan = (struct peer_plan){.status = 200, .grpc_status = "12"};
    expect_look(GRPC, &plan, PROBE_BAD, "gRPC status 12 UNIMPLEMENTED from 10.0.0.1:80");
    expect_look(GRPC, &well, PROBE_BAD, "no gRPC status from 10.0.0.1:80");
    expect_look(GRPC, &(struct peer_plan){.status = 404}, PROBE_BAD, "HTTP 404 from 10.0.0.1:80");
    expect_look(GRPC, &refused, PROBE_DEAD, "connection refused: 10.0.0.1:80");
    expect_look(GRPC, &silent, PROBE_BAD, "no answer in time: 10.0.0.1:80");
}

static void by_grpc_and_tls(void)
{
    struct kit *kit =
        kit_new("{\"address\": \"10.0.0.1:80\", \"protocol\": \"grpcs\", \"check\": {\"type\": \"grpc\"}}");
    make_tls(kit);
    kit->plan = (struct peer_plan){.status = 200, .grpc_status = "0", .body = SLICE_LIT(ANSWER("\x08\1"))};
    look(kit);
    expect_str(kit->probe.evidence, "SERVING from 10.0.0.1:80");
    kit_free(kit);
}

static void a_service_with_an_endless_name(void)
{
    char name[4098], record[5000];
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    (void)snprintf(record, sizeof(record), RECORD("10.0.0.1:80", "\"type\": \"grpc\", \"target\": \"%s\""), name);
    expect_look(record, &well, PROBE_BAD, "its check names nothing that could be asked");
}

/* ------------------------------------------------------------------------------------------------ time */

/* The thread stands still for so long, from so long after the look's beginning; then the peer is found silent. */
static enum probe_verdict look_held_up(nsec_t from_ns, nsec_t for_ns)
{
    struct kit *kit = kit_new(HTTP);
    kit->plan = silent;
    probe_start(&kit->probe, kit->instance);
    sim_run_for(kit->sim, from_ns);
    sim_skip(kit->sim, for_ns);
    sim_run_for(kit->sim, 2 * NSEC_PER_SEC);
    expect_int(kit->n_done, 1);
    enum probe_verdict verdict = kit->probe.verdict;
    kit_free(kit);
    return verdict;
}

static void our_own_delay_is_no_failure(void)
{
    for (nsec_t from_ns = 0; from_ns < NSEC_PER_SEC; from_ns += 7 * NSEC_PER_MSEC) {
        expect_int(look_held_up(from_ns, 3 * NSEC_PER_SEC), PROBE_VOID);
        expect_int(look_held_up(from_ns, NSEC_PER_SEC), PROBE_VOID);
        expect_int(look_held_up(from_ns, 200 * NSEC_PER_MSEC), PROBE_VOID);
        expect_int(look_held_up(from_ns, 10 * NSEC_PER_MSEC), PROBE_BAD);
    }
}

/* An earlier hold-up is no excuse for ever. */
static void a_delay_before_the_look_counts_for_nothing(void)
{
    struct kit *kit = kit_new(HTTP);
    kit->plan = silent;
    probe_start(&kit->probe, kit->instance);
    sim_skip(kit->sim, 3 * NSEC_PER_SEC);
    sim_run_for(kit->sim, NSEC_PER_SEC);
    expect_int(kit->probe.verdict, PROBE_VOID);
    stream_close(TAKE(kit->far));
    look(kit);
    expect_int(kit->probe.verdict, PROBE_BAD);
    kit_free(kit);
}

static void it_can_be_given_up_at_any_time(void)
{
    const char *const records[] = {TCP, HTTP, GRPC};
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        for (nsec_t after_ns = 0; after_ns < 4; after_ns++) {
            struct kit *kit = kit_new(records[i]);
            kit->plan = i == 0 ? refused : silent;
            probe_cancel(&kit->probe);
            probe_start(&kit->probe, kit->instance);
            for (nsec_t ns = 0; ns < after_ns && kit->n_done == 0; ns++)
                sim_run_for(kit->sim, 1);
            probe_cancel(&kit->probe);
            probe_cancel(&kit->probe);
            sim_run_for(kit->sim, NSEC_PER_MSEC);
            expect_int(kit->n_done, 1);
            if (i > 0)
                expect_int(kit->probe.verdict, PROBE_VOID);
            kit_free(kit);
        }
    }
}

static const struct test_case cases[] = {
    {"a knock", a_knock},
    {"an address that is none", an_address_that_is_none},
    {"a knock on a socket", a_knock_on_a_socket},
    {"an answer by HTTP", an_answer_by_http},
    {"where it asks", where_it_asks},
    {"what cannot be asked", what_cannot_be_asked},
    {"by TLS", by_tls},
    {"an answer by gRPC", an_answer_by_grpc},
    {"by gRPC and TLS", by_grpc_and_tls},
    {"a service with an endless name", a_service_with_an_endless_name},
    {"our own delay is no failure", our_own_delay_is_no_failure},
    {"a delay before the look counts for nothing", a_delay_before_the_look_counts_for_nothing},
    {"it can be given up at any time", it_can_be_given_up_at_any_time},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
