/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address is both the instance's id and its record's address, so that it is answered as it was given. A heartbeat is
 * the same request as the registration; the curator finds that nothing has changed and renews the lease in place.
 *
 * Clients of this registry see exactly the keys: what is only held for others (INSTANCE_HELD) is left out, what is
 * failing or draining is not. Instances that came by another protocol are shown in this one's form, SCHEME@HOST:PORT.
 */
#include "fronts/srpc/srpc.h"

#include "base/host_port.h"
#include "base/util.h"
#include "catalog/instance_record.h"
#include "fronts/change.h"
#include "fronts/service_access.h"
#include "fronts/settings.h"
#include "wire/uri.h"

#include <errno.h>
#include <stdlib.h>

#define ROOT    SLICE_LIT("/srpc/registry")
#define SERVERS SLICE_LIT("srpc-servers")
#define SERVICE SLICE_LIT("srpc-service")

struct srpc {
    const struct access *access;
    struct curator *curator;
    const struct front_settings *settings;
};

/* ------------------------------------------------------------------------------------------------ which service */

/*
 * From the path, else from the header, else the one that the nameless form means. `scratch` holds what was decoded.
 * 0, -EINVAL, -ENOMEM.
 */
static int find_name(const struct srpc *srpc, const struct http_request *request, struct buf *scratch,
                     struct slice *ret_name)
{
    struct slice rest = slice_skip(request->path, ROOT.len);
    if (rest.len > 1) {
        int r = uri_decode(slice_skip(rest, 1), scratch);
        if (r < 0)
            return r;
        *ret_name = buf_slice(scratch);
        return 0;
    }
    const struct http_field *field = http_fields_get_name(request->fields, SERVICE);
    *ret_name = field ? field->value : srpc->settings->srpc.service;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ POST */

static void answer_registration(struct change *change)
{
    if (change->request.outcome == CURATOR_OK)
        change_respond(change, 200, NULL, 0, (struct slice){0});
    else
        change_respond_text(change, 500, change_words(&change->request));
}

static void register_address(struct srpc *srpc, struct exchange *exchange, struct slice service, struct slice address)
{
    struct change *change = change_new(srpc->curator, exchange, srpc->access, "srpc", answer_registration);
    if (!change)
        return;
    struct curator_request *request = &change->request;
    struct instance_record *record = change_alloc(change, sizeof(*record));
    request->type = CURATOR_REGISTER;
    request->service = change_copy(change, service);
    request->id = change_copy(change, address);
    request->ttl_ms = srpc->settings->srpc.ttl_ns / NSEC_PER_MSEC;
    if (record) {
        record->weight = 1;
        /* Any text will do: it is only told, to those who understand it. */
        (void)instance_record_set_address(record, request->id);
        change_find_host(change, record);
        record->origin = SLICE_LIT("srpc");
        request->record = record;
    }
    change_submit(change);
}

static void on_post(struct srpc *srpc, struct exchange *exchange, struct slice service)
{
    const struct http_field *field = http_fields_get_name(exchange->request->fields, SERVERS);
    if (!field || slice_is_empty(field->value))
        exchange_respond_text(exchange, 500, "the header Srpc-Servers must have the address to register\n");
    else if (slice_find(field->value, ',') < field->value.len)
        exchange_respond_text(exchange, 500, "the header Srpc-Servers must have one address, without a comma\n");
    else
        register_address(srpc, exchange, service, field->value);
}

/* ------------------------------------------------------------------------------------------------ GET */

/* What has a comma would be two to those who read the list: it is left out. */
static bool can_be_told(const struct instance_record *record)
{
    const struct slice texts[] = {record->address, record->protocol, record->host};
    for (unsigned i = 0; i < ARRAY_LEN(texts); i++)
        if (slice_find(texts[i], ',') < texts[i].len)
            return false;
    return true;
}

static void write_address(struct buf *list, const struct instance_record *record)
{
    if (slice_find(record->address, '@') < record->address.len || slice_is_empty(record->host)) {
        buf_append(list, record->address);
        return;
    }
    size_t size = record->host.len + HOST_PORT_EXTRA;
    char *room;
    buf_append(list, slice_is_empty(record->protocol) ? SLICE_LIT("tcp") : record->protocol);
    buf_append_char(list, '@');
    if (buf_reserve(list, size, &room) == 0)
        buf_commit(list, host_port_write(record->host, record->port, size, room).len);
}

/* Joins the addresses of `unsorted`, which stand there one behind the other, each ended by a comma. */
static int sort_list(struct slice unsorted, unsigned n, struct buf *list)
{
    struct slice *all = calloc(n ? n : 1, sizeof(*all));
    if (!all)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++)
        unsorted = slice_split(unsorted, ',', &all[i]);
    slice_sort(all, n);
    for (unsigned i = 0; i < n; i++) {
        buf_append_str(list, i > 0 ? "," : "");
        buf_append(list, all[i]);
    }
    free(all);
    return buf_error(list);
}

static int write_list(const struct directory_service *service, struct buf *list)
{
    struct buf unsorted = {0};
    struct directory_cursor cursor = {.service = service};
    const struct instance *instance;
    unsigned n = 0;
    while ((instance = directory_next(&cursor))) {
        if (INSTANCE_HAS(instance, HELD) || !can_be_told(&instance->record))
            continue;
        write_address(&unsorted, &instance->record);
        buf_append_char(&unsorted, ',');
        n++;
    }
    int r = buf_error(&unsorted);
    if (r == 0)
        r = sort_list(buf_slice(&unsorted), n, list);
    buf_deinit(&unsorted);
    return r;
}

static void on_get(const struct srpc *srpc, struct exchange *exchange, struct slice name)
{
    const struct directory *directory = catalog_directory(curator_catalog(srpc->curator));
    const struct directory_service *service = directory_find(directory, name);
    struct buf list = {0};
    if (service && write_list(service, &list) < 0) {
        exchange_respond_text(exchange, 503, "out of memory\n");
    } else {
        const struct header header = {SERVERS, buf_slice(&list)};
        exchange_respond(exchange, 200, &header, 1, (struct slice){0});
    }
    buf_deinit(&list);
}

/* ------------------------------------------------------------------------------------------------ the front end */

static void on_request(void *instance, struct exchange *exchange)
{
    struct srpc *srpc = instance;
    struct buf scratch = {0};
    struct slice name;
    struct err err = {0};
    bool is_post = exchange->request->method == HTTP_METHOD_POST;
    unsigned refused = 0;
    int r = find_name(srpc, exchange->request, &scratch, &name);
    if (r == 0)
        refused = service_access_check(srpc->access, exchange, is_post ? ACCESS_WRITE : ACCESS_READ, name);
    if (r == -ENOMEM)
        exchange_respond_text(exchange, 503, "out of memory\n");
    else if (r < 0)
        exchange_respond_text(exchange, 500, "the service's name in the path is badly percent-encoded\n");
    else if (instance_record_check_names(name, SLICE_LIT("any"), &err) < 0)
        exchange_respond_text(exchange, 500, "%s\n", err.text);
    else if (refused)
        exchange_respond_text(exchange, refused, "%s\n", access_text(refused));
    else if (is_post)
        on_post(srpc, exchange, name);
    else
        on_get(srpc, exchange, name);
    buf_deinit(&scratch);
}

static int create(const struct front_env *env, void **ret_instance, struct err *err)
{
    (void)err;
    struct srpc *srpc = malloc(sizeof(*srpc));
    if (!srpc)
        return -ENOMEM;
    *srpc = (struct srpc){env->access, env->curator, env->settings};
    *ret_instance = srpc;
    return 0;
}

static void destroy(void *instance)
{
    free(instance);
}

#define METHODS (FRONT_METHOD(HTTP_METHOD_GET) | FRONT_METHOD(HTTP_METHOD_POST))

static const struct front_path paths[] = {
    {SLICE_LIT("/srpc/registry"), FRONT_EXACT, METHODS, on_request},
    {SLICE_LIT("/srpc/registry/"), FRONT_PREFIX, METHODS, on_request},
};

const struct front srpc_front = {
    .name = "srpc",
    .speaks = "the header registry",
    .paths = paths,
    .n_paths = ARRAY_LEN(paths),
    .create = create,
    .destroy = destroy,
};
