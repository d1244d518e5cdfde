/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request to a service. The request's host is walked label by label, from the last on; then, from the most exact
 * host that has routes to the least, its path element by element as far as there are nodes, and back up: the first
 * route that fits is the one.
 */
#include "gateway/policy.h"
#include "gateway/route_table.h"

#include "base/util.h"
#include "wire/uri_path.h"

struct search {
    const struct plan *plan;
    const struct http_request *request;
    const struct uri_path *path;
    bool is_local;
    bool is_hidden; /* something was passed over because it is not exposed */
};

static const struct plan_service *current_of(const struct plan_cell *cell)
{
    return atomic_load_explicit(&cell->current, memory_order_acquire);
}

/* Whether a service may be reached by its own name or metadata. */
static bool is_reachable(struct search *search, const struct plan_cell *cell)
{
    if (search->is_local || search->plan->settings.expose_all)
        return true;
    const struct plan_service *service = current_of(cell);
    if (service && service->is_exposed)
        return true;
    search->is_hidden = true;
    return false;
}

static bool has_header(const struct http_request *request, struct slice name, struct slice value)
{
    for (unsigned i = 0; i < request->fields->n; i++) {
        const struct http_field *field = &request->fields->items[i];
        if (slice_equal(field->value, value) && slice_equal_nocase(field->name, name))
            return true;
    }
    return false;
}

static bool is_taken(struct search *search, const struct route *route)
{
    if (route->methods && !(route->methods & 1U << search->request->method))
        return false;
    if (route->header_name.len > 0 && !has_header(search->request, route->header_name, route->header_value))
        return false;
    return route->is_configured || is_reachable(search, route->cell);
}

/* `top` may be NULL. */
static const struct route_entry *search_paths(struct search *search, const struct route_node *top)
{
    const struct route_node *node = top, *next;
    const struct uri_path *path = search->path;
    for (unsigned i = 0; node && i < path->n; i++) {
        next = route_table_child(search->plan->routes, node, path->elements[i].name);
        if (!next)
            break;
        node = next;
    }
    for (; node; node = node->above) {
        for (const struct route_entry *entry = node->entries; entry; entry = entry->next)
            if (is_taken(search, &entry->route))
                return entry;
    }
    return NULL;
}

/* In lower case, without port and without the dot at its end; "" when it cannot be the host of a route. */
static struct slice read_host(struct slice authority, char room[ROUTE_HOST_MAX])
{
    size_t len = slice_find(authority, ':');
    if (len > 0 && authority.ptr[len - 1] == '.')
        len--;
    if (len > ROUTE_HOST_MAX)
        return slice_from(room, 0);
    for (size_t i = 0; i < len; i++) {
        char c = authority.ptr[i];
        room[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return slice_from(room, len);
}

static const struct route_entry *search_hosts(struct search *search)
{
    char room[ROUTE_HOST_MAX];
    const struct route_table *table = search->plan->routes;
    const struct route_node *node = table->root;
    struct slice rest = table->has_hosts ? read_host(search->request->authority, room) : SLICE_LIT("");
    while (rest.len > 0) {
        size_t n = rest.len;
        while (n > 0 && rest.ptr[n - 1] != '.')
            n--;
        const struct route_node *next = route_table_child(table, node, slice_skip(rest, n));
        if (!next)
            break;
        node = next;
        rest.len = n > 0 ? n - 1 : 0;
    }
    bool is_whole = rest.len == 0 && node != table->root;
    const struct route_entry *found = is_whole ? search_paths(search, node->exact) : NULL;
    for (node = is_whole ? node->above : node; !found && node; node = node->above)
        found = search_paths(search, node->wildcard);
    return found;
}

/* The service that the first element of the path names. */
static struct plan_cell *find_named(struct search *search)
{
    if (search->path->n == 0)
        return NULL;
    struct plan_cell *cell = plan_find(search->plan, search->path->elements[0].name);
    return cell && current_of(cell) && is_reachable(search, cell) ? cell : NULL;
}

static bool is_within(struct slice part, struct slice whole)
{
    uintptr_t first = (uintptr_t)whole.ptr;
    return (uintptr_t)part.ptr >= first && (uintptr_t)part.ptr < first + whole.len;
}

/* Path and query, in the bytes of the request: what an absolute target has behind its host. */
static struct slice origin_form(const struct http_request *request, bool *ret_needs_slash)
{
    struct slice target = request->target;
    bool has_path = is_within(request->path, target);
    *ret_needs_slash = !has_path && request->query.len > 0; /* "http://host?query" */
    if (has_path)
        return slice_skip(target, (size_t)(request->path.ptr - target.ptr));
    return *ret_needs_slash ? slice_from(request->query.ptr - 1, request->query.len + 1) : request->path;
}

/* Takes the first elements of the path off the target; several slashes that are left in front become one. */
static void strip(struct route_match *match, const struct http_request *request, const struct uri_path *path,
                  unsigned n)
{
    const char *end = path->elements[n - 1].end, *path_end = request->path.ptr + request->path.len;
    while (path_end - end > 1 && end[0] == '/' && end[1] == '/')
        end++;
    match->needs_slash = end == path_end;
    match->target = slice_skip(match->target, (size_t)(end - match->target.ptr));
}

static void settle(const struct search *search, struct plan_cell *cell, const struct route *route, unsigned n_elements,
                   struct route_match *match)
{
    const struct plan_service *service = current_of(cell);
    match->outcome = ROUTE_FOUND;
    match->cell = cell;
    match->route = route;
    match->policy = service ? service->policy : search->plan->settings.policy;
    if (route)
        policy_overlay(&match->policy, &route->policy, route->policy_set);
    match->target = origin_form(search->request, &match->needs_slash);
    if (match->policy.strip && n_elements > 0)
        strip(match, search->request, search->path, n_elements);
}

static int split_path(const struct plan *plan, const struct http_request *request, struct uri_path *ret_path,
                      const char **ret_fault)
{
    if (request->method == HTTP_METHOD_OPTIONS && slice_equal_str(request->path, "*")) {
        ret_path->n = 0;
        return 0;
    }
    unsigned n_wanted = (unsigned)max_size(1, plan->routes->n_elements);
    return uri_path_split(request->path, n_wanted, ret_path, ret_fault);
}

void route_find(const struct plan *plan, const struct http_request *request, bool is_local,
                struct route_match *ret_match)
{
    struct uri_path path;
    struct search search = {plan, request, &path, is_local, false};
    ret_match->fault = NULL;
    if (split_path(plan, request, &path, &ret_match->fault) < 0) {
        ret_match->outcome = ROUTE_BAD_PATH;
        return;
    }
    const struct route_entry *entry = search_hosts(&search);
    if (entry) {
        settle(&search, entry->route.cell, &entry->route, entry->n_elements, ret_match);
        return;
    }
    struct plan_cell *cell = find_named(&search);
    if (cell)
        settle(&search, cell, NULL, 1, ret_match);
    else if (plan->default_cell)
        settle(&search, plan->default_cell, NULL, 0, ret_match);
    else
        ret_match->outcome = search.is_hidden ? ROUTE_NOT_EXPOSED : ROUTE_NONE;
}
