/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker keeps the texts of services that were asked for lately: each has its slot by its name, and is good as long
 * as the service's generation is the same, which it is until any instance of it changes. Large ones share one slot,
 * so that 10,000 watchers of one service of 10,000 instances hold one text, and the cache stays small.
 */
#include "fronts/api/api_impl.h"

#include <stdlib.h>

#define LARGE_BYTES ((size_t)32 * 1024)

void api_text_unref(struct api_text *text)
{
    if (!text || --text->refs > 0)
        return;
    buf_deinit(&text->text);
    free(text);
}

static struct api_text *make(const struct directory_service *service, bool is_offered_only)
{
    struct api_text *text = calloc(1, sizeof(*text));
    if (!text)
        return NULL;
    text->refs = 1;
    text->generation = service->generation;
    text->is_offered_only = is_offered_only;
    text->text.limit = API_TEXT_MAX;
    api_json_service(&text->text, directory_name(service), service->revision, service, is_offered_only);
    if (buf_error(&text->text) == 0)
        return text;
    api_text_unref(text);
    return NULL;
}

static bool is_right(const struct api_text *text, const struct directory_service *service, bool is_offered_only)
{
    return text && text->generation == service->generation && text->is_offered_only == is_offered_only;
}

struct api_text *api_cache_service(struct api_worker *worker, const struct directory_service *service,
                                   bool is_offered_only)
{
    size_t index = (service->cell->hash ^ (service->cell->hash >> 32) ^ is_offered_only) & (API_CACHE_SLOTS - 1);
    struct api_text *text =
        is_right(worker->cached_large, service, is_offered_only) ? worker->cached_large : worker->cached[index];
    if (!is_right(text, service, is_offered_only)) {
        text = make(service, is_offered_only);
        if (!text)
            return NULL;
        struct api_text **slot = text->text.len > LARGE_BYTES ? &worker->cached_large : &worker->cached[index];
        api_text_unref(*slot);
        *slot = text;
    }
    text->refs++;
    return text;
}
