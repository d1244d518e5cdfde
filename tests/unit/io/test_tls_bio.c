/* SPDX-License-Identifier: Apache-2.0 */
/* What OpenSSL reads from and writes to: early bytes first, whole writes always, within a limit. */
#include "io/tls_bio.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>

struct fixture {
    struct sim *sim;
    struct loop *loop;
    struct stream *lower, *peer;
    BIO_METHOD *method;
    struct tls_bio self;
    BIO *bio;
};

static void ignore_event(struct stream *stream, unsigned new_bits)
{
    (void)stream;
    (void)new_bits;
}

static void fixture_init(struct fixture *fixture, size_t window_bytes, struct slice early)
{
    expect_int(sim_new(NULL, &fixture->sim, &fixture->loop), 0);
    struct sim_options options = {.to_b.window_bytes = window_bytes};
    expect_int(sim_pair(fixture->sim, &options, &fixture->lower, &fixture->peer), 0);
    fixture->lower->on_event = ignore_event;
    fixture->method = tls_bio_method_new();
    expect_int(tls_bio_init(&fixture->self, fixture->lower, early), 0);
    fixture->bio = tls_bio_wrap(&fixture->self, fixture->method);
    expect_true(fixture->method && fixture->bio);
    sim_run_for(fixture->sim, 0);
}

static void fixture_deinit(struct fixture *fixture)
{
    BIO_free(fixture->bio);
    BIO_meth_free(fixture->method);
    tls_bio_deinit(&fixture->self);
    stream_close(fixture->lower);
    stream_close(fixture->peer);
    loop_free(fixture->loop);
}

static void reads_early_bytes_first(void)
{
    struct fixture fixture;
    fixture_init(&fixture, 0, SLICE_LIT("early"));
    expect_int(stream_send(fixture.peer, SLICE_LIT("late")), 4);
    sim_run_for(fixture.sim, 0);
    expect_true(tls_bio_is_readable(&fixture.self));
    char bytes[16];
    expect_int(BIO_read(fixture.bio, bytes, 3), 3);
    expect_bytes(slice_from(bytes, 3), SLICE_LIT("ear"));
    expect_int(BIO_read(fixture.bio, bytes, sizeof(bytes)), 2);
    expect_bytes(slice_from(bytes, 2), SLICE_LIT("ly"));
    expect_true(fixture.self.early.ptr == NULL);
    expect_int(BIO_read(fixture.bio, bytes, sizeof(bytes)), 4);
    expect_bytes(slice_from(bytes, 4), SLICE_LIT("late"));
    expect_int(BIO_read(fixture.bio, bytes, sizeof(bytes)), -1);
    expect_true(BIO_should_read(fixture.bio));
    expect_false(tls_bio_is_readable(&fixture.self));
    fixture_deinit(&fixture);
}

static void tells_the_end_from_a_failure(void)
{
    struct fixture fixture;
    fixture_init(&fixture, 0, SLICE_LIT(""));
    expect_int(stream_shutdown(fixture.peer), 0);
    sim_run_for(fixture.sim, 0);
    char byte;
    expect_int(BIO_read(fixture.bio, &byte, 1), -1);
    expect_false(BIO_should_retry(fixture.bio));
    expect_true(fixture.self.is_ended);
    expect_int(fixture.self.error, 0);

    sim_reset(fixture.peer);
    sim_run_for(fixture.sim, 0);
    expect_int(BIO_read(fixture.bio, &byte, 1), -1);
    expect_false(BIO_should_retry(fixture.bio));
    expect_int(fixture.self.error, -ECONNRESET);
    fixture_deinit(&fixture);
}

static void keeps_what_is_not_taken(void)
{
    struct fixture fixture;
    fixture_init(&fixture, 4, SLICE_LIT(""));
    expect_int(BIO_write(fixture.bio, "0123456789", 10), 10);
    expect_false(tls_bio_is_flushed(&fixture.self));
    char bytes[16];
    sim_run_for(fixture.sim, 0);
    size_t n = (size_t)stream_recv(fixture.peer, bytes, sizeof(bytes));
    expect_int(n, 4);
    sim_run_for(fixture.sim, 0);
    expect_true(fixture.lower->bits & STREAM_WRITABLE);
    expect_int(BIO_write(fixture.bio, "abc", 3), 3); /* behind the rest, not past it */
    expect_int(tls_bio_flush(&fixture.self), 0);
    while (n < 13) {
        sim_run_for(fixture.sim, 0);
        ssize_t n_received = stream_recv(fixture.peer, bytes + n, sizeof(bytes) - n);
        expect_true(n_received > 0);
        n += (size_t)n_received;
        sim_run_for(fixture.sim, 0);
        expect_int(tls_bio_flush(&fixture.self), 0);
    }
    expect_bytes(slice_from(bytes, n), SLICE_LIT("0123456789abc"));
    expect_true(tls_bio_is_flushed(&fixture.self));
    expect_true(fixture.self.out.ptr == NULL); /* when idle it owns nothing */
    fixture_deinit(&fixture);
}

static void cuts_off_a_peer_that_makes_it_keep_too_much(void)
{
    struct fixture fixture;
    fixture_init(&fixture, 1, SLICE_LIT(""));
    static const char kibibyte[1024];
    for (size_t n = 0; n < TLS_BIO_OUT_MAX; n += sizeof(kibibyte))
        expect_int(BIO_write(fixture.bio, kibibyte, sizeof(kibibyte)), sizeof(kibibyte));
    expect_int(BIO_write(fixture.bio, kibibyte, sizeof(kibibyte)), -1);
    expect_false(BIO_should_retry(fixture.bio));
    expect_int(fixture.self.error, -EMSGSIZE);
    fixture_deinit(&fixture);
}

static const struct test_case cases[] = {
    {"early bytes are read first", reads_early_bytes_first},
    {"an end is told from a failure, and from nothing to read", tells_the_end_from_a_failure},
    {"what the lower stream does not take is kept in order", keeps_what_is_not_taken},
    {"what is kept has a limit", cuts_off_a_peer_that_makes_it_keep_too_much},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
