/* SPDX-License-Identifier: Apache-2.0 */
/* The harness must fail what is wrong: each expectation is seen to fail, and the failing allocator to fail in turn. */
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs what must end its case in a child, and gives the child's exit code. What it prints is of no interest. */
static int exit_code_of(void (*fn)(void))
{
    pid_t pid = fork();
    expect_true(pid >= 0);
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(EXIT_FAILURE);
        fn();
        _exit(EXIT_SUCCESS);
    }
    int status;
    expect_int(waitpid(pid, &status, 0), pid);
    expect_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void wrong_truth(void)
{
    expect_true(errno == -1);
}

static void wrong_int(void)
{
    expect_int(UINT64_MAX, 0);
}

static void wrong_str(void)
{
    expect_str("a", "b");
}

static void missing_str(void)
{
    expect_str(NULL, "b");
}

static void wrong_slice(void)
{
    expect_slice(SLICE_LIT("a\0"), "a");
}

static void return_at_once(void *arg)
{
    (void)arg;
}

static void wrong_abort(void)
{
    expect_abort(return_at_once, NULL);
}

static void skipped(void)
{
    test_skip("to see it");
}

static void a_wrong_expectation_fails_its_case(void)
{
    expect_int(exit_code_of(wrong_truth), 1);
    expect_int(exit_code_of(wrong_int), 1);
    expect_int(exit_code_of(wrong_str), 1);
    expect_int(exit_code_of(missing_str), 1);
    expect_int(exit_code_of(wrong_slice), 1);
    expect_int(exit_code_of(wrong_abort), 1);
}

static void a_skipped_case_is_no_failure(void)
{
    expect_int(exit_code_of(skipped), 77);
}

static void call_abort(void *arg)
{
    (void)arg;
    abort();
}

static void a_right_expectation_goes_on(void)
{
    expect_true(errno != -1);
    expect_false(errno == -1);
    expect_int(-1, -1);
    expect_str("a", "a");
    expect_str(NULL, NULL);
    expect_slice(SLICE_LIT("a"), "a");
    expect_bytes(SLICE_LIT("a\0b"), SLICE_LIT("a\0b"));
    expect_abort(call_abort, NULL);
}

static void the_nth_allocation_fails_once(void)
{
    fault_alloc_arm(2);
    void *first = malloc(1);
    void *second = calloc(1, 1);
    void *third = realloc(NULL, 1);
    expect_true(fault_alloc_disarm());
    expect_true(first && !second && third);
    free(first);
    free(third);
}

/* Three allocations; counts its rounds in *arg. */
static int allocate_three(void *arg)
{
    void *memory[3] = {NULL};
    int result = 0;
    ++*(int *)arg;
    for (size_t i = 0; i < ARRAY_LEN(memory) && result == 0; i++) {
        memory[i] = malloc(1);
        if (!memory[i])
            result = -ENOMEM;
    }
    for (size_t i = 0; i < ARRAY_LEN(memory); i++)
        free(memory[i]);
    return result;
}

static void a_sweep_fails_each_allocation_in_turn(void)
{
    int n_rounds = 0;
    expect_int(fault_alloc_sweep(allocate_three, &n_rounds), 3);
    expect_int(n_rounds, 4);
}

static int give_another_error(void *arg)
{
    void *memory = malloc(1);
    free(memory);
    (void)arg;
    return memory ? 0 : -EIO;
}

static void sweep_another_error(void)
{
    (void)fault_alloc_sweep(give_another_error, NULL);
}

static void a_sweep_fails_on_another_error(void)
{
    expect_int(exit_code_of(sweep_another_error), 1);
}

static void a_seed_repeats_its_numbers(void)
{
    uint64_t a = 7, b = 7;
    for (int i = 0; i < 10; i++)
        expect_int(test_random(&a), test_random(&b));
    expect_int(setenv("MUSTER_TEST_SEED", "12", 1), 0);
    expect_int(test_seed(), 12);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"a wrong expectation fails its case", a_wrong_expectation_fails_its_case},
        {"a skipped case is no failure", a_skipped_case_is_no_failure},
        {"a right expectation goes on", a_right_expectation_goes_on},
        {"the n-th allocation fails, once", the_nth_allocation_fails_once},
        {"a sweep fails each allocation in turn", a_sweep_fails_each_allocation_in_turn},
        {"a sweep fails on another error than -ENOMEM", a_sweep_fails_on_another_error},
        {"a seed repeats its numbers", a_seed_repeats_its_numbers},
    };
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
