/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include "base/time.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>

enum { SLOTS = 3 };

static const struct metrics_desc requests = {.name = "muster_requests_total", .help = "Requests answered."};

static struct metrics *new_metrics(void)
{
    struct metrics *metrics;
    expect_int(metrics_new(SLOTS, &metrics), 0);
    return metrics;
}

static void expect_page(struct metrics *metrics, const char *expected)
{
    struct buf buf = {0};
    expect_int(metrics_render(metrics, &buf), 0);
    expect_slice(buf_slice(&buf), expected);
    buf_deinit(&buf);
}

static void an_empty_registry_is_an_empty_page(void)
{
    struct metrics *metrics = new_metrics();
    expect_page(metrics, "");
    metrics_free(metrics);
    metrics_free(NULL);
}

static void a_counter_is_the_sum_of_its_slots(void)
{
    struct metrics *metrics = new_metrics();
    struct metrics_counter counter;
    expect_int(metrics_register_counter(metrics, &requests, &counter), 0);
    metrics_counter_add(&counter, 0, 1);
    metrics_counter_add(&counter, 1, 10);
    metrics_counter_add(&counter, 2, 100);
    metrics_counter_add(&counter, 2, 1000);
    expect_page(metrics, "# HELP muster_requests_total Requests answered.\n"
                         "# TYPE muster_requests_total counter\n"
                         "muster_requests_total 1111\n");
    metrics_free(metrics);
}

static void a_gauge_may_fall_in_another_slot(void)
{
    struct metrics *metrics = new_metrics();
    struct metrics_gauge gauge;
    expect_int(metrics_register_gauge(metrics, &(struct metrics_desc){.name = "open", .help = "Open."}, &gauge), 0);
    metrics_gauge_add(&gauge, 0, 5);
    metrics_gauge_add(&gauge, 2, -7);
    expect_page(metrics, "# HELP open Open.\n# TYPE open gauge\nopen -2\n");
    metrics_free(metrics);
}

static double give(void *ctx)
{
    return *(double *)ctx;
}

static void functions_give_their_value_when_asked(void)
{
    struct metrics *metrics = new_metrics();
    double cpu = 0.1, temperature = 42;
    const struct metrics_desc cpu_desc = {.name = "cpu_seconds_total", .help = "CPU."};
    const struct metrics_desc temperature_desc = {.name = "temperature", .help = "T."};
    expect_int(metrics_register_counter_fn(metrics, &cpu_desc, give, &cpu), 0);
    expect_int(metrics_register_gauge_fn(metrics, &temperature_desc, give, &temperature), 0);
    expect_page(metrics, "# HELP cpu_seconds_total CPU.\n# TYPE cpu_seconds_total counter\ncpu_seconds_total 0.1\n"
                         "# HELP temperature T.\n# TYPE temperature gauge\ntemperature 42\n");
    cpu = NAN;
    temperature = -INFINITY;
    expect_page(metrics, "# HELP cpu_seconds_total CPU.\n# TYPE cpu_seconds_total counter\ncpu_seconds_total NaN\n"
                         "# HELP temperature T.\n# TYPE temperature gauge\ntemperature -Inf\n");
    metrics_free(metrics);
}

static void a_family_is_written_together(void)
{
    struct metrics *metrics = new_metrics();
    struct metrics_counter ok, other, bad;
    struct metrics_desc desc = requests;
    const struct metrics_label code_200[] = {{"code", SLICE_LIT("200")}, {"method", SLICE_LIT("GET")}};
    const struct metrics_label code_400[] = {{"code", SLICE_LIT("400")}, {"method", SLICE_LIT("GET")}};
    desc.n_labels = 2;
    desc.labels = code_200;
    expect_int(metrics_register_counter(metrics, &desc, &ok), 0);
    expect_int(
        metrics_register_counter(metrics, &(struct metrics_desc){.name = "other_total", .help = "Other."}, &other), 0);
    desc.labels = code_400;
    expect_int(metrics_register_counter(metrics, &desc, &bad), 0);
    metrics_counter_add(&ok, 0, 2);
    metrics_counter_add(&bad, 0, 3);
    expect_page(metrics, "# HELP muster_requests_total Requests answered.\n"
                         "# TYPE muster_requests_total counter\n"
                         "muster_requests_total{code=\"200\",method=\"GET\"} 2\n"
                         "muster_requests_total{code=\"400\",method=\"GET\"} 3\n"
                         "# HELP other_total Other.\n"
                         "# TYPE other_total counter\n"
                         "other_total 0\n");
    metrics_free(metrics);
}

static void a_histogram_cumulates_its_buckets(void)
{
    struct metrics *metrics = new_metrics();
    struct metrics_histogram histogram;
    const struct metrics_desc desc = {.name = "took_seconds", .help = "Took."};
    const uint64_t bounds[] = {5 * NSEC_PER_MSEC, NSEC_PER_SEC, 10 * NSEC_PER_SEC};
    expect_int(metrics_register_histogram(metrics, &desc, METRICS_UNIT_NSEC, bounds, 3, &histogram), 0);
    metrics_histogram_observe(&histogram, 0, 5 * NSEC_PER_MSEC); /* a bound belongs to its bucket */
    metrics_histogram_observe(&histogram, 1, 5 * NSEC_PER_MSEC + 1);
    metrics_histogram_observe(&histogram, 1, 0);
    metrics_histogram_observe(&histogram, 2, 11 * NSEC_PER_SEC);
    expect_page(metrics, "# HELP took_seconds Took.\n"
                         "# TYPE took_seconds histogram\n"
                         "took_seconds_bucket{le=\"0.005\"} 2\n"
                         "took_seconds_bucket{le=\"1\"} 3\n"
                         "took_seconds_bucket{le=\"10\"} 3\n"
                         "took_seconds_bucket{le=\"+Inf\"} 4\n"
                         "took_seconds_sum 11.010000001\n"
                         "took_seconds_count 4\n");
    metrics_free(metrics);
}

static void write_services(void *ctx, struct metrics_page *page)
{
    const uint64_t *n_calls = ctx;
    const struct metrics_label labels[] = {{"service", SLICE_LIT("a\"b")}, {"code", SLICE_LIT("2xx")}};
    const uint64_t bounds_ns[] = {NSEC_PER_MSEC, NSEC_PER_SEC}, counts[] = {1, 2, 3};
    metrics_page_family(page, "calls_total", METRICS_COUNTER, "Calls.");
    for (unsigned i = 0; i < *n_calls; i++)
        metrics_page_sample(page, labels, i + 1, i + 7);
    metrics_page_family(page, "took_seconds", METRICS_HISTOGRAM, "Took.");
    metrics_page_histogram(page, labels, 1, &(struct metrics_buckets){bounds_ns, counts, 2, 1500 * NSEC_PER_MSEC});
}

static void collectors_write_what_there_is_at_the_moment(void)
{
    struct metrics *metrics = new_metrics();
    uint64_t n_calls = 2;
    struct metrics_counter counter;
    expect_int(metrics_register_collector(metrics, write_services, &n_calls), 0);
    expect_int(metrics_register_counter(metrics, &requests, &counter), 0);
    static const char took[] = "# HELP took_seconds Took.\n"
                               "# TYPE took_seconds histogram\n"
                               "took_seconds_bucket{service=\"a\\\"b\",le=\"0.001\"} 1\n"
                               "took_seconds_bucket{service=\"a\\\"b\",le=\"1\"} 3\n"
                               "took_seconds_bucket{service=\"a\\\"b\",le=\"+Inf\"} 6\n"
                               "took_seconds_sum{service=\"a\\\"b\"} 1.5\n"
                               "took_seconds_count{service=\"a\\\"b\"} 6\n";
    const char *head = "# HELP muster_requests_total Requests answered.\n# TYPE muster_requests_total counter\n"
                       "muster_requests_total 0\n"
                       "# HELP calls_total Calls.\n# TYPE calls_total counter\n";
    char page[2048];
    (void)snprintf(page, sizeof(page), "%s%s%s", head,
                   "calls_total{service=\"a\\\"b\"} 7\ncalls_total{service=\"a\\\"b\",code=\"2xx\"} 8\n", took);
    expect_page(metrics, page);
    n_calls = 0; /* they have gone, and nothing of them is left */
    (void)snprintf(page, sizeof(page), "%s%s", head, took);
    expect_page(metrics, page);
    metrics_free(metrics);
}

static void a_histogram_has_labels_too(void)
{
    struct metrics *metrics = new_metrics();
    struct metrics_histogram histogram;
    const struct metrics_label label = {"kind", SLICE_LIT("put")};
    const struct metrics_desc desc = {.name = "bytes", .help = "B.", .labels = &label, .n_labels = 1};
    expect_int(metrics_register_histogram(metrics, &desc, METRICS_UNIT_ONE, (const uint64_t[]){1024}, 1, &histogram),
               0);
    metrics_histogram_observe(&histogram, 0, 2000);
    expect_page(metrics, "# HELP bytes B.\n"
                         "# TYPE bytes histogram\n"
                         "bytes_bucket{kind=\"put\",le=\"1024\"} 0\n"
                         "bytes_bucket{kind=\"put\",le=\"+Inf\"} 1\n"
                         "bytes_sum{kind=\"put\"} 2000\n"
                         "bytes_count{kind=\"put\"} 1\n");
    metrics_free(metrics);
}

static void text_is_escaped(void)
{
    struct metrics *metrics = new_metrics();
    struct metrics_gauge gauge;
    const struct metrics_label label = {"name", SLICE_LIT("a\"b\\c\nd\xff"
                                                          "e\0ß")};
    const struct metrics_desc desc = {.name = "g", .help = "back\\slash\n\"quote\"", .labels = &label, .n_labels = 1};
    expect_int(metrics_register_gauge(metrics, &desc, &gauge), 0);
    struct buf buf = {0};
    expect_int(metrics_render(metrics, &buf), 0);
    expect_bytes(buf_slice(&buf), SLICE_LIT("# HELP g back\\\\slash\\n\"quote\"\n# TYPE g gauge\n"
                                            "g{name=\"a\\\"b\\\\c\\nd\xef\xbf\xbd"
                                            "e\0ß\"} 0\n"));
    buf_deinit(&buf);
    metrics_free(metrics);
}

static void bad_names_are_refused(void)
{
    static const char *const names[] = {"", "1x", "a-b", "a b", "größe", "x_total", "a{"};
    static const char *const labels[] = {"", "1x", "a:b", "a-b", "__name", "le", "a\""};
    struct metrics *metrics = new_metrics();
    struct metrics_gauge gauge;
    struct metrics_counter counter;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        expect_int(metrics_register_gauge(metrics, &(struct metrics_desc){.name = names[i], .help = ""}, &gauge),
                   -EINVAL);
    for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
        const struct metrics_label label = {labels[i], SLICE_LIT("v")};
        const struct metrics_desc desc = {.name = "g", .help = "", .labels = &label, .n_labels = 1};
        expect_int(metrics_register_gauge(metrics, &desc, &gauge), -EINVAL);
    }
    const struct metrics_label twice[] = {{"a", SLICE_LIT("1")}, {"a", SLICE_LIT("2")}};
    const struct metrics_desc desc = {.name = "g", .help = "", .labels = twice, .n_labels = 2};
    expect_int(metrics_register_gauge(metrics, &desc, &gauge), -EINVAL);
    expect_int(metrics_register_counter(metrics, &(struct metrics_desc){.name = "requests", .help = ""}, &counter),
               -EINVAL);
    expect_page(metrics, "");
    metrics_free(metrics);
}

static void a_second_of_the_same_is_refused(void)
{
    struct metrics *metrics = new_metrics();
    struct metrics_counter counter;
    struct metrics_histogram histogram;
    const struct metrics_desc desc = {.name = "took", .help = "Took."};
    const uint64_t bounds[] = {1, 2, 2};
    expect_int(metrics_register_counter(metrics, &requests, &counter), 0);
    expect_int(metrics_register_counter(metrics, &requests, &counter), -EEXIST);
    expect_int(metrics_register_histogram(metrics, &desc, METRICS_UNIT_ONE, bounds, 3, &histogram), -EINVAL);
    expect_int(metrics_register_histogram(metrics, &desc, METRICS_UNIT_ONE, bounds, 0, &histogram), -EINVAL);
    expect_int(metrics_register_histogram(metrics, &desc, METRICS_UNIT_ONE, bounds, 2, &histogram), 0);
    expect_int(metrics_register_histogram(metrics, &desc, METRICS_UNIT_ONE, bounds, 1, &histogram), -EINVAL);
    expect_int(metrics_register_histogram(metrics, &desc, METRICS_UNIT_NSEC, bounds, 2, &histogram), -EINVAL);
    metrics_free(metrics);
}

static void more_metrics_than_a_block_holds_stay_apart(void)
{
    enum { N = 3 * METRICS_SLOT_CELLS / 4 };
    struct metrics *metrics = new_metrics();
    static struct metrics_gauge gauges[2][N];
    char number[16];
    for (size_t i = 0; i < 2 * N; i++) {
        size_t len = (size_t)snprintf(number, sizeof(number), "%zu", i);
        const struct metrics_label label = {"n", slice_from(number, len)};
        const struct metrics_desc desc = {.name = "g", .help = "", .labels = &label, .n_labels = 1};
        expect_int(metrics_register_gauge(metrics, &desc, &gauges[i / N][i % N]), 0);
    }
    for (size_t i = 0; i < 2 * N; i++)
        for (unsigned slot = 0; slot < SLOTS; slot++)
            metrics_gauge_add(&gauges[i / N][i % N], slot, (int64_t)(i * 10));
    struct buf buf = {0}, expected = {0};
    expect_int(buf_append_str(&expected, "# HELP g \n# TYPE g gauge\n"), 0);
    for (size_t i = 0; i < 2 * N; i++)
        expect_int(buf_printf(&expected, "g{n=\"%zu\"} %zu\n", i, i * 10 * SLOTS), 0);
    expect_int(metrics_render(metrics, &buf), 0);
    expect_bytes(buf_slice(&buf), buf_slice(&expected));
    buf_deinit(&buf);
    buf_deinit(&expected);
    metrics_free(metrics);
}

/* Workers count while others register and read. */

enum { ADDS = 100000 };

struct worker {
    pthread_t thread;
    struct metrics_counter counter;
    struct metrics_histogram histogram;
    unsigned slot;
};

static void *count_up(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < ADDS; i++) {
        metrics_counter_add(&worker->counter, worker->slot, 1);
        metrics_histogram_observe(&worker->histogram, worker->slot, (uint64_t)i % 3);
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void)
{
    struct metrics *metrics = new_metrics();
    struct worker workers[SLOTS];
    struct buf buf = {0};
    const struct metrics_desc desc = {.name = "h", .help = ""};
    expect_int(metrics_register_counter(metrics, &requests, &workers[0].counter), 0);
    expect_int(
        metrics_register_histogram(metrics, &desc, METRICS_UNIT_ONE, (const uint64_t[]){1}, 1, &workers[0].histogram),
        0);
    for (unsigned i = 0; i < SLOTS; i++) {
        workers[i].counter = workers[0].counter;
        workers[i].histogram = workers[0].histogram;
        workers[i].slot = i;
        expect_int(pthread_create(&workers[i].thread, NULL, count_up, &workers[i]), 0);
    }
    for (int i = 0; i < 100; i++) {
        buf_reset(&buf);
        expect_int(metrics_render(metrics, &buf), 0);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        expect_int(pthread_join(workers[i].thread, NULL), 0);
    expect_page(metrics, "# HELP muster_requests_total Requests answered.\n"
                         "# TYPE muster_requests_total counter\n"
                         "muster_requests_total 300000\n"
                         "# HELP h \n"
                         "# TYPE h histogram\n"
                         "h_bucket{le=\"1\"} 200001\n"
                         "h_bucket{le=\"+Inf\"} 300000\n"
                         "h_sum 299997\n"
                         "h_count 300000\n");
    buf_deinit(&buf);
    metrics_free(metrics);
}

static int register_all(struct metrics *metrics)
{
    struct metrics_counter counter;
    struct metrics_histogram histogram;
    const struct metrics_label label = {"a", SLICE_LIT("b")};
    const struct metrics_desc labelled = {.name = requests.name, .help = "", .labels = &label, .n_labels = 1};
    const struct metrics_desc desc = {.name = "h", .help = ""};
    int r = metrics_register_counter(metrics, &requests, &counter);
    if (r == 0)
        r = metrics_register_counter(metrics, &labelled, &counter);
    if (r == 0)
        r = metrics_register_histogram(metrics, &desc, METRICS_UNIT_ONE, (const uint64_t[]){1}, 1, &histogram);
    return r;
}

static int register_and_render(void *arg)
{
    (void)arg;
    struct metrics *metrics;
    int r = metrics_new(SLOTS, &metrics);
    if (r < 0)
        return r;
    struct buf buf = {0};
    uint64_t n_calls = 2;
    r = register_all(metrics);
    if (r == 0)
        r = metrics_register_collector(metrics, write_services, &n_calls);
    /* Whatever failed, what is there can be written. */
    int rendered = metrics_render(metrics, &buf);
    buf_deinit(&buf);
    metrics_free(metrics);
    return r < 0 ? r : rendered;
}

static void any_allocation_may_fail(void)
{
    expect_true(fault_alloc_sweep(register_and_render, NULL) > 10);
}

static void count_in_a_strange_slot(void *arg)
{
    metrics_counter_add(arg, SLOTS, 1);
}

static void a_slot_that_is_not_there_is_a_bug(void)
{
    struct metrics *metrics = new_metrics();
    struct metrics_counter counter;
    expect_int(metrics_register_counter(metrics, &requests, &counter), 0);
    expect_abort(count_in_a_strange_slot, &counter);
    metrics_free(metrics);
}

static const struct test_case cases[] = {
    {"an empty registry is an empty page", an_empty_registry_is_an_empty_page},
    {"a counter is the sum of its slots", a_counter_is_the_sum_of_its_slots},
    {"a gauge that rose in one slot may fall in another", a_gauge_may_fall_in_another_slot},
    {"functions give their value when asked", functions_give_their_value_when_asked},
    {"a family is written together, whenever its metrics came", a_family_is_written_together},
    {"a histogram cumulates its buckets", a_histogram_cumulates_its_buckets},
    {"a histogram has labels, too", a_histogram_has_labels_too},
    {"collectors write what there is at the moment", collectors_write_what_there_is_at_the_moment},
    {"help and label values are escaped", text_is_escaped},
    {"bad names are refused", bad_names_are_refused},
    {"a second of the same, or one of another kind, is refused", a_second_of_the_same_is_refused},
    {"more metrics than a block holds stay apart", more_metrics_than_a_block_holds_stay_apart},
    {"nothing is lost between threads", nothing_is_lost_between_threads},
    {"any allocation may fail", any_allocation_may_fail},
    {"a slot that is not there is a bug", a_slot_that_is_not_there_is_a_bug},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
