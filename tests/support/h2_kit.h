/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server and an HTTP/2 client on one simulated connection. The client is nghttp2's own; what it hears is kept per
 * stream. The server's front end is scripted by the path that is asked for and writes down what it is told:
 *
 *     /hello        answers "hello\n"
 *     /N            answers N bytes at once, for N up to ten million
 *     /collect      collects the body (at most 1000 bytes) and answers with it
 *     /echo         answers with each piece of the body as it comes, and a trailer "x-end: yes"
 *     /hold         keeps the exchange in kit->held for the test to use
 *     /pause        the same, paused from the start
 *
 * What it is told, one word each, is in kit->trace: "request body:5 end drain close:done".
 */
#pragma once

#include "http/server.h"
#include "support/sim.h"

#include <nghttp2/nghttp2.h>

enum {
    KIT_ANSWERS = 64,
    KIT_BODY_KEPT = 256,
};

struct kit_answer {
    unsigned status;
    size_t n_body;
    char fields[1024];   /* "name: value\n" each */
    char trailers[1024]; /* the same */
    char body[KIT_BODY_KEPT];
    unsigned n_continues; /* 100 (Continue) before the answer */
    bool is_ended;        /* the server has sent all */
    bool is_closed;
    uint32_t code; /* of the reset; NGHTTP2_NO_ERROR */
};

/* The server's stream, counting. */
struct kit_ops {
    struct stream_ops ops;
    const struct stream_ops *real;
    unsigned *n_sends;
};

struct kit {
    struct sim *sim;
    struct loop *loop;
    struct http_server *server;
    struct stream *near, *far; /* the server's end, and ours */
    struct kit_ops near_ops;
    nghttp2_session *client;
    struct kit_answer answers[KIT_ANSWERS]; /* of stream 1, 3, 5, … */
    unsigned n_sends;                       /* of the server */
    unsigned n_goaways, n_pings, n_acks, n_resets, n_settings;
    int32_t goaway_last_id;
    uint32_t goaway_code;
    bool is_closed;                                            /* by the server */
    bool is_deaf;                                              /* the client does not read */
    bool is_stingy;                                            /* the client opens no windows */
    int error;                                                 /* of the client, or -ENOMEM */
    void (*serve)(struct kit *kit, struct exchange *exchange); /* a test's own front end in place of the above */
    struct exchange *held[KIT_ANSWERS];
    unsigned n_held;
    struct grpc_call *call; /* a test's to use, like ctx */
    void *ctx;
    char trace[4096];
};

/* options and network may be NULL. */
struct kit *kit_new(const struct http_server_options *options, const struct sim_options *network);
/* The same for a test of failing allocations: 0 or -ENOMEM. */
int kit_try_new(const struct http_server_options *options, const struct sim_options *network, struct kit **ret_kit);
/* By default options, when both sides have told their settings; what the server sends is counted from here on. */
struct kit *kit_ready(void);
void kit_free(struct kit *kit);

/* Everything that can happen now happens, and then all of duration_ns. */
void kit_run(struct kit *kit);
void kit_run_for(struct kit *kit, nsec_t duration_ns);

/* Begins a request and gives its stream; fields are pairs of strings behind method and path, up to a NULL. */
int32_t kit_request(struct kit *kit, const char *method, const char *path, bool has_body, const char *const *fields);
int32_t kit_get(struct kit *kit, const char *path);

/* Any header block; pairs as above, pseudo-fields among them. */
int32_t kit_request_raw(struct kit *kit, bool has_body, const char *const *pairs);

/* Sends body; one call at a time per stream, each run to its end by kit_run. */
void kit_data(struct kit *kit, int32_t id, struct slice bytes, bool is_last);
void kit_trailers(struct kit *kit, int32_t id, const char *const *pairs);
void kit_reset(struct kit *kit, int32_t id);

/* Sends bytes as they are, behind what the client has sent so far. */
void kit_raw(struct kit *kit, struct slice bytes);
/* A frame of them. */
void kit_frame(struct kit *kit, uint8_t type, uint8_t flags, int32_t id, struct slice payload);

struct kit_answer *kit_answer(struct kit *kit, int32_t id);

/* The connection serves as before, and was told of no end. */
void kit_expect_alive(struct kit *kit);

/* Adds a word to the trace. */
void kit_note(struct kit *kit, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *kit_end_name(enum exchange_end end);

/* The trace so far; it is begun anew. */
#define expect_trace(kit, expected)                                                                                    \
    do {                                                                                                               \
        expect_str((kit)->trace, expected);                                                                            \
        (kit)->trace[0] = '\0';                                                                                        \
    } while (0)
