/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes through an open TLS stream: all of them, in order, at the pace of the slower side, up to a proper end. */
#include "support/certs.h"
#include "support/fault_alloc.h"
#include "support/test.h"
#include "support/tls_link.h"

#include <errno.h>
#include <stdlib.h>

#define MIB              ((size_t)1024 * 1024)
#define RECORD_MAX_BYTES 16384
#define RECORD_EXTRA     22 /* TLS 1.3: 5 bytes of header, 1 of type, 16 of authentication */
#define TRUNCATION_WORDS "the peer's bytes ended without a close_notify: they may be cut"

struct fixture {
    struct certs *certs;
    struct tls_config *server, *client;
    struct tls_link link;
};

static void fixture_init(struct fixture *fixture)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &(struct cert_options){.names = "DNS:a.test"});
    *fixture = (struct fixture){
        .certs = certs,
        .server = tls_server_of(&(struct tls_options){.identities = &identity, .n_identities = 1}),
        .client = tls_client_of(&(struct tls_options){.ca_file = certs_ca_file(certs), .peer_check = TLS_PEER_REQUIRE}),
    };
}

static int begin(struct fixture *fixture, const struct sim_options *ways)
{
    return tls_link_init(
        &fixture->link, &(struct tls_link_options){.client = fixture->client, .server = fixture->server, .ways = ways});
}

/* An open connection with nothing on its way. */
static struct tls_link *fixture_open(struct fixture *fixture, const struct sim_options *ways)
{
    fixture_init(fixture);
    expect_int(begin(fixture, ways), 0);
    tls_link_run(&fixture->link);
    expect_true(tls_end_is_open(&fixture->link.client) && tls_end_is_open(&fixture->link.server));
    return &fixture->link;
}

static void fixture_deinit(struct fixture *fixture)
{
    tls_link_deinit(&fixture->link);
    tls_config_unref(fixture->server);
    tls_config_unref(fixture->client);
    certs_free(fixture->certs);
}

/* To be freed. */
static struct slice random_bytes(uint64_t *seed, size_t len)
{
    char *bytes = malloc(len);
    expect_true(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)test_random(seed);
    return slice_from(bytes, len);
}

static void free_bytes(struct slice bytes)
{
    free((void *)(uintptr_t)bytes.ptr);
}

/* Both ends send n bytes at once, end, and receive what the other has sent. */
static void exchange(const struct sim_options *ways, uint64_t *seed, size_t n)
{
    struct fixture fixture;
    struct tls_link *link = fixture_open(&fixture, ways);
    struct slice question = random_bytes(seed, n);
    struct slice answer = random_bytes(seed, n);
    link->client.to_send = question;
    link->server.to_send = answer;
    link->client.ends_when_sent = link->server.ends_when_sent = true;
    tls_end_tick(&link->client);
    tls_end_tick(&link->server);
    tls_link_run(link);

    struct tls_end *ends[] = {&link->client, &link->server};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        expect_int(ends[i]->error, 0);
        expect_true(ends[i]->has_ended && ends[i]->is_at_end);
        expect_true(ends[i]->stream->bits & STREAM_PEER_DONE);
        expect_true(slice_equal(buf_slice(&ends[i]->received), i == 0 ? answer : question));
    }
    free_bytes(question);
    free_bytes(answer);
    fixture_deinit(&fixture);
}

static void carries_a_mebibyte_both_ways(void)
{
    uint64_t seed = test_seed();
    size_t pieces[200] = {0};
    for (size_t i = 0; i + 1 < ARRAY_LEN(pieces); i++)
        pieces[i] = 1 + test_random(&seed) % (i % 4 ? 5000 : 20);
    pieces[ARRAY_LEN(pieces) - 2] = 1500;
    const struct sim_options small = {
        .to_a = {.window_bytes = 2900, .pieces = pieces},
        .to_b = {.window_bytes = 700, .pieces = pieces},
    };
    exchange(&small, &seed, MIB);
    exchange(NULL, &seed, MIB);
}

static void carries_bytes_one_by_one(void)
{
    uint64_t seed = test_seed();
    const struct sim_options bytewise = {.to_a.pieces = SIM_BYTEWISE, .to_b.pieces = SIM_BYTEWISE};
    exchange(&bytewise, &seed, (size_t)3 * RECORD_MAX_BYTES + 1);
    const struct sim_options narrow = {.to_a.window_bytes = 1, .to_b.window_bytes = 2};
    exchange(&narrow, &seed, 20000);
}

static void joins_small_pieces_in_one_record(void)
{
    struct fixture fixture;
    struct tls_link *link = fixture_open(&fixture, NULL);
    link->server.is_paused = true;
    char head[300], body[2000];
    memset(head, 'h', sizeof(head));
    memset(body, 'b', sizeof(body));
    const struct iovec pieces[] = {
        {.iov_base = NULL, .iov_len = 0}, {.iov_base = head, .iov_len = sizeof(head)},
        {.iov_base = NULL, .iov_len = 0}, {.iov_base = body, .iov_len = sizeof(body)},
        {.iov_base = NULL, .iov_len = 0},
    };
    expect_int(stream_sendv(link->client.stream, pieces, ARRAY_LEN(pieces)), sizeof(head) + sizeof(body));
    expect_int(sim_unread(link->lower_server), sizeof(head) + sizeof(body) + RECORD_EXTRA);
    expect_int(stream_sendv(link->client.stream, pieces, 1), 0);
    expect_int(sim_unread(link->lower_server), sizeof(head) + sizeof(body) + RECORD_EXTRA);

    tls_link_run(link);
    link->server.is_paused = false;
    tls_end_tick(&link->server);
    expect_int(link->server.received.len, sizeof(head) + sizeof(body));
    expect_true(memcmp(link->server.received.ptr, head, sizeof(head)) == 0);
    expect_true(memcmp(link->server.received.ptr + sizeof(head), body, sizeof(body)) == 0);
    fixture_deinit(&fixture);
}

static void fills_records_from_large_pieces(void)
{
    struct fixture fixture;
    struct tls_link *link = fixture_open(&fixture, NULL);
    uint64_t seed = test_seed();
    struct slice bytes = random_bytes(&seed, 40000);
    const struct iovec pieces[] = {
        {.iov_base = (char *)(uintptr_t)bytes.ptr, .iov_len = 10},
        {.iov_base = (char *)(uintptr_t)bytes.ptr + 10, .iov_len = bytes.len - 10},
    };
    expect_int(stream_sendv(link->client.stream, pieces, ARRAY_LEN(pieces)), bytes.len);
    expect_int(sim_unread(link->lower_server), bytes.len + (size_t)3 * RECORD_EXTRA);
    tls_link_run(link);
    expect_true(slice_equal(buf_slice(&link->server.received), bytes));
    free_bytes(bytes);
    fixture_deinit(&fixture);
}

static void stops_a_writer_whose_peer_does_not_read(void)
{
    struct fixture fixture;
    struct tls_link *link = fixture_open(&fixture, &(struct sim_options){.to_b.window_bytes = 10000});
    uint64_t seed = test_seed();
    struct slice bytes = random_bytes(&seed, MIB);
    link->server.is_paused = true;
    link->client.to_send = bytes;
    tls_end_tick(&link->client);
    tls_link_run(link);

    /* What the window does not hold is one record at most. */
    size_t n_taken = bytes.len - link->client.to_send.len;
    expect_true(n_taken > 0 && n_taken <= (size_t)2 * RECORD_MAX_BYTES);
    expect_false(link->client.stream->bits & STREAM_WRITABLE);
    expect_int(stream_send(link->client.stream, link->client.to_send), -EAGAIN);
    unsigned n_events = link->client.n_events;
    tls_link_run(link);
    expect_int(link->client.n_events, n_events);

    link->server.is_paused = false;
    tls_end_tick(&link->server);
    tls_link_run(link);
    expect_true(link->client.n_events > n_events);
    expect_true(slice_equal(buf_slice(&link->server.received), bytes));
    free_bytes(bytes);
    fixture_deinit(&fixture);
}

/* A queue that keeps what was refused offers it again in other pieces. */
static void takes_refused_bytes_in_any_grouping(void)
{
    struct fixture fixture;
    struct tls_link *link = fixture_open(&fixture, &(struct sim_options){.to_b.window_bytes = 100});
    uint64_t seed = test_seed();
    struct slice bytes = random_bytes(&seed, 100000);
    struct slice rest = bytes;
    while (!slice_is_empty(rest)) {
        size_t n = min_size(rest.len, 1 + test_random(&seed) % 9000);
        ssize_t n_taken = stream_send(link->client.stream, slice_from(rest.ptr, n));
        expect_true(n_taken > 0 || n_taken == -EAGAIN);
        rest = slice_skip(rest, n_taken > 0 ? (size_t)n_taken : 0);
        tls_link_run(link);
    }
    expect_true(slice_equal(buf_slice(&link->server.received), bytes));
    free_bytes(bytes);
    fixture_deinit(&fixture);
}

static void ends_in_one_direction(void)
{
    struct fixture fixture;
    struct tls_link *link = fixture_open(&fixture, NULL);
    link->client.to_send = SLICE_LIT("question");
    link->client.ends_when_sent = true;
    tls_end_tick(&link->client);
    tls_link_run(link);
    expect_bytes(buf_slice(&link->server.received), SLICE_LIT("question"));
    expect_true(link->server.is_at_end);
    expect_int(stream_send(link->client.stream, SLICE_LIT("more")), -EPIPE);
    expect_int(stream_shutdown(link->client.stream), 0); /* again is harmless */

    link->server.to_send = SLICE_LIT("answer");
    link->server.ends_when_sent = true;
    tls_end_tick(&link->server);
    tls_link_run(link);
    expect_bytes(buf_slice(&link->client.received), SLICE_LIT("answer"));
    expect_true(link->client.is_at_end);
    char byte;
    expect_int(stream_recv(link->client.stream, &byte, 1), 0); /* the end stays the end */
    expect_int(link->client.error, 0);
    expect_int(link->server.error, 0);
    fixture_deinit(&fixture);
}

static void takes_an_end_without_notice_for_a_failure(void)
{
    struct fixture fixture;
    struct tls_link *link = fixture_open(&fixture, NULL);
    link->client.to_send = SLICE_LIT("half of it");
    tls_end_tick(&link->client);
    expect_int(stream_shutdown(link->lower_client), 0);
    tls_link_run(link);
    expect_bytes(buf_slice(&link->server.received), SLICE_LIT("half of it"));
    expect_false(link->server.is_at_end);
    expect_int(link->server.error, -ECONNRESET);
    expect_str(tls_error_text(link->server.stream), TRUNCATION_WORDS);
    char byte;
    expect_int(stream_recv(link->server.stream, &byte, 1), -ECONNRESET);
    expect_int(stream_send(link->server.stream, SLICE_LIT("x")), -ECONNRESET);
    expect_int(stream_shutdown(link->server.stream), -ECONNRESET);
    fixture_deinit(&fixture);
}

static void cuts_when_it_is_closed_without_an_end(void)
{
    struct fixture fixture;
    struct tls_link *link = fixture_open(&fixture, NULL);
    tls_end_deinit(&link->client);
    tls_link_run(link);
    expect_int(link->server.error, -ECONNRESET);
    expect_str(tls_error_text(link->server.stream), TRUNCATION_WORDS);
    fixture_deinit(&fixture);
}

/* Even when the window is so small that the close_notify has to wait. */
static void ends_behind_what_waits(void)
{
    struct fixture fixture;
    struct tls_link *link = fixture_open(&fixture, &(struct sim_options){.to_b.window_bytes = 50});
    link->server.is_paused = true;
    link->client.to_send = SLICE_LIT("as long as the window, with what TLS adds to it");
    link->client.ends_when_sent = true;
    tls_end_tick(&link->client);
    tls_link_run(link);
    expect_false(link->client.has_ended);
    expect_int(stream_shutdown(link->client.stream), -EAGAIN);

    link->server.is_paused = false;
    tls_end_tick(&link->server);
    tls_link_run(link);
    expect_true(link->client.has_ended);
    expect_true(link->server.is_at_end);
    expect_bytes(buf_slice(&link->server.received), SLICE_LIT("as long as the window, with what TLS adds to it"));
    fixture_deinit(&fixture);
}

static void gives_what_came_before_a_reset(void)
{
    struct fixture fixture;
    struct tls_link *link = fixture_open(&fixture, NULL);
    link->server.is_paused = true;
    link->client.to_send = SLICE_LIT("last words");
    tls_end_tick(&link->client);
    tls_link_run(link);
    sim_reset(link->lower_server);
    tls_link_run(link);
    expect_int(link->server.error, -ECONNRESET);
    char bytes[100];
    expect_int(stream_recv(link->server.stream, bytes, sizeof(bytes)), strlen("last words"));
    expect_int(stream_recv(link->server.stream, bytes, sizeof(bytes)), -ECONNRESET);
    expect_str(tls_error_text(link->server.stream), "the connection below TLS failed: Connection reset by peer");
    fixture_deinit(&fixture);
}

static void fails_on_a_forged_record(void)
{
    struct fixture fixture;
    struct tls_link *link = fixture_open(&fixture, NULL);
    struct slice forged = SLICE_LIT("\x17\x03\x03\x00\x20"
                                    "0123456789abcdef0123456789abcdef");
    expect_int(stream_send(link->lower_client, forged), forged.len);
    tls_link_run(link);
    expect_int(link->server.error, -EPROTO);
    expect_str(tls_error_text(link->server.stream), "TLS failed: decryption failed or bad record mac");
    expect_int(link->client.error, -EPROTO);
    expect_str(tls_error_text(link->client.stream), "the peer ended TLS: sslv3 alert bad record mac");
    fixture_deinit(&fixture);
}

static void takes_and_gives_nothing_before_it_is_open(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    expect_int(begin(&fixture, NULL), 0);
    char byte = 'x';
    expect_int(stream_recv(fixture.link.client.stream, &byte, 1), -EAGAIN);
    expect_int(stream_send(fixture.link.client.stream, SLICE_LIT("x")), -EAGAIN);
    expect_int(stream_shutdown(fixture.link.client.stream), -EAGAIN);
    expect_int(fixture.link.client.stream->bits, 0);
    fixture_deinit(&fixture);
}

/* A question and an answer of 50,000 bytes through a window that makes every record wait. */
static int converse(void *arg)
{
    struct fixture *fixture = arg;
    struct tls_link *link = &fixture->link;
    static const char bytes[50000];
    int result = begin(fixture, &(struct sim_options){.to_a.window_bytes = 3000, .to_b.window_bytes = 1000});
    if (result == 0) {
        link->client.to_send = link->server.to_send = slice_from(bytes, sizeof(bytes));
        link->client.ends_when_sent = link->server.ends_when_sent = true;
        tls_link_run(link);
        bool is_whole = link->client.received.len == sizeof(bytes) && link->server.received.len == sizeof(bytes) &&
                        link->client.is_at_end && link->server.is_at_end;
        result = is_whole ? 0 : -ENOMEM;
    }
    tls_link_deinit(link);
    return result;
}

static void survives_every_failing_allocation(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    expect_true(fault_alloc_sweep(converse, &fixture) > 10);
    fixture.link = (struct tls_link){.sim = NULL};
    fixture_deinit(&fixture);
}

static const struct test_case cases[] = {
    {"a mebibyte gets through both ways, whatever the windows and pieces", carries_a_mebibyte_both_ways},
    {"records get through byte by byte", carries_bytes_one_by_one},
    {"small pieces travel in one record", joins_small_pieces_in_one_record},
    {"large pieces fill records", fills_records_from_large_pieces},
    {"a writer stops when its peer does not read, and goes on when it does", stops_a_writer_whose_peer_does_not_read},
    {"refused bytes may be offered again in other pieces", takes_refused_bytes_in_any_grouping},
    {"one direction ends, the other goes on", ends_in_one_direction},
    {"an end without close_notify is a failure", takes_an_end_without_notice_for_a_failure},
    {"a close without shutdown is seen as a cut", cuts_when_it_is_closed_without_an_end},
    {"a shutdown waits behind bytes that wait", ends_behind_what_waits},
    {"what came before a reset is received", gives_what_came_before_a_reset},
    {"a forged record fails the connection", fails_on_a_forged_record},
    {"nothing is taken or given before the stream is open", takes_and_gives_nothing_before_it_is_open},
    {"any allocation may fail", survives_every_failing_allocation},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
