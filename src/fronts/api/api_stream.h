/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer as a stream of Server-Sent Events. Its silence is never longer than API_SILENCE_NS: who hears nothing for
 * several times that may take the connection for dead (and we, whose comment is not acknowledged, will learn it). A
 * client that reads nothing for a minute is let go.
 */
#pragma once

#include "fronts/api/api_hub.h"
#include "http/exchange.h"

#define API_STUCK_TURNS 24

struct api_stream {
    struct exchange *exchange;
    struct list link, beat;
    bool is_full;     /* nothing is sent until on_drain, which clears it */
    bool has_spoken;  /* since its last turn */
    bool is_over;     /* ended or broken: on_close follows */
    uint8_t n_silent; /* turns in which it was full all the time */
};

/* Begins the answer and enters the hub's list. Its exchange has an app already. */
void api_stream_begin(struct api_stream *stream, struct api_hub *hub, struct exchange *exchange, unsigned status);
/* From on_close. Harmless on one that was not begun. */
void api_stream_deinit(struct api_stream *stream);

/* Bytes of events. False: it is full now, or over; they are taken all the same. */
bool api_stream_say(struct api_stream *stream, struct slice bytes);
/* Ends the answer. */
void api_stream_end(struct api_stream *stream);
/* What is sent cannot be completed: the client must notice. */
void api_stream_abort(struct api_stream *stream);

/* -------- the hub's */

void api_streams_init(struct api_hub *hub);
/* The server is stopping. */
void api_streams_stop(struct api_hub *hub);
