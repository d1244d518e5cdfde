/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of services against a sorted list: random names, prefixes, limits; and that page after page shows all. */
#include "catalog/directory_write.h"
#include "fronts/api/api_impl.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define N_NAMES 700

struct model {
    struct rcu_domain rcu;
    struct directory *directory;
    unsigned n;
    char names[N_NAMES][16]; /* sorted */
};

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void add_service(struct model *model, const char *name)
{
    const struct directory_stamp stamp = {.revision = 1, .wall_ms = 1};
    struct instance source = {.service = slice_from_str(name), .id = SLICE_LIT("one")}, *instance;
    expect_int(instance_new(&source, &instance), 0);
    expect_int(directory_put(model->directory, instance, &stamp), 0);
    instance_unref(instance);
}

static void model_init(struct model *model, uint64_t *random)
{
    *model = (struct model){0};
    rcu_init(&model->rcu);
    expect_int(directory_new(&model->rcu, &model->directory), 0);
    for (unsigned i = 0; i < N_NAMES; i++)
        snprintf(model->names[i], sizeof(model->names[i]), "%c%u", 'a' + (int)(test_random(random) % 3),
                 (unsigned)(test_random(random) % 100000));
    qsort(model->names, N_NAMES, sizeof(model->names[0]), compare);
    for (unsigned i = 0; i < N_NAMES; i++)
        if (model->n == 0 || strcmp(model->names[model->n - 1], model->names[i]) != 0)
            memmove(model->names[model->n++], model->names[i], sizeof(model->names[0]));
    for (unsigned i = 0; i < model->n; i++)
        add_service(model, model->names[i]);
    directory_publish(model->directory);
}

static void model_deinit(struct model *model)
{
    directory_free(model->directory);
    rcu_deinit(&model->rcu);
}

static void check_page(const struct model *model, struct slice prefix, struct slice after, unsigned limit)
{
    struct api_page page;
    unsigned n = 0;
    bool has_more = false;
    api_page_read(model->directory, prefix, after, limit, &page);
    for (unsigned i = 0; i < model->n; i++) {
        struct slice name = slice_from_str(model->names[i]);
        if (!slice_starts_with(name, prefix) || slice_compare(name, after) <= 0)
            continue;
        if (n == limit) {
            has_more = true;
            break;
        }
        expect_true(n < page.n);
        expect_slice(directory_name(page.services[n]), model->names[i]);
        n++;
    }
    expect_int(page.n, n);
    expect_int(page.has_more, has_more);
}

static void pages_are_as_a_sorted_list_says(void)
{
    static const char *const prefixes[] = {"", "a", "b1", "c99", "d"};
    uint64_t random = test_seed();
    struct model model;
    model_init(&model, &random);
    for (unsigned round = 0; round < 300; round++) {
        struct slice prefix = slice_from_str(prefixes[test_random(&random) % ARRAY_LEN(prefixes)]);
        struct slice after = slice_from_str(model.names[test_random(&random) % model.n]);
        check_page(&model, prefix, test_random(&random) % 2 ? after : (struct slice){0},
                   1 + (unsigned)(test_random(&random) % API_PAGE_MAX));
    }
    model_deinit(&model);
}

static void page_after_page_shows_all(void)
{
    uint64_t random = test_seed();
    struct model model;
    struct api_page page = {.has_more = true};
    struct slice after = {0};
    unsigned n = 0;
    model_init(&model, &random);
    while (page.has_more) {
        api_page_read(model.directory, (struct slice){0}, after, 64, &page);
        for (unsigned i = 0; i < page.n; i++)
            expect_slice(directory_name(page.services[i]), model.names[n++]);
        after = directory_name(page.services[page.n - 1]);
    }
    expect_int(n, model.n);
    model_deinit(&model);
}

static void of_nothing_there_is_an_empty_page(void)
{
    struct rcu_domain rcu;
    struct directory *directory;
    struct api_page page;
    rcu_init(&rcu);
    expect_int(directory_new(&rcu, &directory), 0);
    api_page_read(directory, (struct slice){0}, (struct slice){0}, 1, &page);
    expect_int(page.n, 0);
    expect_false(page.has_more);
    directory_free(directory);
    rcu_deinit(&rcu);
}

static const struct test_case cases[] = {
    {"pages are as a sorted list says", pages_are_as_a_sorted_list_says},
    {"page after page shows all", page_after_page_shows_all},
    {"of nothing there is an empty page", of_nothing_there_is_an_empty_page},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
