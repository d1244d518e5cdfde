/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"

#include "support/test.h"

#include <unistd.h>

static void break_word(void *arg)
{
    const int *stderr_fd = arg;
    if (stderr_fd)
        dup2(*stderr_fd, STDERR_FILENO);
    ASSERT(1 + 1 == 3);
}

static void passes_what_holds(void)
{
    ASSERT(1 + 1 == 2);
}

static void aborts_and_says_where(void)
{
    int fds[2];
    expect_int(pipe(fds), 0);
    expect_abort(break_word, &fds[1]);

    char line[512];
    ssize_t n = read(fds[0], line, sizeof(line) - 1);
    expect_true(n > 0);
    line[n] = '\0';
    expect_true(slice_starts_with(slice_from_str(line), SLICE_LIT("muster: bug: ")));
    expect_true(strstr(line, "test_assert.c:"));
    expect_true(strstr(line, ": break_word: `1 + 1 == 3' does not hold\n"));
    close(fds[0]);
    close(fds[1]);
}

static void cuts_a_long_condition(void)
{
    int fds[2];
    expect_int(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char condition[2000];
        memset(condition, 'x', sizeof(condition));
        condition[sizeof(condition) - 1] = '\0';
        dup2(fds[1], STDERR_FILENO);
        assert_fail("file.c", 7, "func", condition);
    }
    char line[1024];
    ssize_t n = read(fds[0], line, sizeof(line));
    expect_int(n, 512);
    expect_int(line[n - 1], '\n');
    close(fds[0]);
    close(fds[1]);
}

static const struct test_case cases[] = {
    {"what holds passes", passes_what_holds},
    {"a failed assert aborts and says where and what", aborts_and_says_where},
    {"the line of a failed assert is bounded", cuts_a_long_condition},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
