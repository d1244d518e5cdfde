/* SPDX-License-Identifier: Apache-2.0 */
/* Streams have their turns in ten groups, so that the comments of many do not come all at once. */
#include "fronts/api/api_stream.h"

#include "base/assert.h"
#include "base/util.h"

/* Who has spoken just after its turn is silent at the next one, and gets its comment at the one after that. */
#define BEAT_NS (API_SILENCE_NS / 2 / API_BEATS)

static void take_turn(struct api_stream *stream)
{
    bool was_stuck = stream->is_full && !stream->has_spoken;
    stream->n_silent = was_stuck ? (uint8_t)(stream->n_silent + 1) : 0;
    if (stream->n_silent >= API_STUCK_TURNS)
        api_stream_abort(stream);
    else if (!stream->has_spoken && !stream->is_full)
        (void)api_stream_say(stream, SLICE_LIT(":\n\n"));
    stream->has_spoken = false;
}

static void on_beat(struct timer *timer)
{
    struct api_hub *hub = container_of(timer, struct api_hub, beat_timer);
    list_for_each (link, &hub->beats[hub->next_beat])
        take_turn(container_of(link, struct api_stream, beat));
    hub->next_beat = (hub->next_beat + 1) % API_BEATS;
    if (!list_is_empty(&hub->streams))
        loop_arm(hub->loop, timer, loop_now(hub->loop) + BEAT_NS);
}

void api_streams_init(struct api_hub *hub)
{
    list_init(&hub->streams);
    for (unsigned i = 0; i < API_BEATS; i++)
        list_init(&hub->beats[i]);
    timer_init(&hub->beat_timer, on_beat);
}

void api_streams_stop(struct api_hub *hub)
{
    list_for_each (link, &hub->streams)
        api_stream_end(container_of(link, struct api_stream, link));
}

void api_stream_begin(struct api_stream *stream, struct api_hub *hub, struct exchange *exchange, unsigned status)
{
    static const struct header headers[] = {
        {SLICE_LIT("content-type"), SLICE_LIT("text/event-stream")},
        {SLICE_LIT("cache-control"), SLICE_LIT("no-store")},
    };
    stream->exchange = exchange;
    list_init(&stream->link);
    list_init(&stream->beat);
    list_push_back(&hub->streams, &stream->link);
    list_push_back(&hub->beats[(hub->next_beat + API_BEATS - 1) % API_BEATS], &stream->beat);
    if (!timer_is_armed(&hub->beat_timer))
        loop_arm(hub->loop, &hub->beat_timer, loop_now(hub->loop) + BEAT_NS);
    exchange_set_idle_timeout(exchange, NSEC_NEVER);
    stream->is_over = exchange_begin(exchange, status, headers, ARRAY_LEN(headers), EXCHANGE_LENGTH_UNKNOWN) < 0;
}

void api_stream_deinit(struct api_stream *stream)
{
    if (!stream->exchange)
        return;
    list_remove(&stream->link);
    list_remove(&stream->beat);
    stream->exchange = NULL;
}

bool api_stream_say(struct api_stream *stream, struct slice bytes)
{
    if (stream->is_over)
        return false;
    int r = exchange_write(stream->exchange, bytes);
    stream->has_spoken = true;
    stream->is_over = r < 0;
    stream->is_full = r != 0;
    return r == 0;
}

void api_stream_end(struct api_stream *stream)
{
    if (stream->is_over)
        return;
    stream->is_over = true;
    exchange_end(stream->exchange, NULL, 0);
}

void api_stream_abort(struct api_stream *stream)
{
    if (stream->is_over)
        return;
    stream->is_over = true;
    exchange_abort(stream->exchange);
}
