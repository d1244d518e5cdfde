/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway pays to choose an instance, and to make a service anew after a change of one instance.
 *
 * Nanoseconds per pick by each algorithm, and microseconds per new version, for services of 3 and of 10,000 instances.
 * Two workers have used each instance; the best of some rounds counts. A service that changes 10,000 times in a second
 * is made a thousand times, after ten changes each: so many milliseconds of a second does it take.
 */
#include "catalog/directory_write.h"
#include "catalog/instance_record.h"
#include "gateway/cells.h"
#include "gateway/pick.h"
#include "gateway/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N_WORKERS = 2, N_ROUNDS = 15, N_PICKS = 200000, N_VERSIONS = 1000 };

#define SERVICE SLICE_LIT("web")

struct bench {
    struct rcu_domain rcu;
    struct loop *loop;
    struct resolver *resolver;
    struct directory *directory;
    struct hosts hosts;
    struct settings_copy *settings;
    struct plan_cell *cell;
    struct plan_service *service;
    struct random random;
    unsigned n;
    bool has_points;
};

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static double used_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void put(struct bench *bench, unsigned number, uint64_t incarnation)
{
    char id[32], address[32];
    snprintf(id, sizeof(id), "i%06u", number);
    snprintf(address, sizeof(address), "10.%u.%u.1:80", number / 250, number % 250);
    struct instance model = {.service = SERVICE, .id = slice_from_str(id), .incarnation = incarnation};
    struct instance *instance;
    model.key = model.id;
    model.record.weight = 1;
    (void)instance_record_set_address(&model.record, slice_from_str(address));
    check(instance_new(&model, &instance) == 0, "instance_new");
    check(directory_put(bench->directory, instance, &(struct directory_stamp){1, 1}) == 0, "directory_put");
    instance_unref(instance);
}

static void make(struct bench *bench)
{
    const struct service_maker maker = {
        .settings = bench->settings, .hosts = &bench->hosts, .rcu = &bench->rcu, .n_workers = N_WORKERS};
    const struct service_order order = {
        .cell = bench->cell,
        .from = directory_find(bench->directory, SERVICE),
        .old = bench->service,
        .has_points = bench->has_points,
    };
    struct err fault;
    struct plan_service *old = bench->service;
    check(service_make(&maker, &order, &bench->service, &fault) == 0, "service_make");
    if (old)
        service_retire(old, &bench->rcu);
    while (rcu_reclaim(&bench->rcu))
        continue;
}

static void on_hosts_change(struct hosts *hosts)
{
    (void)hosts;
}

static void open_bench(struct bench *bench, unsigned n)
{
    static const struct hash_key key = {1, 2};
    const struct gateway_settings settings = {.policy.balance = BALANCE_P2C};
    *bench = (struct bench){.n = n};
    rcu_init(&bench->rcu);
    random_init(&bench->random, 1);
    check(loop_new(NULL, &bench->loop) == 0, "loop_new");
    check(resolver_new(1, 1, NULL, NULL, &bench->resolver) == 0, "resolver_new");
    check(directory_new(&bench->rcu, &bench->directory) == 0, "directory_new");
    bench->hosts.loop = bench->loop;
    bench->hosts.resolver = bench->resolver;
    bench->hosts.on_change = on_hosts_change;
    check(hosts_init(&bench->hosts) == 0, "hosts_init");
    check(settings_copy_new(&settings, &bench->settings) == 0, "settings_copy_new");
    check(cell_new(&key, SERVICE, N_WORKERS, &bench->cell) == 0, "cell_new");
    for (unsigned i = 0; i < n; i++)
        put(bench, i, 1);
    directory_publish(bench->directory);
    make(bench);
    struct plan_cursor at = {.service = bench->service};
    for (const struct target *target; (target = plan_next(&at));) {
        for (unsigned worker = 0; worker < N_WORKERS; worker++) {
            struct runtime_slot *slot = runtime_slot(target->runtime, worker);
            check(slot, "runtime_slot");
            slot->latency_us = 1000;
            slot->latency_at_ns = 1000 * NSEC_PER_SEC;
        }
    }
}

static void close_bench(struct bench *bench)
{
    service_free(bench->service);
    settings_copy_unref(bench->settings);
    directory_free(bench->directory);
    hosts_close(&bench->hosts);
    hosts_deinit(&bench->hosts);
    resolver_free(bench->resolver);
    free(bench->cell);
    loop_free(bench->loop);
    rcu_deinit(&bench->rcu);
}

static double pick_ns(struct bench *bench, enum balance balance)
{
    double best = 1e9;
    struct pick_request request = {.balance = balance, .now_ns = 1001 * NSEC_PER_SEC, .has_key = true};
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        struct pick_result result;
        double began = used_s();
        for (unsigned i = 0; i < N_PICKS; i++) {
            request.key += 0x9e3779b97f4a7c15;
            pick(bench->service, &request, &bench->random, &result);
            check(result.target, "pick");
        }
        double took = (used_s() - began) / N_PICKS * 1e9;
        best = took < best ? took : best;
    }
    return best;
}

/* So many instances are replaced by other incarnations before each version. */
static double version_us(struct bench *bench, unsigned n_changes)
{
    double all = 0;
    for (unsigned i = 0; i < N_VERSIONS; i++) {
        for (unsigned j = 0; j < n_changes; j++)
            put(bench, (i * n_changes + j) * 7919 % bench->n, i + 2);
        directory_publish(bench->directory);
        double began = used_s();
        make(bench);
        all += used_s() - began;
    }
    return all / N_VERSIONS * 1e6;
}

int main(void)
{
    static const char *const names[] = {"p2c", "round robin", "random", "least", "hash"};
    static const unsigned sizes[] = {3, 10000};
    for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct bench bench;
        open_bench(&bench, sizes[s]);
        bench.has_points = true;
        make(&bench);
        printf("%u instances:\n", sizes[s]);
        for (enum balance balance = BALANCE_P2C; balance <= BALANCE_HASH; balance++)
            printf("  %-12s %6.0f ns per pick\n", names[balance], pick_ns(&bench, balance));
        double one_hashed_us = version_us(&bench, 1), ten_hashed_us = version_us(&bench, 10);
        bench.has_points = false;
        double one_us = version_us(&bench, 1), ten_us = version_us(&bench, 10);
        printf("  a version    %6.1f us after one change, %6.1f us after ten\n", one_us, ten_us);
        printf("   with points %6.1f us after one change, %6.1f us after ten\n", one_hashed_us, ten_hashed_us);
        close_bench(&bench);
    }
    return 0;
}
