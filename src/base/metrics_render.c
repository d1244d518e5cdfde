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
static void put_sample(struct buf *buf, const struct metrics_series *series, const char *suffix)
{
    (void)buf_append_str(buf, series->family->name);
    (void)buf_append_str(buf, suffix);
    if (series->labels.len > 0) {
        (void)buf_append_char(buf, '{');
        (void)buf_append(buf, buf_slice(&series->labels));
        (void)buf_append_char(buf, '}');
    }
    (void)buf_append_char(buf, ' ');
}

/* One bucket's line; index n_bounds is the last one, without bound. */
static void put_bucket(struct buf *buf, const struct metrics_series *series, size_t index, uint64_t count)
{
    const struct metrics_kind *kind = &series->family->kind;
    (void)buf_append_str(buf, series->family->name);
    (void)buf_append_str(buf, "_bucket{");
    (void)buf_append(buf, buf_slice(&series->labels));
    (void)buf_append_str(buf, series->labels.len > 0 ? ",le=\"" : "le=\"");
    if (index < kind->n_bounds)
        put_counted(buf, kind->unit, kind->bounds[index]);
    else
        (void)buf_append_str(buf, "+Inf");
    (void)buf_append_str(buf, "\"} ");
    (void)buf_append_u64(buf, count);
    (void)buf_append_char(buf, '\n');
}

static void put_histogram(struct buf *buf, const struct metrics_series *series)
{
    const struct metrics_kind *kind = &series->family->kind;
    struct metrics_cells cells = series->source.cells;
    uint64_t count = 0;
    for (size_t i = 0; i <= kind->n_bounds; i++) {
        count += sum_slots(cells, i);
        put_bucket(buf, series, i, count);
    }
    put_sample(buf, series, "_sum");
    put_counted(buf, kind->unit, sum_slots(cells, kind->n_bounds + 1));
    (void)buf_append_char(buf, '\n');
    put_sample(buf, series, "_count");
    (void)buf_append_u64(buf, count);
    (void)buf_append_char(buf, '\n');
}

static void put_series(struct buf *buf, const struct metrics_series *series)
{
    enum metrics_type type = series->family->kind.type;
    if (type == METRICS_HISTOGRAM) {
        put_histogram(buf, series);
        return;
    }
    put_sample(buf, series, "");
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

static void put_family(struct buf *buf, const struct metrics_family *family)
{
    static const char *const types[] = {
        [METRICS_COUNTER] = "counter",
        [METRICS_GAUGE] = "gauge",
        [METRICS_HISTOGRAM] = "histogram",
    };
    (void)buf_printf(buf, "# HELP %s ", family->name);
    put_help(buf, family->help);
    (void)buf_printf(buf, "\n# TYPE %s %s\n", family->name, types[family->kind.type]);
    list_for_each (node, &family->series)
        put_series(buf, container_of(node, struct metrics_series, link));
}

int metrics_render(struct metrics *metrics, struct buf *buf)
{
    pthread_mutex_lock(&metrics->lock);
    list_for_each (node, &metrics->families)
        put_family(buf, container_of(node, struct metrics_family, link));
    pthread_mutex_unlock(&metrics->lock);
    return buf_error(buf);
}
