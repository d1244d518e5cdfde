/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test harness. A test program is a list of cases, each a function and the words for what it asserts:
 *
 *     static void splits_at_the_separator(void)
 *     {
 *         struct slice head;
 *         struct slice rest = slice_split(SLICE_LIT("a,b"), ',', &head);
 *         expect_slice(head, "a");
 *         expect_slice(rest, "b");
 *     }
 *
 *     static const struct test_case cases[] = {
 *         {"a slice splits at its separator", splits_at_the_separator},
 *     };
 *
 *     int main(int argc, char **argv)
 *     {
 *         return test_main(cases, ARRAY_LEN(cases), argc, argv);
 *     }
 *
 * Each case runs in a process of its own, so a failed expectation, a crash, a sanitizer's report, a leak or an endless
 * loop fails that case and no other. An expectation that does not hold prints both values and ends the case; it may
 * stand in any thread. Output is TAP.
 *
 * `test_x "words"` runs only the cases whose words contain these, in the program's own process, for a debugger.
 */
#pragma once

#include "base/slice.h"
#include "base/util.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_case {
    const char *words;
    void (*run)(void);
};

/* Runs the cases and returns the exit code of the program: 0 when none failed. */
int test_main(const struct test_case *cases, size_t n_cases, int argc, char **argv);

/* Ends the case as skipped. Only for what the machine cannot do; the reason says what is missing. */
_Noreturn void test_skip(const char *reason);

/* Ends the case as failed. */
_Noreturn void test_fail(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

/*
 * A seed for random tests, printed so that a failure can be repeated: the number in the environment's
 * MUSTER_TEST_SEED, else one from the clock.
 */
uint64_t test_seed(void);

/*
 * How many rounds a random test makes: `rounds`, and a quarter of them under a sanitizer, which looks at each more
 * closely but at ten times the cost. For a long run the environment's MUSTER_TEST_TIMES multiplies `rounds`, in every
 * build.
 */
unsigned test_rounds(unsigned rounds);

/*
 * The step of a test that tries every number of a long range: 1, and more under a sanitizer, unless the environment has
 * MUSTER_TEST_TIMES. It starts at a random one of the first so many.
 */
unsigned test_step(void);

/* The next random number; *state is what test_seed gave at first. */
uint64_t test_random(uint64_t *state);

/* Holds when fn(arg), called in a process of its own, ends by abort: for stating that an ASSERT is there. */
#define expect_abort(fn, arg) test_expect_abort(__FILE__, __LINE__, #fn, (fn), (arg))

#define expect_true(cond)                                                                                              \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            test_fail(__FILE__, __LINE__, "%s does not hold", #cond);                                                  \
    } while (0)

#define expect_false(cond) expect_true(!(cond))

/* Any integer or enum up to 64 bits. */
#define expect_int(actual, expected)                                                                                   \
    test_expect_int(__FILE__, __LINE__, #actual, (intmax_t)(actual), (intmax_t)(expected))

/* C strings; NULL equals only NULL. */
#define expect_str(actual, expected) test_expect_str(__FILE__, __LINE__, #actual, (actual), (expected))

/* A struct slice against a C string. */
#define expect_slice(actual, expected)                                                                                 \
    test_expect_slice(__FILE__, __LINE__, #actual, (actual), slice_from_str(expected))

/* Two struct slices: for bytes that may hold a NUL. */
#define expect_bytes(actual, expected) test_expect_slice(__FILE__, __LINE__, #actual, (actual), (expected))

/* What the macros above call. */
void test_expect_int(const char *file, int line, const char *what, intmax_t actual, intmax_t expected);
void test_expect_str(const char *file, int line, const char *what, const char *actual, const char *expected);
void test_expect_slice(const char *file, int line, const char *what, struct slice actual, struct slice expected);
void test_expect_abort(const char *file, int line, const char *what, void (*fn)(void *), void *arg);
