/* SPDX-License-Identifier: Apache-2.0 */
/* Errands over simulated streams, to a server of our own; names over a real resolver whose look-up the test gives. */
#include "http/errand.h"
#include "http/server.h"
#include "io/tcp.h"
#include "support/office_kit.h"
#include "support/sim.h"
#include "support/sockets.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct kit {
    struct sim *sim;
    struct loop *loop;
    struct http_server *server;
    struct errand_office office;
    struct errand errand;
    struct stream *silent;
    struct buf seen; /* by the server: method, target, body */
    int connect_error;
    bool server_is_silent;
    int n_connects, n_done;
};

/* connect has no context of its own: a case has one kit, and a process of its own. */
static struct kit *the_kit;

static int connect_sim(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event,
                       void *owner, struct stream **ret_stream)
{
    (void)loop, (void)deadline_ns;
    struct kit *kit = the_kit;
    struct stream *end;
    expect_true(addr->len > 0);
    const struct sim_options network = {.connect_ns = 1, .connect_error = kit->connect_error};
    int r = sim_connect(kit->sim, &network, on_event, owner, ret_stream, &end);
    if (r < 0)
        return r;
    kit->n_connects++;
    if (kit->server_is_silent || kit->connect_error)
        kit->silent = end;
    else
        http_server_adopt(kit->server, end, &(struct peer){.family = AF_INET});
    return 0;
}

static void on_whole(struct exchange *exchange, struct slice body)
{
    struct kit *kit = the_kit;
    buf_append(&kit->seen, body);
    exchange_respond(exchange, 201, NULL, 0, SLICE_LIT("0123456789"));
}

static void on_request(void *ctx, struct exchange *exchange)
{
    struct kit *kit = ctx;
    const struct http_request *request = exchange->request;
    buf_printf(&kit->seen, "%.*s %.*s %.*s ", SLICE_ARG(request->method_text), SLICE_ARG(request->target),
               SLICE_ARG(request->authority));
    expect_true(!request->keep_alive || kit->errand.request.is_h2);
    exchange_collect(exchange, 1000, on_whole);
}

static void on_done(struct errand *errand)
{
    (void)errand;
    the_kit->n_done++;
}

static struct kit *kit_new(void)
{
    struct http_server_options server_options;
    struct kit *kit = calloc(1, sizeof(*kit));
    expect_true(kit);
    the_kit = kit;
    http_server_options_init(&server_options);
    expect_int(sim_new(NULL, &kit->sim, &kit->loop), 0);
    expect_int(
        http_server_new(kit->loop, &server_options, &(struct exchange_handler){on_request, kit}, NULL, 0, &kit->server),
        0);
    office_kit_open(&kit->office, kit->loop, connect_sim);
    kit->errand.on_done = on_done;
    kit->errand.request = (struct errand_request){
        .host = SLICE_LIT("10.0.0.1"),
        .port = 81,
        .method = SLICE_LIT("POST"),
        .target = SLICE_LIT("/services"),
        .body = SLICE_LIT("{}"),
        .timeout_ns = NSEC_PER_SEC,
        .body_max_bytes = 4,
    };
    return kit;
}

static void kit_free(struct kit *kit)
{
    errand_deinit(&kit->errand);
    office_kit_close(&kit->office);
    http_server_free(kit->server);
    stream_close(kit->silent);
    buf_deinit(&kit->seen);
    loop_free(kit->loop);
    free(kit);
}

static void run(struct kit *kit, nsec_t duration_ns)
{
    errand_start(&kit->office, &kit->errand);
    expect_int(kit->n_done, 0);
    sim_run_for(kit->sim, duration_ns);
}

static void it_asks_and_has_the_answer(void)
{
    struct kit *kit = kit_new();
    run(kit, NSEC_PER_MSEC);
    expect_int(kit->n_done, 1);
    expect_int(kit->errand.result, 0);
    expect_int(kit->errand.status, 201);
    expect_slice(buf_slice(&kit->seen), "POST /services 10.0.0.1:81 {}");
    expect_slice(buf_slice(&kit->errand.body), "0123"); /* cut to what was asked for */
    expect_str(errand_failure(&kit->errand), "");
    kit_free(kit);
}

static void each_has_a_connection_of_its_own(void)
{
    struct kit *kit = kit_new();
    run(kit, NSEC_PER_MSEC);
    kit->n_done = 0;
    run(kit, NSEC_PER_MSEC);
    expect_int(kit->n_done, 1);
    expect_int(kit->n_connects, 2);
    kit_free(kit);
}

static void why_there_is_no_connection_is_told(void)
{
    static const struct {
        int error;
        const char *words;
    } cases[] = {
        {-EACCES, "permission denied"},  {-EKEYREJECTED, "its certificate was refused"},
        {-EPROTO, "TLS with it failed"}, {-ENETUNREACH, "no route to the host"},
        {-EMFILE, "cannot connect"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct kit *kit = kit_new();
        kit->connect_error = cases[i].error;
        run(kit, NSEC_PER_MSEC);
        expect_int(kit->errand.result, cases[i].error);
        expect_str(errand_failure(&kit->errand), cases[i].words);
        kit_free(kit);
    }
}

static void a_refused_connection_has_sent_nothing(void)
{
    struct kit *kit = kit_new();
    kit->connect_error = -ECONNREFUSED;
    run(kit, NSEC_PER_MSEC);
    expect_int(kit->errand.result, -ECONNREFUSED);
    expect_true(!kit->errand.was_sent);
    expect_str(errand_failure(&kit->errand), "connection refused");
    kit_free(kit);
}

static void a_silent_server_meets_the_deadline(void)
{
    struct kit *kit = kit_new();
    kit->server_is_silent = true;
    run(kit, NSEC_PER_SEC - 2 * NSEC_PER_MSEC);
    expect_int(kit->n_done, 0);
    sim_run_for(kit->sim, 4 * NSEC_PER_MSEC);
    expect_int(kit->n_done, 1);
    expect_int(kit->errand.result, -ETIMEDOUT);
    expect_true(kit->errand.was_sent);
    kit_free(kit);
}

static void it_can_be_cancelled_at_any_time(void)
{
    const nsec_t moments[] = {0, 1, NSEC_PER_MSEC};
    for (size_t i = 0; i < 2 * ARRAY_LEN(moments); i++) {
        struct kit *kit = kit_new();
        kit->server_is_silent = true;
        kit->errand.request.is_h2 = i % 2;
        errand_start(&kit->office, &kit->errand);
        if (moments[i / 2] > 0)
            sim_run_for(kit->sim, moments[i / 2] - 1);
        errand_cancel(&kit->errand);
        errand_cancel(&kit->errand);
        expect_int(kit->n_done, 0);
        sim_run_for(kit->sim, NSEC_PER_MSEC);
        expect_int(kit->n_done, 1);
        expect_int(kit->errand.result, -ECANCELED);
        kit_free(kit);
    }
}

static void a_knock_only_connects(void)
{
    struct kit *kit = kit_new();
    kit->errand.request.method = (struct slice){0};
    run(kit, NSEC_PER_MSEC);
    expect_int(kit->n_done, 1);
    expect_int(kit->errand.result, 0);
    expect_int(kit->seen.len, 0);
    kit->n_done = 0;
    kit->connect_error = -ECONNREFUSED;
    run(kit, NSEC_PER_MSEC);
    expect_int(kit->errand.result, -ECONNREFUSED);
    kit->n_done = 0;
    errand_start(&kit->office, &kit->errand);
    errand_cancel(&kit->errand);
    sim_run_for(kit->sim, NSEC_PER_MSEC);
    expect_int(kit->errand.result, -ECANCELED);
    kit_free(kit);
}

static void it_asks_by_http2(void)
{
    struct kit *kit = kit_new();
    kit->errand.request.is_h2 = true;
    run(kit, NSEC_PER_MSEC);
    expect_int(kit->n_done, 1);
    expect_int(kit->errand.result, 0);
    expect_int(kit->errand.status, 201);
    expect_int(kit->errand.grpc_status, -1);
    expect_true(kit->errand.was_sent);
    expect_slice(buf_slice(&kit->seen), "POST /services 10.0.0.1:81 {}");
    expect_slice(buf_slice(&kit->errand.body), "0123");
    kit->n_done = 0;
    kit->connect_error = -ECONNREFUSED;
    run(kit, NSEC_PER_MSEC);
    expect_int(kit->errand.result, -ECONNREFUSED);
    expect_true(!kit->errand.was_sent);
    kit->n_done = 0;
    stream_close(TAKE(kit->silent));
    kit->connect_error = 0;
    kit->server_is_silent = true;
    run(kit, 2 * NSEC_PER_SEC);
    expect_int(kit->errand.result, -ETIMEDOUT);
    expect_true(kit->errand.was_sent);
    kit_free(kit);
}

static void a_server_that_does_not_speak_http2(void)
{
    struct kit *kit = kit_new();
    kit->errand.request.is_h2 = true;
    kit->server_is_silent = true;
    run(kit, NSEC_PER_MSEC);
    (void)stream_send(kit->silent, SLICE_LIT("HTTP/1.1 400 Bad Request\r\n\r\n"));
    sim_run_for(kit->sim, 0);
    expect_int(kit->n_done, 1);
    expect_int(kit->errand.result, -EBADMSG);
    expect_str(errand_failure(&kit->errand), "the answer is not HTTP/2");
    kit_free(kit);
}

static void a_name_that_nobody_knows(void)
{
    struct kit *kit = kit_new();
    struct loop *loop;
    expect_int(loop_new(NULL, &loop), 0);
    struct errand_office office = {loop, kit->office.pool, kit->office.resolver, connect_sim};
    kit->errand.request.host = SLICE_LIT("nobody.invalid");
    kit->errand.request.timeout_ns = 60 * NSEC_PER_SEC; /* of a real clock */
    errand_start(&office, &kit->errand);
    while (kit->n_done == 0)
        expect_int(loop_turn(loop, NSEC_PER_SEC), 0);
    expect_int(kit->errand.result, -ENOENT);
    expect_str(errand_failure(&kit->errand), "no such host");
    resolver_free(TAKE(kit->office.resolver)); /* its thread may still be on its way out of the loop's mailbox */
    loop_free(loop);
    kit_free(kit);
}

/* "two" has an address that refuses and, behind it, one that listens: the port is the same. */
static int lookup_two(void *ctx, const char *name, uint16_t port, struct addr *ret_addrs, unsigned max, unsigned *ret_n)
{
    (void)ctx;
    expect_true(strcmp(name, "two.test") == 0 && max >= 2);
    for (unsigned i = 0; i < 2; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "127.0.0.%u:%u", 2 - i, port);
        expect_int(addr_parse(slice_from_str(text), &ret_addrs[i], NULL), 0);
    }
    *ret_n = 2;
    return 0;
}

static void a_host_has_several_addresses(void)
{
    const char *const methods[] = {"", "GET", "GET"};
    struct kit *kit = kit_new();
    struct pool_options options;
    struct addr addr;
    int fd = listen_on_loopback(10, &addr);
    struct errand_office office = {.connect = tcp_connect};
    pool_options_init(&options);
    expect_int(loop_new(NULL, &office.loop), 0);
    expect_int(pool_new(office.loop, &options, &office.pool), 0);
    expect_int(resolver_new(1, 10, lookup_two, NULL, &office.resolver), 0);
    kit->errand.request.host = SLICE_LIT("two.test");
    kit->errand.request.timeout_ns = 60 * NSEC_PER_SEC; /* of a real clock */
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        kit->n_done = 0;
        kit->errand.request.port = ntohs(addr.v4.sin_port);
        kit->errand.request.method = slice_from_str(methods[i]);
        kit->errand.request.is_h2 = i == 2;
        errand_start(&office, &kit->errand);
        while (kit->n_done == 0 && kit->errand.state != ERRAND_ASKS &&
               (!kit->errand.h2 || !h2_once_was_sent(kit->errand.h2)))
            expect_int(loop_turn(office.loop, NSEC_PER_SEC), 0);
        if (i == 0)
            expect_int(kit->errand.result, 0);
        else
            expect_int(kit->n_done, 0); /* the second one has the question */
        errand_cancel(&kit->errand);
        while (kit->n_done == 0)
            expect_int(loop_turn(office.loop, NSEC_PER_SEC), 0);
        close(accept(fd, NULL, NULL));
    }
    close(fd);
    kit->n_done = 0;
    kit->errand.request.is_h2 = false;
    errand_start(&office, &kit->errand);
    while (kit->n_done == 0)
        expect_int(loop_turn(office.loop, NSEC_PER_SEC), 0);
    expect_int(kit->errand.result, -ECONNREFUSED);
    resolver_free(office.resolver);
    pool_free(office.pool);
    loop_free(office.loop);
    kit_free(kit);
}

static void a_path_that_is_none(void)
{
    struct kit *kit = kit_new();
    kit->errand.request.host = SLICE_LIT("unix:");
    run(kit, 0);
    expect_int(kit->errand.result, -ENOENT);
    kit_free(kit);
}

static const struct test_case cases[] = {
    {"it asks and has the answer", it_asks_and_has_the_answer},
    {"each has a connection of its own", each_has_a_connection_of_its_own},
    {"why there is no connection is told", why_there_is_no_connection_is_told},
    {"a refused connection has sent nothing", a_refused_connection_has_sent_nothing},
    {"a silent server meets the deadline", a_silent_server_meets_the_deadline},
    {"it can be cancelled at any time", it_can_be_cancelled_at_any_time},
    {"a knock only connects", a_knock_only_connects},
    {"it asks by HTTP/2", it_asks_by_http2},
    {"a server that does not speak HTTP/2", a_server_that_does_not_speak_http2},
    {"a name that nobody knows", a_name_that_nobody_knows},
    {"a host has several addresses", a_host_has_several_addresses},
    {"a path that is none", a_path_that_is_none},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
