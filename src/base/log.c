/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mutex guards the repeats and the line that is being built, and is held over the write: lines come out in the
 * order of their times, and no stack carries a line. Logging is off the hot paths, so waiting for it is rare.
 *
 * Repeats are counted in a small table of slots, each for one message at a time. Two messages that fall into one slot
 * drive each other out, which only means that fewer of their lines are held back.
 *
 * Invariant: n_held_back is the sum of held_back over all slots, so that a line without repeats costs no look at them.
 */
#include "base/log.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/log_line.h"
#include "base/util.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define REPEAT_MAX      20
#define REPEAT_INTERVAL (5 * NSEC_PER_SEC)
#define REPEAT_SLOTS    64

/* The lines with one message since `since`. */
struct repeat {
    const char *message; /* NULL: the slot is free */
    enum log_level level;
    nsec_t since;
    unsigned written;
    unsigned held_back;
};

struct log {
    int fd;
    struct log_style style;
    unsigned repeat_max;
    nsec_t repeat_interval_ns;
    nsec_t (*wall_now)(void *wall_ctx);
    void *wall_ctx;
    _Atomic int level;

    pthread_mutex_t lock; /* for all below */
    struct repeat repeats[REPEAT_SLOTS];
    unsigned n_held_back;
    struct log_line line;
};

static nsec_t system_wall_now(void *wall_ctx)
{
    (void)wall_ctx;
    return time_wall_now();
}

static struct log_style choose_style(int fd, enum log_format format)
{
    bool terminal = isatty(fd);
    const char *no_colour = getenv("NO_COLOR");
    if (format == LOG_FORMAT_AUTO)
        format = terminal ? LOG_FORMAT_TEXT : LOG_FORMAT_LOGFMT;
    return (struct log_style){.format = format, .colour = terminal && !(no_colour && no_colour[0] != '\0')};
}

int log_new(const struct log_options *options, struct log **ret_log)
{
    struct log *log = calloc(1, sizeof(*log));
    if (!log)
        return -ENOMEM;
    log->fd = options->fd;
    log->style = choose_style(options->fd, options->format);
    log->repeat_max = options->repeat_max ? options->repeat_max : REPEAT_MAX;
    log->repeat_interval_ns = options->repeat_interval_ns ? options->repeat_interval_ns : REPEAT_INTERVAL;
    log->wall_now = options->wall_now ? options->wall_now : system_wall_now;
    log->wall_ctx = options->wall_ctx;
    atomic_init(&log->level, options->level);
    pthread_mutex_init(&log->lock, NULL);
    *ret_log = log;
    return 0;
}

void log_set_level(struct log *log, enum log_level level)
{
    atomic_store_explicit(&log->level, level, memory_order_relaxed);
}

/* Writes one line. Called with the lock held, like all that follows down to log_write. */
static void emit(struct log *log, nsec_t now, enum log_level level, const char *message, const struct log_field *fields,
                 size_t n_fields)
{
    log_line_build(&log->line, log->style, now, level, message, fields, n_fields);
    ssize_t n;
    do
        n = write(log->fd, log->line.text, log->line.len);
    while (n < 0 && errno == EINTR);
}

/* Writes how many lines were held back and frees the slot. */
static void repeat_end(struct log *log, struct repeat *repeat, nsec_t now)
{
    if (repeat->held_back > 0) {
        struct log_field count = log_int("repeated", repeat->held_back);
        emit(log, now, repeat->level, repeat->message, &count, 1);
        log->n_held_back -= repeat->held_back;
    }
    *repeat = (struct repeat){0};
}

/* The wall clock may be set back: then the interval is over, too. */
static bool repeat_is_over(const struct log *log, const struct repeat *repeat, nsec_t now)
{
    return now < repeat->since || now - repeat->since >= log->repeat_interval_ns;
}

static void end_repeats_that_are_over(struct log *log, nsec_t now)
{
    if (log->n_held_back == 0)
        return;
    for (size_t i = 0; i < REPEAT_SLOTS; i++)
        if (log->repeats[i].message && repeat_is_over(log, &log->repeats[i], now))
            repeat_end(log, &log->repeats[i], now);
}

/* Counts a line and gives whether it is one too many. */
static bool hold_back(struct log *log, nsec_t now, enum log_level level, const char *message)
{
    struct repeat *repeat = &log->repeats[hash_number((uintptr_t)message) & (REPEAT_SLOTS - 1)];
    if (repeat->message != message || repeat_is_over(log, repeat, now)) {
        repeat_end(log, repeat, now);
        *repeat = (struct repeat){.message = message, .level = level, .since = now};
    }
    if (repeat->written < log->repeat_max) {
        repeat->written++;
        return false;
    }
    repeat->held_back++;
    log->n_held_back++;
    return true;
}

void log_write(struct log *log, enum log_level level, const char *message, const struct log_field *fields,
               size_t n_fields)
{
    if (!log || (int)level < atomic_load_explicit(&log->level, memory_order_relaxed))
        return;
    pthread_mutex_lock(&log->lock);
    nsec_t now = log->wall_now(log->wall_ctx);
    end_repeats_that_are_over(log, now);
    if (!hold_back(log, now, level, message))
        emit(log, now, level, message, fields, n_fields);
    pthread_mutex_unlock(&log->lock);
}

void log_flush(struct log *log)
{
    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    end_repeats_that_are_over(log, log->wall_now(log->wall_ctx));
    pthread_mutex_unlock(&log->lock);
}

void log_free(struct log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < REPEAT_SLOTS; i++)
        if (log->repeats[i].held_back > 0)
            repeat_end(log, &log->repeats[i], log->wall_now(log->wall_ctx));
    pthread_mutex_destroy(&log->lock);
    free(log);
}
