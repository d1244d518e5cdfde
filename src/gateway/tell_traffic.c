/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters as they are: who wants rates asks twice. Of latencies the histogram is told, from which any share of the
 * slow ones can be estimated for the time between.
 */
#include "gateway/gateway_worker.h"
#include "gateway/tell.h"
#include "gateway/traffic.h"

static void member(struct json_writer *json, const char *key, uint64_t value)
{
    json_writer_member_i64(json, slice_from_str(key), (int64_t)value);
}

static void put_latency(struct json_writer *json, const uint64_t *counts)
{
    json_writer_key(json, SLICE_LIT("latency"));
    json_writer_begin_array(json);
    for (unsigned i = 0; i < RUNTIME_LATENCY_BUCKETS; i++)
        json_writer_u64(json, counts[i]);
    json_writer_end_array(json);
}

static const char *state_of(const struct runtime *runtime, nsec_t now_ns)
{
    if (runtime_has(runtime, RUNTIME_GONE))
        return "gone";
    if (runtime_has(runtime, RUNTIME_STALLED))
        return "stalled";
    bool is_ejected = runtime_has(runtime, RUNTIME_EJECTED) &&
                      now_ns < atomic_load_explicit(&runtime->ejected_until_ns, memory_order_relaxed);
    return is_ejected ? "ejected" : "well";
}

static void write_instance(struct json_writer *json, const struct traffic_instance *row, nsec_t now_ns)
{
    const struct runtime_sum *sum = &row->sum;
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("instance"), row->runtime->id);
    json_writer_member_str(json, SLICE_LIT("state"), slice_from_str(state_of(row->runtime, now_ns)));
    member(json, "requests", sum->n_requests);
    member(json, "errors", sum->by_class[5] + sum->by_class[0]);
    member(json, "in_flight", sum->n_in_flight);
    member(json, "retries", sum->n_retries);
    member(json, "hedges", sum->n_hedges);
    member(json, "ejections", sum->n_ejections);
    member(json, "connects", sum->n_connects);
    member(json, "reused", sum->n_reused);
    member(json, "connect_failures", sum->n_connect_failures);
    put_latency(json, sum->latency);
    json_writer_end_object(json);
}

static void write_service(struct json_writer *json, const struct traffic *traffic, const struct traffic_service *row,
                          nsec_t now_ns)
{
    const struct tally_sum *sum = &row->sum;
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("service"), row->service->cell->name);
    member(json, "requests", sum->n_requests);
    member(json, "errors", sum->by_class[5] + sum->by_class[0]);
    member(json, "in_flight", sum->n_under_way);
    member(json, "retries", sum->n_retries);
    member(json, "hedges", sum->n_hedges);
    member(json, "parked", sum->n_parked);
    member(json, "ejections", sum->n_ejections);
    member(json, "connects", sum->n_connects);
    member(json, "reused", sum->n_reused);
    member(json, "connect_failures", sum->n_connect_failures);
    put_latency(json, sum->latency);
    json_writer_key(json, SLICE_LIT("instances"));
    json_writer_begin_array(json);
    for (size_t i = 0; i < row->n_instances; i++)
        write_instance(json, &traffic->instances[row->first_instance + i], now_ns);
    json_writer_end_array(json);
    json_writer_end_object(json);
}

void tell_traffic(const struct gateway *gateway, struct slice service, struct json_writer *json)
{
    struct traffic traffic;
    nsec_t now_ns = time_now();
    traffic_gather(planner_plan(gateway_planner(gateway)), service, &traffic);
    json_writer_begin_object(json);
    json_writer_member_i64(json, SLICE_LIT("at_us"), now_ns / NSEC_PER_USEC);
    json_writer_key(json, SLICE_LIT("latency_bounds_us"));
    json_writer_begin_array(json);
    for (unsigned i = 0; i + 1 < RUNTIME_LATENCY_BUCKETS; i++)
        json_writer_u64(json, (uint64_t)1 << (RUNTIME_LATENCY_SHIFT + i));
    json_writer_end_array(json);
    json_writer_key(json, SLICE_LIT("services"));
    json_writer_begin_array(json);
    for (size_t i = 0; i < traffic.n_services; i++)
        write_service(json, &traffic, &traffic.services[i], now_ns);
    json_writer_end_array(json);
    json_writer_member_i64(json, SLICE_LIT("untold"), (int64_t)traffic.n_untold);
    json_writer_end_object(json);
    traffic_deinit(&traffic);
}
