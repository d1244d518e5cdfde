/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP server on a simulated loop, with a front end that does what the path says and writes down how it was called,
 * and a client that is a bare stream: what the test says is what goes over the wire.
 *
 *     struct sim_http *http = sim_http_new(NULL, NULL);
 *     sim_http_say(http, "GET /hello HTTP/1.1\r\nhost: x\r\n\r\n");
 *     expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n...");
 *     sim_http_free(http);
 *
 * Paths of the front end:
 *     /hello      answered at once: "hello\n"
 *     /echo       the whole body, once it is there (exchange_collect, up to ECHO_MAX)
 *     /pipe       the body in pieces, as they come, pausing when the client does not take them
 *     /later      answered by the test, by way of http->exchange
 *     /early      answered at once although a body may follow, by an exchange that has an app
 */
#pragma once

#include "base/buf.h"
#include "http/server.h"
#include "support/sim.h"

#define SIM_HTTP_ECHO_MAX (64 * 1024)

struct sim_http {
    struct sim *sim;
    struct loop *loop;
    struct http_server *server;
    struct stream *client;     /* NULL once the test has closed it */
    struct buf heard;          /* all that the client received, NUL-terminated by sim_http_hear */
    bool ended;                /* the server has closed its side */
    int error;                 /* the client's stream failed */
    struct exchange *exchange; /* the running one of /later and /pipe; NULL when none */
    struct buf calls;          /* "request GET /later\n", "body abc\n", "end\n", "drain\n", "close done\n" */
};

/* Both may be NULL: the server's defaults, a perfect network. The client is end a. */
struct sim_http *sim_http_new(const struct http_server_options *options, const struct sim_options *network);
/* Closes what is open and frees; the server is freed with what still runs on it. Accepts NULL. */
void sim_http_free(struct sim_http *http);
/* The same for a test of failing allocations. 0 or -ENOMEM. */
int sim_http_try_new(const struct http_server_options *options, const struct sim_options *network,
                     struct sim_http **ret_http);

/* Another connection in place of the old one, which is closed. */
void sim_http_reconnect(struct sim_http *http, const struct sim_options *network);

/* The client sends, as much as its stream takes, and all that can happen now happens. */
void sim_http_say(struct sim_http *http, const char *text);
size_t sim_http_send(struct sim_http *http, struct slice bytes);

/* The client ends its sending side. */
void sim_http_end(struct sim_http *http);

/* Receives what there is; gives all that was received since the last sim_http_forget, as text. */
const char *sim_http_hear(struct sim_http *http);
void sim_http_forget(struct sim_http *http);

/* What the front end was called with since the last time. */
const char *sim_http_calls(struct sim_http *http);

/* Time passes; the client receives nothing by itself. */
void sim_http_wait(struct sim_http *http, nsec_t duration_ns);
