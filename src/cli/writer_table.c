/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for people. Cells are gathered until their widths are known: the fields of the record as "name  value" lines,
 * each list as a table with a header.
 *
 * Cells lie one behind the other in one buf, each with its NUL; a row has as many as its table has columns.
 */
#include "cli/writer.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/util.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 16
#define COLUMN_GAP  2

struct table_writer {
    struct writer writer;
    bool color;
    bool in_list;
    bool has_output; /* a table was printed: the next one is set off by an empty line */
    unsigned column; /* of the next cell */
    unsigned n_columns;
    const char *names[COLUMNS_MAX];
    size_t widths[COLUMNS_MAX];
    struct buf cells;
    int error;
};

static struct table_writer *table_of(struct writer *writer)
{
    return container_of(writer, struct table_writer, writer);
}

/* How many columns of a terminal a UTF-8 text takes: one for each character. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* The name without its unit, with blanks for underscores. */
static void shown_name(const char *name, char ret_text[64])
{
    static const char *const units[] = {"_ms", "_bytes"};
    size_t len = min_size(strlen(name), 63);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t unit_len = strlen(units[i]);
        if (len > unit_len && strcmp(name + len - unit_len, units[i]) == 0)
            len -= unit_len;
    }
    for (size_t i = 0; i < len; i++)
        ret_text[i] = name[i] == '_' ? ' ' : name[i];
    ret_text[len] = '\0';
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* What a server said is shown, not obeyed: control characters would move the cursor of the reader's terminal. */
static void add_cell(struct table_writer *table, const char *text)
{
    ASSERT(table->column < COLUMNS_MAX);
    table->widths[table->column] = max_size(table->widths[table->column], text_width(text));
    table->column++;
    for (const char *c = text; *c; c++)
        buf_append_char(&table->cells, (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c);
    buf_append_char(&table->cells, '\0');
    if (buf_error(&table->cells) < 0)
        table->error = buf_error(&table->cells);
}

static void reset(struct table_writer *table)
{
    table->column = table->n_columns = 0;
    memset(table->widths, 0, sizeof(table->widths));
    buf_reset(&table->cells);
}

static void print_padded(struct table_writer *table, const char *text, unsigned column, unsigned n_columns)
{
    fputs(text, table->writer.out);
    if (column + 1 < n_columns)
        fprintf(table->writer.out, "%*s", (int)(table->widths[column] - text_width(text)) + COLUMN_GAP, "");
}

static void print_rows(struct table_writer *table, unsigned n_columns)
{
    unsigned column = 0;
    struct slice rest = table->error ? (struct slice){0} : buf_slice(&table->cells);
    while (!slice_is_empty(rest)) {
        print_padded(table, rest.ptr, column, n_columns);
        rest = slice_skip(rest, strlen(rest.ptr) + 1);
        column = (column + 1) % n_columns;
        if (column == 0)
            fputc('\n', table->writer.out);
    }
}

static void separate(struct table_writer *table)
{
    if (table->has_output)
        fputc('\n', table->writer.out);
    table->has_output = true;
}

/* Prints the fields gathered outside of lists. */
static void flush_fields(struct table_writer *table)
{
    if (table->cells.len > 0) {
        separate(table);
        print_rows(table, 2);
    }
    reset(table);
}

static void table_text(struct writer *writer, const char *name, const char *value)
{
    struct table_writer *table = table_of(writer);
    char shown[64];
    shown_name(name, shown);
    if (!table->in_list) {
        table->column = 0;
        add_cell(table, shown);
    } else if (table->column == table->n_columns) { /* the first record names the columns */
        ASSERT(table->n_columns < COLUMNS_MAX);
        table->names[table->n_columns] = name;
        table->widths[table->n_columns++] = text_width(shown);
    }
    add_cell(table, *value ? value : "-");
}

static void format_duration(int64_t ms, char *ret_text, size_t size)
{
    int64_t s = ms / 1000, m = s / 60, h = m / 60, d = h / 24;
    if (d > 0)
        snprintf(ret_text, size, "%" PRId64 "d %" PRId64 "h", d, h % 24);
    else if (h > 0)
        snprintf(ret_text, size, "%" PRId64 "h %" PRId64 "m", h, m % 60);
    else if (m > 0)
        snprintf(ret_text, size, "%" PRId64 "m %" PRId64 "s", m, s % 60);
    else
        snprintf(ret_text, size, "%.1fs", (double)ms / 1000);
}

static void format_size(int64_t bytes, char *ret_text, size_t size)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    double value = (double)bytes / 1000;
    size_t unit = 0;
    for (; value >= 1000 && unit + 1 < ARRAY_LEN(units); unit++)
        value /= 1000;
    snprintf(ret_text, size, "%.1f %s", value, units[unit]);
}

static void table_number(struct writer *writer, const char *name, int64_t value)
{
    char text[32];
    if (ends_with(name, "_ms"))
        format_duration(value, text, sizeof(text));
    else if (ends_with(name, "_bytes"))
        format_size(value, text, sizeof(text));
    else
        snprintf(text, sizeof(text), "%" PRId64, value);
    table_text(writer, name, text);
}

static void table_truth(struct writer *writer, const char *name, bool value)
{
    table_text(writer, name, value ? "yes" : "no");
}

static void table_open_list(struct writer *writer, const char *name)
{
    (void)name; /* the header's column names say what the list is of */
    flush_fields(table_of(writer));
    table_of(writer)->in_list = true;
}

static void table_open_record(struct writer *writer)
{
    table_of(writer)->column = 0;
}

static void table_close_record(struct writer *writer)
{
    ASSERT(table_of(writer)->column == table_of(writer)->n_columns);
}

static void table_close_list(struct writer *writer)
{
    struct table_writer *table = table_of(writer);
    table->in_list = false;
    if (table->n_columns > 0) {
        separate(table);
        fputs(table->color ? "\x1b[1m" : "", writer->out);
        for (unsigned i = 0; i < table->n_columns; i++) {
            char shown[64];
            shown_name(table->names[i], shown);
            print_padded(table, shown, i, table->n_columns);
        }
        fputs(table->color ? "\x1b[0m\n" : "\n", writer->out);
        print_rows(table, table->n_columns);
    }
    reset(table);
}

static int table_finish(struct writer *writer)
{
    struct table_writer *table = table_of(writer);
    flush_fields(table);
    int error = table->error;
    buf_deinit(&table->cells);
    free(table);
    return error;
}

struct writer *writer_new_table(FILE *out, bool color)
{
    static const struct writer_ops ops = {
        .text = table_text,
        .number = table_number,
        .truth = table_truth,
        .open_list = table_open_list,
        .open_record = table_open_record,
        .close_record = table_close_record,
        .close_list = table_close_list,
        .finish = table_finish,
    };
    struct table_writer *table = calloc(1, sizeof(*table));
    if (!table)
        return NULL;
    table->writer = (struct writer){&ops, out};
    table->color = color;
    return &table->writer;
}
