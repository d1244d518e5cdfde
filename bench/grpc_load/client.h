/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of gRPC over cleartext HTTP/2, for a load generator: one thread, many connections, many calls. What
 * is written in one turn leaves in one send per connection. Whatever fails ends the program with a message: there is
 * nothing that a measurement could go on with.
 */
#pragma once

#include "base/buf.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

struct client;
struct conn;

/* One call, owned by the user, who sets the first three members and uses it for one call after another. */
struct call {
    void (*on_message)(struct call *call, struct slice message); /* valid during this call */
    void (*on_end)(struct call *call);                           /* answered with status OK; may open the next one */
    void *user;

    /* The client's own; zero at first. */
    struct conn *conn;
    const char *path;
    int32_t stream_id;
    bool is_stream;   /* goes on after the first message */
    bool is_deferred; /* HTTP/2 waits to be told that there is more to send */
    struct buf out, in;
    size_t n_sent;   /* of out */
    size_t begin;    /* of the message being written, in out */
    int status;      /* gRPC's; -1: none yet */
    char error[128]; /* grpc-message, cut */
};

nsec_t now_ns(void);

struct client *client_new(uint16_t port);
void client_free(struct client *client); /* its connections must be closed */

/* Waits for the server to listen. */
struct conn *conn_open(struct client *client);
void conn_close(struct conn *conn); /* the calls that are open are forgotten */

/* The path is a literal. A stream stays open; any other call has exactly one message. */
void call_open(struct call *call, struct conn *conn, const char *path, bool is_stream);

/* A message is what is added between these two. */
struct buf *call_begin(struct call *call);
void call_send(struct call *call);
void call_deinit(struct call *call);

/* Sends what has been written, waits for input, and calls back. False: there was none for that long. */
bool client_turn(struct client *client, int timeout_ms);
