/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory is a hash, in no order: a page is the smallest names above the last one, found in one walk with a heap
 * of the best so far, the largest on top. So whoever goes through all services keeps a name between the pages, and
 * neither a list nor a lock.
 */
#include "base/util.h"
#include "fronts/api/api_impl.h"

#include <stdlib.h>

struct search {
    struct slice prefix, after;
    struct api_page *page;
    unsigned room; /* one more than wanted: it tells whether there is more */
};

static int compare(const struct directory_service *a, const struct directory_service *b)
{
    return slice_compare(directory_name(a), directory_name(b));
}

static int compare_at(const void *a, const void *b)
{
    const struct directory_service *const *first = a, *const *second = b;
    return compare(*first, *second);
}

static void swap(const struct directory_service **a, const struct directory_service **b)
{
    const struct directory_service *kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_up(const struct directory_service **heap, unsigned at)
{
    while (at > 0 && compare(heap[at], heap[(at - 1) / 2]) > 0) {
        swap(&heap[at], &heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sift_down(const struct directory_service **heap, unsigned n)
{
    for (unsigned at = 0, child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && compare(heap[child + 1], heap[child]) > 0)
            child++;
        if (compare(heap[at], heap[child]) >= 0)
            return;
        swap(&heap[at], &heap[child]);
    }
}

static bool see(void *ctx, const struct directory_service *service)
{
    struct search *search = ctx;
    struct api_page *page = search->page;
    struct slice name = directory_name(service);
    if (!slice_starts_with(name, search->prefix) || slice_compare(name, search->after) <= 0)
        return true;
    if (page->n < search->room) {
        page->services[page->n] = service;
        sift_up(page->services, page->n++);
    } else if (compare(service, page->services[0]) < 0) {
        page->services[0] = service;
        sift_down(page->services, page->n);
    }
    return true;
}

void api_page_read(const struct directory *directory, struct slice prefix, struct slice after, unsigned limit,
                   struct api_page *ret_page)
{
    struct search search = {prefix, after, ret_page, limit + 1};
    ASSERT(limit > 0 && limit <= API_PAGE_MAX);
    ret_page->n = 0;
    ret_page->limit = limit;
    directory_each(directory, see, &search);
    qsort(ret_page->services, ret_page->n, sizeof(ret_page->services[0]), compare_at);
    ret_page->has_more = ret_page->n > limit;
    if (ret_page->has_more)
        ret_page->n = limit;
}
