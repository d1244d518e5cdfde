/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry's inside, shared by metrics.c, which registers, and metrics_render.c, which writes.
 */
#pragma once

#include "base/list.h"
#include "base/metrics.h"

#include <pthread.h>

enum metrics_type {
    METRICS_COUNTER,
    METRICS_GAUGE,
    METRICS_HISTOGRAM,
};

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
    struct metrics_block *blocks;
};
