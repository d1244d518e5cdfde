/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all modes share: the connections, how long each operation took, and callers that ask in a closed loop.
 *
 * A mode is prepared once and then takes turns; each turn prints one line of name=number words, which begins with
 * `ops=` and `seconds=`.
 */
#pragma once

#include "client.h"
#include "options.h"

struct load;
struct mode {
    const char *name;
    void (*prepare)(struct load *load);
    void (*turn)(struct load *load);
    void (*end)(struct load *load); /* NULL: nothing to release but the connections */
};

struct samples {
    nsec_t *took;
    size_t n, n_room;
};

struct load {
    struct options options;
    struct client *client;
    struct conn **conns; /* options.conns; NULL: not connected */
    struct samples samples;
    struct buf value; /* what is put */
    uint64_t random;  /* state of load_random */
    uint64_t n_made;  /* keys made so far, where each operation makes its own */
    void *state;      /* the mode's own */
};

void load_init(struct load *load, int n_words, char **words);
void load_deinit(struct load *load);

void load_connect(struct load *load);
void load_disconnect(struct load *load);

/* One turn of the client; a server that says nothing for long ends the program. */
void load_wait(struct load *load);

uint64_t load_random(struct load *load, uint64_t below);

void samples_add(struct samples *samples, nsec_t took);
void samples_reset(struct samples *samples);
void samples_deinit(struct samples *samples);

/* Prints " NAMEp50_us=… NAMEp99_us=… NAMEmax_us=…"; sorts the samples. */
void samples_print(struct samples *samples, const char *name);

/* Prints "ops=… seconds=…" and the samples, without the end of the line. */
void load_print(struct load *load, uint64_t n_ops, nsec_t took);

/* The same operation again and again: a chain of calls, each opened once the last one is answered. */
struct caller;
struct operation {
    void (*begin)(struct caller *caller);
    void (*reply)(struct caller *caller, struct slice message); /* NULL: not looked at */
    bool (*next)(struct caller *caller);                        /* opens the next call, or false; NULL: there is none */
};

struct callers;
struct caller {
    struct callers *all;
    struct load *load;
    struct conn *conn;
    struct call call;
    nsec_t began;
    uint64_t n_calls; /* of this operation, answered */
    uint64_t key;     /* for the operation's own use, as the next one */
    int64_t lease;
};

/* Opens a call with one message, which is what is added before caller_send. */
struct buf *caller_call(struct caller *caller, const char *path);
void caller_send(struct caller *caller);

struct callers {
    const struct operation *operation;
    uint64_t n_callers; /* 0: options.callers */
    nsec_t until;       /* nothing begins after it; may be moved while they run */
    uint64_t n_left;    /* nor after so many */
    uint64_t n_done;
    uint64_t n_busy;
};

/* Lets the callers run, and waits for their last answers; adds to the samples. */
void callers_run(struct load *load, struct callers *callers);

/* What most turns are: they run for options.ms, or options.ops operations, and print. */
void load_turn(struct load *load, const struct operation *operation);
