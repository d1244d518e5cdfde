/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a program that found itself wrong. Written with plain write(2)-sized output and no allocation, since the
 * heap may be what is broken.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_fail(const char *file, int line, const char *func, const char *what)
{
    fprintf(stderr, "muster: bug: %s:%d: %s: `%s' does not hold\n", file, line, func, what);
    abort();
}
