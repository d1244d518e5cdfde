/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS on a server's connections and on those of the pool: one port may speak all, and what is inside TLS is told by
 * ALPN or by the first bytes.
 */
#include "http/pool.h"
#include "support/certs.h"
#include "support/sim_http.h"
#include "support/test.h"

#include <errno.h>

#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"

struct kit {
    struct certs *certs;
    struct tls_config *server;
    struct sim_http *http;
};

static struct kit kit_new(bool plain_allowed)
{
    struct kit kit = {.certs = certs_new(30)};
    struct tls_identity identity = certs_issue(kit.certs, &(struct cert_options){.names = "DNS:a.test"});
    struct err err;
    static const char *const protocols[] = {"h2", "http/1.1", NULL};
    struct tls_options tls = {.identities = &identity, .n_identities = 1, .alpn = protocols};
    expect_int(tls_config_new_server(&tls, &kit.server, &err), 0);
    struct http_server_options options;
    http_server_options_init(&options);
    options.tls = kit.server;
    options.plain_allowed = plain_allowed;
    kit.http = sim_http_new(&options, NULL);
    return kit;
}

static void kit_free(struct kit *kit)
{
    sim_http_free(kit->http);
    kit->server = tls_config_unref(kit->server);
    certs_free(kit->certs);
}

static struct tls_config *client_config(const struct kit *kit, const char *protocol)
{
    const char *alpn[] = {protocol, NULL};
    struct tls_options tls = {
        .ca_file = certs_ca_file(kit->certs), .peer_check = TLS_PEER_REQUIRE, .alpn = protocol ? alpn : NULL};
    struct tls_config *config;
    struct err err;
    expect_int(tls_config_new_client(&tls, &config, &err), 0);
    return config;
}

static void ignore(struct stream *stream, unsigned new_bits)
{
    (void)stream;
    (void)new_bits;
}

/* Puts TLS on the client's side of the connection. */
static void secure(struct kit *kit, const char *protocol)
{
    struct tls_config *config = client_config(kit, protocol);
    expect_int(tls_connect(TAKE(kit->http->client), config, "a.test", ignore, NULL, &kit->http->client), 0);
    sim_http_wait(kit->http, NSEC_PER_MSEC);
    expect_true(kit->http->client->bits & STREAM_OPEN);
    (void)tls_config_unref(config);
}

static void alpn_tells_the_protocol(void)
{
    struct kit kit = kit_new(true);
    secure(&kit, "http/1.1");
    sim_http_say(kit.http, GET("/hello"));
    expect_true(strstr(sim_http_hear(kit.http), "\r\n\r\nhello\n"));

    sim_http_reconnect(kit.http, NULL);
    secure(&kit, "h2");
    const char *heard = sim_http_hear(kit.http);
    expect_true(kit.http->heard.len >= 9 && heard[3] == 4); /* SETTINGS come first */
    kit_free(&kit);
}

static void without_alpn_the_first_bytes_tell(void)
{
    struct kit kit = kit_new(true);
    secure(&kit, NULL);
    sim_http_say(kit.http, GET("/hello"));
    expect_true(strstr(sim_http_hear(kit.http), "\r\n\r\nhello\n"));

    sim_http_reconnect(kit.http, NULL);
    secure(&kit, NULL);
    sim_http_say(kit.http, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    expect_int(sim_http_send(kit.http, slice_from("\0\0\0\4\0\0\0\0\0", 9)), 9);
    const char *heard = sim_http_hear(kit.http);
    expect_true(kit.http->heard.len >= 9 && heard[3] == 4);
    kit_free(&kit);
}

static void plain_requests_are_served_or_refused(void)
{
    struct kit kit = kit_new(true);
    sim_http_say(kit.http, GET("/hello"));
    expect_true(strstr(sim_http_hear(kit.http), "\r\n\r\nhello\n"));
    kit_free(&kit);

    kit = kit_new(false);
    sim_http_say(kit.http, GET("/hello"));
    expect_true(strstr(sim_http_hear(kit.http), "HTTP/1.1 400 "));
    expect_true(strstr(sim_http_hear(kit.http), "TLS"));
    expect_true(kit.http->ended);
    expect_str(sim_http_calls(kit.http), "");
    sim_http_reconnect(kit.http, NULL);
    secure(&kit, "http/1.1");
    sim_http_say(kit.http, GET("/hello"));
    expect_true(strstr(sim_http_hear(kit.http), "\r\n\r\nhello\n"));
    kit_free(&kit);
}

static void a_handshake_has_its_time(void)
{
    struct kit kit = kit_new(true);
    struct http_server_options options;
    http_server_options_init(&options);
    expect_int(sim_http_send(kit.http, slice_from("\x16\x03\x01\x02", 4)), 4);
    sim_http_wait(kit.http, options.head_timeout_ns - NSEC_PER_MSEC);
    expect_int(http_server_n_connections(kit.http->server), 1);
    sim_http_wait(kit.http, 2 * NSEC_PER_MSEC);
    expect_int(http_server_n_connections(kit.http->server), 0);

    sim_http_reconnect(kit.http, NULL);
    expect_int(sim_http_send(kit.http, slice_from("\x16nonsense that is no handshake at all", 37)), 37);
    expect_int(http_server_n_connections(kit.http->server), 0);
    kit_free(&kit);
}

/* A connection whose network holds little, and a client that will not read. */
static struct kit kit_with_a_deaf_client(const char *protocol)
{
    struct kit kit = kit_new(true);
    sim_http_reconnect(kit.http, &(struct sim_options){.to_a.window_bytes = 4000});
    secure(&kit, protocol);
    return kit;
}

static void answer_largely(struct kit *kit)
{
    static char body[12000];
    expect_true(kit->http->exchange);
    exchange_respond(kit->http->exchange, 200, NULL, 0, slice_from(body, sizeof(body)));
}

/* All of an answer is in the hands of TLS, and the client does not take it: that is not idleness. */
static void expect_dropped_as_slow(struct kit *kit)
{
    struct http_server_options options;
    http_server_options_init(&options);
    expect_true(options.send_timeout_ns < options.idle_timeout_ns);
    answer_largely(kit);
    sim_http_wait(kit->http, options.send_timeout_ns - NSEC_PER_SEC);
    expect_int(http_server_n_connections(kit->http->server), 1);
    sim_http_wait(kit->http, 2 * NSEC_PER_SEC);
    expect_int(http_server_n_connections(kit->http->server), 0);
    kit_free(kit);
}

/* Who has taken it, late as it is, is idle. */
static void expect_kept_while_idle(struct kit *kit)
{
    struct http_server_options options;
    http_server_options_init(&options);
    answer_largely(kit);
    sim_http_wait(kit->http, options.send_timeout_ns - NSEC_PER_SEC);
    for (int i = 0; i < 10; i++) {
        (void)sim_http_hear(kit->http);
        sim_http_wait(kit->http, 0);
    }
    sim_http_wait(kit->http, options.idle_timeout_ns - options.send_timeout_ns - NSEC_PER_SEC);
    expect_int(http_server_n_connections(kit->http->server), 1);
    sim_http_wait(kit->http, 5 * NSEC_PER_SEC);
    expect_int(http_server_n_connections(kit->http->server), 0);
    kit_free(kit);
}

#define GET_LATER_H2                                                                                                   \
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"                                                                                 \
    "\0\0\0\4\0\0\0\0\0" /* SETTINGS */                                                                                \
    "\0\0\15\1\5\0\0\0\1"                                                                                              \
    "\x82\x86\4\6/later\1\1x"

static void who_takes_nothing_of_the_last_answer_is_slow(void)
{
    struct kit kit = kit_with_a_deaf_client("http/1.1");
    sim_http_say(kit.http, GET("/later"));
    expect_dropped_as_slow(&kit);
    kit = kit_with_a_deaf_client("h2");
    (void)sim_http_send(kit.http, SLICE_LIT(GET_LATER_H2));
    expect_dropped_as_slow(&kit);
}

static void who_takes_the_last_answer_late_is_idle(void)
{
    struct kit kit = kit_with_a_deaf_client("http/1.1");
    sim_http_say(kit.http, GET("/later"));
    expect_kept_while_idle(&kit);
    kit = kit_with_a_deaf_client("h2");
    (void)sim_http_send(kit.http, SLICE_LIT(GET_LATER_H2));
    expect_kept_while_idle(&kit);
}

/* A pool has no context for connect: a case has one kit, and a process of its own. */
static struct sim_http *the_http;

static int connect_sim(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event,
                       void *owner, struct stream **ret_stream)
{
    (void)loop;
    (void)addr;
    (void)deadline_ns;
    struct stream *end;
    const struct sim_options network = {.connect_ns = 1};
    expect_int(sim_connect(the_http->sim, &network, on_event, owner, ret_stream, &end), 0);
    http_server_adopt(the_http->server, end, &(struct peer){.family = AF_INET});
    return 0;
}

struct user {
    struct pool_wait wait;
    struct client_call call;
    struct buf body;
    int result;
};

static void on_head(struct client_call *call, const struct http_response *response)
{
    (void)call;
    expect_int(response->status, 200);
}

static void on_body(struct client_call *call, struct slice bytes)
{
    expect_int(buf_append(&container_of(call, struct user, call)->body, bytes), 0);
}

static void on_done(struct client_call *call, int result)
{
    container_of(call, struct user, call)->result = result;
}

static void on_ready(struct pool_wait *wait, int result, struct client_connection *connection)
{
    static const struct client_events events = {.on_head = on_head, .on_body = on_body, .on_done = on_done};
    struct user *user = container_of(wait, struct user, wait);
    user->result = result;
    user->call.events = &events;
    if (connection)
        client_call_start(connection, &user->call,
                          &(struct client_request){
                              .method = SLICE_LIT("GET"),
                              .target = SLICE_LIT("/hello"),
                              .authority = SLICE_LIT("a.test"),
                          });
}

static void the_pool_connects_with_tls(void)
{
    struct kit kit = kit_new(false);
    the_http = kit.http;
    struct pool_options options;
    pool_options_init(&options);
    options.connect = connect_sim;
    struct pool *pool;
    expect_int(pool_new(kit.http->loop, &options, &pool), 0);
    struct pool_key key = {.tls = client_config(&kit, "http/1.1"), .server_name = SLICE_LIT("a.test")};
    addr_from_ip(&(struct peer){.family = AF_INET, .port = 443}, &key.addr);
    struct user user = {.wait.on_ready = on_ready, .result = 1};
    struct client_connection *connection;
    expect_int(pool_get(pool, &key, &user.wait, &connection), POOL_WAIT);
    sim_http_wait(kit.http, NSEC_PER_MSEC);
    expect_int(user.result, 0);
    expect_slice(buf_slice(&user.body), "hello\n");

    /* Another name leads to another connection, and this server is not what it should be. */
    key.server_name = SLICE_LIT("b.test");
    expect_int(pool_get(pool, &key, &user.wait, &connection), POOL_WAIT);
    sim_http_wait(kit.http, NSEC_PER_MSEC);
    expect_true(user.result < 0);
    buf_deinit(&user.body);
    pool_free(pool);
    (void)tls_config_unref(key.tls);
    kit_free(&kit);
}

static const struct test_case cases[] = {
    {"ALPN tells the protocol", alpn_tells_the_protocol},
    {"without ALPN the first bytes tell", without_alpn_the_first_bytes_tell},
    {"plain requests are served, or refused in words", plain_requests_are_served_or_refused},
    {"a handshake has its time", a_handshake_has_its_time},
    {"who takes nothing of the last answer is slow, not idle", who_takes_nothing_of_the_last_answer_is_slow},
    {"who takes the last answer late is idle from then on", who_takes_the_last_answer_late_is_idle},
    {"the pool connects with TLS", the_pool_connects_with_tls},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
