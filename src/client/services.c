/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which services there are, page by page, and the instances of one, now or at another time.
 */
#include "base/util.h"
#include "client/client.h"
#include "client/known.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_MAX     1000
#define SERVICES_MAX ((size_t)1 << 20)

/* ------------------------------------------------------------------------------------------------ services */

struct services {
    struct muster_services shown;
    struct muster_service_summary *items;
    json_t *pages; /* have the texts */
};

static void services_free(struct services *services)
{
    if (!services)
        return;
    json_decref(services->pages);
    free(services->items);
    free(services);
}

void muster_services_free(struct muster_services *shown)
{
    services_free(shown ? container_of(shown, struct services, shown) : NULL);
}

static int ask_page(struct muster_client *client, const char *prefix, const char *after, json_t **ret_page)
{
    CLEANUP(buf_deinit) struct buf path = {0};
    buf_printf(&path, "/api/v1/services?limit=%d&prefix=", PAGE_MAX);
    client_append_escaped(&path, slice_from_str(prefix ? prefix : ""));
    buf_append_str(&path, "&after=");
    client_append_escaped(&path, slice_from_str(after));
    buf_append_char(&path, '\0');
    if (buf_error(&path) < 0)
        return client_fail_memory(client);
    struct ask_question question = client_question(client, "GET", path.ptr);
    return client_ask_json(client, &question, ret_page);
}

/* Takes the page, whose services are put behind the others. */
static int take_page(struct muster_client *client, struct services *services, json_t *page)
{
    const json_t *list = json_object_get(page, "services");
    size_t n = json_array_size(list), n_all = services->shown.n + n;
    if (json_array_append_new(services->pages, page) < 0)
        return client_fail_memory(client);
    if (!json_is_array(list) || n_all > SERVICES_MAX)
        return client_fail_answer(client, -EINVAL);
    struct muster_service_summary *items = realloc(services->items, (n_all + 1) * sizeof(*items));
    if (!items)
        return client_fail_memory(client);
    services->items = items;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        struct muster_service_summary *summary = &items[services->shown.n];
        int64_t n_instances, n_offered;
        if (!client_read_text(item, "name", &summary->name) || !client_read_number(item, "instances", &n_instances) ||
            !client_read_number(item, "offered", &n_offered) ||
            !client_read_number(item, "revision", &summary->revision))
            return client_fail_answer(client, -EINVAL);
        summary->n_instances = (uint64_t)n_instances;
        summary->n_offered = (uint64_t)n_offered;
        services->shown.n++;
    }
    return MUSTER_OK;
}

static int take_pages(struct muster_client *client, const char *prefix, struct services *services)
{
    const char *after = "";
    while (after) {
        json_t *page = NULL;
        int result = ask_page(client, prefix, after, &page);
        if (result == MUSTER_OK)
            result = take_page(client, services, page);
        if (result != MUSTER_OK)
            return result;
        after = json_string_value(json_object_get(page, "next"));
    }
    services->shown.items = services->items;
    return MUSTER_OK;
}

int muster_list_services(struct muster_client *client, const char *prefix, struct muster_services **ret_services)
{
    if (client_misses(client, "ret_services", ret_services != NULL))
        return MUSTER_BAD_OPTIONS;
    *ret_services = NULL;
    client_lock(client);
    struct services *services = calloc(1, sizeof(*services));
    if (services)
        services->pages = json_array();
    int result = services && services->pages ? take_pages(client, prefix, services) : client_fail_memory(client);
    client_unlock(client);
    if (result == MUSTER_OK)
        *ret_services = &services->shown;
    else
        services_free(services);
    return result;
}

/* ------------------------------------------------------------------------------------------------ instances */

/* The list's instances, each with a load of its own, which nobody counts. */
static int read_instances(struct muster_client *client, const json_t *list, struct muster_instances **ret_instances)
{
    size_t n = json_array_size(list), n_read = 0;
    struct known **items = calloc(n + 1, sizeof(struct known *));
    struct load *load = load_new();
    int result = items && load ? MUSTER_OK : client_fail_memory(client);
    while (result == MUSTER_OK && n_read < n) {
        int r = known_new(json_array_get(list, n_read), load, &items[n_read]);
        if (r < 0)
            result = client_fail_answer(client, r);
        else
            n_read++;
    }
    if (result == MUSTER_OK && !(*ret_instances = known_list_new(items, n)))
        result = client_fail_memory(client);
    for (size_t i = 0; i < n_read; i++)
        known_unref(items[i]);
    load_unref(load);
    free(items);
    return result;
}

int muster_show(struct muster_client *client, const char *service, const char *at,
                struct muster_instances **ret_instances)
{
    CLEANUP(buf_deinit) struct buf path = {0};
    json_t *tree = NULL;
    if (client_misses(client, "ret_instances", ret_instances != NULL))
        return MUSTER_BAD_OPTIONS;
    *ret_instances = NULL;
    if (client_misses_service(client, service))
        return MUSTER_BAD_OPTIONS;
    buf_append_str(&path, "/api/v1/services/");
    client_append_escaped(&path, slice_from_str(service));
    if (at) {
        buf_append_str(&path, "?at=");
        client_append_escaped(&path, slice_from_str(at));
    }
    buf_append_char(&path, '\0');
    client_lock(client);
    int result = client_fail_memory(client);
    if (buf_error(&path) == 0) {
        struct ask_question question = client_question(client, "GET", path.ptr);
        result = client_ask_json(client, &question, &tree);
    }
    if (result == MUSTER_OK)
        result = read_instances(client, json_object_get(tree, "instances"), ret_instances);
    client_unlock(client);
    json_decref(tree);
    return result;
}
