/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry without its protocols: registrations and renewals per second, and memory per instance at 100,000.
 *
 * A store in a folder below the current one, a keeper and a curator on their threads, and one thread that asks, with so
 * many requests under way. Services have 10 instances each.
 */
#include "keeper/curator.h"
#include "catalog/instance_record.h"
#include "keeper/keeper.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { N_INSTANCES = 100000, N_PER_SERVICE = 10, TTL_MS = 3600 * 1000 };

struct bench {
    struct rcu_domain rcu;
    struct loop *loop;
    struct keeper *keeper;
    struct projection *projection;
    struct curator *curator;
    unsigned n_asked, n_answered;
};

struct asked {
    struct curator_request request;
    struct instance_record record;
    struct bench *bench;
    struct loop_task again;
    char service[32], id[32], address[48];
};

static void fail(const char *what, const char *words)
{
    fprintf(stderr, "%s: %s\n", what, words);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        fail("/proc/self/statm", "cannot be read");
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void ask_next(struct loop_task *task)
{
    struct asked *asked = container_of(task, struct asked, again);
    struct bench *bench = asked->bench;
    if (bench->n_asked == N_INSTANCES)
        return;
    unsigned number = bench->n_asked++;
    snprintf(asked->service, sizeof(asked->service), "service-%05u", number / N_PER_SERVICE);
    snprintf(asked->id, sizeof(asked->id), "10.0.%u.%u:8080", number / 250 % 250, number % 250);
    snprintf(asked->address, sizeof(asked->address), "http@%s", asked->id);
    asked->record = (struct instance_record){.weight = 1, .origin = SLICE_LIT("rest")};
    (void)instance_record_set_address(&asked->record, slice_from_str(asked->address));
    asked->request.service = slice_from_str(asked->service);
    asked->request.id = slice_from_str(asked->id);
    asked->request.record = &asked->record;
    curator_submit(bench->curator, &asked->request);
}

static void on_done(struct curator_request *request)
{
    struct asked *asked = container_of(request, struct asked, request);
    if (request->outcome != CURATOR_OK)
        fail("a registration", "was refused");
    asked->bench->n_answered++;
    curator_request_deinit(request);
    struct curator_request next = {
        .type = CURATOR_REGISTER, .loop = request->loop, .done = on_done, .origin = request->origin, .ttl_ms = TTL_MS};
    *request = next;
    loop_defer(asked->bench->loop, &asked->again);
}

/* All instances once, so many at a time; how many a second. */
static double register_all(struct bench *bench, unsigned n_under_way)
{
    struct asked *all = calloc(n_under_way, sizeof(all[0]));
    if (!all)
        fail("requests", "out of memory");
    bench->n_asked = bench->n_answered = 0;
    double began = now_s();
    for (unsigned i = 0; i < n_under_way; i++) {
        all[i].bench = bench;
        all[i].request.type = CURATOR_REGISTER;
        all[i].request.loop = bench->loop;
        all[i].request.done = on_done;
        all[i].request.origin.actor = SLICE_LIT("bench");
        all[i].request.ttl_ms = TTL_MS;
        loop_task_init(&all[i].again, ask_next);
        loop_defer(bench->loop, &all[i].again);
    }
    while (bench->n_answered < N_INSTANCES)
        (void)loop_turn(bench->loop, NSEC_PER_SEC);
    double took = now_s() - began;
    loop_settle(bench->loop);
    free(all);
    return N_INSTANCES / took;
}

static void open_all(struct bench *bench, const char *folder)
{
    struct err err = {""};
    struct keeper_options keeper = {.folder = folder, .rcu = &bench->rcu};
    struct curator_options curator = {.rcu = &bench->rcu, .min_ttl_ms = 1000};
    rcu_init(&bench->rcu);
    local_options_init(&keeper.local);
    catalog_options_init(&curator.catalog);
    if (loop_new(&bench->rcu, &bench->loop) < 0 || keeper_new(&keeper, &bench->keeper, &err) < 0 ||
        keeper_start(bench->keeper, NULL, 0, &err) < 0 || projection_new(NULL, 0, true, &bench->projection, &err) < 0)
        fail("opening the store", err.text);
    curator.store = keeper_store(bench->keeper);
    curator.catalog.projection = bench->projection;
    if (curator_new(&curator, &bench->curator) < 0 || curator_start(bench->curator, &err) < 0)
        fail("starting the curator", err.text);
}

static void close_all(struct bench *bench)
{
    curator_stop(bench->curator);
    keeper_stop(bench->keeper);
    loop_settle(bench->loop);
    curator_free(bench->curator);
    projection_free(bench->projection);
    keeper_free(bench->keeper);
    loop_free(bench->loop);
    rcu_deinit(&bench->rcu);
}

int main(void)
{
    struct bench bench = {0};
    char folder[] = "bench-curator-XXXXXX", command[64];
    if (!mkdtemp(folder))
        fail(folder, "cannot be made");
    open_all(&bench, folder);
    double before = resident_bytes();
    printf("registrations, 64 at a time    %10.0f /s\n", register_all(&bench, 64));
    malloc_trim(0);
    printf("memory per instance            %10.0f bytes\n", (resident_bytes() - before) / N_INSTANCES);
    printf("renewals, one thread           %10.0f /s\n", register_all(&bench, 1));
    close_all(&bench);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}
