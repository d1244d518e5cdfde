/* SPDX-License-Identifier: Apache-2.0 */
/* A log of its own, on the same descriptor and in the same format, that knows no repeats. */
#include "daemon/store_trace.h"

#include "base/log.h"
#include "base/util.h"
#include "store/trace/trace.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define FIELDS_MAX 11

struct store_trace {
    struct log *log;
    struct store *store;
};

/* What there is to tell of an event, without what it does not have. */
static void write_event(void *ctx, const struct trace_event *event)
{
    const struct store_trace *trace = ctx;
    struct log_field fields[FIELDS_MAX];
    size_t n = 0;
    fields[n++] = log_text("what", event->what);
    if (!slice_is_empty(event->key))
        fields[n++] = log_str("key", event->key);
    if (!slice_is_empty(event->end))
        fields[n++] = log_str("end", event->end);
    if (event->lease)
        fields[n++] = log_int("lease", event->lease);
    if (event->count)
        fields[n++] = log_int("count", event->count);
    if (!slice_is_empty(event->actor))
        fields[n++] = log_str("actor", event->actor);
    if (!slice_is_empty(event->cause))
        fields[n++] = log_str("cause", event->cause);
    fields[n++] = log_text("outcome", store_outcome_name(event->outcome));
    if (event->revision)
        fields[n++] = log_int("revision", event->revision);
    fields[n++] = log_duration("took", event->took_ns);
    log_write(trace->log, LOG_LEVEL_INFO, "store", fields, n);
}

int store_trace_new(const struct config *config, struct store *store, struct store_trace **ret_trace)
{
    *ret_trace = NULL;
    if (config->store.trace == TRACE_OFF)
        return 0;
    struct store_trace *trace = calloc(1, sizeof(*trace));
    if (!trace)
        return -ENOMEM;
    const struct log_options log_options = {
        .fd = STDERR_FILENO,
        .level = LOG_LEVEL_INFO,
        .format = (enum log_format)config->log.format,
        .repeat_max = UINT_MAX,
    };
    const struct trace_options options = {.fn = write_event, .ctx = trace, .reads = config->store.trace == TRACE_ALL};
    int result = log_new(&log_options, &trace->log);
    if (result == 0)
        result = trace_store_new(store, &options, &trace->store);
    if (result < 0) {
        store_trace_free(trace);
        return result;
    }
    *ret_trace = trace;
    return 0;
}

void store_trace_free(struct store_trace *trace)
{
    if (!trace)
        return;
    trace_store_free(trace->store);
    log_free(trace->log);
    free(trace);
}

struct store *store_trace_store(struct store_trace *trace)
{
    return trace->store;
}
