/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One machine per dependant: the first notice's step says what is sent next; the errand's end moves the step or takes
 * the notice off; a failure sets the timer. Everything goes through `advance`.
 *
 * Behind a dependant that does not answer the queue grows by what changes. Beyond QUEUE_FAITHFUL notices an arrival
 * that was not told yet and its departure cancel each other, so that the queue is bounded by what the dependant has
 * been told and what there is.
 */
#include "fronts/hub/hub_queue.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

#define QUEUE_FAITHFUL   1000
#define TELL_TIMEOUT_NS  (5 * NSEC_PER_SEC)
#define FIRST_PAUSE_NS   (100 * NSEC_PER_MSEC)
#define LONGEST_PAUSE_NS (5 * NSEC_PER_SEC)

struct hub_notice {
    struct list link;
    bool is_arrival;
    struct hub_text *text;
};

struct hub_text *hub_text_new(struct slice text)
{
    struct hub_text *copy = malloc(sizeof(*copy) + text.len);
    if (!copy)
        return NULL;
    copy->refs = 1;
    copy->len = text.len;
    memcpy(copy->text, text.ptr, text.len);
    return copy;
}

struct hub_text *hub_text_ref(struct hub_text *text)
{
    text->refs++;
    return text;
}

void hub_text_unref(struct hub_text *text)
{
    if (text && --text->refs == 0)
        free(text);
}

static struct hub_notice *first(const struct hub_queue *queue)
{
    return list_is_empty(&queue->notices) ? NULL : container_of(queue->notices.next, struct hub_notice, link);
}

static void drop(struct hub_queue *queue, struct hub_notice *notice)
{
    list_remove(&notice->link);
    queue->n_notices--;
    hub_text_unref(notice->text);
    free(notice);
}

/* ------------------------------------------------------------------------------------------------ the machine */

static bool is_busy(const struct hub_queue *queue)
{
    return queue->errand.state != ERRAND_RESTS || timer_is_armed(&queue->again);
}

static void advance(struct hub_queue *queue)
{
    static const struct header headers[] = {{SLICE_LIT("content-type"), SLICE_LIT("application/json")}};
    const struct hub_notice *notice = first(queue);
    if (!notice || queue->is_held || is_busy(queue))
        return;
    bool posts = queue->step == HUB_TELL ? notice->is_arrival : queue->step == HUB_TELL_ANEW;
    queue->errand.request = (struct errand_request){
        .host = queue->host,
        .port = queue->port,
        .method = posts ? SLICE_LIT("POST") : SLICE_LIT("DELETE"),
        .target = SLICE_LIT("/services"),
        .headers = headers,
        .n_headers = ARRAY_LEN(headers),
        .body = slice_from(notice->text->text, notice->text->len),
        .timeout_ns = TELL_TIMEOUT_NS,
    };
    errand_start(queue->office, &queue->errand);
}

/* The first notice's step was answered: what comes now? */
static void step_done(struct hub_queue *queue)
{
    queue->pause_ns = FIRST_PAUSE_NS;
    switch (queue->step) {
    case HUB_TAKE_BACK:
        queue->step = HUB_TAKE_BACK_2;
        return;
    case HUB_TAKE_BACK_2:
        queue->step = HUB_TELL_ANEW;
        return;
    case HUB_TELL:
    case HUB_TELL_ANEW:
        queue->step = HUB_TELL;
        drop(queue, first(queue));
        return;
    }
}

static void step_failed(struct hub_queue *queue)
{
    bool posted = queue->step == HUB_TELL_ANEW || (queue->step == HUB_TELL && first(queue)->is_arrival);
    if (posted && queue->errand.was_sent)
        queue->step = HUB_TAKE_BACK;
    loop_arm(queue->office->loop, &queue->again, loop_now(queue->office->loop) + queue->pause_ns);
    queue->pause_ns = queue->pause_ns * 2 < LONGEST_PAUSE_NS ? queue->pause_ns * 2 : LONGEST_PAUSE_NS;
}

static void on_errand(struct errand *errand)
{
    struct hub_queue *queue = container_of(errand, struct hub_queue, errand);
    if (queue->is_closing) {
        errand_deinit(errand);
        queue->on_closed(queue);
        return;
    }
    if (errand->result == 0)
        step_done(queue);
    else
        step_failed(queue);
    advance(queue);
}

static void on_again(struct timer *timer)
{
    advance(container_of(timer, struct hub_queue, again));
}

/* ------------------------------------------------------------------------------------------------ from outside */

void hub_queue_init(struct hub_queue *queue, struct errand_office *office, struct slice host, uint16_t port,
                    void (*on_closed)(struct hub_queue *queue))
{
    *queue = (struct hub_queue){
        .office = office,
        .host = host,
        .port = port,
        .pause_ns = FIRST_PAUSE_NS,
        .is_held = true,
        .on_closed = on_closed,
        .errand.on_done = on_errand,
    };
    list_init(&queue->notices);
    timer_init(&queue->again, on_again);
}

/* An arrival of the same instance that waits and was not begun to be told; NULL: none. */
static struct hub_notice *find_untold(const struct hub_queue *queue, const struct hub_text *text)
{
    const struct hub_notice *head = first(queue);
    list_for_each (link, &queue->notices) {
        struct hub_notice *notice = container_of(link, struct hub_notice, link);
        if (notice != head && notice->is_arrival && notice->text == text)
            return notice;
    }
    return NULL;
}

int hub_queue_add(struct hub_queue *queue, bool is_arrival, struct hub_text *text)
{
    struct hub_notice *untold = !is_arrival && queue->n_notices > QUEUE_FAITHFUL ? find_untold(queue, text) : NULL;
    if (untold) {
        drop(queue, untold);
        return 0;
    }
    struct hub_notice *notice = malloc(sizeof(*notice));
    if (!notice)
        return -ENOMEM;
    *notice = (struct hub_notice){.is_arrival = is_arrival, .text = hub_text_ref(text)};
    list_init(&notice->link);
    list_push_back(&queue->notices, &notice->link);
    queue->n_notices++;
    advance(queue);
    return 0;
}

void hub_queue_hold(struct hub_queue *queue)
{
    const struct hub_notice *under_way = is_busy(queue) || queue->step != HUB_TELL ? first(queue) : NULL;
    list_for_each (link, &queue->notices) {
        struct hub_notice *notice = container_of(link, struct hub_notice, link);
        if (notice != under_way)
            drop(queue, notice);
    }
    queue->is_held = true;
}

void hub_queue_release(struct hub_queue *queue)
{
    queue->is_held = false;
    advance(queue);
}

void hub_queue_close(struct hub_queue *queue)
{
    ASSERT(!queue->is_closing);
    queue->is_closing = true;
    loop_cancel(queue->office->loop, &queue->again);
    bool is_asking = queue->errand.state != ERRAND_RESTS;
    while (first(queue))
        drop(queue, first(queue));
    if (is_asking) {
        errand_cancel(&queue->errand);
        return;
    }
    errand_deinit(&queue->errand);
    queue->on_closed(queue);
}
