/* SPDX-License-Identifier: Apache-2.0 */
/* Documents against a model that is an array, through batches that are sealed, published and looked at. */
#include "store/local/docs.h"

#include "base/buf.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NAMES 30

struct bench {
    struct rcu_domain rcu;
    struct docs *docs;
    int64_t model[NAMES]; /* versions; 0: not there. The value is the version as text */
};

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    rcu_init(&bench->rcu);
    expect_int(docs_new(&bench->rcu, &bench->docs), 0);
}

static void bench_deinit(struct bench *bench)
{
    docs_free(bench->docs);
    rcu_deinit(&bench->rcu);
}

static struct slice name_of(int i, char room[32])
{
    snprintf(room, 32, "%s/%02d", i % 2 ? "odd" : "even", i);
    return slice_from_str(room);
}

static void publish(struct docs *docs)
{
    struct store_root *root;
    expect_int(docs_seal(docs, &root), 0);
    if (root)
        docs_publish(docs, root);
    docs_reclaim(docs);
}

static void put(struct docs *docs, const char *name, const char *value)
{
    const struct store_kv *doc;
    expect_int(docs_put(docs, slice_from_str(name), slice_from_str(value), &doc), 0);
    expect_slice(doc->key, name);
    expect_slice(doc->value, value);
}

static bool write_down(void *ctx, struct slice name, struct slice value, int64_t version)
{
    buf_printf(ctx, "%.*s=%.*s@%d ", SLICE_ARG(name), SLICE_ARG(value), (int)version);
    return true;
}

static bool write_down_one(void *ctx, struct slice name, struct slice value, int64_t version)
{
    (void)write_down(ctx, name, value, version);
    return false;
}

static void expect_docs(struct docs *docs, const char *prefix, const char *expected)
{
    struct buf text = {0};
    docs_each(docs, slice_from_str(prefix), write_down, &text);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}

static void versions_count_changes(void)
{
    struct bench bench;
    bench_init(&bench);
    const struct store_kv *doc;
    expect_true(docs_get(bench.docs, SLICE_LIT("a")) == NULL);
    put(bench.docs, "a", "1");
    put(bench.docs, "a", "2");
    put(bench.docs, "a", "");
    expect_int(docs_get(bench.docs, SLICE_LIT("a"))->version, 3);
    expect_docs(bench.docs, "", "");
    publish(bench.docs);
    expect_docs(bench.docs, "", "a=@3 ");

    expect_int(docs_remove(bench.docs, SLICE_LIT("a"), &doc), 0);
    expect_slice(doc->key, "a");
    expect_int(doc->version, 0);
    expect_docs(bench.docs, "", "a=@3 ");
    publish(bench.docs);
    expect_docs(bench.docs, "", "");
    put(bench.docs, "a", "again");
    publish(bench.docs);
    expect_docs(bench.docs, "", "a=again@1 ");
    bench_deinit(&bench);
}

static void names_are_given_in_order_by_prefix(void)
{
    struct bench bench;
    bench_init(&bench);
    put(bench.docs, "b", "1");
    put(bench.docs, "a/2", "2");
    put(bench.docs, "a/10", "3");
    put(bench.docs, "a", "4");
    put(bench.docs, "a\xff", "5");
    publish(bench.docs);
    expect_docs(bench.docs, "a/", "a/10=3@1 a/2=2@1 ");
    expect_docs(bench.docs, "a", "a=4@1 a/10=3@1 a/2=2@1 a\xff=5@1 ");
    expect_docs(bench.docs, "c", "");
    struct buf text = {0};
    docs_each(bench.docs, SLICE_LIT("a/"), write_down_one, &text);
    expect_slice(buf_slice(&text), "a/10=3@1 ");
    buf_deinit(&text);
    bench_deinit(&bench);
}

static void expect_model(struct bench *bench)
{
    struct buf expected = {0};
    for (int half = 0; half < 2; half++) { /* even ones sort first */
        for (int i = half; i < NAMES; i += 2) {
            char name[32];
            if (bench->model[i])
                buf_printf(&expected, "%.*s=%d@%d ", SLICE_ARG(name_of(i, name)), (int)bench->model[i],
                           (int)bench->model[i]);
        }
    }
    buf_append_char(&expected, 0);
    expect_docs(bench->docs, "", expected.ptr);
    buf_deinit(&expected);
}

static bool count(void *ctx, const struct store_kv *doc)
{
    (void)doc;
    ++*(size_t *)ctx;
    return true;
}

static void agree_with_a_model(void)
{
    uint64_t seed = test_seed();
    struct bench bench;
    bench_init(&bench);
    for (int round = 0; round < 500; round++) {
        struct store_view view;
        size_t n_before = 0, n_after = 0;
        docs_view(bench.docs, &view);
        docs_view_each(&view, (struct slice){0}, count, &n_before);
        for (uint64_t n = test_random(&seed) % 20; n > 0; n--) {
            char name[32], value[32];
            int i = (int)(test_random(&seed) % NAMES);
            const struct store_kv *doc = docs_get(bench.docs, name_of(i, name));
            expect_int(doc ? doc->version : 0, bench.model[i]);
            bool is_removal = doc && test_random(&seed) % 3 == 0;
            bench.model[i] = is_removal ? 0 : bench.model[i] + 1;
            snprintf(value, sizeof(value), "%d", (int)bench.model[i]);
            int result = is_removal ? docs_remove(bench.docs, name_of(i, name), &doc)
                                    : docs_put(bench.docs, name_of(i, name), slice_from_str(value), &doc);
            expect_int(result, 0);
            expect_int(doc->version, bench.model[i]);
        }
        publish(bench.docs);
        expect_model(&bench);
        docs_view_each(&view, (struct slice){0}, count, &n_after);
        expect_int(n_after, n_before); /* a view stays as it was */
        docs_view_release(bench.docs, &view);
    }
    bench_deinit(&bench);
}

static void all_together_have_a_limit(void)
{
    static char value[STORE_VALUE_MAX];
    struct bench bench;
    bench_init(&bench);
    struct slice large = slice_from(value, sizeof(value));
    char name[32];
    int n = 0;
    for (const struct store_kv *doc; docs_has_room(bench.docs, name_of(n, name), large); n++)
        expect_int(docs_put(bench.docs, name_of(n, name), large, &doc), 0);
    expect_int(n, STORE_DOCS_BYTES_MAX / STORE_VALUE_MAX);
    expect_true(docs_has_room(bench.docs, name_of(0, name), large)); /* in the place of the one that is there */
    expect_true(docs_has_room(bench.docs, SLICE_LIT("small"), SLICE_LIT("value")));
    bench_deinit(&bench);
}

static void what_is_restored_goes_on_from_its_version(void)
{
    struct bench bench;
    bench_init(&bench);
    struct store_kv doc = {.key = SLICE_LIT("a"), .value = SLICE_LIT("1"), .version = 7};
    expect_int(docs_restore(bench.docs, &doc), 0);
    expect_int(docs_restore(bench.docs, &doc), -EEXIST);
    put(bench.docs, "a", "2");
    publish(bench.docs);
    expect_docs(bench.docs, "", "a=2@8 ");
    bench_deinit(&bench);
}

static int change_some(void *arg)
{
    (void)arg;
    struct rcu_domain rcu;
    struct docs *docs;
    const struct store_kv *doc;
    struct store_root *root = NULL;
    rcu_init(&rcu);
    int result = docs_new(&rcu, &docs);
    if (result == 0) {
        for (int i = 0; result == 0 && i < NAMES; i++) {
            char name[32];
            result = docs_put(docs, name_of(i, name), SLICE_LIT("value"), &doc);
        }
        if (result == 0)
            result = docs_remove(docs, SLICE_LIT("even/00"), &doc);
        if (result == 0)
            result = docs_seal(docs, &root);
        if (result == 0)
            docs_publish(docs, root);
        docs_reclaim(docs);
        docs_free(docs);
    }
    rcu_deinit(&rcu);
    return result;
}

static void running_out_of_memory_is_an_ordinary_error(void)
{
    expect_true(fault_alloc_sweep(change_some, NULL) > NAMES);
}

static const struct test_case cases[] = {
    {"versions count the changes of a document", versions_count_changes},
    {"names are given in order, by their prefix", names_are_given_in_order_by_prefix},
    {"documents agree with a model, views stay", agree_with_a_model},
    {"all together have a limit", all_together_have_a_limit},
    {"what is restored goes on from its version", what_is_restored_goes_on_from_its_version},
    {"running out of memory is an ordinary error", running_out_of_memory_is_an_ordinary_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
