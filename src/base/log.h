/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: an object that the daemon makes and hands down to what may log. One line per event, a constant message and
 * what varies in fields:
 *
 *     log_warn(log, "instance failed its check", log_str("service", name), log_duration("after", elapsed));
 *
 * gives, as text on a terminal, as logfmt or as JSON:
 *
 *     2026-11-21T11:18:34.123Z warn  instance failed its check service=web after=1.5s
 *     ts=2026-11-21T11:18:34.123Z level=warn msg="instance failed its check" service=web after=1.5s
 *     {"ts":"2026-11-21T11:18:34.123Z","level":"warn","msg":"instance failed its check","service":"web","after":1.5}
 *
 * The message is also the key for repeats: lines with one message beyond `repeat_max` within `repeat_interval_ns` are
 * counted instead of written, and the count follows when the interval has ended (`repeated=42`).
 *
 * Any thread may log. A line is one write(2) of at most LOG_LINE_MAX bytes and no allocation; what is longer is cut
 * with "…". Values are escaped: no peer can forge a line, drive the terminal, or make JSON invalid. A failed write
 * loses its line. A NULL log swallows everything.
 */
#pragma once

#include "base/slice.h"
#include "base/time.h"

/* PIPE_BUF: lines of several processes never mix in one pipe. */
#define LOG_LINE_MAX 4096

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
};

enum log_format {
    LOG_FORMAT_AUTO, /* text on a terminal, else logfmt */
    LOG_FORMAT_TEXT, /* coloured on a terminal, unless NO_COLOR is set in the environment */
    LOG_FORMAT_LOGFMT,
    LOG_FORMAT_JSON,
};

struct log_options {
    int fd; /* stays the caller's */
    enum log_level level;
    enum log_format format;
    unsigned repeat_max;                /* 0: 20 */
    nsec_t repeat_interval_ns;          /* 0: 5 s */
    nsec_t (*wall_now)(void *wall_ctx); /* since 1970, for tests; NULL: the system's clock */
    void *wall_ctx;
};

struct log;

/* 0, -ENOMEM. */
int log_new(const struct log_options *options, struct log **ret_log);

/* Writes the counts of repeats that are left. Accepts NULL. */
void log_free(struct log *log);

/* Lines below this level are dropped. May be changed at any time, by any thread. */
void log_set_level(struct log *log, enum log_level level);

/* Writes the counts of repeats whose interval has ended; each line logged does so too. For a slow timer. */
void log_flush(struct log *log);

/* A key, which is a string literal of letters, digits and '_', and a value that need live no longer than the call. */
struct log_field {
    const char *key;
    enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_DURATION } type;
    union {
        struct slice str;
        int64_t number;
        nsec_t duration_ns;
    };
};

static inline struct log_field log_str(const char *key, struct slice value)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_STR, .str = value};
}

static inline struct log_field log_text(const char *key, const char *value)
{
    return log_str(key, slice_from_str(value));
}

static inline struct log_field log_int(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_INT, .number = value};
}

static inline struct log_field log_duration(const char *key, nsec_t value)
{
    return (struct log_field){.key = key, .type = LOG_FIELD_DURATION, .duration_ns = value};
}

/* The message must live as long as the log: it is a string literal. */
void log_write(struct log *log, enum log_level level, const char *message, const struct log_field *fields,
               size_t n_fields);

#define log_debug(log, message, ...) LOG_WRITE(log, LOG_LEVEL_DEBUG, message, __VA_ARGS__)
#define log_info(log, message, ...)  LOG_WRITE(log, LOG_LEVEL_INFO, message, __VA_ARGS__)
#define log_warn(log, message, ...)  LOG_WRITE(log, LOG_LEVEL_WARN, message, __VA_ARGS__)
#define log_error(log, message, ...) LOG_WRITE(log, LOG_LEVEL_ERROR, message, __VA_ARGS__)

#define LOG_WRITE(log, level, message, ...)                                                                            \
    log_write(log, level, "" message, (struct log_field[]){__VA_ARGS__},                                               \
              sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
