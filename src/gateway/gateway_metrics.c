/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text format wants a family's samples together, so all is gathered first. Instances are told in fewer words than
 * services (no histogram, no causes), since there are many.
 */
#include "gateway/gateway_metrics.h"

#include "base/util.h"
#include "gateway/gateway_worker.h"
#include "gateway/traffic.h"

/* A counter or gauge at `offset` of the sums. */
struct family {
    const char *name, *help;
    enum metrics_type type;
    size_t offset;
};

#define OF_SERVICE(member)  offsetof(struct tally_sum, member)
#define OF_INSTANCE(member) offsetof(struct runtime_sum, member)
#define PREFIX              "muster_gateway_"

static const struct family service_families[] = {
    {PREFIX "in_flight", "Requests under way, those that wait among them.", METRICS_GAUGE, OF_SERVICE(n_under_way)},
    {PREFIX "retries_total", "Attempts after one that failed.", METRICS_COUNTER, OF_SERVICE(n_retries)},
    {PREFIX "hedges_total", "Attempts beside one that was slow.", METRICS_COUNTER, OF_SERVICE(n_hedges)},
    {PREFIX "parked_total", "Requests that waited for an instance to come.", METRICS_COUNTER, OF_SERVICE(n_parked)},
    {PREFIX "queued_total", "Requests that waited for their turn at a full service.", METRICS_COUNTER,
     OF_SERVICE(n_queued)},
    {PREFIX "ejections_total", "Times an instance got nothing for a while, after failures.", METRICS_COUNTER,
     OF_SERVICE(n_ejections)},
    {PREFIX "connections_opened_total", "Requests for which a connection was opened.", METRICS_COUNTER,
     OF_SERVICE(n_connects)},
    {PREFIX "connections_reused_total", "Requests on a connection that had been used.", METRICS_COUNTER,
     OF_SERVICE(n_reused)},
    {PREFIX "connections_failed_total", "Connections that could not be opened.", METRICS_COUNTER,
     OF_SERVICE(n_connect_failures)},
    {PREFIX "received_bytes_total", "Bodies of requests.", METRICS_COUNTER, OF_SERVICE(n_bytes_in)},
    {PREFIX "sent_bytes_total", "Bodies of answers.", METRICS_COUNTER, OF_SERVICE(n_bytes_out)},
};

static const struct family instance_families[] = {
    {PREFIX "instance_in_flight", "Requests under way at the instance.", METRICS_GAUGE, OF_INSTANCE(n_in_flight)},
    {PREFIX "instance_retries_total", "Attempts there after one that failed.", METRICS_COUNTER, OF_INSTANCE(n_retries)},
    {PREFIX "instance_hedges_total", "Attempts there beside one that was slow.", METRICS_COUNTER,
     OF_INSTANCE(n_hedges)},
    {PREFIX "instance_ejections_total", "Times it got nothing for a while, after failures.", METRICS_COUNTER,
     OF_INSTANCE(n_ejections)},
    {PREFIX "instance_connections_opened_total", "Connections to it that were opened.", METRICS_COUNTER,
     OF_INSTANCE(n_connects)},
    {PREFIX "instance_connections_reused_total", "Requests on a connection that had been used.", METRICS_COUNTER,
     OF_INSTANCE(n_reused)},
    {PREFIX "instance_connections_failed_total", "Connections to it that could not be opened.", METRICS_COUNTER,
     OF_INSTANCE(n_connect_failures)},
    {PREFIX "instance_connections_idle_closed_total",
     "Connections that it closed while idle, or behind an answer without a word.", METRICS_COUNTER,
     OF_INSTANCE(n_idle_closed)},
};

static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

static uint64_t value_at(const void *sums, size_t offset)
{
    return *(const uint64_t *)(const void *)((const char *)sums + offset);
}

/* Answers by class: 1xx are 101; "none" are clients that got none, or requests that an instance failed to answer. */
static void put_classes(struct metrics_page *page, struct metrics_label *labels, size_t n_labels,
                        const uint64_t by_class[6])
{
    for (unsigned i = 0; i < ARRAY_LEN(classes); i++) {
        labels[n_labels] = (struct metrics_label){"code", slice_from_str(classes[i])};
        if (by_class[i] > 0 || i == 2)
            metrics_page_sample(page, labels, n_labels + 1, by_class[i]);
    }
}

static void put_latency(struct metrics_page *page, const struct traffic_service *row)
{
    const struct metrics_label label = {"service", row->service->cell->name};
    uint64_t bounds_ns[RUNTIME_LATENCY_BUCKETS - 1];
    for (unsigned i = 0; i < ARRAY_LEN(bounds_ns); i++)
        bounds_ns[i] = ((uint64_t)NSEC_PER_USEC << RUNTIME_LATENCY_SHIFT) << i;
    const struct metrics_buckets buckets = {bounds_ns, row->sum.latency, ARRAY_LEN(bounds_ns),
                                            row->sum.latency_sum_us * NSEC_PER_USEC};
    metrics_page_histogram(page, &label, 1, &buckets);
}

static void put_causes(struct metrics_page *page, const struct traffic_service *row)
{
    for (unsigned i = 0; i < CAUSES_; i++) {
        const struct metrics_label labels[] = {{"service", row->service->cell->name}, {"cause", cause_name(i)}};
        if (row->sum.causes[i] > 0)
            metrics_page_sample(page, labels, 2, row->sum.causes[i]);
    }
}

static void put_services(struct metrics_page *metrics, const struct traffic *traffic)
{
    metrics_page_family(metrics, PREFIX "requests_total", METRICS_COUNTER,
                        "Requests by the class of the answer that the client got, whoever gave it.");
    for (size_t i = 0; i < traffic->n_services; i++) {
        struct metrics_label labels[2] = {{"service", traffic->services[i].service->cell->name}};
        put_classes(metrics, labels, 1, traffic->services[i].sum.by_class);
    }
    metrics_page_family(metrics, PREFIX "failed_total", METRICS_COUNTER,
                        "Requests that no instance answered, or not to the end, by why.");
    for (size_t i = 0; i < traffic->n_services; i++)
        put_causes(metrics, &traffic->services[i]);
    metrics_page_family(
        metrics, PREFIX "first_byte_seconds", METRICS_HISTOGRAM,
        "From a request's head to the beginning of the instance's answer, waiting and retries included.");
    for (size_t i = 0; i < traffic->n_services; i++)
        put_latency(metrics, &traffic->services[i]);
    for (size_t f = 0; f < ARRAY_LEN(service_families); f++) {
        const struct family *family = &service_families[f];
        metrics_page_family(metrics, family->name, family->type, family->help);
        for (size_t i = 0; i < traffic->n_services; i++) {
            const struct metrics_label label = {"service", traffic->services[i].service->cell->name};
            metrics_page_sample(metrics, &label, 1, value_at(&traffic->services[i].sum, family->offset));
        }
    }
}

static void put_instances(struct metrics_page *metrics, const struct traffic *traffic)
{
    metrics_page_family(metrics, PREFIX "instance_answers_total", METRICS_COUNTER,
                        "Answers of an instance by the class of their status; none: it failed to give one.");
    for (size_t i = 0; i < traffic->n_instances; i++) {
        const struct traffic_instance *row = &traffic->instances[i];
        struct metrics_label labels[3] = {{"service", row->service}, {"instance", row->runtime->id}};
        put_classes(metrics, labels, 2, row->sum.by_class);
    }
    for (size_t f = 0; f < ARRAY_LEN(instance_families); f++) {
        const struct family *family = &instance_families[f];
        metrics_page_family(metrics, family->name, family->type, family->help);
        for (size_t i = 0; i < traffic->n_instances; i++) {
            const struct traffic_instance *row = &traffic->instances[i];
            const struct metrics_label labels[] = {{"service", row->service}, {"instance", row->runtime->id}};
            metrics_page_sample(metrics, labels, 2, value_at(&row->sum, family->offset));
        }
    }
}

/* A family of one number. */
static void put_one(struct metrics_page *metrics, const char *name, enum metrics_type type, const char *help,
                    uint64_t value)
{
    metrics_page_family(metrics, name, type, help);
    metrics_page_sample(metrics, NULL, 0, value);
}

static void put_planner(struct metrics_page *metrics, const struct planner *planner)
{
    const struct planner_counts counts = planner_counts(planner);
    put_one(metrics, PREFIX "planner_changes_total", METRICS_COUNTER,
            "Changes of the catalogue that the gateway heard of.", counts.n_changes);
    put_one(metrics, PREFIX "planner_services_total", METRICS_COUNTER,
            "Versions of services that the gateway began to use; several changes may make one.", counts.n_services);
    put_one(metrics, PREFIX "planner_plans_total", METRICS_COUNTER,
            "Plans that it began to use, when routes or settings had changed.", counts.n_plans);
}

static void put_whole(struct metrics_page *metrics, const struct traffic *traffic, const struct gateway *gateway)
{
    uint64_t unrouted[CAUSES_] = {0}, n_idle_closed = 0;
    for (unsigned i = 0; i < gateway_n_workers(gateway); i++) {
        const struct gateway_worker *worker = gateway_worker_at(gateway, i);
        n_idle_closed += atomic_load_explicit(&worker->n_idle_closed, memory_order_relaxed);
        for (unsigned cause = 0; cause < CAUSES_; cause++)
            unrouted[cause] += atomic_load_explicit(&worker->unrouted[cause], memory_order_relaxed);
    }
    metrics_page_family(metrics, PREFIX "unrouted_total", METRICS_COUNTER,
                        "Requests that were answered before a service was found for them, by why.");
    for (unsigned cause = 0; cause < CAUSES_; cause++) {
        const struct metrics_label label = {"cause", cause_name(cause)};
        if (unrouted[cause] > 0)
            metrics_page_sample(metrics, &label, 1, unrouted[cause]);
    }
    put_one(metrics, PREFIX "connections_idle_closed_total", METRICS_COUNTER,
            "Connections that instances closed while idle, or behind an answer without a word, of all services.",
            n_idle_closed);
    put_one(metrics, PREFIX "connections_refused_total", METRICS_COUNTER,
            "Connections closed at once, since their client address had its limit of them.",
            gateway_n_refused(gateway));
    put_one(metrics, PREFIX "access_log_dropped_total", METRICS_COUNTER,
            "Lines of the access log that could not be written.", access_log_n_dropped(gateway_access_log(gateway)));
    put_one(metrics, PREFIX "untold", METRICS_GAUGE,
            "Services and instances that are left out here, as they are too many.", traffic->n_untold);
}

static void collect(void *ctx, struct metrics_page *metrics)
{
    const struct gateway *gateway = ctx;
    struct traffic traffic;
    traffic_gather(planner_plan(gateway_planner(gateway)), (struct slice){0}, &traffic);
    put_services(metrics, &traffic);
    put_instances(metrics, &traffic);
    put_whole(metrics, &traffic, gateway);
    put_planner(metrics, gateway_planner(gateway));
    traffic_deinit(&traffic);
}

int gateway_register_metrics(struct gateway *gateway, struct metrics *metrics)
{
    return metrics_register_collector(metrics, collect, gateway);
}
