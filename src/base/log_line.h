/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of the log in one of its formats; private to log.c and its tests. Pure: a moment, a message and fields in,
 * bytes out.
 */
#pragma once

#include "base/log.h"

#include <stdbool.h>

struct log_line {
    char text[LOG_LINE_MAX];
    size_t len;
    bool cut; /* something did not fit */
};

struct log_style {
    enum log_format format; /* not LOG_FORMAT_AUTO */
    bool colour;            /* for LOG_FORMAT_TEXT */
};

const char *log_level_name(enum log_level level);

/* Builds a line with its newline. */
void log_line_build(struct log_line *line, struct log_style style, nsec_t wall, enum log_level level,
                    const char *message, const struct log_field *fields, size_t n_fields);
