/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mass-loss breaker of one service: who vanished lately without evidence of death, and whether that is a mass loss.
 *
 * A lone dead instance goes at once, and so do two. But when within one window at least `min` instances and more than
 * `percent` of the service vanish in silence, then the network or the registry is more likely to be at fault than all
 * of them: the catalogue holds them, those that went earlier in the same window too. The window slides: it ends now.
 *
 * The service is taken as those that are there now and those that vanished within the window. Who left with a word, or
 * whose death is proved later, is not counted on either side.
 *
 * Pure. A loss is embedded in what was lost; nothing here allocates or fails.
 */
#pragma once

#include "base/list.h"
#include "base/time.h"

#include <stdbool.h>

struct loss_rules {
    unsigned min, percent;
    nsec_t window_ns;
};

struct loss {
    struct list in_window;
    struct list in_gone; /* while it is not held */
    nsec_t at_ns;
};

struct loss_window {
    struct list all;  /* of losses, the oldest first */
    struct list gone; /* those of them that are not held */
    unsigned n;
};

void loss_window_init(struct loss_window *window);
void loss_init(struct loss *loss);

/* Vanished just now; not held. Those that fell out of the window must have been taken out before (loss_expire). */
void loss_add(struct loss_window *window, struct loss *loss, nsec_t now_ns);

bool loss_counts(const struct loss *loss);

/* It is back, or proved dead: counts no longer. Harmless on one that does not count. */
void loss_forget(struct loss_window *window, struct loss *loss);

/* Takes out the oldest when it has left the window at now_ns; NULL: all are inside. */
struct loss *loss_expire(struct loss_window *window, const struct loss_rules *rules, nsec_t now_ns);
/* When the oldest leaves it; NSEC_NEVER when it is empty. */
nsec_t loss_next(const struct loss_window *window, const struct loss_rules *rules);

/* With so many instances of the service still there. */
bool loss_is_mass(const struct loss_window *window, const struct loss_rules *rules, unsigned n_there);

/* It is held; it still counts. */
void loss_hold(struct loss *loss);
/* The oldest that is not held; NULL: none. */
struct loss *loss_first_gone(const struct loss_window *window);
