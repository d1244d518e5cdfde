/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry's inside, shared by metrics.c, which registers, and metrics_render.c, which writes.
 */
#pragma once

#include "base/list.h"
#include "base/metrics.h"

#include <pthread.h>

/* What all metrics of a family have in common, beside the name. */
struct metrics_kind {
    enum metrics_type type;
    enum metrics_unit unit;
    size_t n_bounds; /* of a histogram */
    uint64_t bounds[METRICS_BOUNDS_MAX];
};

/* Where the values of a series come from: a function, or cells when there is none. */
struct metrics_source {
    double (*fn)(void *ctx);
    void *ctx;
    struct metrics_cells cells;
};

/* All metrics of one name. */
struct metrics_family {
    struct list link; /* in metrics->families */
    char *name;
    char *help;
    struct metrics_kind kind;
    struct list series;
};

/* One name with one set of labels. */
struct metrics_series {
    struct list link; /* in family->series */
    struct metrics_family *family;
    struct buf labels; /* as they are written: `code="200",method="GET"` */
    struct metrics_source source;
};

/* Somebody who writes families of his own into each rendering. */
struct metrics_collector {
    struct list link; /* in metrics->collectors */
    void (*fn)(void *ctx, struct metrics_page *page);
    void *ctx;
};

struct metrics_page {
    struct buf *buf;
    const char *name; /* of the family that was begun */
    enum metrics_type type;
    struct buf labels; /* of the sample that is written */
};

/* What stands between the braces; in metrics.c. */
void metrics_put_labels(struct buf *buf, const struct metrics_label *labels, size_t n_labels);
bool metrics_is_valid(const struct metrics_desc *desc, enum metrics_type type);

/* The cells of METRICS_SLOT_CELLS metrics: for each slot a row. */
struct metrics_block {
    struct metrics_block *next;
    void *memory;
    _Atomic uint64_t *cells; /* in memory, at the start of a cache line */
    size_t n_taken;
};

struct metrics {
    unsigned n_slots;
    pthread_mutex_t lock; /* for all below; the cells are written without it */
    struct list families; /* in the order of registration */
    struct list collectors;
    struct metrics_block *blocks;
};
