/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few things C lacks: the owner of an embedded member, the length of an array, clean-up at scope end, moving
 * ownership out of a variable.
 */
#pragma once

#include <stddef.h>

/* The object of type `type` whose member `member` is at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* Calls fn(&variable) when the variable goes out of scope; fn is an `x_freep(struct x **)`. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Moves a pointer out of a variable that a CLEANUP would free: gives its value and leaves NULL. */
#define TAKE(ptr)                                                                                                      \
    ({                                                                                                                 \
        __typeof__(ptr) taken_ = (ptr);                                                                                \
        (ptr) = NULL;                                                                                                  \
        taken_;                                                                                                        \
    })

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}
