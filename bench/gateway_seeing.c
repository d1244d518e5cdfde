/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway pays to be seen: nanoseconds per request to record it, count it, log it, and limit its client.
 *
 * Each part is done a million times in a row, over many names and addresses so that caches are used as in earnest; the
 * best of some rounds counts.
 */
#include "base/util.h"
#include "gateway/access_line.h"
#include "gateway/edges.h"
#include "gateway/passage.h"
#include "gateway/tally.h"
#include "gateway/throttle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_ROUNDS = 9, N_TIMES = 200000, N_CLIENTS = 1000, N_RECORDS = 4096 };

struct bench {
    struct passage_ring *ring;
    struct edges *edges;
    struct throttle *throttle;
    struct tally tally;
    struct target targets[2];
    struct http_fields fields;
    struct http_request request;
    struct access_clock clock;
    struct buf room;
    char lane[4096];
};

static void must(int r)
{
    if (r < 0)
        abort();
}

static struct peer client_of(unsigned i)
{
    struct peer peer = {.family = AF_INET, .port = 1234};
    i %= N_CLIENTS;
    memcpy(peer.ip, &i, sizeof(peer.ip) < sizeof(i) ? sizeof(peer.ip) : sizeof(i));
    return peer;
}

static void record(struct bench *bench, unsigned i)
{
    struct passage_trail trail;
    const struct pick_result pick = {
        .target = &bench->targets[0],
        .tier = PICK_NEAR,
        .n_candidates = 3,
        .n_draws = 2,
        .draws = {{&bench->targets[0], PICK_TAKEN, 1000}, {&bench->targets[1], PICK_WORSE, 2000}},
    };
    trail.len = 0;
    trail.n_attempts = trail.n_untold = 0;
    uint16_t at = passage_trail_add(&trail, &pick, false, 0);
    passage_trail_end(&trail, at, &(struct passage_attempt){.connected = true, .sent = true, .answered = true});
    const struct passage passage = {
        .id = SLICE_LIT("4f1d0c22a9b87e65"),
        .target = SLICE_LIT("/orders/4711?details=yes"),
        .service = SLICE_LIT("orders"),
        .client = client_of(i),
        .status = 200,
        .began_ms = i,
        .n_sent = 128,
    };
    passage_ring_write(bench->ring, &passage, &trail);
}

static void count(struct bench *bench, unsigned i)
{
    struct tally *tally = &bench->tally;
    tally_add(&tally->by_class[2], 1);
    tally_add(&tally->n_reused, 1);
    tally_add(&tally->n_bytes_in, 0);
    tally_add(&tally->n_bytes_out, 128);
    tally_observe(tally, (nsec_t)(i % 4096) * NSEC_PER_USEC);
}

static void count_edge(struct bench *bench, unsigned i)
{
    const struct peer client = client_of(i);
    edges_count(bench->edges, (struct slice){0}, &client, 77, false, NSEC_PER_SEC);
}

static void limit(struct bench *bench, unsigned i)
{
    const struct peer client = client_of(i);
    const struct throttle_limit most = {1000000, 1000000};
    must(throttle_admit(bench->throttle, &client, &most, NSEC_PER_SEC + i) ? 0 : -1);
}

static void write_line(struct bench *bench, unsigned i, enum access_log_format format)
{
    const struct peer client = client_of(i);
    const struct access_request request = {&bench->request, &client, {0}, 1000 * NSEC_PER_SEC};
    const struct access_outcome outcome = {
        .id = SLICE_LIT("4f1d0c22a9b87e65"),
        .service = SLICE_LIT("orders"),
        .instance = SLICE_LIT("10.0.0.7:8080"),
        .status = 200,
        .n_sent = 128,
    };
    struct access_line line = {0};
    struct slice pieces[3];
    char *at = bench->lane;
    access_line_begin(&line, format, &bench->clock, &request);
    must(access_line_end(&line, &outcome, &bench->room, pieces));
    for (unsigned n = 0; n < ARRAY_LEN(pieces); n++)
        (void)slice_put(pieces[n], &at); /* as into a lane */
    buf_deinit(&line.text);
}

static void write_combined(struct bench *bench, unsigned i)
{
    write_line(bench, i, ACCESS_LOG_COMBINED);
}

static void write_json(struct bench *bench, unsigned i)
{
    write_line(bench, i, ACCESS_LOG_JSON);
}

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double best_of(struct bench *bench, void (*part)(struct bench *bench, unsigned i))
{
    double best_ns = 1e18;
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        double begin_ns = now_ns();
        for (unsigned i = 0; i < N_TIMES; i++)
            part(bench, i);
        double each_ns = (now_ns() - begin_ns) / N_TIMES;
        best_ns = each_ns < best_ns ? each_ns : best_ns;
    }
    return best_ns;
}

static struct runtime *make_runtime(const char *id)
{
    static struct rcu_domain rcu;
    const struct runtime_model model = {.service = SLICE_LIT("orders"), .id = slice_from_str(id)};
    struct runtime *runtime;
    must(runtime_new(&model, 1, &rcu, &runtime));
    return runtime;
}

static void prepare(struct bench *bench)
{
    static const struct hash_key key = {1, 2};
    must(passage_ring_new(N_RECORDS, &bench->ring));
    must(edges_new(&key, &bench->edges));
    must(throttle_new(&key, &bench->throttle));
    bench->targets[0].runtime = make_runtime("10.0.0.7:8080");
    bench->targets[1].runtime = make_runtime("10.0.0.8:8080");
    bench->fields.items[0] = (struct http_field){.id = HTTP_FIELD_USER_AGENT, .value = SLICE_LIT("Mozilla/5.0 (X11)")};
    bench->fields.n = 1;
    bench->request = (struct http_request){
        .version_major = 1,
        .version_minor = 1,
        .method_text = SLICE_LIT("GET"),
        .target = SLICE_LIT("/orders/4711?details=yes"),
        .authority = SLICE_LIT("shop.example"),
        .fields = &bench->fields,
    };
}

int main(void)
{
    static const struct {
        const char *name;
        void (*part)(struct bench *bench, unsigned i);
    } rows[] = {
        {"record it, attempts and all", record},     {"count it for its service", count},
        {"count its edge in the graph", count_edge}, {"limit its client", limit},
        {"log it, combined", write_combined},        {"log it, JSON", write_json},
    };
    static struct bench bench;
    prepare(&bench);
    printf("ns per request\n");
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        printf("  %-28s %6.1f\n", rows[i].name, best_of(&bench, rows[i].part));
    return 0;
}
