/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway of one worker in virtual time, with everything real but the network: catalogue, planner, HTTP server, pool.
 * Instances of the service "web" are played by the kit as told, clients by the test.
 *
 *     struct gateway_kit kit;
 *     gateway_kit_init(&kit, 2);                        instances "0" and "1", registered
 *     kit.instances[0].how = KIT_HANG;
 *     struct kit_client *client = kit_client_open(&kit);
 *     kit_client_ask(client, "GET", 7, 0);
 *     gateway_kit_run_for(&kit, NSEC_PER_SEC);
 *     expect_true(kit_client_answered(client, 7));
 *     gateway_kit_deinit(&kit);
 *
 * Requests and answers are numbered: header `x-n`, and bodies of a letter that the number gives. So a byte that is on
 * the wrong connection fails the test, whichever side it comes to.
 */
#pragma once

#include "gateway/gateway_worker.h"
#include "http/server.h"
#include "support/curator_kit.h"
#include "support/sim.h"

#define KIT_INSTANCES_MAX 4
#define KIT_NUMBERS_MAX   4096
#define KIT_BODY_BYTES    3000 /* of an answer */

enum kit_how {
    KIT_OK,
    KIT_CHUNKED, /* the answer, with trailers */
    KIT_INFO,    /* 103 in front of it */
    KIT_LATE,    /* after late_ns */
    KIT_CLOSE,   /* with connection: close */
    KIT_RUDE,    /* closes behind each answer without a word before */
    KIT_LIAR,    /* closes when a second request comes */
    KIT_EXTRA,   /* sends a byte too many behind each answer */
    KIT_EARLY,   /* answers when the head is there */
    KIT_HANG,    /* never answers */
    KIT_BREAK,   /* resets instead of answering */
    KIT_MID,     /* resets in the middle of the answer */
    KIT_GARBAGE, /* what is no HTTP */
    KIT_SWITCH,  /* 101, and then says back what it hears */
    KIT_RANDOM,  /* any of the above, each time */
    KIT_HOWS_,
};

enum kit_door {
    KIT_OPEN,
    KIT_REFUSES,
    KIT_SILENT,   /* the handshake never ends */
    KIT_EXHAUSTED /* it is us who have no descriptor to go there */
};

struct kit_instance {
    struct gateway_kit *kit;
    char id[12], address[24];
    struct list connections;
    enum kit_how how;
    enum kit_door door;
    bool is_frozen;      /* takes connections and does nothing */
    bool answers_proofs; /* whatever it does with requests */
    nsec_t late_ns;
    /* what was seen */
    unsigned n_connects, n_requests, n_proofs;
    unsigned n_switched;
};

struct gateway_kit {
    struct curator_kit curator;
    struct sim *sim;
    struct loop *loop;
    struct resolver *resolver;
    struct gateway_settings settings;
    struct planner *planner;
    struct gateway *gateway;
    struct http_server *server;
    struct gateway_worker *worker;
    unsigned n_instances;
    struct kit_instance instances[KIT_INSTANCES_MAX];
    struct list clients;
    uint64_t random;
    struct sim_options network;            /* of connections to instances */
    unsigned char n_seen[KIT_NUMBERS_MAX]; /* how often an instance got that request, or the beginning of it */
};

/* The defaults, for tests to change before gateway_kit_start. */
void gateway_kit_prepare(struct gateway_kit *kit, unsigned n_instances);
/* 0 or -ENOMEM. Instances are registered. */
int gateway_kit_start(struct gateway_kit *kit);
void gateway_kit_init(struct gateway_kit *kit, unsigned n_instances); /* both */
/* Clients are closed; all counters must be back at zero. */
void gateway_kit_deinit(struct gateway_kit *kit);

void gateway_kit_run_for(struct gateway_kit *kit, nsec_t duration_ns);

void kit_instance_register(struct kit_instance *instance);
void kit_instance_remove(struct kit_instance *instance);
/* As kill -9: its connections are reset, and nobody is there. */
void kit_instance_kill(struct kit_instance *instance);
void kit_instance_freeze(struct kit_instance *instance, bool is_frozen);
unsigned kit_instance_n_connections(const struct kit_instance *instance);
const struct runtime *kit_runtime(const struct kit_instance *instance);
/* In the catalogue. */
bool kit_is_suspect(const struct gateway_kit *kit, const char *id);

struct kit_client {
    struct list link;
    struct gateway_kit *kit;
    struct stream *stream;
    struct buf heard;
    bool is_ended, is_deaf; /* deaf: there was no memory for what came */
    unsigned number;        /* of the last request */
};

struct kit_client *kit_client_open(struct gateway_kit *kit);
void kit_client_close(struct kit_client *client);
/* A whole request of that number; n_body: bytes, in chunks when negative. */
void kit_client_ask(struct kit_client *client, const char *method, unsigned number, int n_body);
void kit_client_say(struct kit_client *client, struct slice bytes);
/* What came, as text; forgotten by kit_client_ask. */
const char *kit_client_hear(struct kit_client *client);
/* The status of the whole answer that came; 0: none, or it is not whole. Fails when it is another request's. */
unsigned kit_client_status(struct kit_client *client);

/* One request by a client of its own, as kit_client_ask; its status after so long. */
unsigned gateway_kit_ask(struct gateway_kit *kit, const char *method, unsigned number, int n_body, nsec_t wait_ns);

/* The n-th byte of what belongs to a number. */
static inline char kit_letter(unsigned number)
{
    return (char)('a' + number % 26);
}
