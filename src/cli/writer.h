/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How commands print what they found: one record of named fields and lists of records, as a table for people or as JSON
 * for programs. A command describes its answer once; `--output` chooses the writer.
 *
 * Names of fields are static strings and those of the JSON; the table shows them without their unit ("_ms", "_bytes")
 * and the value in a unit that reads well.
 */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

struct writer;

struct writer_ops {
    void (*text)(struct writer *writer, const char *name, const char *value);
    void (*number)(struct writer *writer, const char *name, int64_t value);
    void (*truth)(struct writer *writer, const char *name, bool value);
    void (*open_list)(struct writer *writer, const char *name);
    void (*open_record)(struct writer *writer);
    void (*close_record)(struct writer *writer);
    void (*close_list)(struct writer *writer);
    int (*finish)(struct writer *writer); /* 0 or -ENOMEM; frees the writer */
};

struct writer {
    const struct writer_ops *ops;
    FILE *out;
};

/* NULL when out of memory. */
struct writer *writer_new_table(FILE *out, bool color);
struct writer *writer_new_json(FILE *out);

static inline void writer_text(struct writer *writer, const char *name, const char *value)
{
    writer->ops->text(writer, name, value);
}

/* name ends in "_ms" for a duration and in "_bytes" for a size. */
static inline void writer_number(struct writer *writer, const char *name, int64_t value)
{
    writer->ops->number(writer, name, value);
}

static inline void writer_truth(struct writer *writer, const char *name, bool value)
{
    writer->ops->truth(writer, name, value);
}

/* A list of records that have the same fields in the same order; lists do not nest. */
static inline void writer_open_list(struct writer *writer, const char *name)
{
    writer->ops->open_list(writer, name);
}

static inline void writer_open_record(struct writer *writer)
{
    writer->ops->open_record(writer);
}

static inline void writer_close_record(struct writer *writer)
{
    writer->ops->close_record(writer);
}

static inline void writer_close_list(struct writer *writer)
{
    writer->ops->close_list(writer);
}

/* Writes what is left and frees the writer. 0 or -ENOMEM. */
static inline int writer_finish(struct writer *writer)
{
    return writer->ops->finish(writer);
}
