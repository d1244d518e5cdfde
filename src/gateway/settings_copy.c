/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and texts lie in one arena, so that a copy which is half made is freed like a whole one. */
#include "gateway/settings_copy.h"

#include <errno.h>
#include <stdlib.h>

static int copy_routes(struct arena *arena, const struct gateway_settings *settings, const struct slice **ret_routes)
{
    struct slice *routes = arena_alloc(arena, settings->n_routes * sizeof(*routes));
    int r = routes || settings->n_routes == 0 ? 0 : -ENOMEM;
    for (unsigned i = 0; r == 0 && i < settings->n_routes; i++)
        r = arena_copy(arena, settings->routes[i], &routes[i]);
    *ret_routes = routes;
    return r;
}

static int copy_trusted(struct arena *arena, const struct gateway_settings *settings,
                        const struct addr_range **ret_trusted)
{
    size_t n_bytes = settings->n_trusted * sizeof(settings->trusted[0]);
    struct addr_range *trusted = arena_alloc(arena, n_bytes);
    if (!trusted)
        return n_bytes == 0 ? 0 : -ENOMEM;
    if (n_bytes > 0)
        memcpy(trusted, settings->trusted, n_bytes);
    *ret_trusted = trusted;
    return 0;
}

static int copy_path(struct arena *arena, const char **path)
{
    struct slice text;
    if (!*path)
        return 0;
    int r = arena_copy(arena, slice_from(*path, strlen(*path) + 1), &text);
    if (r == 0)
        *path = text.ptr;
    return r;
}

static int copy_all(struct settings_copy *copy, const struct gateway_settings *from)
{
    struct gateway_settings *to = &copy->settings;
    struct slice *const texts[] = {&to->policy.hash.name, &to->policy.sticky, &to->default_service, &to->zone,
                                   &to->name};
    int r = 0;
    for (unsigned i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
        r = arena_copy(&copy->arena, *texts[i], texts[i]);
    if (r == 0)
        r = copy_routes(&copy->arena, from, &to->routes);
    if (r == 0)
        r = copy_trusted(&copy->arena, from, &to->trusted);
    return r < 0 ? r : copy_path(&copy->arena, &to->access_log_path);
}

int settings_copy_new(const struct gateway_settings *settings, struct settings_copy **ret_copy)
{
    struct settings_copy *copy = calloc(1, sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    atomic_init(&copy->refs, 1);
    copy->settings = *settings;
    copy->settings.tls = settings->tls ? tls_config_ref(settings->tls) : NULL;
    int r = copy_all(copy, settings);
    if (r < 0) {
        settings_copy_unref(copy);
        return r;
    }
    *ret_copy = copy;
    return 0;
}

struct settings_copy *settings_copy_ref(struct settings_copy *copy)
{
    atomic_fetch_add_explicit(&copy->refs, 1, memory_order_relaxed);
    return copy;
}

void settings_copy_unref(struct settings_copy *copy)
{
    if (!copy || atomic_fetch_sub_explicit(&copy->refs, 1, memory_order_acq_rel) > 1)
        return;
    (void)tls_config_unref(copy->settings.tls);
    arena_deinit(&copy->arena);
    free(copy);
}
