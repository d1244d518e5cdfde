/* SPDX-License-Identifier: Apache-2.0 */
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

/* More than any scenario of a unit test allocates: reached only when one never gets through. */
enum { SWEEP_MAX = 100000 };

/* The countdown is 0 when nothing is armed. Per thread, and the wrapped functions have no argument to carry it. */
static _Thread_local size_t countdown;
static _Thread_local bool has_failed;

static bool must_fail(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    has_failed = true;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    return must_fail() ? NULL : __real_realloc(ptr, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
    return must_fail() ? NULL : __real_aligned_alloc(align, size);
}

void fault_alloc_arm(size_t n)
{
    countdown = n;
    has_failed = false;
}

bool fault_alloc_disarm(void)
{
    countdown = 0;
    return has_failed;
}

size_t fault_alloc_sweep(int (*scenario)(void *arg), void *arg)
{
    for (size_t n = 1; n < SWEEP_MAX; n++) {
        fault_alloc_arm(n);
        int result = scenario(arg);
        if (!fault_alloc_disarm()) {
            expect_int(result, 0);
            return n - 1;
        }
        if (result != 0 && result != -ENOMEM)
            test_fail(__FILE__, __LINE__, "with allocation %zu failing the scenario gave %d, expected -ENOMEM", n,
                      result);
    }
    test_fail(__FILE__, __LINE__, "the scenario still allocates after %d rounds", SWEEP_MAX);
}
