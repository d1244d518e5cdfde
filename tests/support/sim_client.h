/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1 client connection on a simulated loop, whose owner and user write down what they are told, and a server
 * that is a bare stream: what the test says is what the client receives.
 *
 *     struct sim_client *peer = sim_client_new(NULL, NULL);
 *     sim_client_get(peer, "GET");
 *     expect_str(sim_client_hear(peer), "GET /x HTTP/1.1\r\nhost: host\r\n\r\n");
 *     sim_client_say(peer, "HTTP/1.1 204 No Content\r\n\r\n");
 *     expect_str(sim_client_told(peer), "head 204\nfree reusable\ndone 0 sent responded\n");
 *     sim_client_free(peer);
 */
#pragma once

#include "base/buf.h"
#include "http/h1_client.h"
#include "support/sim.h"

struct sim_client {
    struct sim *sim;
    struct loop *loop;
    struct h1_client_room room;
    struct client_connection *connection; /* NULL once closed */
    struct stream *server;                /* the other end; NULL once the test has closed it */
    struct client_call call;
    bool cancel_on_body; /* the user gives the call up at the first piece of the body */
    struct buf events;   /* see sim_client_told */
    struct buf heard;
};

/* Both may be NULL: the defaults, a perfect network. The client is end a. */
struct sim_client *sim_client_new(const struct h1_client_options *options, const struct sim_options *network);
/* The same for a test of failing allocations. 0 or -ENOMEM. */
int sim_client_try_new(const struct h1_client_options *options, const struct sim_options *network,
                       struct sim_client **ret_peer);
void sim_client_free(struct sim_client *peer);

/* Another connection in place of one that is closed. */
void sim_client_reconnect(struct sim_client *peer, const struct sim_options *network);

/* Starts a call without a body to /x on host. */
void sim_client_get(struct sim_client *peer, const char *method);

/* The server speaks, and receives what there is. */
void sim_client_say(struct sim_client *peer, const char *text);
const char *sim_client_hear(struct sim_client *peer);

/*
 * What user and owner were told since the last time, a line each: "info 100", "head 200", "body abc", "drain now",
 * "done 0 sent reused responded" (the result and what is set), "free reusable", "free spent", "lost closed".
 */
const char *sim_client_told(struct sim_client *peer);
