/* SPDX-License-Identifier: Apache-2.0 */
/* Streams on one real loop that all have something to read at once, so that its turn is a busy one (loop.h). */
#pragma once

#include "io/stream.h"

#include <stdbool.h>

enum { BUSY_STREAMS = 6 };

struct busy_one {
    struct busy *busy;
    struct stream *stream; /* NULL once it is closed */
    int peer;              /* the other end; -1 once it is closed */
    unsigned bits;         /* told so far */
};

typedef void (*busy_act_fn)(struct busy_one *one);

struct busy {
    struct loop *loop;
    busy_act_fn act; /* called when there is something to read */
    struct busy_one ones[BUSY_STREAMS];
};

struct busy *busy_new(busy_act_fn act);
/* On a loop of the caller's, which is freed with it. */
struct busy *busy_new_on(struct loop *loop, busy_act_fn act);
void busy_free(struct busy *busy);

/* Each peer writes the text, and one turn goes by. */
void busy_turn(struct busy *busy, const char *text);

/* The one's peer goes, with a reset. */
void busy_reset(struct busy_one *one);
