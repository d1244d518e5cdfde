/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the n-th allocation fail.
 *
 * malloc, calloc, realloc and aligned_alloc of muster's own code are wrapped at link time (-Wl,--wrap), so nothing in
 * the code under test knows of it, and the sanitizers' allocators stay underneath. Not wrapped are calls from inside
 * shared libraries: this is one reason why muster does not use strdup or asprintf.
 *
 * Counting is per thread: an allocation counts only in the thread that armed it, which keeps a sweep repeatable.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now on (1: the next one) fails, once. */
void fault_alloc_arm(size_t n);

/* Ends it; gives whether an allocation did fail. */
bool fault_alloc_disarm(void);

/*
 * Runs the scenario again and again with the 1st, 2nd, 3rd … allocation failing, until it gets through without any
 * failure. The scenario builds its objects, uses them and frees them, and returns 0 or -ENOMEM; an expectation in it
 * fails the case as usual. The last, undisturbed run must return 0, a disturbed one -ENOMEM, or 0 where the code can do
 * without what it asked for. That nothing is lost on the way is watched by the leak check of the ASan variant.
 * Gives the number of allocations that were failed.
 */
size_t fault_alloc_sweep(int (*scenario)(void *arg), void *arg);
