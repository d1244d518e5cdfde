/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of the access log. What a request says is written when its head is there, since that is gone at its end; what
 * became of it is put in then.
 *
 * Nothing that a client sends can end a line or drive a terminal: in the combined format control characters, quotes,
 * backslashes and all that is not ASCII are written as \xHH, in JSON as JSON has them.
 */
#pragma once

#include "base/buf.h"
#include "gateway/cause.h"
#include "gateway/settings.h"
#include "wire/http.h"

/* The present second as both formats write it. Zeroed at first; one thread's. */
struct access_clock {
    int64_t second;
    char combined[32]; /* "21/Nov/2026:18:40:39 +0000" */
    char iso[24];      /* "2026-11-21T18:40:39" */
};

struct access_line {
    enum access_log_format format; /* ACCESS_LOG_OFF: there is no line, and nothing else is set */
    struct buf text;
    size_t split; /* where the rest comes in */
};

/* Longer texts are cut. */
#define ACCESS_TARGET_MAX 4096
#define ACCESS_FIELD_MAX  512

struct access_request {
    const struct http_request *request;
    const struct peer *client;
    struct slice caller; /* by a certificate; "": none */
    nsec_t began_ns;     /* wall clock */
};

struct access_outcome {
    struct slice id, service, instance; /* "": none */
    enum cause cause;
    unsigned status; /* 0: the client got no answer */
    unsigned n_attempts;
    uint64_t n_received, n_sent;
    uint32_t first_byte_us, took_us;
};

/* Sets the line; its text is freed by access_line_deinit. An error of the buf is found at the end. */
void access_line_begin(struct access_line *line, enum access_log_format format, struct access_clock *clock,
                       const struct access_request *request);
static inline void access_line_deinit(struct access_line *line)
{
    if (line->format != ACCESS_LOG_OFF)
        buf_deinit(&line->text);
}

/*
 * The whole line in three pieces, which lie in the line and in `room`, and end with a newline. 0, or the error of a
 * buf.
 */
int access_line_end(struct access_line *line, const struct access_outcome *outcome, struct buf *room,
                    struct slice ret_pieces[3]);
