/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A log into memory, at a moment that the test sets. */
struct bench {
    int fd;
    nsec_t now;
    struct log *log;
    char text[256 * 1024];
};

static nsec_t bench_now(void *ctx)
{
    return ((struct bench *)ctx)->now;
}

static void bench_init(struct bench *bench, struct log_options options)
{
    bench->fd = memfd_create("log", MFD_CLOEXEC);
    expect_true(bench->fd >= 0);
    bench->now = 1000 * NSEC_PER_SEC;
    options.fd = bench->fd;
    options.wall_now = bench_now;
    options.wall_ctx = bench;
    expect_int(log_new(&options, &bench->log), 0);
}

static void bench_deinit(struct bench *bench)
{
    log_free(bench->log);
    close(bench->fd);
}

/* All that was written so far. */
static const char *written(struct bench *bench)
{
    ssize_t n = pread(bench->fd, bench->text, sizeof(bench->text) - 1, 0);
    expect_true(n >= 0 && (size_t)n < sizeof(bench->text) - 1);
    bench->text[n] = '\0';
    return bench->text;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

static void writes_message_and_fields(void)
{
    struct bench bench;
    bench_init(&bench, (struct log_options){0});
    log_info(bench.log, "muster is up");
    log_error(bench.log, "cannot listen", log_str("addr", SLICE_LIT("[::1]:80")), log_int("errno", EACCES));
    expect_str(written(&bench), "ts=1970-01-01T00:16:40.000Z level=info msg=\"muster is up\"\n"
                                "ts=1970-01-01T00:16:40.000Z level=error msg=\"cannot listen\" addr=[::1]:80 "
                                "errno=13\n");
    bench_deinit(&bench);
}

static void drops_lines_below_its_level(void)
{
    struct bench bench;
    bench_init(&bench, (struct log_options){.level = LOG_LEVEL_WARN});
    log_debug(bench.log, "unheard");
    log_info(bench.log, "unheard");
    log_warn(bench.log, "heard");
    log_set_level(bench.log, LOG_LEVEL_DEBUG);
    log_debug(bench.log, "heard, too");
    expect_int(count(written(&bench), "unheard"), 0);
    expect_int(count(written(&bench), "msg="), 2);
    bench_deinit(&bench);
}

static void the_same(struct bench *bench, int times)
{
    for (int i = 0; i < times; i++)
        log_warn(bench->log, "peer went away", log_int("n", i));
}

static void counts_repeats(void)
{
    struct bench bench;
    bench_init(&bench, (struct log_options){.repeat_max = 3, .repeat_interval_ns = NSEC_PER_SEC});
    the_same(&bench, 45);
    log_info(bench.log, "something else");
    expect_int(count(written(&bench), "peer went away"), 3);
    expect_int(count(written(&bench), "something else"), 1);

    bench.now += NSEC_PER_SEC - 1;
    log_flush(bench.log);
    expect_int(count(written(&bench), "repeated"), 0);
    bench.now += 1;
    log_flush(bench.log);
    expect_int(count(written(&bench), "level=warn msg=\"peer went away\" repeated=42\n"), 1);

    /* A new interval has begun. */
    the_same(&bench, 1);
    expect_int(count(written(&bench), "peer went away"), 5);
    expect_int(count(written(&bench), "repeated"), 1);
    bench_deinit(&bench);
}

static void any_later_line_brings_the_count(void)
{
    struct bench bench;
    bench_init(&bench, (struct log_options){.repeat_max = 1, .repeat_interval_ns = NSEC_PER_SEC});
    the_same(&bench, 5);
    bench.now += NSEC_PER_SEC;
    log_info(bench.log, "something else");
    const char *count_line = strstr(written(&bench), "repeated=4\n");
    expect_true(count_line != NULL);
    expect_true(strstr(count_line, "something else") != NULL);
    bench_deinit(&bench);
}

static void a_clock_set_back_ends_the_interval(void)
{
    struct bench bench;
    bench_init(&bench, (struct log_options){.repeat_max = 1});
    the_same(&bench, 2);
    bench.now -= 100 * NSEC_PER_SEC;
    the_same(&bench, 1);
    expect_int(count(written(&bench), "peer went away"), 3);
    expect_int(count(written(&bench), "repeated=1\n"), 1);
    bench_deinit(&bench);
}

static void the_end_brings_the_last_counts(void)
{
    struct bench bench;
    bench_init(&bench, (struct log_options){.repeat_max = 1});
    the_same(&bench, 3);
    log_free(TAKE(bench.log));
    expect_int(count(written(&bench), "repeated=2\n"), 1);
    bench_deinit(&bench);
}

static void many_messages_are_told_apart(void)
{
    struct bench bench;
    static char messages[500][32];
    bench_init(&bench, (struct log_options){.repeat_max = 2});
    for (int i = 0; i < 500; i++) {
        snprintf(messages[i], sizeof(messages[i]), "message-%d.", i);
        for (int j = 0; j < 3; j++)
            log_write(bench.log, LOG_LEVEL_INFO, messages[i], NULL, 0);
    }
    log_free(TAKE(bench.log));
    for (int i = 0; i < 500; i++)
        expect_int(count(written(&bench), messages[i]), 3);
    expect_int(count(written(&bench), "repeated=1\n"), 500);
    bench_deinit(&bench);
}

static void accepts_no_log(void)
{
    log_info(NULL, "unheard");
    log_flush(NULL);
    log_free(NULL);
}

/* What a log in the automatic format writes to a terminal. */
static void expect_on_terminal(const char *expected)
{
    int master, terminal;
    expect_int(openpty(&master, &terminal, NULL, NULL, NULL), 0);
    struct bench clock = {.now = 0};
    struct log *log;
    expect_int(log_new(&(struct log_options){.fd = terminal, .wall_now = bench_now, .wall_ctx = &clock}, &log), 0);
    log_info(log, "hello", log_int("n", 1));
    char text[256];
    ssize_t n = read(master, text, sizeof(text) - 1);
    expect_true(n > 0);
    expect_bytes(slice_from(text, (size_t)n), slice_from_str(expected));
    log_free(log);
    close(master);
    close(terminal);
}

static void is_coloured_on_a_terminal(void)
{
    unsetenv("NO_COLOR");
    expect_on_terminal("1970-01-01T00:00:00.000Z \x1b[32minfo \x1b[0m hello \x1b[2mn=\x1b[0m1\r\n");
    setenv("NO_COLOR", "1", 1);
    expect_on_terminal("1970-01-01T00:00:00.000Z info  hello n=1\r\n");
}

enum { THREADS = 4, LINES = 200 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_info(arg, "a line of some length", log_int("n", i), log_text("text", "with some text in it"));
    return NULL;
}

static void lines_of_threads_do_not_mix(void)
{
    struct bench bench;
    pthread_t threads[THREADS];
    bench_init(&bench, (struct log_options){.repeat_max = THREADS * LINES});
    for (int i = 0; i < THREADS; i++)
        expect_int(pthread_create(&threads[i], NULL, write_lines, bench.log), 0);
    log_set_level(bench.log, LOG_LEVEL_INFO);
    for (int i = 0; i < THREADS; i++)
        expect_int(pthread_join(threads[i], NULL), 0);
    size_t lines = 0;
    const struct slice end = SLICE_LIT(" text=\"with some text in it\"");
    struct slice rest = slice_from_str(written(&bench)), line;
    while (!slice_is_empty(rest)) {
        rest = slice_split(rest, '\n', &line);
        expect_true(slice_starts_with(line, SLICE_LIT("ts=")));
        expect_true(line.len > end.len);
        expect_bytes(slice_skip(line, line.len - end.len), end);
        lines++;
    }
    expect_int(lines, THREADS * LINES);
    bench_deinit(&bench);
}

static int log_one_line(void *arg)
{
    struct log *log;
    int r = log_new(&(struct log_options){.fd = *(int *)arg}, &log);
    if (r < 0)
        return r;
    log_info(log, "hello", log_text("name", "value"));
    log_free(log);
    return 0;
}

static void only_making_it_allocates(void)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    expect_int(fault_alloc_sweep(log_one_line, &fd), 1);
    close(fd);
}

static const struct test_case cases[] = {
    {"message and fields make a line", writes_message_and_fields},
    {"lines below the level are dropped", drops_lines_below_its_level},
    {"repeats are counted", counts_repeats},
    {"any later line brings the count of repeats", any_later_line_brings_the_count},
    {"a clock that is set back ends the interval", a_clock_set_back_ends_the_interval},
    {"the end of the log brings the last counts", the_end_brings_the_last_counts},
    {"many messages are told apart", many_messages_are_told_apart},
    {"no log is accepted", accepts_no_log},
    {"on a terminal it is coloured, unless NO_COLOR is set", is_coloured_on_a_terminal},
    {"lines of several threads do not mix", lines_of_threads_do_not_mix},
    {"only making a log allocates", only_making_it_allocates},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
