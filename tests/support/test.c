/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each case is forked off. What it has to say it prints itself; the parent only turns its end into a TAP line. The one
 * exception is a skipped case: it alone knows the reason, so it prints its own line and says so by its exit code.
 */
#include "support/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_CASE_FAILED = 1,
    EXIT_CASE_SKIPPED = 77,
    CASE_SECONDS_MAX = 100,
    SHOWN_BYTES_MAX = 512,
    SANITIZED_SHARE = 4, /* a sanitized build makes one in so many rounds */
    SANITIZED_STEP = 5,  /* odd, so that it meets each remainder by 8 */
};

/* The case that runs; what it is called from passes nothing through, so test_skip finds it here. */
static struct {
    size_t number;
    const char *words;
} current;

static int wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        continue;
    return status;
}

/* Runs the current case in a child; gives its wait status. */
static int run_forked(const struct test_case *test)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(EXIT_FAILURE);
    }
    if (pid == 0) {
        alarm(CASE_SECONDS_MAX);
        test->run();
        exit(EXIT_SUCCESS);
    }
    return wait_for(pid);
}

/* Prints the TAP line of the current case; gives whether it failed. */
static bool report(int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CASE_SKIPPED)
        return false;
    bool passed = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    if (WIFSIGNALED(status))
        printf("# killed by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (!passed && WEXITSTATUS(status) != EXIT_CASE_FAILED)
        printf("# exit code %d\n", WEXITSTATUS(status));
    printf("%s %zu - %s\n", passed ? "ok" : "not ok", current.number, current.words);
    return !passed;
}

int test_main(const struct test_case *cases, size_t n_cases, int argc, char **argv)
{
    const char *pattern = argc > 1 ? argv[1] : NULL;
    bool failed = false;

    if (!pattern)
        printf("1..%zu\n", n_cases);
    for (size_t i = 0; i < n_cases; i++) {
        current.number = i + 1;
        current.words = cases[i].words;
        if (!pattern) {
            failed |= report(run_forked(&cases[i]));
        } else if (strstr(cases[i].words, pattern)) {
            cases[i].run();
            printf("ok - %s\n", cases[i].words);
        }
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Not exit(): a case that ends half-way has not freed what it holds, which is no leak worth a report. */
static _Noreturn void end_case(int code)
{
    fflush(NULL);
    _exit(code);
}

void test_skip(const char *reason)
{
    printf("ok %zu - %s # SKIP %s\n", current.number, current.words, reason);
    end_case(EXIT_CASE_SKIPPED);
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    printf("# %s:%d: ", file, line);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    end_case(EXIT_CASE_FAILED);
}

uint64_t test_seed(void)
{
    const char *given = getenv("MUSTER_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
    printf("# MUSTER_TEST_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    return seed;
}

/* GCC's word for it: clang builds no tests. */
static bool is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

unsigned test_rounds(unsigned rounds)
{
    const char *times = getenv("MUSTER_TEST_TIMES");
    if (times)
        return rounds * (unsigned)strtoul(times, NULL, 10);
    return is_sanitized() ? (rounds + SANITIZED_SHARE - 1) / SANITIZED_SHARE : rounds;
}

unsigned test_step(void)
{
    return is_sanitized() && !getenv("MUSTER_TEST_TIMES") ? SANITIZED_STEP : 1;
}

/* SplitMix64 (Steele, Lea, Flood 2014): any seed is a good one, and eight bytes are its whole state. */
uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Prints one side of a comparison, its unprintable bytes as escapes so that it stays one line of TAP. */
static void print_bytes(const char *label, struct slice s)
{
    printf("#   %s \"", label);
    for (size_t i = 0; i < min_size(s.len, SHOWN_BYTES_MAX); i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == '\n')
            printf("\\n");
        else if (c == '\r')
            printf("\\r");
        else if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c >= ' ' && c < 0x7f)
            putchar(c);
        else
            printf("\\x%02x", c);
    }
    printf("\"%s (%zu bytes)\n", s.len > SHOWN_BYTES_MAX ? "..." : "", s.len);
}

void test_expect_int(const char *file, int line, const char *what, intmax_t actual, intmax_t expected)
{
    if (actual != expected)
        test_fail(file, line, "%s is %jd, expected %jd", what, actual, expected);
}

void test_expect_str(const char *file, int line, const char *what, const char *actual, const char *expected)
{
    if (!actual && !expected)
        return;
    if (!actual || !expected)
        test_fail(file, line, "%s is %s%s%s, expected %s%s%s", what, actual ? "\"" : "", actual ? actual : "NULL",
                  actual ? "\"" : "", expected ? "\"" : "", expected ? expected : "NULL", expected ? "\"" : "");
    test_expect_slice(file, line, what, slice_from_str(actual), slice_from_str(expected));
}

void test_expect_slice(const char *file, int line, const char *what, struct slice actual, struct slice expected)
{
    if (slice_equal(actual, expected))
        return;
    print_bytes("actual:  ", actual);
    print_bytes("expected:", expected);
    test_fail(file, line, "%s differs", what);
}

void test_expect_abort(const char *file, int line, const char *what, void (*fn)(void *), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        test_fail(file, line, "fork failed");
    if (pid == 0) {
        fn(arg);
        _exit(EXIT_SUCCESS);
    }
    int status = wait_for(pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        test_fail(file, line, "%s did not abort", what);
}
