/* SPDX-License-Identifier: Apache-2.0 */
#include "io/shortage.h"

#include "base/util.h"
#include "support/test.h"

#include <errno.h>
#include <unistd.h>

/* A shortage whose log goes into a pipe. */
struct bench {
    int fds[2];
    struct log *log;
    struct metrics *metrics;
    struct shortage *shortage;
    char told[8192];
    struct buf page;
};

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.fds = {-1, -1}};
    expect_int(pipe(bench->fds), 0);
    const struct log_options options = {.fd = bench->fds[1], .format = LOG_FORMAT_LOGFMT};
    expect_int(log_new(&options, &bench->log), 0);
    expect_int(metrics_new(1, &bench->metrics), 0);
    expect_int(shortage_new(bench->log, &bench->shortage), 0);
    expect_int(shortage_register_metrics(bench->shortage, bench->metrics), 0);
}

static void bench_deinit(struct bench *bench)
{
    metrics_free(bench->metrics);
    shortage_free(bench->shortage);
    log_free(bench->log);
    buf_deinit(&bench->page);
    close(bench->fds[0]);
    close(bench->fds[1]);
}

/* The next line of the log, which is there. */
static const char *next_line(struct bench *bench)
{
    ssize_t n = read(bench->fds[0], bench->told, sizeof(bench->told) - 1);
    expect_true(n > 0);
    bench->told[n] = '\0';
    return bench->told;
}

static void expect_metric(struct bench *bench, const char *line)
{
    buf_reset(&bench->page);
    expect_int(metrics_render(bench->metrics, &bench->page), 0);
    expect_int(buf_append(&bench->page, slice_from("", 1)), 0);
    expect_true(strstr(bench->page.ptr, line));
}

static void is_told_at_once_and_then_now_and_then(void)
{
    struct bench bench;
    bench_init(&bench);
    nsec_t now_ns = 100 * NSEC_PER_SEC;
    shortage_of_accept(bench.shortage, -EMFILE, 3, now_ns);
    const char *line = next_line(&bench);
    expect_true(strstr(line, "LimitNOFILE=") && strstr(line, "ulimit -n"));
    expect_true(strstr(line, "wanted_to=accept times=1 limit="));
    for (unsigned i = 0; i < 99; i++)
        shortage_of_connect(bench.shortage, -EMFILE, now_ns + i * 100 * NSEC_PER_MSEC);
    shortage_of_connect(bench.shortage, -ENFILE, now_ns + 10 * NSEC_PER_SEC);
    line = next_line(&bench);
    expect_true(strstr(line, "fs.file-max"));
    expect_true(strstr(line, "wanted_to=connect times=100\n"));
    expect_metric(&bench, "muster_descriptor_shortages_total{for=\"accept\"} 1\n");
    expect_metric(&bench, "muster_descriptor_shortages_total{for=\"connect\"} 100\n");
    expect_metric(&bench, "muster_connections_turned_away_total 3\n");
    bench_deinit(&bench);
}

static void nobody_need_hear_of_it(void)
{
    struct shortage *shortage;
    shortage_of_accept(NULL, -EMFILE, 1, 0);
    shortage_of_connect(NULL, -EMFILE, 0);
    shortage_free(NULL);
    expect_int(shortage_new(NULL, &shortage), 0);
    shortage_of_connect(shortage, -EMFILE, 0);
    shortage_free(shortage);
}

static const struct test_case cases[] = {
    {"it is told at once, and then now and then", is_told_at_once_and_then_now_and_then},
    {"nobody need hear of it", nobody_need_hear_of_it},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
