/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One list in order of time, from which losses fall out at the front, and through it a second one of those that are not
 * held: when a mass loss is found they are brought back from there one by one, without a walk over the others.
 */
#include "catalog/loss.h"

#include "base/assert.h"
#include "base/util.h"

#include <stdint.h>

void loss_window_init(struct loss_window *window)
{
    list_init(&window->all);
    list_init(&window->gone);
    window->n = 0;
}

void loss_init(struct loss *loss)
{
    list_init(&loss->in_window);
    list_init(&loss->in_gone);
    loss->at_ns = 0;
}

void loss_add(struct loss_window *window, struct loss *loss, nsec_t now_ns)
{
    ASSERT(!list_is_linked(&loss->in_window));
    loss->at_ns = now_ns;
    list_push_back(&window->all, &loss->in_window);
    list_push_back(&window->gone, &loss->in_gone);
    window->n++;
}

bool loss_counts(const struct loss *loss)
{
    return list_is_linked(&loss->in_window);
}

void loss_forget(struct loss_window *window, struct loss *loss)
{
    if (!loss_counts(loss))
        return;
    ASSERT(window->n > 0);
    list_remove(&loss->in_window);
    list_remove(&loss->in_gone);
    window->n--;
}

static struct loss *oldest(const struct loss_window *window)
{
    return list_is_empty(&window->all) ? NULL : container_of(window->all.next, struct loss, in_window);
}

nsec_t loss_next(const struct loss_window *window, const struct loss_rules *rules)
{
    const struct loss *loss = oldest(window);
    return loss ? loss->at_ns + rules->window_ns : NSEC_NEVER;
}

struct loss *loss_expire(struct loss_window *window, const struct loss_rules *rules, nsec_t now_ns)
{
    struct loss *loss = oldest(window);
    if (!loss || loss->at_ns + rules->window_ns > now_ns)
        return NULL;
    loss_forget(window, loss);
    return loss;
}

bool loss_is_mass(const struct loss_window *window, const struct loss_rules *rules, unsigned n_there)
{
    uint64_t before = (uint64_t)window->n + n_there;
    return window->n > 0 && window->n >= rules->min && (uint64_t)window->n * 100 > rules->percent * before;
}

void loss_hold(struct loss *loss)
{
    list_remove(&loss->in_gone);
}

struct loss *loss_first_gone(const struct loss_window *window)
{
    return list_is_empty(&window->gone) ? NULL : container_of(window->gone.next, struct loss, in_gone);
}
