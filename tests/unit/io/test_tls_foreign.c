/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that use TLS in ways in which our own ends never do: old versions, renegotiation, key updates, sessions
 * resumed, messages of TLS itself cut into many records. They are played by OpenSSL itself, on memory BIOs.
 */
#include "support/certs.h"
#include "support/test.h"
#include "support/tls_link.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

/* The foreign end: OpenSSL without any of our code above the stream. */
struct foreign {
    struct stream *stream;
    SSL *ssl;
    bool is_open;
    bool is_failed;
    struct buf received;
};

struct fixture {
    struct certs *certs;
    struct sim *sim;
    struct loop *loop;
    SSL_CTX *context;
    struct foreign foreign;
    struct tls_config *config;
    struct tls_end ours;
};

/* Moves what OpenSSL wrote to the stream, whose window holds all of it. */
static void foreign_flush(struct foreign *foreign)
{
    char *bytes;
    long n = BIO_get_mem_data(SSL_get_wbio(foreign->ssl), &bytes);
    if (n > 0 && !(foreign->stream->bits & STREAM_FAILED))
        expect_int(stream_send(foreign->stream, slice_from(bytes, (size_t)n)), n);
    (void)BIO_reset(SSL_get_wbio(foreign->ssl));
}

static void foreign_judge(struct foreign *foreign, int ret)
{
    int outcome = SSL_get_error(foreign->ssl, ret);
    foreign->is_failed |= outcome == SSL_ERROR_SSL || outcome == SSL_ERROR_SYSCALL;
    ERR_clear_error();
}

static void foreign_tick(struct foreign *foreign)
{
    char bytes[4096];
    ssize_t n;
    while ((n = stream_recv(foreign->stream, bytes, sizeof(bytes))) > 0)
        expect_int(BIO_write(SSL_get_rbio(foreign->ssl), bytes, (int)n), n);
    ERR_clear_error();
    if (!foreign->is_open) {
        int ret = SSL_do_handshake(foreign->ssl);
        foreign->is_open = ret == 1;
        foreign_judge(foreign, ret);
    }
    int n_read = 0;
    while (foreign->is_open && (n_read = SSL_read(foreign->ssl, bytes, sizeof(bytes))) > 0)
        expect_int(buf_append(&foreign->received, slice_from(bytes, (size_t)n_read)), 0);
    foreign_judge(foreign, n_read);
    foreign_flush(foreign);
}

static void on_foreign_event(struct stream *stream, unsigned new_bits)
{
    (void)new_bits;
    foreign_tick(stream->owner);
}

static void foreign_send(struct foreign *foreign, const char *text)
{
    expect_int(SSL_write(foreign->ssl, text, (int)strlen(text)), strlen(text));
    foreign_flush(foreign);
}

/* Our server and a foreign client, which may set itself up before they are connected. */
static void fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){.certs = certs_new(1)};
    struct tls_identity identity = certs_issue(fixture->certs, &(struct cert_options){.names = "DNS:a.test"});
    fixture->config = tls_server_of(&(struct tls_options){.identities = &identity, .n_identities = 1});
    fixture->context = SSL_CTX_new(TLS_client_method());
    expect_true(fixture->context);
    expect_int(sim_new(NULL, &fixture->sim, &fixture->loop), 0);
}

static struct stream *connect_foreign(struct fixture *fixture, const struct sim_options *ways)
{
    struct stream *lower;
    expect_int(sim_pair(fixture->sim, ways, &lower, &fixture->foreign.stream), 0);
    fixture->foreign.stream->on_event = on_foreign_event;
    fixture->foreign.stream->owner = &fixture->foreign;
    fixture->foreign.ssl = SSL_new(fixture->context);
    expect_true(fixture->foreign.ssl);
    SSL_set_bio(fixture->foreign.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return lower;
}

/* A connection of a foreign client; `session` may be NULL. */
static void call_server_over(struct fixture *fixture, SSL_SESSION *session, const struct sim_options *ways)
{
    struct stream *lower = connect_foreign(fixture, ways);
    expect_int(tls_accept(lower, fixture->config, (struct slice){.ptr = NULL}, tls_end_on_event, &fixture->ours,
                          &fixture->ours.stream),
               0);
    SSL_set_connect_state(fixture->foreign.ssl);
    if (session)
        expect_true(SSL_set_session(fixture->foreign.ssl, session));
    foreign_tick(&fixture->foreign);
    sim_run_for(fixture->sim, 0);
}

static void call_server(struct fixture *fixture, SSL_SESSION *session)
{
    call_server_over(fixture, session, NULL);
}

static void end_call(struct fixture *fixture)
{
    tls_end_deinit(&fixture->ours);
    stream_close(fixture->foreign.stream);
    SSL_free(fixture->foreign.ssl);
    buf_deinit(&fixture->foreign.received);
    fixture->foreign = (struct foreign){.stream = NULL};
}

static void fixture_deinit(struct fixture *fixture)
{
    end_call(fixture);
    loop_free(fixture->loop);
    SSL_CTX_free(fixture->context);
    tls_config_unref(fixture->config);
    certs_free(fixture->certs);
}

/* A word there and a word back. */
static void expect_talk(struct fixture *fixture)
{
    buf_reset(&fixture->ours.received);
    buf_reset(&fixture->foreign.received);
    foreign_send(&fixture->foreign, "ping");
    sim_run_for(fixture->sim, 0);
    expect_bytes(buf_slice(&fixture->ours.received), SLICE_LIT("ping"));
    fixture->ours.to_send = SLICE_LIT("pong");
    tls_end_tick(&fixture->ours);
    sim_run_for(fixture->sim, 0);
    expect_bytes(buf_slice(&fixture->foreign.received), SLICE_LIT("pong"));
}

static void speaks_1_2_and_1_3(void)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        expect_true(SSL_CTX_set_max_proto_version(fixture.context, versions[i]));
        call_server(&fixture, NULL);
        expect_int(SSL_version(fixture.foreign.ssl), versions[i]);
        expect_talk(&fixture);
        fixture_deinit(&fixture);
    }
}

static void refuses_older_versions_and_weak_ciphers(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    SSL_CTX_set_security_level(fixture.context, 0); /* OpenSSL itself would not offer it */
    expect_true(SSL_CTX_set_min_proto_version(fixture.context, TLS1_VERSION));
    expect_true(SSL_CTX_set_max_proto_version(fixture.context, TLS1_1_VERSION));
    call_server(&fixture, NULL);
    expect_true(fixture.foreign.is_failed);
    expect_int(fixture.ours.error, -EPROTO);
    expect_str(tls_error_text(fixture.ours.stream), "TLS failed: unsupported protocol");
    end_call(&fixture);

    expect_true(SSL_CTX_set_max_proto_version(fixture.context, TLS1_2_VERSION));
    expect_true(SSL_CTX_set_cipher_list(fixture.context, "ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256"));
    call_server(&fixture, NULL);
    expect_true(fixture.foreign.is_failed);
    expect_str(tls_error_text(fixture.ours.stream), "TLS failed: no shared cipher");
    fixture_deinit(&fixture);
}

static void refuses_to_renegotiate(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    expect_true(SSL_CTX_set_max_proto_version(fixture.context, TLS1_2_VERSION));
    call_server(&fixture, NULL);
    expect_talk(&fixture);
    expect_true(SSL_renegotiate(fixture.foreign.ssl));
    (void)SSL_do_handshake(fixture.foreign.ssl);
    foreign_flush(&fixture.foreign);
    sim_run_for(fixture.sim, 0);
    expect_true(fixture.foreign.is_failed); /* the client gives up on our "no" */
    expect_int(fixture.ours.received.len, strlen("ping"));
    fixture_deinit(&fixture);
}

static void follows_key_updates(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    call_server(&fixture, NULL);
    for (int i = 0; i < 10; i++) {
        expect_true(SSL_key_update(fixture.foreign.ssl, SSL_KEY_UPDATE_REQUESTED));
        expect_talk(&fixture);
    }
    expect_int(fixture.ours.error, 0);
    fixture_deinit(&fixture);
}

/* A connection over which all of a flood is there at once. */
static void call_server_over_a_wide_way(struct fixture *fixture)
{
    fixture_init(fixture);
    call_server_over(fixture, NULL, &(struct sim_options){.to_a.window_bytes = (size_t)1024 * 1024});
}

/* All at once, and one after the other. */
static void drops_who_only_changes_keys(void)
{
    for (int slowly = 0; slowly < 2; slowly++) {
        struct fixture fixture;
        call_server_over_a_wide_way(&fixture);
        for (int i = 0; i < 10000 && !fixture.foreign.is_failed; i++) {
            expect_true(SSL_key_update(fixture.foreign.ssl, SSL_KEY_UPDATE_NOT_REQUESTED));
            expect_int(SSL_do_handshake(fixture.foreign.ssl), 1);
            if (slowly) {
                foreign_flush(&fixture.foreign);
                sim_run_for(fixture.sim, 0);
            }
        }
        foreign_flush(&fixture.foreign);
        sim_run_for(fixture.sim, 0);
        expect_int(fixture.ours.error, -EPROTO);
        expect_str(tls_error_text(fixture.ours.stream), "the peer talks about TLS and says nothing");
        fixture_deinit(&fixture);
    }
}

static void reads_tiny_records_a_part_at_a_time(void)
{
    enum { N = 20000 };
    struct fixture fixture;
    call_server_over_a_wide_way(&fixture);
    fixture.ours.is_paused = true;
    for (int i = 0; i < N; i++)
        expect_int(SSL_write(fixture.foreign.ssl, "x", 1), 1);
    foreign_flush(&fixture.foreign);
    sim_run_for(fixture.sim, 0);

    static char bytes[N];
    ssize_t n = stream_recv(fixture.ours.stream, bytes, sizeof(bytes));
    expect_true(n > 1000 && n < N / 2);
    expect_true(fixture.ours.stream->bits & STREAM_READABLE);
    size_t n_all = (size_t)n;
    while ((n = stream_recv(fixture.ours.stream, bytes, sizeof(bytes))) > 0)
        n_all += (size_t)n;
    expect_int(n, -EAGAIN);
    expect_int(n_all, N);
    expect_false(fixture.ours.stream->bits & STREAM_READABLE);
    fixture.ours.is_paused = false;
    expect_talk(&fixture);
    fixture_deinit(&fixture);
}

static void resumes_sessions(void)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct fixture fixture;
        fixture_init(&fixture);
        expect_true(SSL_CTX_set_max_proto_version(fixture.context, versions[i]));
        call_server(&fixture, NULL);
        expect_talk(&fixture);
        expect_false(SSL_session_reused(fixture.foreign.ssl));
        SSL_SESSION *session = SSL_get1_session(fixture.foreign.ssl);
        (void)SSL_shutdown(fixture.foreign.ssl); /* or the session would be given up as broken */
        end_call(&fixture);

        call_server(&fixture, session);
        expect_talk(&fixture);
        expect_true(SSL_session_reused(fixture.foreign.ssl));
        end_call(&fixture);

        /* A new config, as after a reload: a full handshake again, no failure. */
        struct tls_identity identity = certs_issue(fixture.certs, &(struct cert_options){.names = "DNS:a.test"});
        tls_config_unref(fixture.config);
        fixture.config = tls_server_of(&(struct tls_options){.identities = &identity, .n_identities = 1});
        call_server(&fixture, session);
        expect_talk(&fixture);
        expect_false(SSL_session_reused(fixture.foreign.ssl));
        SSL_SESSION_free(session);
        fixture_deinit(&fixture);
    }
}

static int add_ticket_ballast(SSL *ssl, void *ctx)
{
    static const char ballast[4000];
    (void)ctx;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), ballast, sizeof(ballast));
}

static SSL_TICKET_RETURN accept_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_len,
                                       SSL_TICKET_STATUS status, void *ctx)
{
    (void)ssl;
    (void)session;
    (void)name;
    (void)name_len;
    (void)status;
    (void)ctx;
    return SSL_TICKET_RETURN_IGNORE;
}

/* A foreign server whose session tickets need ten records each. */
static void serve_with_large_tickets(struct fixture *fixture)
{
    *fixture = (struct fixture){.certs = certs_new(1)};
    struct tls_identity identity = certs_issue(fixture->certs, &(struct cert_options){.names = "DNS:a.test"});
    fixture->config =
        tls_client_of(&(struct tls_options){.ca_file = certs_ca_file(fixture->certs), .peer_check = TLS_PEER_REQUIRE});
    fixture->context = SSL_CTX_new(TLS_server_method());
    expect_true(fixture->context);
    expect_true(SSL_CTX_use_certificate_chain_file(fixture->context, identity.cert_file));
    expect_true(SSL_CTX_use_PrivateKey_file(fixture->context, identity.key_file, SSL_FILETYPE_PEM));
    expect_true(SSL_CTX_set_max_send_fragment(fixture->context, 512));
    expect_true(SSL_CTX_set_session_ticket_cb(fixture->context, add_ticket_ballast, accept_ticket, NULL));
    expect_int(sim_new(NULL, &fixture->sim, &fixture->loop), 0);
}

/*
 * While half a ticket has come, OpenSSL cannot write. Our client tries after every byte, and then ends; nothing that it
 * was allowed to write may be lost, and it must be told when it can go on.
 */
static void waits_for_the_rest_of_a_message(void)
{
    struct fixture fixture;
    serve_with_large_tickets(&fixture);
    const struct sim_options slow = {.to_a = {.pieces = SIM_BYTEWISE, .delay_ns = NSEC_PER_MSEC}};
    struct stream *lower = connect_foreign(&fixture, &slow);
    expect_int(tls_connect(lower, fixture.config, "a.test", tls_end_on_event, &fixture.ours, &fixture.ours.stream), 0);
    SSL_set_accept_state(fixture.foreign.ssl);

    size_t n_sent = 0, n_refused = 0;
    while (!fixture.foreign.is_open || sim_unread(lower) > 0) {
        sim_run_for(fixture.sim, NSEC_PER_MSEC);
        if (!tls_end_is_open(&fixture.ours))
            continue;
        ssize_t n = stream_send(fixture.ours.stream, SLICE_LIT("x"));
        expect_true(n == 1 || n == -EAGAIN);
        expect_true(n == 1 || !(fixture.ours.stream->bits & STREAM_WRITABLE));
        n_sent += n == 1;
        n_refused += n != 1;
        if (n_refused == 3000) /* in the middle of the first ticket */
            expect_int(stream_shutdown(fixture.ours.stream), -EAGAIN);
    }
    expect_true(n_sent > 0 && n_refused > 3000);
    expect_true(fixture.ours.stream->bits & STREAM_WRITABLE);
    fixture.ours.ends_when_sent = true;
    tls_end_tick(&fixture.ours);
    sim_run_for(fixture.sim, NSEC_PER_SEC);
    expect_int(fixture.foreign.received.len, n_sent);
    expect_true(fixture.ours.has_ended);
    expect_int(fixture.ours.error, 0);
    fixture_deinit(&fixture);
}

static const struct test_case cases[] = {
    {"TLS 1.2 and 1.3 are spoken", speaks_1_2_and_1_3},
    {"older versions and weak ciphers are refused", refuses_older_versions_and_weak_ciphers},
    {"renegotiation is refused", refuses_to_renegotiate},
    {"key updates are followed", follows_key_updates},
    {"who does nothing but change keys is dropped", drops_who_only_changes_keys},
    {"many tiny records are read a part at a time", reads_tiny_records_a_part_at_a_time},
    {"sessions are resumed, but not across a reload", resumes_sessions},
    {"a writer waits while half a message of TLS itself has come", waits_for_the_rest_of_a_message},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
