/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/access_log.h"

#include "base/util.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A log with two lanes that writes into a pipe. */
struct bench {
    struct sim *sim;
    struct loop *loop;
    struct access_log *access_log;
    int reader, writer;
};

static void bench_init(struct bench *bench)
{
    int ends[2];
    char path[64];
    struct err err = {""};
    expect_int(pipe2(ends, O_CLOEXEC), 0);
    bench->reader = ends[0];
    bench->writer = ends[1];
    expect_int(sim_new(NULL, &bench->sim, &bench->loop), 0);
    expect_int(access_log_new(2, NULL, &bench->access_log), 0);
    (void)snprintf(path, sizeof(path), "/dev/fd/%d", bench->writer);
    expect_int(access_log_open(bench->access_log, path, &err), 0);
    for (unsigned i = 0; i < 2; i++)
        access_log_start_lane(bench->access_log, i, bench->loop);
}

static void bench_deinit(struct bench *bench)
{
    for (unsigned i = 0; i < 2; i++)
        access_log_stop_lane(bench->access_log, i);
    access_log_free(bench->access_log);
    close(bench->reader);
    close(bench->writer);
    loop_free(bench->loop);
}

static void put(struct bench *bench, unsigned lane, const char *text)
{
    struct slice line = slice_from_str(text);
    const struct slice pieces[] = {slice_from(line.ptr, line.len / 2), slice_skip(line, line.len / 2)};
    access_log_write(bench->access_log, lane, pieces, ARRAY_LEN(pieces));
}

/* So many bytes of what was written. */
static struct slice take(struct bench *bench, char *room, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t r = read(bench->reader, room + got, n - got);
        expect_true(r > 0);
        got += (size_t)r;
    }
    return slice_from(room, n);
}

static void a_line_is_written_a_moment_later(void)
{
    struct bench bench;
    char room[64];
    bench_init(&bench);
    put(&bench, 0, "one\n");
    put(&bench, 0, "two\n");
    sim_run_for(bench.sim, 200 * NSEC_PER_MSEC);
    expect_slice(take(&bench, room, 8), "one\ntwo\n");
    put(&bench, 1, "three\n");
    sim_run_for(bench.sim, 200 * NSEC_PER_MSEC);
    expect_slice(take(&bench, room, 6), "three\n");
    expect_int(access_log_n_dropped(bench.access_log), 0);
    bench_deinit(&bench);
}

static void what_is_there_at_the_end_is_written(void)
{
    struct bench bench;
    char room[64];
    bench_init(&bench);
    put(&bench, 0, "last\n");
    access_log_stop_lane(bench.access_log, 0);
    access_log_free(TAKE(bench.access_log));
    expect_slice(take(&bench, room, 5), "last\n");
    expect_int(access_log_new(2, NULL, &bench.access_log), 0);
    bench_deinit(&bench);
}

static void a_busy_lane_wakes_the_thread_by_itself(void)
{
    struct bench bench;
    char line[1001], room[1000];
    bench_init(&bench);
    memset(line, 'x', 999);
    line[999] = '\n';
    line[1000] = '\0';
    const unsigned n_half = ACCESS_LANE_BYTES / 2000 + 1, n_lines = 2 * n_half - 3;
    for (unsigned i = 0; i < n_lines; i++)
        put(&bench, 0, line);
    /* Without any time that passes less than half a lane is left: when it was last woken is up to the thread. */
    for (unsigned i = 0; i < n_lines - (n_half - 1); i++)
        expect_slice(take(&bench, room, 1000), line);
    sim_run_for(bench.sim, 200 * NSEC_PER_MSEC);
    for (unsigned i = 0; i < n_half - 1; i++)
        expect_slice(take(&bench, room, 1000), line);
    expect_int(access_log_n_dropped(bench.access_log), 0);
    bench_deinit(&bench);
}

static void who_reads_nothing_costs_whole_lines(void)
{
    struct bench bench;
    char line[101], room[100];
    bench_init(&bench);
    unsigned n_lines = 10000, n_written = 0;
    for (unsigned i = 0; i < n_lines; i++) {
        (void)snprintf(line, sizeof(line), "%099u\n", i);
        put(&bench, 0, line);
    }
    uint64_t n_dropped = access_log_n_dropped(bench.access_log);
    expect_true(n_dropped > 0 && n_dropped < n_lines);
    unsigned last = 0;
    for (n_written = 0; n_written < n_lines - n_dropped; n_written++) { /* in order, with gaps between them */
        sim_run_for(bench.sim, 200 * NSEC_PER_MSEC);
        struct slice got = take(&bench, room, 100);
        unsigned number = (unsigned)strtoul(got.ptr, NULL, 10);
        expect_true(got.ptr[99] == '\n' && (n_written == 0 || number > last));
        last = number;
    }
    bench_deinit(&bench);
}

static void a_file_that_cannot_be_opened_changes_nothing(void)
{
    struct bench bench;
    struct err err = {""};
    char room[64];
    bench_init(&bench);
    expect_int(access_log_open(bench.access_log, "/nowhere/x", &err), -ENOENT);
    expect_true(strstr(err.text, "/nowhere/x") != NULL);
    put(&bench, 0, "one\n");
    sim_run_for(bench.sim, 200 * NSEC_PER_MSEC);
    expect_slice(take(&bench, room, 4), "one\n");
    bench_deinit(&bench);
}

static void another_file_is_taken_over(void)
{
    struct bench bench;
    struct err err = {""};
    int ends[2];
    char path[64], room[64];
    bench_init(&bench);
    put(&bench, 0, "one\n");
    sim_run_for(bench.sim, 200 * NSEC_PER_MSEC);
    expect_slice(take(&bench, room, 4), "one\n");
    expect_int(pipe2(ends, O_CLOEXEC), 0);
    (void)snprintf(path, sizeof(path), "/dev/fd/%d", ends[1]);
    expect_int(access_log_open(bench.access_log, path, &err), 0);
    put(&bench, 0, "two\n");
    sim_run_for(bench.sim, 200 * NSEC_PER_MSEC);
    expect_int(read(ends[0], room, sizeof(room)), 4);
    close(ends[0]);
    close(ends[1]);
    bench_deinit(&bench);
}

/* However late the thread is. */
static void what_comes_after_an_opening_is_in_that_file(void)
{
    struct bench bench;
    struct err err = {""};
    int ends[2];
    char path[2][64], room[64];
    bench_init(&bench);
    expect_int(pipe2(ends, O_CLOEXEC), 0);
    (void)snprintf(path[0], sizeof(path[0]), "/dev/fd/%d", bench.writer);
    (void)snprintf(path[1], sizeof(path[1]), "/dev/fd/%d", ends[1]);
    for (unsigned i = 0; i < test_rounds(2000); i++) {
        expect_int(access_log_open(bench.access_log, path[0], &err), 0);
        expect_int(access_log_open(bench.access_log, path[1], &err), 0);
        put(&bench, i % 2, "it\n");
        sim_run_for(bench.sim, 200 * NSEC_PER_MSEC);
        expect_int(read(ends[0], room, sizeof(room)), 3);
    }
    close(ends[0]);
    close(ends[1]);
    bench_deinit(&bench);
}

static const struct test_case cases[] = {
    {"a line is written a moment later", a_line_is_written_a_moment_later},
    {"what is there at the end is written", what_is_there_at_the_end_is_written},
    {"a busy lane wakes the thread by itself", a_busy_lane_wakes_the_thread_by_itself},
    {"who reads nothing costs whole lines", who_reads_nothing_costs_whole_lines},
    {"a file that cannot be opened changes nothing", a_file_that_cannot_be_opened_changes_nothing},
    {"another file is taken over", another_file_is_taken_over},
    {"what comes after an opening is in that file", what_comes_after_an_opening_is_in_that_file},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
