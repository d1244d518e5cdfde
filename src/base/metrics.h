/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics of the process: counters, gauges and histograms, registered by name and labels, written in the Prometheus
 * text format 0.0.4.
 *
 * Counting costs a worker a plain add to a cell of its own: every metric has one cell per slot, each thread that counts
 * has a slot number (below n_slots) to itself, and the cells of one slot lie together, away from those of the others.
 * The reader adds the slots up.
 *
 * Registering and rendering: any thread, under a lock that counting never takes. A registered metric lives as long as
 * the registry; its handle is copied freely.
 */
#pragma once

#include "base/assert.h"
#include "base/buf.h"
#include "base/counter.h"

#include <stdatomic.h>

/* Bytes between the cells of one metric in neighbouring slots: a page each. */
#define METRICS_SLOT_CELLS 512

/* Bounds of a histogram, at most. */
#define METRICS_BOUNDS_MAX 64

struct metrics;

/* 0, -ENOMEM. */
int metrics_new(unsigned n_slots, struct metrics **ret_metrics);

/* All handles end with it. Accepts NULL. */
void metrics_free(struct metrics *metrics);

/*
 * What a metric is called. All strings are copied.
 *
 * Metrics of one name and different labels form a family; help, type and bounds are those of its first. Registering
 * gives -EINVAL for a name or label that Prometheus refuses, for a type or bounds that differ from the family's, and
 * for a counter whose name does not end in "_total" (or another that does); -EEXIST when this name with these labels is
 * there; -ENOMEM. Label values may hold any bytes; what is not UTF-8 is replaced.
 */
struct metrics_label {
    const char *name;
    struct slice value;
};

struct metrics_desc {
    const char *name;
    const char *help;
    const struct metrics_label *labels;
    size_t n_labels;
};

/* n_slots times METRICS_SLOT_CELLS apart. One writer per slot, so a relaxed load and store add without a locked bus. */
struct metrics_cells {
    _Atomic uint64_t *first;
    unsigned n_slots;
};

static inline void metrics_cell_add(struct metrics_cells cells, size_t index, unsigned slot, uint64_t n)
{
    ASSERT(slot < cells.n_slots);
    counter_add(cells.first + index + (size_t)slot * METRICS_SLOT_CELLS, n);
}

/* Counters only grow. */
struct metrics_counter {
    struct metrics_cells cells;
};

int metrics_register_counter(struct metrics *metrics, const struct metrics_desc *desc,
                             struct metrics_counter *ret_counter);

static inline void metrics_counter_add(const struct metrics_counter *counter, unsigned slot, uint64_t n)
{
    metrics_cell_add(counter->cells, 0, slot, n);
}

/* Gauges go up and down. What one slot adds another may take away: the value is the sum. */
struct metrics_gauge {
    struct metrics_cells cells;
};

int metrics_register_gauge(struct metrics *metrics, const struct metrics_desc *desc, struct metrics_gauge *ret_gauge);

static inline void metrics_gauge_add(const struct metrics_gauge *gauge, unsigned slot, int64_t n)
{
    metrics_cell_add(gauge->cells, 0, slot, (uint64_t)n);
}

/* A value that is known elsewhere and asked for by each rendering, in its thread; fn must not use the registry. */
int metrics_register_counter_fn(struct metrics *metrics, const struct metrics_desc *desc, double (*fn)(void *ctx),
                                void *ctx);
int metrics_register_gauge_fn(struct metrics *metrics, const struct metrics_desc *desc, double (*fn)(void *ctx),
                              void *ctx);

/* What a histogram observes; Prometheus wants seconds, nanoseconds are counted. */
enum metrics_unit {
    METRICS_UNIT_ONE,
    METRICS_UNIT_NSEC,
};

/* Observed values sorted into buckets by their upper bounds, which are included; the last bucket has none. */
struct metrics_histogram {
    struct metrics_cells cells; /* n_bounds + 1 buckets, then the sum */
    const uint64_t *bounds;
    size_t n_bounds;
};

/* The bounds are copied; they must rise, and be 1 to METRICS_BOUNDS_MAX. */
int metrics_register_histogram(struct metrics *metrics, const struct metrics_desc *desc, enum metrics_unit unit,
                               const uint64_t *bounds, size_t n_bounds, struct metrics_histogram *ret_histogram);

static inline void metrics_histogram_observe(const struct metrics_histogram *histogram, unsigned slot, uint64_t value)
{
    size_t bucket = 0;
    while (bucket < histogram->n_bounds && value > histogram->bounds[bucket])
        bucket++;
    metrics_cell_add(histogram->cells, bucket, slot, 1);
    metrics_cell_add(histogram->cells, histogram->n_bounds + 1, slot, value);
}

/*
 * Families whose members come and go, such as those of services: fn is called by each rendering, in its thread and
 * under the registry's lock, and writes what there is at the moment. Nothing of it is kept. Names are checked as above,
 * by assertion; it is for the collector to write no name that is registered, and no labels twice.
 */
struct metrics_page;
int metrics_register_collector(struct metrics *metrics, void (*fn)(void *ctx, struct metrics_page *page), void *ctx);

/* For collectors: begins a family; then its samples, each with its labels. Types are those of the text format. */
enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };
void metrics_page_family(struct metrics_page *page, const char *name, enum metrics_type type, const char *help);
void metrics_page_sample(struct metrics_page *page, const struct metrics_label *labels, size_t n_labels,
                         uint64_t value);
/* Counts are those of each bucket alone, n_bounds + 1 of them; bounds and sum are in nanoseconds, shown in seconds. */
struct metrics_buckets {
    const uint64_t *bounds_ns, *counts;
    size_t n_bounds;
    uint64_t sum_ns;
};
void metrics_page_histogram(struct metrics_page *page, const struct metrics_label *labels, size_t n_labels,
                            const struct metrics_buckets *buckets);

/* Appends all metrics. 0, or the error of buf. */
int metrics_render(struct metrics *metrics, struct buf *buf);
