/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line tells of all kinds together: they come together, and what helps against one helps against all.
 */
#include "io/shortage.h"

#include "base/seldom.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#define TELL_NS (10 * NSEC_PER_SEC)

struct shortage {
    struct log *log;
    struct seldom told;
    _Atomic uint64_t n_accepts, n_connects;
    _Atomic uint64_t n_closed; /* connections */
};

int shortage_new(struct log *log, struct shortage **ret_shortage)
{
    struct shortage *shortage = calloc(1, sizeof(*shortage));
    if (!shortage)
        return -ENOMEM;
    shortage->log = log;
    *ret_shortage = shortage;
    return 0;
}

void shortage_free(struct shortage *shortage)
{
    free(shortage);
}

static double count(void *ctx)
{
    return (double)atomic_load_explicit((_Atomic uint64_t *)ctx, memory_order_relaxed);
}

int shortage_register_metrics(struct shortage *shortage, struct metrics *metrics)
{
    const struct metrics_label accept = {"for", SLICE_LIT("accept")}, connect = {"for", SLICE_LIT("connect")};
    const char *help = "Times a connection needed a descriptor and there was none.";
    const struct metrics_desc accepts = {"muster_descriptor_shortages_total", help, &accept, 1};
    const struct metrics_desc connects = {"muster_descriptor_shortages_total", help, &connect, 1};
    const struct metrics_desc closed = {
        .name = "muster_connections_turned_away_total",
        .help = "Connections closed at once because there was no descriptor for them.",
    };
    int r = metrics_register_counter_fn(metrics, &accepts, count, &shortage->n_accepts);
    if (r == 0)
        r = metrics_register_counter_fn(metrics, &connects, count, &shortage->n_connects);
    return r < 0 ? r : metrics_register_counter_fn(metrics, &closed, count, &shortage->n_closed);
}

static void add(_Atomic uint64_t *number, uint64_t n)
{
    (void)atomic_fetch_add_explicit(number, n, memory_order_relaxed);
}

static void tell(struct shortage *shortage, int error, const char *what, nsec_t now_ns)
{
    struct rlimit limit = {0};
    int64_t n = (int64_t)seldom_count(&shortage->told, now_ns, TELL_NS);
    if (n == 0)
        return;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (error == -ENFILE)
        log_warn(shortage->log, "out of descriptors: the whole system has none left; raise fs.file-max",
                 log_text("wanted_to", what), log_int("times", n));
    else
        log_warn(shortage->log,
                 "out of descriptors: raise this process's limit (LimitNOFILE= in the unit, or ulimit -n)",
                 log_text("wanted_to", what), log_int("times", n), log_int("limit", (int64_t)limit.rlim_cur));
}

void shortage_of_accept(struct shortage *shortage, int error, unsigned n_closed, nsec_t now_ns)
{
    if (!shortage)
        return;
    add(&shortage->n_accepts, 1);
    add(&shortage->n_closed, n_closed);
    tell(shortage, error, "accept", now_ns);
}

void shortage_of_connect(struct shortage *shortage, int error, nsec_t now_ns)
{
    if (!shortage)
        return;
    add(&shortage->n_connects, 1);
    tell(shortage, error, "connect", now_ns);
}
