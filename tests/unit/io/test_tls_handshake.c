/* SPDX-License-Identifier: Apache-2.0 */
/* Who talks to whom: names, certificates, protocols, and every way in which a handshake can fail. */
#include "support/certs.h"
#include "support/fault_alloc.h"
#include "support/test.h"
#include "support/tls_link.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

/* What most cases need: a server for "a.test" and 127.0.0.1, and a client that verifies it. */
struct fixture {
    struct certs *certs;
    struct tls_config *server, *client;
    struct tls_link link;
};

static const struct cert_options server_cert = {.names = "DNS:a.test, IP:127.0.0.1, IP:::1"};

static struct tls_config *verifying_client(const struct certs *certs)
{
    return tls_client_of(&(struct tls_options){.ca_file = certs_ca_file(certs), .peer_check = TLS_PEER_REQUIRE});
}

static struct fixture fixture_make(void)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &server_cert);
    return (struct fixture){
        .certs = certs,
        .server = tls_server_of(&(struct tls_options){.identities = &identity, .n_identities = 1}),
        .client = verifying_client(certs),
    };
}

static void fixture_deinit(struct fixture *fixture)
{
    tls_config_unref(fixture->server);
    tls_config_unref(fixture->client);
    certs_free(fixture->certs);
}

/* Gives the server another config. */
static void fixture_serve(struct fixture *fixture, const struct tls_options *options)
{
    tls_config_unref(fixture->server);
    fixture->server = tls_server_of(options);
}

static void fixture_call_from(struct fixture *fixture, const struct tls_options *options)
{
    tls_config_unref(fixture->client);
    fixture->client = tls_client_of(options);
}

/* Runs a handshake as far as it goes. End with tls_link_deinit. */
static struct tls_link *fixture_run(struct fixture *fixture, const char *name, const struct sim_options *ways)
{
    struct tls_link_options options = {
        .client = fixture->client, .server = fixture->server, .name = name, .ways = ways};
    expect_int(tls_link_init(&fixture->link, &options), 0);
    tls_link_run(&fixture->link);
    expect_int(ERR_peek_error(), 0);
    return &fixture->link;
}

static void opens_byte_by_byte(void)
{
    struct fixture fixture = fixture_make();
    const struct sim_options bytewise = {.to_a.pieces = SIM_BYTEWISE, .to_b.pieces = SIM_BYTEWISE};
    struct tls_link *link = fixture_run(&fixture, NULL, &bytewise);
    expect_true(tls_end_is_open(&link->client) && tls_end_is_open(&link->server));
    expect_true(stream_is_tls(link->client.stream));
    expect_false(stream_is_tls(link->lower_client));
    expect_slice(tls_server_name(link->server.stream), "a.test");
    expect_slice(tls_alpn(link->server.stream), "");
    expect_slice(tls_peer_name(link->server.stream), "");
    expect_str(tls_error_text(link->server.stream), "");
    expect_slice(tls_server_name(link->lower_client), "");
    tls_link_deinit(link);
    fixture_deinit(&fixture);
}

static void opens_through_a_narrow_window(void)
{
    struct fixture fixture = fixture_make();
    static const struct sim_options narrow = {.to_a.window_bytes = 1, .to_b.window_bytes = 3};
    struct tls_link *link = fixture_run(&fixture, NULL, &narrow);
    expect_true(tls_end_is_open(&link->client) && tls_end_is_open(&link->server));
    tls_link_deinit(link);
    fixture_deinit(&fixture);
}

static void waits_for_the_lower_stream(void)
{
    struct fixture fixture = fixture_make();
    struct tls_link *link = fixture_run(&fixture, NULL, &(struct sim_options){.connect_ns = NSEC_PER_SEC / 2});
    expect_true(tls_end_is_open(&link->client) && tls_end_is_open(&link->server));
    tls_link_deinit(link);

    static const struct sim_options refused = {.connect_ns = NSEC_PER_SEC / 2, .connect_error = -ECONNREFUSED};
    link = fixture_run(&fixture, NULL, &refused);
    expect_int(link->client.stream->error, -ECONNREFUSED);
    expect_str(tls_error_text(link->client.stream), "the connection below TLS failed: Connection refused");
    tls_link_deinit(link);
    fixture_deinit(&fixture);
}

/* Resets the connection after 1, 2, 3 … bytes in one direction, until the handshake gets through before. */
static void reset_everywhere(struct fixture *fixture, bool to_client)
{
    for (uint64_t n = 1;; n++) {
        struct sim_options ways = {.to_a.reset_at = to_client ? n : 0, .to_b.reset_at = to_client ? 0 : n};
        struct tls_link *link = fixture_run(fixture, NULL, &ways);
        struct tls_end *ends[] = {&link->client, &link->server};
        bool is_through = tls_end_is_open(&link->client) && tls_end_is_open(&link->server);
        for (size_t i = 0; !is_through && i < ARRAY_LEN(ends); i++) {
            expect_true(ends[i]->stream->bits & STREAM_FAILED);
            expect_int(ends[i]->error, -ECONNRESET);
            expect_str(tls_error_text(ends[i]->stream), "the connection below TLS failed: Connection reset by peer");
        }
        tls_link_deinit(link);
        if (is_through) {
            expect_true(n > 100);
            return;
        }
    }
}

static void fails_on_a_reset_at_every_byte(void)
{
    struct fixture fixture = fixture_make();
    reset_everywhere(&fixture, false);
    reset_everywhere(&fixture, true);
    fixture_deinit(&fixture);
}

static void fails_when_the_peer_leaves(void)
{
    struct fixture fixture = fixture_make();
    struct tls_link_options options = {.client = fixture.client, .server = fixture.server};
    struct tls_link link;
    expect_int(tls_link_init(&link, &options), 0);
    tls_end_deinit(&link.client);
    tls_link_run(&link);
    expect_int(link.server.error, -ECONNRESET);
    expect_str(tls_error_text(link.server.stream), "the peer closed the connection during the TLS handshake");
    tls_link_deinit(&link);
    fixture_deinit(&fixture);
}

/* An end that closes its stream in its first event, be it the handshake's success or its failure. */
static void may_be_closed_in_the_first_event(void)
{
    struct fixture fixture = fixture_make();
    struct tls_link_options options = {.client = fixture.client, .server = fixture.server};
    const char *names[] = {"a.test", "wrong.test"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct tls_link link;
        options.name = names[i];
        expect_int(tls_link_init(&link, &options), 0);
        link.client.closes_at_once = true;
        link.server.closes_at_once = true;
        tls_link_run(&link);
        expect_true(!link.client.stream && !link.server.stream);
        tls_link_deinit(&link);
    }
    fixture_deinit(&fixture);
}

static void expect_alpn(const char *const *client, const char *const *server, const char *expected)
{
    struct fixture fixture = fixture_make();
    struct tls_identity identity = certs_issue(fixture.certs, &server_cert);
    fixture_serve(&fixture, &(struct tls_options){.identities = &identity, .n_identities = 1, .alpn = server});
    fixture_call_from(&fixture, &(struct tls_options){.alpn = client});
    struct tls_link *link = fixture_run(&fixture, NULL, NULL);
    if (expected) {
        expect_slice(tls_alpn(link->server.stream), expected);
        expect_slice(tls_alpn(link->client.stream), expected);
    } else {
        expect_int(link->server.error, -EPROTO);
        expect_str(tls_error_text(link->server.stream), "no protocol (ALPN) in common with the peer");
        expect_int(link->client.error, -EPROTO);
        expect_str(tls_error_text(link->client.stream), "the peer ended TLS: tlsv1 alert no application protocol");
    }
    tls_link_deinit(link);
    fixture_deinit(&fixture);
}

static void agrees_on_a_protocol(void)
{
    const char *const h2_first[] = {"h2", "http/1.1", NULL};
    const char *const h1_first[] = {"http/1.1", "h2", NULL};
    const char *const h1_only[] = {"http/1.1", NULL};
    const char *const other[] = {"imap", NULL};
    expect_alpn(h1_first, h2_first, "h2"); /* the server's order counts */
    expect_alpn(h2_first, h1_first, "http/1.1");
    expect_alpn(h1_only, h2_first, "http/1.1");
    expect_alpn(NULL, h2_first, "");
    expect_alpn(h2_first, NULL, "");
    expect_alpn(other, h2_first, NULL);
}

/* Of three identities, the one with this name answers a client that asks for `name`. */
static void expect_identity(struct fixture *fixture, const char *name, const char *verified_name)
{
    struct tls_link *link = fixture_run(fixture, name, NULL);
    bool is_right = strcmp(name, verified_name) == 0;
    expect_true(tls_end_is_open(&link->client) == is_right);
    if (!is_right)
        expect_int(link->client.error, -EKEYREJECTED);
    tls_link_deinit(link);
}

static void selects_the_identity_by_name(void)
{
    struct fixture fixture = fixture_make();
    /* Clients like the first one's kind of key better, but not so much as to get the wrong name with it. */
    struct tls_identity identities[] = {
        certs_issue(fixture.certs, &(struct cert_options){.names = "DNS:a.test"}),
        certs_issue(fixture.certs, &(struct cert_options){.names = "DNS:*.b.test", .rsa_bits = 2048}),
        certs_issue(fixture.certs, &(struct cert_options){.names = "DNS:x.b.test, DNS:c.test"}),
    };
    fixture_serve(&fixture, &(struct tls_options){.identities = identities, .n_identities = 3});
    const char *served[] = {"a.test", "A.Test", "y.b.test", "X.B.TEST", "x.b.test", "c.test"};
    for (size_t i = 0; i < ARRAY_LEN(served); i++)
        expect_identity(&fixture, served[i], served[i]);
    const char *not_served[] = {"b.test", "z.y.b.test", "d.test", ".b.test"};
    for (size_t i = 0; i < ARRAY_LEN(not_served); i++)
        expect_identity(&fixture, not_served[i], "");
    fixture_deinit(&fixture);
}

/* Two identities cover the name; they differ by who signed them. */
static void prefers_a_whole_name(void)
{
    struct fixture fixture = fixture_make();
    struct certs *stranger = certs_new(1);
    struct tls_identity identities[] = {
        certs_issue(stranger, &(struct cert_options){.names = "DNS:*.b.test"}),
        certs_issue(fixture.certs, &(struct cert_options){.names = "DNS:x.b.test"}),
    };
    fixture_serve(&fixture, &(struct tls_options){.identities = identities, .n_identities = 2});
    struct tls_link *link = fixture_run(&fixture, "x.b.test", NULL);
    expect_true(tls_end_is_open(&link->client));
    tls_link_deinit(link);
    fixture_deinit(&fixture);
    certs_free(stranger);
}

static void expect_server_refused(struct fixture *fixture, const char *name, const char *words)
{
    struct tls_link *link = fixture_run(fixture, name, NULL);
    expect_int(link->client.error, -EKEYREJECTED);
    expect_str(tls_error_text(link->client.stream), words);
    tls_link_deinit(link);
}

static void verifies_the_server(void)
{
    struct fixture fixture = fixture_make();
    expect_server_refused(&fixture, "b.test", "the peer's certificate was refused: hostname mismatch");
    expect_server_refused(&fixture, "127.0.0.2", "the peer's certificate was refused: IP address mismatch");

    const char *good[] = {"a.test", "127.0.0.1", "::1"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct tls_link *link = fixture_run(&fixture, good[i], NULL);
        expect_true(tls_end_is_open(&link->client) && tls_end_is_open(&link->server));
        expect_slice(tls_server_name(link->server.stream), i == 0 ? "a.test" : ""); /* no SNI for addresses */
        tls_link_deinit(link);
    }

    struct certs *stranger = certs_new(1);
    struct tls_config *own = fixture.client;
    fixture.client = verifying_client(stranger);
    expect_server_refused(&fixture, "a.test", "the peer's certificate was refused: certificate signature failure");
    tls_config_unref(fixture.client);
    fixture.client = own;
    certs_free(stranger);
    fixture_deinit(&fixture);
}

/* Of the default identity and of another one; the client knows only the authority at the top. */
static void sends_the_chain(void)
{
    struct fixture fixture = fixture_make();
    struct certs *intermediate = certs_new_under(fixture.certs);
    struct tls_identity identities[] = {
        certs_issue(intermediate, &(struct cert_options){.names = "DNS:a.test"}),
        certs_issue(intermediate, &(struct cert_options){.names = "DNS:b.test"}),
    };
    fixture_serve(&fixture, &(struct tls_options){.identities = identities, .n_identities = 2});
    expect_identity(&fixture, "a.test", "a.test");
    expect_identity(&fixture, "b.test", "b.test");
    certs_free(intermediate);
    fixture_deinit(&fixture);
}

static void refuses_an_expired_authority(void)
{
    struct certs *expired = certs_new(-3);
    struct tls_identity identity = certs_issue(expired, &server_cert);
    struct fixture fixture = {
        .certs = expired,
        .server = tls_server_of(&(struct tls_options){.identities = &identity, .n_identities = 1}),
        .client = verifying_client(expired),
    };
    expect_server_refused(&fixture, "a.test", "the peer's certificate was refused: certificate has expired");
    fixture_deinit(&fixture);
}

static void needs_a_name_to_connect(void)
{
    struct fixture fixture = fixture_make();
    struct tls_link_options options = {.client = fixture.client, .server = fixture.server, .name = ""};
    expect_int(tls_link_init(&fixture.link, &options), -EINVAL);
    tls_link_deinit(&fixture.link);
    fixture_deinit(&fixture);
}

static void may_trust_anybody(void)
{
    struct fixture fixture = fixture_make();
    fixture_call_from(&fixture, &(struct tls_options){.peer_check = TLS_PEER_IGNORE});
    struct tls_link *link = fixture_run(&fixture, "whoever.test", NULL);
    expect_true(tls_end_is_open(&link->client));
    expect_slice(tls_server_name(link->server.stream), "whoever.test");
    tls_link_deinit(link);
    fixture_deinit(&fixture);
}

/*
 * One handshake with a client certificate (NULL: none); the server's failure (NULL: none) and the name it has learned.
 * In TLS 1.3 the client is done before the server has seen its certificate, and hears of a refusal afterwards.
 */
static void expect_client(struct fixture *fixture, enum tls_peer_check check, const struct tls_identity *identity,
                          const char *failure, const char *peer_name)
{
    struct tls_identity own = certs_issue(fixture->certs, &server_cert);
    const char *ca_file = certs_ca_file(fixture->certs);
    fixture_serve(
        fixture, &(struct tls_options){.identities = &own, .n_identities = 1, .ca_file = ca_file, .peer_check = check});
    fixture_call_from(fixture, &(struct tls_options){.identities = identity,
                                                     .n_identities = identity ? 1 : 0,
                                                     .ca_file = ca_file,
                                                     .peer_check = TLS_PEER_REQUIRE});
    struct tls_link *link = fixture_run(fixture, NULL, NULL);
    expect_str(tls_error_text(link->server.stream), failure ? failure : "");
    expect_int(link->server.error, failure ? -EKEYREJECTED : 0);
    expect_int(link->client.error, failure ? -EPROTO : 0);
    expect_slice(tls_peer_name(link->server.stream), peer_name);
    tls_link_deinit(link);
}

static void asks_for_client_certificates(void)
{
    struct fixture fixture = fixture_make();
    struct certs *stranger = certs_new(1);
    struct tls_identity named = certs_issue(fixture.certs, &(struct cert_options){.common_name = "billing"});
    struct tls_identity dns =
        certs_issue(fixture.certs, &(struct cert_options){.names = "IP:10.0.0.1, DNS:dns.test, DNS:second.test"});
    struct tls_identity nameless = certs_issue(fixture.certs, &(struct cert_options){.names = "IP:10.0.0.1"});
    struct tls_identity odd = certs_issue(fixture.certs, &(struct cert_options){.common_name = "bill\ning"});
    struct tls_identity foreign = certs_issue(stranger, &(struct cert_options){.common_name = "billing"});
    const char *untrusted = "the peer's certificate was refused: certificate signature failure";

    expect_client(&fixture, TLS_PEER_REQUIRE, &named, NULL, "billing");
    expect_client(&fixture, TLS_PEER_REQUIRE, &dns, NULL, "dns.test");
    expect_client(&fixture, TLS_PEER_REQUIRE, &nameless, NULL, "");
    expect_client(&fixture, TLS_PEER_REQUIRE, &odd, NULL, "");
    expect_client(&fixture, TLS_PEER_REQUIRE, NULL, "the client gave no certificate", "");
    expect_client(&fixture, TLS_PEER_REQUIRE, &foreign, untrusted, "");
    expect_client(&fixture, TLS_PEER_OPTIONAL, &named, NULL, "billing");
    expect_client(&fixture, TLS_PEER_OPTIONAL, NULL, NULL, "");
    expect_client(&fixture, TLS_PEER_OPTIONAL, &foreign, untrusted, "");
    expect_client(&fixture, TLS_PEER_IGNORE, &named, NULL, "");
    certs_free(stranger);
    fixture_deinit(&fixture);
}

/* A server on a lower stream whose other end says `greeting`; the first n bytes of it come as early bytes. */
static void expect_greeting_refused(struct slice greeting, const char *words)
{
    struct fixture fixture = fixture_make();
    for (size_t n_early = 0; n_early <= greeting.len; n_early++) {
        struct sim *sim;
        struct loop *loop;
        struct stream *peer, *lower;
        struct tls_end server = {.stream = NULL};
        expect_int(sim_new(NULL, &sim, &loop), 0);
        expect_int(sim_pair(sim, &(struct sim_options){.to_b.pieces = SIM_BYTEWISE}, &peer, &lower), 0);
        struct slice early = {greeting.ptr, n_early};
        expect_int(tls_accept(lower, fixture.server, early, tls_end_on_event, &server, &server.stream), 0);
        struct slice rest = slice_skip(greeting, n_early);
        if (!slice_is_empty(rest))
            expect_int(stream_send(peer, rest), rest.len);
        sim_run_for(sim, 0);
        expect_int(server.error, -EPROTO);
        expect_str(tls_error_text(server.stream), words);
        expect_int(ERR_peek_error(), 0);
        tls_end_deinit(&server);
        stream_close(peer);
        loop_free(loop);
    }
    fixture_deinit(&fixture);
}

static void says_that_the_peer_speaks_no_tls(void)
{
    expect_greeting_refused(SLICE_LIT("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"),
                            "the peer speaks plain HTTP where TLS was expected");
    expect_greeting_refused(SLICE_LIT("SSH-2.0-OpenSSH_9.2\r\n"), "the peer does not speak TLS");
}

/* The first bytes of a real client were taken off the lower stream before TLS began. */
static void takes_early_bytes(void)
{
    struct fixture fixture = fixture_make();
    for (size_t n_early = 1; n_early < 400; n_early += 57) {
        struct tls_link link = {.sim = NULL};
        expect_int(sim_new(NULL, &link.sim, &link.loop), 0);
        expect_int(sim_pair(link.sim, NULL, &link.lower_client, &link.lower_server), 0);
        expect_int(tls_connect(link.lower_client, fixture.client, "a.test", tls_end_on_event, &link.client,
                               &link.client.stream),
                   0);
        tls_link_run(&link);
        char early[400];
        ssize_t n = stream_recv(link.lower_server, early, n_early);
        expect_true(n > 0);
        expect_int(tls_accept(link.lower_server, fixture.server, slice_from(early, (size_t)n), tls_end_on_event,
                              &link.server, &link.server.stream),
                   0);
        tls_link_run(&link);
        expect_true(tls_end_is_open(&link.client) && tls_end_is_open(&link.server));
        tls_link_deinit(&link);
    }
    fixture_deinit(&fixture);
}

/* What one connection's failure left in OpenSSL's queue must not be taken for another's. */
static void keeps_connections_apart(void)
{
    struct fixture fixture = fixture_make();
    struct tls_link_options options = {.client = fixture.client, .server = fixture.server};
    struct tls_link link;
    expect_int(tls_link_init(&link, &options), 0);
    ERR_raise(ERR_LIB_SSL, SSL_R_HTTP_REQUEST);
    tls_link_run(&link);
    expect_true(tls_end_is_open(&link.client) && tls_end_is_open(&link.server));
    link.client.to_send = SLICE_LIT("hello");
    ERR_raise(ERR_LIB_SSL, SSL_R_HTTP_REQUEST);
    tls_end_tick(&link.client);
    ERR_raise(ERR_LIB_SSL, SSL_R_HTTP_REQUEST);
    tls_link_run(&link);
    expect_bytes(buf_slice(&link.server.received), SLICE_LIT("hello"));
    ERR_raise(ERR_LIB_SSL, SSL_R_HTTP_REQUEST);
    char byte;
    expect_int(stream_recv(link.server.stream, &byte, 1), -EAGAIN);
    tls_link_deinit(&link);
    fixture_deinit(&fixture);
}

static int shake_hands(void *arg)
{
    struct fixture *fixture = arg;
    struct tls_link *link = &fixture->link;
    struct tls_link_options options = {
        .client = fixture->client, .server = fixture->server, .ways = &(struct sim_options){.to_a.window_bytes = 64}};
    int result = tls_link_init(link, &options);
    if (result == 0) {
        tls_link_run(link);
        if (!tls_end_is_open(&link->client) || !tls_end_is_open(&link->server))
            result = -ENOMEM;
    }
    tls_link_deinit(link);
    return result;
}

static void survives_every_failing_allocation(void)
{
    struct fixture fixture = fixture_make();
    struct tls_identity identity = certs_issue(fixture.certs, &(struct cert_options){.common_name = "server"});
    struct tls_options options = {.identities = &identity,
                                  .n_identities = 1,
                                  .ca_file = certs_ca_file(fixture.certs),
                                  .peer_check = TLS_PEER_REQUIRE};
    fixture_call_from(&fixture, &options);
    struct tls_identity own = certs_issue(fixture.certs, &server_cert);
    options.identities = &own;
    fixture_serve(&fixture, &options);
    expect_true(fault_alloc_sweep(shake_hands, &fixture) > 3);
    fixture_deinit(&fixture);
}

static const struct test_case cases[] = {
    {"a handshake gets through byte by byte", opens_byte_by_byte},
    {"a handshake gets through a window of a byte", opens_through_a_narrow_window},
    {"a client waits for its lower stream to connect, and tells its failure", waits_for_the_lower_stream},
    {"a reset at any byte fails both ends", fails_on_a_reset_at_every_byte},
    {"an end in the middle fails the handshake", fails_when_the_peer_leaves},
    {"a stream may be closed in its first event", may_be_closed_in_the_first_event},
    {"the protocol is the server's first that the client knows", agrees_on_a_protocol},
    {"the name asked for selects the identity", selects_the_identity_by_name},
    {"a whole name goes before a star", prefers_a_whole_name},
    {"a client verifies name, address and authority of its server", verifies_the_server},
    {"a certificate is sent with its chain", sends_the_chain},
    {"an expired authority is refused", refuses_an_expired_authority},
    {"a client cannot connect to the empty name", needs_a_name_to_connect},
    {"a client that checks nothing trusts anybody", may_trust_anybody},
    {"client certificates are ignored, verified or required", asks_for_client_certificates},
    {"a peer that speaks no TLS is named as such", says_that_the_peer_speaks_no_tls},
    {"bytes read before TLS began are not lost", takes_early_bytes},
    {"errors of OpenSSL do not leak from one connection into another", keeps_connections_apart},
    {"any allocation may fail", survives_every_failing_allocation},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
