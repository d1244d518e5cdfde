/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS connection over simulated streams, whose two ends do by themselves what a user of streams does: receive all
 * there is, send what they were given as far as the stream takes it, and write down what they were told. The test turns
 * the loop and looks at the fields.
 */
#pragma once

#include "base/buf.h"
#include "io/tls.h"
#include "support/sim.h"

struct tls_end {
    /* what to do */
    struct slice to_send; /* what is left of it */
    bool ends_when_sent;  /* stream_shutdown after the last byte */
    bool is_paused;       /* receives nothing until tls_end_tick */
    bool closes_at_once;  /* closes the stream in its first event */
    /* what happened */
    struct stream *stream;
    struct buf received;
    unsigned n_events;
    bool is_at_end; /* stream_recv gave 0 */
    bool has_ended; /* stream_shutdown gave 0 */
    int error;      /* the first that a call gave, or the stream's when it failed */
};

/* The on_event of the stream, whose owner is the end. */
void tls_end_on_event(struct stream *stream, unsigned new_bits);

/* Goes on with what the stream's bits allow; after the test has changed what to do. */
void tls_end_tick(struct tls_end *end);

/* Closes the stream if it is still there, frees what was received, and leaves an empty end. */
void tls_end_deinit(struct tls_end *end);

static inline bool tls_end_is_open(const struct tls_end *end)
{
    return end->stream && (end->stream->bits & (STREAM_OPEN | STREAM_FAILED)) == STREAM_OPEN;
}

struct tls_link {
    struct sim *sim;
    struct loop *loop;
    struct stream *lower_client, *lower_server; /* owned by the TLS streams; for breaking them */
    struct tls_end client, server;
};

struct tls_link_options {
    struct tls_config *client, *server;
    const char *name;               /* of the server, for the client; NULL: "a.test" */
    const struct sim_options *ways; /* a is the client; NULL: a fast and faultless network */
};

/*
 * A loop of its own and TLS on both ends; the loop is not turned. 0, or what a call of ours failed with: the
 * link must be deinitialised then, too.
 */
int tls_link_init(struct tls_link *link, const struct tls_link_options *options);

/* All there is to happen happens; time is not a matter of these tests. */
void tls_link_run(struct tls_link *link);

/* Closes what is open and frees the loop. */
void tls_link_deinit(struct tls_link *link);

/* The configs of a test, which fails when one cannot be made. */
struct tls_config *tls_server_of(const struct tls_options *options);
struct tls_config *tls_client_of(const struct tls_options *options);
