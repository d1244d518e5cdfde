/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asserts that stay on.
 *
 * ASSERT states what cannot happen in a correct program; it is never used on input from a peer, a file or a user.
 * A failed one prints where and what, then aborts: a registry that is wrong about its own state must not go on.
 */
#pragma once

_Noreturn void assert_fail(const char *file, int line, const char *func, const char *what);

#define ASSERT(cond)                                                                                                   \
    do {                                                                                                               \
        if (__builtin_expect(!(cond), 0))                                                                              \
            assert_fail(__FILE__, __LINE__, __func__, #cond);                                                          \
    } while (0)
