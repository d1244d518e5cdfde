/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events are taken one after the other, so when an event reaches a second watch that stands on the same trail, the
 * first one has just put the next step there: it is the trail's last child. This is all the bookkeeping that sharing
 * needs.
 */
#include "fronts/etcd/watch_burst.h"

#include "base/array.h"
#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

/* More memory than this is given back when a burst is done with. */
#define KEPT_MAX 16384

void burst_deinit(struct burst *burst)
{
    ASSERT(burst->n_touched == 0);
    free(burst->steps);
    free(burst->touched);
    *burst = (struct burst){0};
}

void burst_clear(struct burst *burst)
{
    for (size_t i = 0; i < burst->n_touched; i++)
        burst->touched[i]->trail = 0;
    burst->n_touched = 0;
    burst->n_steps = 0;
    if (burst->touched_room > KEPT_MAX || burst->steps_room > KEPT_MAX)
        burst_deinit(burst);
}

static int reserve_step(struct burst *burst)
{
    struct burst_step *steps = array_grow(burst->steps, burst->n_steps, &burst->steps_room, sizeof(*steps));
    if (!steps)
        return -ENOMEM;
    burst->steps = steps;
    return 0;
}

static int reserve_touched(struct burst *burst)
{
    struct burst_target **touched =
        array_grow(burst->touched, burst->n_touched, &burst->touched_room, sizeof(struct burst_target *));
    if (!touched)
        return -ENOMEM;
    burst->touched = touched;
    return 0;
}

/* The trail that goes on from `before` with the event at hand; 0: out of memory. */
static uint32_t follow(struct burst *burst, uint32_t before)
{
    uint32_t child = burst->steps[before].last_child;
    if (child != 0 && burst->steps[child].event == burst->event)
        return child;
    if (reserve_step(burst) < 0)
        return 0;
    child = burst->n_steps++;
    burst->steps[child] = (struct burst_step){
        .event = burst->event,
        .before = before,
        .length = burst->steps[before].length + 1,
    };
    burst->steps[before].last_child = child;
    return child;
}

static bool is_for(const struct burst_target *target, const struct store_event *event)
{
    bool is_deletion = event->kv->version == 0;
    return event->kv->mod_revision >= target->next_revision && !(is_deletion ? target->no_deletes : target->no_puts);
}

static void on_match(void *ctx, struct watch_node *node)
{
    struct burst *burst = ctx;
    struct burst_target *target = container_of(node, struct burst_target, node);
    burst->n_matches++;
    if (burst->has_failed || !is_for(target, burst->event))
        return;
    if (target->trail == 0 && reserve_touched(burst) < 0) {
        burst->has_failed = true;
        return;
    }
    uint32_t trail = follow(burst, target->trail);
    if (trail == 0) {
        burst->has_failed = true;
        return;
    }
    if (target->trail == 0)
        burst->touched[burst->n_touched++] = target;
    target->trail = trail;
}

static size_t kv_bytes(const struct store_kv *kv)
{
    return kv ? kv->key.len + kv->value.len : 0;
}

static void match_commit(struct burst *burst, const struct watch_index *index, const struct store_commit *commit)
{
    for (unsigned i = 0; i < commit->n_events && !burst->has_failed; i++) {
        burst->event = &commit->events[i];
        burst->n_bytes += kv_bytes(burst->event->kv) + kv_bytes(burst->event->prev);
        watch_index_match(index, burst->event->kv->key, on_match, burst);
    }
}

static bool has_room(const struct burst *burst)
{
    return burst->to - burst->from < BURST_COMMITS_MAX && burst->n_bytes < BURST_BYTES_MAX &&
           burst->n_matches < BURST_MATCHES_MAX;
}

/* Empty, with the beginning of all trails in it. */
static int begin(struct burst *burst, int64_t from)
{
    ASSERT(burst->n_touched == 0 && burst->n_steps == 0);
    if (reserve_step(burst) < 0)
        return -ENOMEM;
    burst->steps[burst->n_steps++] = (struct burst_step){0};
    burst->from = from;
    burst->to = from - 1;
    burst->n_matches = burst->n_bytes = 0;
    burst->has_failed = false;
    return 0;
}

int burst_make(struct burst *burst, const struct watch_index *index, struct store *store, const struct store_view *view,
               int64_t from, int64_t to_max)
{
    ASSERT(from <= to_max && to_max <= view->revision);
    int r = begin(burst, from);
    if (r < 0)
        return r;
    while (burst->to < to_max && has_room(burst)) {
        const struct store_commit *commit = store_commit(store, view, burst->to + 1);
        if (!commit)
            break;
        match_commit(burst, index, commit);
        if (burst->has_failed)
            break;
        burst->to++;
    }
    if (!burst->has_failed && burst->to >= from)
        return 0;
    burst_clear(burst);
    return burst->has_failed ? -ENOMEM : -ENOENT;
}

uint32_t burst_length(const struct burst *burst, uint32_t trail)
{
    return burst->steps[trail].length;
}

void burst_events(const struct burst *burst, uint32_t trail, const struct store_event **ret_events)
{
    for (uint32_t n = burst_length(burst, trail); n > 0; n--) {
        ret_events[n - 1] = burst->steps[trail].event;
        trail = burst->steps[trail].before;
    }
}
