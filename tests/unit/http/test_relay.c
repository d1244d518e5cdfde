/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a relay is made of, from end to end: the client and the server are played by the test, byte by byte; between
 * them are a server of ours, a relay that passes everything on, and a client connection of ours.
 */
#include "support/relay_kit.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

enum { INSTANCE_MAX = 4 };

struct kit {
    struct sim *sim;
    struct loop *loop;
    struct http_server *server;
    struct relay_kit relay;
    struct stream *client;
    struct stream *instance[INSTANCE_MAX]; /* one for each connection that the relay has opened, in order */
    int n_instances;
    char heard[64 * 1024];
};

/* connect has no context of its own: a case has one kit, and a process of its own. */
static struct kit *the_kit;

static int connect_instance(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event,
                            void *owner, struct stream **ret_stream)
{
    const struct sim_options network = {.connect_ns = 1};
    (void)loop, (void)addr, (void)deadline_ns;
    expect_true(the_kit->n_instances < INSTANCE_MAX);
    return sim_connect(the_kit->sim, &network, on_event, owner, ret_stream, &the_kit->instance[the_kit->n_instances++]);
}

static struct kit *kit_new(void)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    struct pool_options options;
    struct http_server_options server_options;
    struct addr addr = {.len = sizeof(struct sockaddr_in), .v4 = {.sin_family = AF_INET}};
    struct stream *stream;
    expect_true(kit != NULL);
    the_kit = kit;
    pool_options_init(&options);
    options.connect = connect_instance;
    http_server_options_init(&server_options);
    expect_int(sim_new(NULL, &kit->sim, &kit->loop), 0);
    relay_kit_init(&kit->relay, kit->loop, &options, &addr);
    expect_int(http_server_new(kit->loop, &server_options, &kit->relay.handler, NULL, 0, &kit->server), 0);
    expect_int(sim_pair(kit->sim, NULL, &kit->client, &stream), 0);
    http_server_adopt(kit->server, stream, &(struct peer){.family = AF_INET});
    return kit;
}

static void kit_free(struct kit *kit)
{
    stream_close(kit->client);
    for (int i = 0; i < kit->n_instances; i++)
        stream_close(kit->instance[i]);
    sim_run_for(kit->sim, 0);
    http_server_free(kit->server);
    relay_kit_deinit(&kit->relay);
    loop_free(kit->loop);
    free(kit);
}

static void say(struct kit *kit, struct stream *stream, const char *text)
{
    expect_int(stream_send(stream, slice_from_str(text)), strlen(text));
    sim_run_for(kit->sim, NSEC_PER_MSEC);
}

static const char *hear(struct kit *kit, struct stream *stream)
{
    ssize_t n = stream_recv(stream, kit->heard, sizeof(kit->heard) - 1);
    kit->heard[n > 0 ? n : 0] = '\0';
    return kit->heard;
}

/* What the client asks, what the instance must get of it, what it answers, and what the client must get of that. */
struct talk {
    const char *asked, *got, *answered, *told;
};

static void talk(struct kit *kit, const struct talk *talk)
{
    say(kit, kit->client, talk->asked);
    expect_str(hear(kit, kit->instance[0]), talk->got);
    say(kit, kit->instance[0], talk->answered);
    expect_str(hear(kit, kit->client), talk->told);
}

#define DATE "Date: today\r\n"

static void heads_go_on_as_they_came_but_for_what_is_each_side_s_own(void)
{
    static const struct talk talks[] = {
        {
            "GET /a?b HTTP/1.1\r\nAccept:  x \r\nHost: h:1\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nTE: "
            "trailers\r\n"
            "X-One: 1\r\nx-TWO:2\r\nUpgrade: h2c\r\n\r\n",
            "GET /a?b HTTP/1.1\r\nhost: h:1\r\nAccept:  x \r\nX-One: 1\r\nx-TWO:2\r\n\r\n",
            "HTTP/1.1 200 Fine\r\nContent-Length: 3\r\nKeep-Alive: timeout=7\r\nServer: s\r\n" DATE
            "Connection: keep-alive\r\nLast: z\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nServer: s\r\n" DATE "Last: z\r\ncontent-length: 3\r\n\r\nabc",
        },
        {
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: h\r\n\r\n",
            "HTTP/1.1 204 None\r\n\r\n",
            "HTTP/1.1 204 No Content\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
        },
        {
            "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
            "HEAD / HTTP/1.1\r\nhost: h\r\n\r\n",
            "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 77\r\n\r\n",
            "HTTP/1.1 200 OK\r\n" DATE "content-length: 77\r\n\r\n",
        },
        {
            "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
            "HEAD / HTTP/1.1\r\nhost: h\r\n\r\n",
            "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\n" DATE "\r\n",
        },
        {
            "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: h\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\n" DATE "Content-Length: 77\r\nETag: e\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\n" DATE "ETag: e\r\ncontent-length: 77\r\n\r\n",
        },
    };
    struct kit *kit = kit_new();
    for (size_t i = 0; i < ARRAY_LEN(talks); i++)
        talk(kit, &talks[i]);
    expect_int(kit->n_instances, 1);
    expect_int(kit->relay.n_done, ARRAY_LEN(talks));
    kit_free(kit);
}

static void bodies_and_trailers_go_both_ways(void)
{
    static const struct talk talks[] = {
        {
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
            "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\nX: y\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\nSum: 1\r\n"
            "Set-Cookie: a=b\r\n\r\n",
            "HTTP/1.1 200 OK\r\n" DATE "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nSum: 1\r\n\r\n",
        },
        {
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n5\r\nhello\r\n0\r\n"
            "Sum: 5\r\nHost: evil\r\nContent-Length: 3\r\nAuthorization: me\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nTrailer: Sum\r\n\r\n5\r\nhello\r\n0\r\n"
            "Sum: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n" DATE "content-length: 0\r\n\r\n",
        },
    };
    struct kit *kit = kit_new();
    for (size_t i = 0; i < ARRAY_LEN(talks); i++)
        talk(kit, &talks[i]);
    expect_int(kit->n_instances, 1);
    kit_free(kit);
}

static void a_client_of_http_1_0_gets_no_chunks_and_no_1xx(void)
{
    struct kit *kit = kit_new();
    talk(kit, &(struct talk){
                  "GET / HTTP/1.0\r\nHost: h\r\n\r\n",
                  "GET / HTTP/1.1\r\nhost: h\r\n\r\n",
                  "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n" DATE
                  "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nSum: 1\r\n\r\n",
                  "HTTP/1.1 200 OK\r\n" DATE "connection: close\r\n\r\nabc",
              });
    sim_run_for(kit->sim, 0);
    expect_int(stream_recv(kit->client, kit->heard, 1), 0);
    kit_free(kit);
}

static void every_1xx_goes_on_at_once(void)
{
    struct kit *kit = kit_new();
    say(kit, kit->client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        say(kit, kit->instance[0], "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\n");
        expect_str(hear(kit, kit->client), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    }
    say(kit, kit->instance[0], "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\n\r\n");
    expect_str(hear(kit, kit->client), "HTTP/1.1 200 OK\r\n" DATE "content-length: 0\r\n\r\n");
    kit_free(kit);
}

#define EXPECTING "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"

static void the_server_says_100_when_it_is_held(void)
{
    struct kit *kit = kit_new();
    say(kit, kit->client, EXPECTING);
    expect_str(hear(kit, kit->client), "");
    (void)hear(kit, kit->instance[0]);
    say(kit, kit->instance[0], "HTTP/1.1 100 Continue\r\n\r\n");
    expect_str(hear(kit, kit->client), "HTTP/1.1 100 Continue\r\n\r\n");
    say(kit, kit->client, "body");
    expect_str(hear(kit, kit->instance[0]), "body");
    say(kit, kit->instance[0], "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\n\r\n");
    expect_str(hear(kit, kit->client), "HTTP/1.1 200 OK\r\n" DATE "content-length: 0\r\n\r\n");

    /* Who does not want the body answers at once; nobody knows then whether it will come. */
    say(kit, kit->client, EXPECTING);
    (void)hear(kit, kit->instance[0]);
    say(kit, kit->instance[0], "HTTP/1.1 413 No\r\n" DATE "Content-Length: 0\r\n\r\n");
    expect_str(hear(kit, kit->client),
               "HTTP/1.1 413 Content Too Large\r\n" DATE "content-length: 0\r\nconnection: close\r\n\r\n");
    expect_true(stream_recv(kit->instance[0], kit->heard, 1) >= 0 ||
                stream_recv(kit->instance[0], kit->heard, 1) == -ECONNRESET);
    kit_free(kit);
}

static void a_client_that_does_not_wait_for_100_is_not_made_to(void)
{
    struct kit *kit = kit_new();
    say(kit, kit->client, EXPECTING);
    say(kit, kit->client, "body");
    expect_str(hear(kit, kit->instance[0]),
               "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\nExpect: 100-continue\r\n"
               "\r\nbody");
    say(kit, kit->instance[0], "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\n\r\n");
    expect_str(hear(kit, kit->client), "HTTP/1.1 200 OK\r\n" DATE "content-length: 0\r\n\r\n");
    kit_free(kit);
}

static void an_answer_before_the_body_is_told_and_spends_the_connection(void)
{
    struct kit *kit = kit_new();
    say(kit, kit->client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nbegin");
    (void)hear(kit, kit->instance[0]);
    say(kit, kit->instance[0], "HTTP/1.1 403 No\r\n" DATE "Content-Length: 2\r\n\r\nno");
    expect_str(hear(kit, kit->client), "HTTP/1.1 403 Forbidden\r\n" DATE "content-length: 2\r\n\r\nno");
    expect_int(kit->relay.n_done, 1);
    struct pool_stats stats;
    pool_get_stats(kit->relay.pool, &stats);
    expect_int(stats.n_open, 0);
    kit_free(kit);
}

static void head_and_small_body_are_one_piece(void)
{
    struct kit *kit = kit_new();
    say(kit, kit->client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    say(kit, kit->instance[0], "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 0\r\n\r\n");
    (void)hear(kit, kit->client);
    (void)hear(kit, kit->instance[0]);
    /* One turn takes the request in; what has arrived then was sent at once. */
    expect_true(stream_send(kit->client, SLICE_LIT("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                                   "2\r\nab\r\n3\r\ncde\r\n0\r\nSum: 5\r\n\r\n")) > 0);
    sim_run_for(kit->sim, 0);
    expect_str(hear(kit, kit->instance[0]),
               "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n"
               "3\r\ncde\r\n0\r\nSum: 5\r\n\r\n");
    kit_free(kit);
}

static void another_protocol_goes_through(void)
{
    struct kit *kit = kit_new();
    talk(kit, &(struct talk){
                  "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\nX: 1\r\n\r\nearly",
                  "GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nUpgrade: chat\r\nX: 1\r\n\r\n",
                  "HTTP/1.1 101 Go\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\nsoon",
                  "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nUpgrade: chat\r\n\r\nsoon",
              });
    expect_str(hear(kit, kit->instance[0]), "early");
    say(kit, kit->client, "GET / HTTP/1.1\r\n\r\n");
    expect_str(hear(kit, kit->instance[0]), "GET / HTTP/1.1\r\n\r\n");
    struct pool_stats stats;
    pool_get_stats(kit->relay.pool, &stats);
    expect_int(stats.n_open, 0);
    kit_free(kit);

    /* One that was not asked for is a fault … */
    kit = kit_new();
    say(kit, kit->client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    say(kit, kit->instance[0], "HTTP/1.1 101 Go\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n");
    expect_true(strstr(hear(kit, kit->client), "HTTP/1.1 502 "));
    kit_free(kit);

    /* … and the server may decline. */
    kit = kit_new();
    say(kit, kit->client, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
    say(kit, kit->instance[0], "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 2\r\n\r\nno");
    expect_str(hear(kit, kit->client), "HTTP/1.1 200 OK\r\n" DATE "content-length: 2\r\n\r\nno");
    kit_free(kit);
}

static void what_is_cut_off_is_not_made_to_look_complete(void)
{
    static const char *const cut[] = {
        "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nSum: 1\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        struct kit *kit = kit_new();
        say(kit, kit->client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        say(kit, kit->instance[0], cut[i]);
        (void)hear(kit, kit->instance[0]);
        expect_int(stream_shutdown(kit->instance[0]), 0);
        sim_run_for(kit->sim, 0);
        expect_false(strstr(hear(kit, kit->client), "\r\n0\r\n"));
        expect_true(stream_recv(kit->client, kit->heard, 1) != -EAGAIN);
        expect_int(kit->relay.n_failed, 1);
        kit_free(kit);
    }
}

static const struct test_case cases[] = {
    {"heads go on as they came, but for what is each side's own",
     heads_go_on_as_they_came_but_for_what_is_each_side_s_own},
    {"bodies and trailers go both ways", bodies_and_trailers_go_both_ways},
    {"a client of HTTP/1.0 gets no chunks and no 1xx", a_client_of_http_1_0_gets_no_chunks_and_no_1xx},
    {"every 1xx goes on at once", every_1xx_goes_on_at_once},
    {"the server says 100 when it is held", the_server_says_100_when_it_is_held},
    {"a client that does not wait for 100 is not made to", a_client_that_does_not_wait_for_100_is_not_made_to},
    {"an answer before the body is told and spends the connection",
     an_answer_before_the_body_is_told_and_spends_the_connection},
    {"head and small body are one piece", head_and_small_body_are_one_piece},
    {"another protocol goes through", another_protocol_goes_through},
    {"what is cut off is not made to look complete", what_is_cut_off_is_not_made_to_look_complete},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
