/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the metrics in the Prometheus text format 0.0.4: for each family HELP and TYPE once, then a line per sample.
 *
 * Cells are read while they are written. Each value is one that its cell had, and a histogram's count is made of the
 * buckets just read, so that it always equals the last of them; only its sum may belong to a moment before or after.
 */
#include "base/metrics_priv.h"

#include <math.h>

static uint64_t sum_slots(struct metrics_cells cells, size_t index)
{
    uint64_t sum = 0;
    for (size_t slot = 0; slot < cells.n_slots; slot++)
        sum += atomic_load_explicit(cells.first + index + slot * METRICS_SLOT_CELLS, memory_order_relaxed);
    return sum;
}

/* A value that was counted, in the unit that Prometheus wants: "1.5" for 1,500,000,000 ns. Exact. */
static void put_counted(struct buf *buf, enum metrics_unit unit, uint64_t value)
{
    if (unit == METRICS_UNIT_ONE) {
        (void)buf_append_u64(buf, value);
        return;
    }
    uint64_t fraction = value % 1000000000;
    (void)buf_append_u64(buf, value / 1000000000);
    if (fraction == 0)
        return;
    int digits = 9;
    for (; fraction % 10 == 0; fraction /= 10)
        digits--;
    (void)buf_printf(buf, ".%0*llu", digits, (unsigned long long)fraction);
}

static void put_double(struct buf *buf, double value)
{
    if (isnan(value))
        (void)buf_append_str(buf, "NaN");
    else if (isinf(value))
        (void)buf_append_str(buf, value > 0 ? "+Inf" : "-Inf");
    else
        (void)buf_printf(buf, "%.15g", value);
}

/* All of a sample's line but its value. */
static void put_sample(struct buf *buf, const char *name, const char *suffix, struct slice labels)
{
    (void)buf_append_str(buf, name);
    (void)buf_append_str(buf, suffix);
    if (labels.len > 0) {
        (void)buf_append_char(buf, '{');
        (void)buf_append(buf, labels);
        (void)buf_append_char(buf, '}');
    }
    (void)buf_append_char(buf, ' ');
}

/* What is known of a histogram: a count for each bucket alone, the last of which has no bound. */
struct counted {
    enum metrics_unit unit;
    size_t n_bounds;
    const uint64_t *bounds, *counts;
    uint64_t sum;
};

static void put_histogram(struct buf *buf, const char *name, struct slice labels, const struct counted *counted)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= counted->n_bounds; i++) {
        count += counted->counts[i];
        (void)buf_append_str(buf, name);
        (void)buf_append_str(buf, "_bucket{");
        (void)buf_append(buf, labels);
        (void)buf_append_str(buf, labels.len > 0 ? ",le=\"" : "le=\"");
        if (i < counted->n_bounds)
            put_counted(buf, counted->unit, counted->bounds[i]);
        else
            (void)buf_append_str(buf, "+Inf");
        (void)buf_append_str(buf, "\"} ");
        (void)buf_append_u64(buf, count);
        (void)buf_append_char(buf, '\n');
    }
    put_sample(buf, name, "_sum", labels);
    put_counted(buf, counted->unit, counted->sum);
    (void)buf_append_char(buf, '\n');
    put_sample(buf, name, "_count", labels);
    (void)buf_append_u64(buf, count);
    (void)buf_append_char(buf, '\n');
}

static void put_cells_histogram(struct buf *buf, const struct metrics_series *series)
{
    const struct metrics_kind *kind = &series->family->kind;
    uint64_t counts[METRICS_BOUNDS_MAX + 1];
    for (size_t i = 0; i <= kind->n_bounds; i++)
        counts[i] = sum_slots(series->source.cells, i);
    const struct counted counted = {
        .unit = kind->unit,
        .n_bounds = kind->n_bounds,
        .bounds = kind->bounds,
        .counts = counts,
        .sum = sum_slots(series->source.cells, kind->n_bounds + 1),
    };
    put_histogram(buf, series->family->name, buf_slice(&series->labels), &counted);
}

static void put_series(struct buf *buf, const struct metrics_series *series)
{
    enum metrics_type type = series->family->kind.type;
    if (type == METRICS_HISTOGRAM) {
        put_cells_histogram(buf, series);
        return;
    }
    put_sample(buf, series->family->name, "", buf_slice(&series->labels));
    if (series->source.fn)
        put_double(buf, series->source.fn(series->source.ctx));
    else if (type == METRICS_COUNTER)
        (void)buf_append_u64(buf, sum_slots(series->source.cells, 0));
    else
        (void)buf_printf(buf, "%lld", (long long)sum_slots(series->source.cells, 0));
    (void)buf_append_char(buf, '\n');
}

static void put_help(struct buf *buf, const char *help)
{
    for (; *help; help++) {
        if (*help == '\n')
            (void)buf_append_str(buf, "\\n");
        else if (*help == '\\')
            (void)buf_append_str(buf, "\\\\");
        else
            (void)buf_append_char(buf, *help);
    }
}

static void put_title(struct buf *buf, const char *name, enum metrics_type type, const char *help)
{
    static const char *const types[] = {
        [METRICS_COUNTER] = "counter",
        [METRICS_GAUGE] = "gauge",
        [METRICS_HISTOGRAM] = "histogram",
    };
    (void)buf_printf(buf, "# HELP %s ", name);
    put_help(buf, help);
    (void)buf_printf(buf, "\n# TYPE %s %s\n", name, types[type]);
}

static void put_family(struct buf *buf, const struct metrics_family *family)
{
    put_title(buf, family->name, family->kind.type, family->help);
    list_for_each (node, &family->series)
        put_series(buf, container_of(node, struct metrics_series, link));
}

/* ------------------------------------------------------------------------------------------------ collectors */

static void set_labels(struct metrics_page *page, const struct metrics_label *labels, size_t n_labels)
{
    ASSERT(page->name);
    if (buf_error(&page->labels) < 0)
        return; /* which fails the rendering */
    buf_reset(&page->labels);
    metrics_put_labels(&page->labels, labels, n_labels);
}

void metrics_page_family(struct metrics_page *page, const char *name, enum metrics_type type, const char *help)
{
    ASSERT(metrics_is_valid(&(struct metrics_desc){.name = name}, type));
    page->name = name;
    page->type = type;
    put_title(page->buf, name, type, help);
}

void metrics_page_sample(struct metrics_page *page, const struct metrics_label *labels, size_t n_labels, uint64_t value)
{
    ASSERT(page->type != METRICS_HISTOGRAM);
    set_labels(page, labels, n_labels);
    put_sample(page->buf, page->name, "", buf_slice(&page->labels));
    (void)buf_append_u64(page->buf, value);
    (void)buf_append_char(page->buf, '\n');
}

void metrics_page_histogram(struct metrics_page *page, const struct metrics_label *labels, size_t n_labels,
                            const struct metrics_buckets *buckets)
{
    const struct counted counted = {
        METRICS_UNIT_NSEC, buckets->n_bounds, buckets->bounds_ns, buckets->counts, buckets->sum_ns,
    };
    ASSERT(page->type == METRICS_HISTOGRAM);
    set_labels(page, labels, n_labels);
    put_histogram(page->buf, page->name, buf_slice(&page->labels), &counted);
}

static int collect(const struct metrics *metrics, struct buf *buf)
{
    struct metrics_page page = {.buf = buf};
    list_for_each (node, &metrics->collectors) {
        const struct metrics_collector *collector = container_of(node, struct metrics_collector, link);
        collector->fn(collector->ctx, &page);
        page.name = NULL;
    }
    int r = buf_error(&page.labels);
    buf_deinit(&page.labels);
    return r;
}

int metrics_render(struct metrics *metrics, struct buf *buf)
{
    pthread_mutex_lock(&metrics->lock);
    list_for_each (node, &metrics->families)
        put_family(buf, container_of(node, struct metrics_family, link));
    int r = collect(metrics, buf);
    pthread_mutex_unlock(&metrics->lock);
    return r < 0 ? r : buf_error(buf);
}
