/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Its own address is asked first: it is the shorter way, and who takes connections there is the program itself. The
 * port that the host publishes may be held by a proxy of the engine, which takes connections before the program does.
 *
 * So who refuses at its own address can be reached there and is only not ready yet: it is asked again for a while. Only
 * when nothing comes back from there is the published port asked. When the time is over, the answer is what is more
 * likely.
 */
#include "sources/docker/docker_reach.h"

#include "base/assert.h"

#include <errno.h>

#define KNOCK_NS       (300 * NSEC_PER_MSEC)
#define PATIENCE_NS    (3 * NSEC_PER_SEC) /* with a program that starts */
#define FIRST_PAUSE_NS (10 * NSEC_PER_MSEC)
#define PAUSE_MAX_NS   (500 * NSEC_PER_MSEC)

static void finish(struct docker_reach *reach, enum docker_address found)
{
    reach->state = DOCKER_REACH_RESTS;
    reach->done(reach, found);
}

static void knock(struct docker_reach *reach, enum docker_address address)
{
    struct instance_record record = {.port = 0};
    const char *text = address == DOCKER_ADDRESS_NETWORK ? reach->own : reach->published;
    (void)instance_record_set_address(&record, slice_from_str(text));
    reach->state = DOCKER_REACH_KNOCKS;
    reach->asked = address;
    reach->errand.request = (struct errand_request){.host = record.host, .port = record.port, .timeout_ns = KNOCK_NS};
    errand_start(reach->office, &reach->errand);
}

static void pause_or_end(struct docker_reach *reach)
{
    struct loop *loop = reach->office->loop;
    if (loop_now(loop) >= reach->until_ns) {
        finish(reach, reach->is_ours ? DOCKER_ADDRESS_NETWORK : DOCKER_ADDRESS_HOST);
        return;
    }
    reach->state = DOCKER_REACH_PAUSES;
    loop_arm(loop, &reach->timer, loop_now(loop) + reach->pause_ns);
    reach->pause_ns = reach->pause_ns * 2 < PAUSE_MAX_NS ? reach->pause_ns * 2 : PAUSE_MAX_NS;
}

static void on_knocked(struct errand *errand)
{
    struct docker_reach *reach = container_of(errand, struct docker_reach, errand);
    if (reach->state == DOCKER_REACH_ENDS) {
        reach->state = DOCKER_REACH_RESTS;
        return;
    }
    bool is_own = reach->asked == DOCKER_ADDRESS_NETWORK;
    reach->is_ours |= is_own && errand->result == -ECONNREFUSED;
    if (errand->result == 0)
        finish(reach, reach->asked);
    else if (is_own && !reach->is_ours)
        knock(reach, DOCKER_ADDRESS_HOST);
    else
        pause_or_end(reach);
}

static void on_timer(struct timer *timer)
{
    knock(container_of(timer, struct docker_reach, timer), DOCKER_ADDRESS_NETWORK);
}

static void copy_text(char text[ADDR_TEXT_MAX], struct slice from)
{
    size_t n = min_size(from.len, ADDR_TEXT_MAX - 1);
    memcpy(text, from.ptr, n);
    text[n] = '\0';
}

void docker_reach_start(struct docker_reach *reach, struct slice own, struct slice published)
{
    ASSERT(reach->state == DOCKER_REACH_RESTS);
    copy_text(reach->own, own);
    copy_text(reach->published, published);
    reach->errand.on_done = on_knocked;
    reach->is_ours = false;
    reach->until_ns = loop_now(reach->office->loop) + PATIENCE_NS;
    reach->pause_ns = FIRST_PAUSE_NS;
    timer_init(&reach->timer, on_timer);
    knock(reach, DOCKER_ADDRESS_NETWORK);
}

void docker_reach_cancel(struct docker_reach *reach)
{
    switch (reach->state) {
    case DOCKER_REACH_RESTS:
    case DOCKER_REACH_ENDS:
        return;
    case DOCKER_REACH_PAUSES:
        loop_cancel(reach->office->loop, &reach->timer);
        reach->state = DOCKER_REACH_RESTS;
        return;
    case DOCKER_REACH_KNOCKS:
        reach->state = DOCKER_REACH_ENDS;
        errand_cancel(&reach->errand);
        return;
    }
}

void docker_reach_deinit(struct docker_reach *reach)
{
    ASSERT(reach->state == DOCKER_REACH_RESTS);
    errand_deinit(&reach->errand);
}
