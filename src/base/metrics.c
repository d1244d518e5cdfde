/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registration. Cells come from blocks that are never moved or freed before the registry is, so that a worker counts
 * through its handle without a lock while others register.
 *
 * A row of a block is a page of one slot's cells. Rows of different slots thus never share a cache line, while the
 * metrics that one worker touches together lie close together.
 */
#include "base/metrics.h"

#include "base/metrics_priv.h"
#include "base/utf8.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>

#define CACHE_LINE 64

int metrics_new(unsigned n_slots, struct metrics **ret_metrics)
{
    ASSERT(n_slots > 0);
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    if (!metrics)
        return -ENOMEM;
    metrics->n_slots = n_slots;
    pthread_mutex_init(&metrics->lock, NULL);
    list_init(&metrics->families);
    list_init(&metrics->collectors);
    *ret_metrics = metrics;
    return 0;
}

static void series_free(struct metrics_series *series)
{
    if (!series)
        return;
    list_remove(&series->link);
    buf_deinit(&series->labels);
    free(series);
}

static void series_freep(struct metrics_series **series)
{
    series_free(*series);
}

static void family_free(struct metrics_family *family)
{
    if (!family)
        return;
    list_for_each (node, &family->series)
        series_free(container_of(node, struct metrics_series, link));
    list_remove(&family->link);
    free(family->name);
    free(family->help);
    free(family);
}

static void family_freep(struct metrics_family **family)
{
    family_free(*family);
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    list_for_each (node, &metrics->families)
        family_free(container_of(node, struct metrics_family, link));
    list_for_each (node, &metrics->collectors)
        free(container_of(node, struct metrics_collector, link));
    struct metrics_block *next;
    for (struct metrics_block *block = metrics->blocks; block; block = next) {
        next = block->next;
        free(block->memory);
        free(block);
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

/* [a-zA-Z_][a-zA-Z0-9_]*, in metric names with ':' among the letters. */
static bool is_name(const char *name, bool colons)
{
    for (const char *at = name; *at; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_' || (colons && *at == ':');
        bool digit = *at >= '0' && *at <= '9';
        if (!letter && !(digit && at > name))
            return false;
    }
    return name[0] != '\0';
}

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);
    return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* Names that begin with "__" are Prometheus' own, and "le" is what a histogram adds itself. */
static bool is_label_name(const char *name)
{
    return is_name(name, false) && strncmp(name, "__", 2) != 0 && strcmp(name, "le") != 0;
}

bool metrics_is_valid(const struct metrics_desc *desc, enum metrics_type type)
{
    if (!is_name(desc->name, true) || ends_with(desc->name, "_total") != (type == METRICS_COUNTER))
        return false;
    for (size_t i = 0; i < desc->n_labels; i++) {
        if (!is_label_name(desc->labels[i].name))
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(desc->labels[i].name, desc->labels[j].name) == 0)
                return false;
    }
    return true;
}

/* Escapes backslash, quote and newline, replaces what is not UTF-8: Prometheus refuses a page for one bad byte. */
static void put_label_value(struct buf *buf, struct slice value)
{
    while (value.len > 0) {
        uint32_t point;
        size_t n = utf8_decode(value, &point);
        if (n == 0)
            (void)buf_append_str(buf, UTF8_REPLACEMENT);
        else if (point == '\n')
            (void)buf_append_str(buf, "\\n");
        else if (point == '"' || point == '\\')
            (void)buf_printf(buf, "\\%c", (char)point);
        else
            (void)buf_append(buf, slice_from(value.ptr, n));
        value = slice_skip(value, n > 0 ? n : 1);
    }
}

void metrics_put_labels(struct buf *buf, const struct metrics_label *labels, size_t n_labels)
{
    for (size_t i = 0; i < n_labels; i++) {
        (void)buf_printf(buf, "%s%s=\"", i > 0 ? "," : "", labels[i].name);
        put_label_value(buf, labels[i].value);
        (void)buf_append_char(buf, '"');
    }
}

static struct metrics_series *series_new(const struct metrics_desc *desc)
{
    CLEANUP(series_freep) struct metrics_series *series = calloc(1, sizeof(*series));
    if (!series)
        return NULL;
    list_init(&series->link);
    metrics_put_labels(&series->labels, desc->labels, desc->n_labels);
    return buf_error(&series->labels) ? NULL : TAKE(series);
}

static struct metrics_family *family_new(const struct metrics_desc *desc, const struct metrics_kind *kind)
{
    CLEANUP(family_freep) struct metrics_family *family = calloc(1, sizeof(*family));
    if (!family)
        return NULL;
    list_init(&family->link);
    list_init(&family->series);
    family->kind = *kind;
    family->name = slice_dup(slice_from_str(desc->name));
    family->help = slice_dup(slice_from_str(desc->help));
    return family->name && family->help ? TAKE(family) : NULL;
}

static struct metrics_family *family_find(const struct metrics *metrics, const char *name)
{
    list_for_each (node, &metrics->families) {
        struct metrics_family *family = container_of(node, struct metrics_family, link);
        if (strcmp(family->name, name) == 0)
            return family;
    }
    return NULL;
}

static bool kind_equal(const struct metrics_kind *a, const struct metrics_kind *b)
{
    return a->type == b->type && a->unit == b->unit && a->n_bounds == b->n_bounds &&
           memcmp(a->bounds, b->bounds, a->n_bounds * sizeof(a->bounds[0])) == 0;
}

static bool family_has(const struct metrics_family *family, struct slice labels)
{
    list_for_each (node, &family->series)
        if (slice_equal(buf_slice(&container_of(node, struct metrics_series, link)->labels), labels))
            return true;
    return false;
}

/* How many cells a series has: one, or those of the buckets and the sum. */
static size_t count_cells(const struct metrics_kind *kind)
{
    return kind->type == METRICS_HISTOGRAM ? kind->n_bounds + 2 : 1;
}

static struct metrics_block *block_new(unsigned n_slots)
{
    struct metrics_block *block = calloc(1, sizeof(*block));
    if (!block)
        return NULL;
    block->memory = calloc((size_t)n_slots * METRICS_SLOT_CELLS + CACHE_LINE / sizeof(uint64_t), sizeof(uint64_t));
    if (!block->memory) {
        free(block);
        return NULL;
    }
    uintptr_t past = (uintptr_t)block->memory % CACHE_LINE;
    block->cells = (_Atomic uint64_t *)(void *)((char *)block->memory + (past > 0 ? CACHE_LINE - past : 0));
    return block;
}

/* Takes n neighbouring cells of each slot; 0, -ENOMEM. */
static int take_cells(struct metrics *metrics, size_t n, struct metrics_cells *ret_cells)
{
    ASSERT(n <= METRICS_SLOT_CELLS);
    struct metrics_block *block = metrics->blocks;
    if (!block || n > METRICS_SLOT_CELLS - block->n_taken) {
        block = block_new(metrics->n_slots);
        if (!block)
            return -ENOMEM;
        block->next = metrics->blocks;
        metrics->blocks = block;
    }
    *ret_cells = (struct metrics_cells){.first = block->cells + block->n_taken, .n_slots = metrics->n_slots};
    block->n_taken += n;
    return 0;
}

/* Puts a series into the family of its name, which is made if need be. Called with the lock held. */
static int add_series(struct metrics *metrics, const struct metrics_desc *desc, const struct metrics_kind *kind,
                      struct metrics_series *series)
{
    CLEANUP(family_freep) struct metrics_family *made = NULL;
    struct metrics_family *family = family_find(metrics, desc->name);
    if (!family)
        family = made = family_new(desc, kind);
    if (!family)
        return -ENOMEM;
    if (!kind_equal(&family->kind, kind))
        return -EINVAL;
    if (family_has(family, buf_slice(&series->labels)))
        return -EEXIST;
    if (!series->source.fn) {
        int r = take_cells(metrics, count_cells(kind), &series->source.cells);
        if (r < 0)
            return r;
    }
    if (made)
        list_push_back(&metrics->families, &TAKE(made)->link);
    series->family = family;
    list_push_back(&family->series, &series->link);
    return 0;
}

static int register_series(struct metrics *metrics, const struct metrics_desc *desc, const struct metrics_kind *kind,
                           struct metrics_source source, const struct metrics_series **ret_series)
{
    if (!metrics_is_valid(desc, kind->type))
        return -EINVAL;
    CLEANUP(series_freep) struct metrics_series *series = series_new(desc);
    if (!series)
        return -ENOMEM;
    series->source = source;

    pthread_mutex_lock(&metrics->lock);
    int r = add_series(metrics, desc, kind, series);
    pthread_mutex_unlock(&metrics->lock);
    if (r < 0)
        return r;
    *ret_series = TAKE(series);
    return 0;
}

int metrics_register_counter(struct metrics *metrics, const struct metrics_desc *desc,
                             struct metrics_counter *ret_counter)
{
    const struct metrics_series *series;
    const struct metrics_kind kind = {.type = METRICS_COUNTER};
    int r = register_series(metrics, desc, &kind, (struct metrics_source){0}, &series);
    if (r < 0)
        return r;
    *ret_counter = (struct metrics_counter){series->source.cells};
    return 0;
}

int metrics_register_gauge(struct metrics *metrics, const struct metrics_desc *desc, struct metrics_gauge *ret_gauge)
{
    const struct metrics_series *series;
    const struct metrics_kind kind = {.type = METRICS_GAUGE};
    int r = register_series(metrics, desc, &kind, (struct metrics_source){0}, &series);
    if (r < 0)
        return r;
    *ret_gauge = (struct metrics_gauge){series->source.cells};
    return 0;
}

int metrics_register_counter_fn(struct metrics *metrics, const struct metrics_desc *desc, double (*fn)(void *ctx),
                                void *ctx)
{
    ASSERT(fn);
    const struct metrics_series *series;
    const struct metrics_kind kind = {.type = METRICS_COUNTER};
    return register_series(metrics, desc, &kind, (struct metrics_source){.fn = fn, .ctx = ctx}, &series);
}

int metrics_register_gauge_fn(struct metrics *metrics, const struct metrics_desc *desc, double (*fn)(void *ctx),
                              void *ctx)
{
    ASSERT(fn);
    const struct metrics_series *series;
    const struct metrics_kind kind = {.type = METRICS_GAUGE};
    return register_series(metrics, desc, &kind, (struct metrics_source){.fn = fn, .ctx = ctx}, &series);
}

int metrics_register_histogram(struct metrics *metrics, const struct metrics_desc *desc, enum metrics_unit unit,
                               const uint64_t *bounds, size_t n_bounds, struct metrics_histogram *ret_histogram)
{
    struct metrics_kind kind = {.type = METRICS_HISTOGRAM, .unit = unit, .n_bounds = n_bounds};
    if (n_bounds < 1 || n_bounds > METRICS_BOUNDS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n_bounds; i++) {
        if (i > 0 && bounds[i] <= bounds[i - 1])
            return -EINVAL;
        kind.bounds[i] = bounds[i];
    }

    const struct metrics_series *series;
    int r = register_series(metrics, desc, &kind, (struct metrics_source){0}, &series);
    if (r < 0)
        return r;
    *ret_histogram = (struct metrics_histogram){
        .cells = series->source.cells,
        .bounds = series->family->kind.bounds,
        .n_bounds = n_bounds,
    };
    return 0;
}

int metrics_register_collector(struct metrics *metrics, void (*fn)(void *ctx, struct metrics_page *page), void *ctx)
{
    struct metrics_collector *collector = calloc(1, sizeof(*collector));
    if (!collector)
        return -ENOMEM;
    list_init(&collector->link);
    collector->fn = fn;
    collector->ctx = ctx;
    pthread_mutex_lock(&metrics->lock);
    list_push_back(&metrics->collectors, &collector->link);
    pthread_mutex_unlock(&metrics->lock);
    return 0;
}
