/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory: against a naive model over long random runs, with readers beside it; and that a change costs what it
 * touches.
 */
#include "catalog/directory_write.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define N_SERVICES 5
#define N_IDS      300

/* The naive model: what is there, by service and number. */
struct model {
    struct rcu_domain rcu;
    struct directory *directory;
    const struct instance *instances[N_SERVICES][N_IDS];
    struct directory_stamp stamp;
};

static void model_init(struct model *model)
{
    *model = (struct model){0};
    rcu_init(&model->rcu);
    expect_int(directory_new(&model->rcu, &model->directory), 0);
}

static void model_deinit(struct model *model)
{
    for (unsigned s = 0; s < N_SERVICES; s++)
        for (unsigned i = 0; i < N_IDS; i++)
            instance_unref(model->instances[s][i]);
    directory_free(model->directory);
    rcu_deinit(&model->rcu);
}

static struct instance *new_instance(unsigned service, unsigned number, uint32_t reasons)
{
    char service_text[16], id[16];
    snprintf(service_text, sizeof(service_text), "service%u", service);
    snprintf(id, sizeof(id), "%05u", number);
    struct instance model = {.service = slice_from_str(service_text), .id = slice_from_str(id), .reasons = reasons};
    struct instance *instance;
    expect_int(instance_new(&model, &instance), 0);
    return instance;
}

static void put(struct model *model, unsigned service, unsigned number, uint32_t reasons)
{
    struct instance *instance = new_instance(service, number, reasons);
    model->stamp.revision++;
    model->stamp.wall_ms++;
    instance->revision = model->stamp.revision;
    expect_int(directory_put(model->directory, instance, &model->stamp), 0);
    instance_unref(model->instances[service][number]);
    model->instances[service][number] = instance;
}

static void take_out(struct model *model, unsigned service, unsigned number)
{
    const struct instance *instance = model->instances[service][number];
    model->stamp.revision++;
    model->stamp.wall_ms++;
    expect_int(directory_remove(model->directory, instance, &model->stamp), 0);
    model->instances[service][number] = NULL;
    instance_unref(instance);
}

static const struct directory_service *find(const struct model *model, unsigned service)
{
    char name[16];
    snprintf(name, sizeof(name), "service%u", service);
    return directory_find(model->directory, slice_from_str(name));
}

/* What is published is the model, exactly and in order. */
static void expect_same(const struct model *model)
{
    struct directory_counts counts;
    size_t n_all = 0, n_up = 0;
    for (unsigned s = 0; s < N_SERVICES; s++) {
        const struct directory_service *service = find(model, s);
        struct directory_cursor at = {.service = service};
        unsigned n = 0, n_offered = 0;
        for (unsigned i = 0; i < N_IDS; i++) {
            const struct instance *expected = model->instances[s][i];
            if (!expected)
                continue;
            expect_true(service && directory_next(&at) == expected);
            expect_true(directory_find_instance(service, expected->id) == expected);
            n++;
            n_offered += instance_offer(expected) == INSTANCE_OFFERED;
            n_up += expected->reasons == 0;
        }
        if (!service)
            continue;
        expect_true(directory_next(&at) == NULL);
        expect_int(service->n_instances, n);
        expect_int(service->n_offered, n_offered);
        expect_int(service->emptied_ms > 0, n_offered == 0);
        n_all += n;
    }
    directory_count(model->directory, &counts);
    expect_int(counts.n_instances, n_all);
    expect_int(counts.by_status[INSTANCE_UP], n_up);
}

static void random_step(struct model *model, uint64_t *seed)
{
    unsigned service = (unsigned)(test_random(seed) % N_SERVICES), number = (unsigned)(test_random(seed) % N_IDS);
    bool grows = (model->stamp.revision / 3000) % 2 == 0; /* fills up, then runs empty, again and again */
    if (model->instances[service][number] && test_random(seed) % 4 < (grows ? 1 : 3))
        take_out(model, service, number);
    else if (model->instances[service][number] || grows)
        put(model, service, number, test_random(seed) % 8 == 0 ? 1U << (test_random(seed) % INSTANCE_UP) : 0);
    else
        model->stamp.revision++;
}

static void random_runs_match_a_naive_model(void)
{
    uint64_t seed = test_seed();
    struct model model;
    model_init(&model);
    for (unsigned n_bursts = test_rounds(3000); n_bursts > 0; n_bursts--) {
        for (uint64_t n = test_random(&seed) % 16; n > 0; n--)
            random_step(&model, &seed);
        directory_publish(model.directory);
        expect_same(&model);
        (void)rcu_reclaim(&model.rcu);
    }
    model_deinit(&model);
}

/* -------- readers beside the writer */

struct readers {
    struct model model;
    _Atomic bool ends;
};

/* Any service that a reader gets is whole: in order, as many as it says. */
static bool check_service(void *ctx, const struct directory_service *service)
{
    struct directory_cursor at = {.service = service};
    const struct instance *last = NULL;
    unsigned n = 0;
    uint64_t *generations = ctx;
    for (const struct instance *instance; (instance = directory_next(&at)); n++) {
        expect_true(!last || memcmp(last->id.ptr, instance->id.ptr, 5) < 0);
        expect_true(instance->revision <= service->revision);
        expect_true(directory_find_instance(service, instance->id) == instance);
        last = instance;
    }
    expect_int(service->n_instances, n);
    uint64_t *generation = &generations[directory_name(service).ptr[7] - '0'];
    expect_true(service->generation >= *generation);
    *generation = service->generation;
    return true;
}

static void *read_on(void *arg)
{
    struct readers *readers = arg;
    struct rcu_reader reader;
    uint64_t generations[N_SERVICES] = {0};
    rcu_register(&readers->model.rcu, &reader);
    rcu_online(&reader);
    while (!atomic_load(&readers->ends)) {
        directory_each(readers->model.directory, check_service, generations);
        rcu_quiescent(&reader);
    }
    rcu_offline(&reader);
    rcu_unregister(&reader);
    return NULL;
}

static void readers_see_whole_services(void)
{
    uint64_t seed = test_seed();
    struct readers readers = {.ends = false};
    pthread_t threads[2];
    model_init(&readers.model);
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++)
        expect_int(pthread_create(&threads[i], NULL, read_on, &readers), 0);
    for (unsigned burst = 0; burst < 2000; burst++) {
        for (uint64_t n = test_random(&seed) % 16; n > 0; n--)
            random_step(&readers.model, &seed);
        directory_publish(readers.model.directory);
        if (burst % 64 == 0)
            directory_forget(readers.model.directory, INT64_MAX);
        (void)rcu_reclaim(&readers.model.rcu);
    }
    atomic_store(&readers.ends, true);
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    model_deinit(&readers.model);
}

/* -------- what a change touches */

static unsigned n_shared_chunks(const struct directory_service *a, const struct directory_service *b)
{
    unsigned n = 0;
    for (unsigned i = 0; i < a->n_chunks; i++)
        for (unsigned j = 0; j < b->n_chunks; j++)
            n += a->chunks[i] == b->chunks[j];
    return n;
}

static void a_change_copies_one_chunk(void)
{
    struct model model;
    struct rcu_reader reader;
    model_init(&model);
    rcu_register(&model.rcu, &reader);
    rcu_online(&reader); /* what was read stays */
    for (unsigned i = 0; i < N_IDS; i++)
        put(&model, 0, i, 0);
    expect_true(find(&model, 0) == NULL); /* not published yet */
    directory_publish(model.directory);
    const struct directory_service *before = find(&model, 0);
    expect_int(before->n_chunks, (N_IDS + DIRECTORY_CHUNK - 1) / DIRECTORY_CHUNK);

    for (unsigned i = 0; i < 10; i++)
        put(&model, 0, i, 1U << INSTANCE_REASON_SUSPECT);
    directory_publish(model.directory);
    const struct directory_service *after = find(&model, 0);
    expect_int(n_shared_chunks(before, after), before->n_chunks - 1);
    expect_int(before->n_offered, N_IDS);
    expect_int(after->n_offered, N_IDS - 10);
    expect_int(after->generation, before->generation + 1);

    rcu_offline(&reader);
    rcu_unregister(&reader);
    model_deinit(&model);
}

static void drafts_are_seen_by_the_writer_alone(void)
{
    struct model model;
    model_init(&model);
    put(&model, 0, 1, 0);
    directory_publish(model.directory);
    put(&model, 0, 2, 0);
    expect_int(find(&model, 0)->n_instances, 1);
    directory_publish(model.directory);
    expect_int(find(&model, 0)->n_instances, 2);
    take_out(&model, 0, 2);
    expect_int(find(&model, 0)->n_instances, 2);
    put(&model, 0, 2, 0);
    take_out(&model, 0, 2); /* what was put is taken back before anybody saw it */
    directory_publish(model.directory);
    expect_int(find(&model, 0)->n_instances, 1);
    model_deinit(&model);
}

static void empty_services_are_forgotten(void)
{
    struct model model;
    struct directory_counts counts;
    model_init(&model);
    put(&model, 0, 1, 0);
    put(&model, 1, 1, 0);
    directory_publish(model.directory);
    uint64_t generation = find(&model, 0)->generation;
    take_out(&model, 0, 1);
    directory_publish(model.directory);
    directory_forget(model.directory, model.stamp.wall_ms);
    expect_int(find(&model, 0)->n_instances, 0); /* not long enough yet */
    directory_forget(model.directory, model.stamp.wall_ms + 1);
    expect_true(find(&model, 0) == NULL);
    expect_int(find(&model, 1)->n_instances, 1);
    put(&model, 0, 1, 0);
    directory_publish(model.directory);
    expect_true(find(&model, 0)->generation > generation);
    directory_count(model.directory, &counts);
    expect_int(counts.n_services, 2);
    model_deinit(&model);
}

static void only_so_many_empty_services_are_known(void)
{
    struct rcu_domain rcu;
    struct directory *directory;
    struct directory_counts counts;
    struct directory_stamp stamp = {1, 1};
    rcu_init(&rcu);
    expect_int(directory_new(&rcu, &directory), 0);
    for (unsigned s = 0; s < DIRECTORY_EMPTY_MAX + 10; s++) {
        struct instance *instance = new_instance(s, 1, 0);
        expect_int(directory_put(directory, instance, &stamp), 0);
        directory_publish(directory);
        expect_int(directory_remove(directory, instance, &stamp), 0);
        directory_publish(directory);
        instance_unref(instance);
    }
    struct instance *back = new_instance(5, 1, 0), *first = new_instance(0, 1, 0);
    expect_int(directory_put(directory, back, &stamp), 0);
    directory_publish(directory);
    directory_forget(directory, 0);
    directory_count(directory, &counts);
    expect_int(counts.n_services, DIRECTORY_EMPTY_MAX + 1);
    expect_true(directory_find(directory, back->service) != NULL);
    expect_true(directory_find(directory, first->service) == NULL);
    instance_unref(back);
    instance_unref(first);
    directory_free(directory);
    rcu_deinit(&rcu);
}

/* Services by the thousand come and go; the hash stays as small as what is there. */
static void names_come_and_go(void)
{
    struct rcu_domain rcu;
    struct directory *directory;
    rcu_init(&rcu);
    expect_int(directory_new(&rcu, &directory), 0);
    for (unsigned s = 0; s < 20000; s++) {
        struct directory_stamp stamp = {s + 1, s + 1};
        struct instance *instance = new_instance(s, 1, 0);
        expect_int(directory_put(directory, instance, &stamp), 0);
        directory_publish(directory);
        expect_true(directory_find(directory, instance->service) != NULL);
        expect_int(directory_remove(directory, instance, &stamp), 0);
        directory_publish(directory);
        if (s % 50 == 0)
            directory_forget(directory, s);
        instance_unref(instance);
        (void)rcu_reclaim(&rcu);
    }
    struct directory_counts counts;
    directory_forget(directory, 20001);
    directory_count(directory, &counts);
    expect_int(counts.n_services, 0);
    expect_int(counts.n_instances, 0);
    directory_free(directory);
    rcu_deinit(&rcu);
}

/* -------- running out of memory */

/* Fills two chunks, which splits one, and empties them; every failure must leave the directory as it was. */
static int fill_and_empty(void *arg)
{
    struct model *model = arg;
    struct directory_stamp stamp = {1, 1};
    int r = 0;
    for (unsigned i = 0; r == 0 && i < N_IDS; i++) {
        r = directory_put(model->directory, model->instances[0][(i * 7) % N_IDS], &stamp);
        if (i % 50 == 49)
            directory_publish(model->directory);
    }
    directory_publish(model->directory);
    const struct directory_service *service = find(model, 0);
    while (service && service->n_instances > 0) {
        const struct instance *instance = instance_ref(service->chunks[0]->instances[0]);
        int removed = directory_remove(model->directory, instance, &stamp);
        instance_unref(instance);
        r = removed < 0 ? removed : r;
        directory_publish(model->directory);
        service = find(model, 0);
    }
    (void)rcu_reclaim(&model->rcu);
    directory_forget(model->directory, INT64_MAX);
    return r;
}

static void out_of_memory_changes_nothing(void)
{
    struct model model;
    model_init(&model);
    for (unsigned i = 0; i < N_IDS; i++)
        model.instances[0][i] = new_instance(0, i, 0);
    expect_true(fault_alloc_sweep(fill_and_empty, &model) > N_IDS);
    struct directory_counts counts;
    directory_count(model.directory, &counts);
    expect_int(counts.n_instances, 0);
    model_deinit(&model);
}

static const struct test_case cases[] = {
    {"long random runs match a naive model", random_runs_match_a_naive_model},
    {"readers beside the writer see whole services only", readers_see_whole_services},
    {"a burst of changes to neighbours copies one chunk", a_change_copies_one_chunk},
    {"what is not published is seen by the writer alone", drafts_are_seen_by_the_writer_alone},
    {"services without instances are forgotten after a while", empty_services_are_forgotten},
    {"only so many services without instances are known", only_so_many_empty_services_are_known},
    {"service names come and go by the thousand", names_come_and_go},
    {"running out of memory changes nothing", out_of_memory_changes_nothing},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
