/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches: streams of the changes of some services, or of all with a prefix.
 *
 *     LISTING   is shown the services as they are, in the order of their names; `cursor` is the last one shown.
 *               Changes of those are told too, others will be seen when their turn comes
 *     LATE      is told by itself the changes after `told`, from the curator's ring
 *     LIVE      is told each change together with all other live watches
 *
 * A watch that begins is LISTING, or LATE when it resumes; then LIVE. When its client does not read fast enough it
 * becomes LATE, and what it has not read waits in the ring, not in a queue of its own: a slow reader costs no memory
 * beyond its connection's buffer, and nobody waits for it. When the ring has forgotten what it needs it is reset: it
 * is LISTING again.
 *
 * Only `synced` and `change` carry an id: who resumes from one is sure to have seen all before it.
 */
#include "fronts/api/api_watch.h"

#include "base/assert.h"
#include "catalog/instance_record.h"
#include "fronts/api/api_impl.h"
#include "fronts/api/api_stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE_BYTES ((size_t)64 * 1024)
/* Of one watch in one turn: others wait meanwhile. */
#define TURN_BYTES ((size_t)512 * 1024)
#define LOOKS_MAX  4096

enum state { LISTING, LATE, LIVE };

struct watch {
    struct api_stream stream;
    struct api_follower follower;
    struct api_worker *worker;
    enum state state;
    struct list late;      /* of hub->late: has something to do as soon as there is room */
    int64_t told;          /* not LIVE: the last change that it was told or did not want */
    size_t budget;         /* left for this turn */
    struct api_text *text; /* a service that is being shown */
    size_t offset;         /* so much of it was sent */
    unsigned cursor_len;   /* 0: none was shown yet */
    char cursor[CATALOG_NAME_MAX];
    size_t prefix_len;
    char prefix[];
};

static struct api_hub *hub_of(const struct watch *watch)
{
    return &watch->worker->hub;
}

/* In one of the next turns it goes on. */
static void call_up(struct watch *watch)
{
    struct api_hub *hub = hub_of(watch);
    if (!list_is_linked(&watch->late))
        list_push_back(&hub->late, &watch->late);
    loop_defer(hub->loop, &hub->pump);
}

/* ------------------------------------------------------------------------------------------------ saying */

/* False: no more for now. */
static bool say(struct watch *watch, struct slice bytes)
{
    watch->budget -= min_size(watch->budget, bytes.len);
    return api_stream_say(&watch->stream, bytes) && watch->budget > 0;
}

/* An event of its own: `id` makes it one to resume from. */
static bool say_revision(struct watch *watch, const char *event, bool has_id)
{
    char id[32] = "", text[128];
    long long revision = watch->told;
    if (has_id)
        (void)snprintf(id, sizeof(id), "id: %lld\n", revision);
    int n = snprintf(text, sizeof(text), "event: %s\n%sdata: {\"revision\":%lld}\n\n", event, id, revision);
    ASSERT(n > 0 && (size_t)n < sizeof(text));
    return say(watch, slice_from(text, (size_t)n));
}

static bool say_change(struct watch *watch, const struct catalog_change *change)
{
    struct slice message = api_hub_message(hub_of(watch), change);
    if (message.len > 0)
        return say(watch, message);
    api_stream_abort(&watch->stream); /* out of memory: it resumes by itself */
    return false;
}

/* From the start: what it knows is not to be trusted. */
static void begin_listing(struct watch *watch, bool is_reset)
{
    watch->state = LISTING;
    watch->told = hub_of(watch)->revision;
    watch->cursor_len = 0;
    api_text_unref(TAKE(watch->text));
    if (is_reset)
        (void)say_revision(watch, "reset", false);
    call_up(watch);
}

/* ------------------------------------------------------------------------------------------------ catching up */

static bool is_due(const struct watch *watch, const struct catalog_change *change)
{
    const struct instance *instance = change->after ? change->after : change->before;
    if (!api_follower_wants(&watch->follower, instance->service))
        return false;
    struct slice cursor = slice_from(watch->cursor, watch->cursor_len);
    return watch->state != LISTING || slice_compare(instance->service, cursor) <= 0;
}

/* Up to the hub's revision. False: not there yet, or reset. */
static bool catch_up(struct watch *watch)
{
    struct api_hub *hub = hub_of(watch);
    const struct catalog *catalog = curator_catalog(hub->curator);
    for (unsigned n = 0; watch->told < hub->revision; n++) {
        const struct catalog_change *change = catalog_change(catalog, watch->told + 1);
        if (!change) {
            begin_listing(watch, true);
            return false;
        }
        if (n == LOOKS_MAX)
            return false;
        watch->told++;
        if (is_due(watch, change) && !say_change(watch, change))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------ listing */

/* Goes on with the service that is being shown. */
static bool show_text(struct watch *watch)
{
    struct slice rest = slice_skip(buf_slice(&watch->text->text), watch->offset);
    while (rest.len > 0) {
        struct slice piece = {rest.ptr, min_size(rest.len, PIECE_BYTES)};
        rest = slice_skip(rest, piece.len);
        watch->offset += piece.len;
        if (!say(watch, piece) && rest.len > 0)
            return false;
    }
    api_text_unref(TAKE(watch->text));
    return say(watch, SLICE_LIT("\n\n"));
}

/* It is not known: its name is told, so that a client can tell nobody from not yet. */
static bool show_unknown(struct watch *watch, struct slice name)
{
    struct buf text = {0};
    buf_append_str(&text, "event: snapshot\ndata: ");
    api_json_service(&text, name, watch->told, NULL, false);
    buf_append_str(&text, "\n\n");
    bool has_room = false;
    if (buf_error(&text) == 0)
        has_room = say(watch, buf_slice(&text));
    else
        api_stream_abort(&watch->stream);
    buf_deinit(&text);
    return has_room;
}

static bool show(struct watch *watch, struct slice name, const struct directory_service *service)
{
    ASSERT(name.len <= sizeof(watch->cursor));
    watch->cursor_len = (unsigned)name.len;
    memcpy(watch->cursor, name.ptr, name.len);
    if (!service)
        return show_unknown(watch, name);
    watch->text = api_cache_service(watch->worker, service, false);
    watch->offset = 0;
    if (!watch->text) {
        api_stream_abort(&watch->stream);
        return false;
    }
    return say(watch, SLICE_LIT("event: snapshot\ndata: ")) ? show_text(watch) : false;
}

/* The first of its services behind the cursor; empty: there is none. */
static struct slice next_named(const struct watch *watch)
{
    struct slice cursor = slice_from(watch->cursor, watch->cursor_len), next = {0};
    for (unsigned i = 0; i < watch->follower.n_interests; i++) {
        struct slice name = api_follower_service(&watch->follower, i);
        if (slice_compare(name, cursor) > 0 && (next.len == 0 || slice_compare(name, next) < 0))
            next = name;
    }
    return next;
}

/* True: all were shown. */
static bool list_named(struct watch *watch)
{
    const struct directory *directory = api_directory(watch->worker->api);
    for (struct slice name; (name = next_named(watch)).len > 0;)
        if (!show(watch, name, directory_find(directory, name)))
            return false;
    return true;
}

static bool list_all(struct watch *watch)
{
    struct api_page page;
    do {
        struct slice cursor = slice_from(watch->cursor, watch->cursor_len);
        api_page_read(api_directory(watch->worker->api), watch->follower.prefix, cursor, API_PAGE_MAX, &page);
        for (unsigned i = 0; i < page.n; i++)
            if (!show(watch, directory_name(page.services[i]), page.services[i]))
                return false;
    } while (page.has_more);
    return true;
}

/* ------------------------------------------------------------------------------------------------ the state machine */

static void tick(struct watch *watch)
{
    watch->budget = TURN_BYTES;
    if (watch->text && !show_text(watch))
        return;
    if (!catch_up(watch))
        return;
    if (watch->state == LISTING) {
        if (!(watch->follower.n_interests > 0 ? list_named(watch) : list_all(watch)))
            return;
        (void)say_revision(watch, "synced", true);
    }
    watch->state = watch->stream.is_full ? LATE : LIVE;
}

/* Each of those that have something to do gets one go. */
static void pump(struct loop_task *task)
{
    struct api_hub *hub = container_of(task, struct api_hub, pump);
    struct list called;
    list_init(&called);
    list_splice_back(&called, &hub->late);
    for (struct list *link; (link = list_pop_front(&called));) {
        struct watch *watch = container_of(link, struct watch, late);
        if (watch->stream.is_full || watch->stream.is_over)
            continue; /* on_drain calls it up */
        tick(watch);
        if (watch->state != LIVE && !watch->stream.is_full && !watch->stream.is_over)
            call_up(watch);
    }
}

static void on_change(struct api_follower *follower, const struct catalog_change *change)
{
    struct watch *watch = container_of(follower, struct watch, follower);
    if (watch->state != LIVE || change->revision <= watch->told)
        return; /* it finds it in the ring, or has it from another worker, which was ahead */
    watch->budget = TURN_BYTES;
    (void)say_change(watch, change);
    if (watch->stream.is_full) {
        watch->state = LATE;
        watch->told = change->revision;
    }
}

static void on_gap(struct api_follower *follower)
{
    struct watch *watch = container_of(follower, struct watch, follower);
    if (watch->state == LIVE && !watch->stream.is_full)
        begin_listing(watch, true);
}

static void on_drain(struct exchange *exchange)
{
    struct watch *watch = exchange->state;
    watch->stream.is_full = false;
    if (watch->state != LIVE)
        call_up(watch);
}

static void on_close(struct exchange *exchange, enum exchange_end end)
{
    struct watch *watch = exchange->state;
    (void)end;
    if (list_is_linked(&watch->late))
        list_remove(&watch->late);
    api_hub_remove(&watch->follower);
    api_stream_deinit(&watch->stream);
    api_text_unref(watch->text);
    free(watch);
}

static const struct exchange_app app = {.on_drain = on_drain, .on_close = on_close};

void api_watches_init(struct api_hub *hub)
{
    list_init(&hub->late);
    loop_task_init(&hub->pump, pump);
}

/* ------------------------------------------------------------------------------------------------ beginning */

/* The revision that the client has seen last: 0 when it says none. False: answered. */
static bool read_resume(struct api_call *call, uint64_t *ret_revision)
{
    const struct http_field *field = http_fields_get_name(call->exchange->request->fields, SLICE_LIT("last-event-id"));
    if (!field || field->value.len == 0)
        return api_query_u64(call, "after", 0, 0, INT64_MAX, ret_revision);
    if (slice_parse_u64(field->value, ret_revision) < 0 || *ret_revision > INT64_MAX)
        *ret_revision = INT64_MAX; /* no id of ours: it begins with a reset */
    return true;
}

static struct watch *watch_new(struct api_call *call, struct slice prefix)
{
    struct watch *watch = calloc(1, sizeof(*watch) + prefix.len);
    if (!watch)
        return NULL;
    list_init(&watch->late);
    watch->worker = call->worker;
    watch->follower.on_change = on_change;
    watch->follower.on_gap = on_gap;
    watch->prefix_len = prefix.len;
    if (prefix.len > 0)
        memcpy(watch->prefix, prefix.ptr, prefix.len);
    return watch;
}

static void begin(struct watch *watch, struct exchange *exchange, int64_t resume)
{
    struct api_hub *hub = hub_of(watch);
    const struct catalog *catalog = curator_catalog(hub->curator);
    exchange->state = watch;
    exchange->app = &app;
    api_stream_begin(&watch->stream, hub, exchange, 200);
    watch->state = LATE;
    watch->told = resume;
    bool is_known = resume > 0 && resume <= catalog_revision(catalog) && resume + 1 >= catalog_oldest_change(catalog);
    if (is_known)
        call_up(watch);
    else
        begin_listing(watch, resume > 0);
}

void api_watch(struct api_call *call)
{
    const struct slice *prefix = api_query_get(call, "prefix");
    struct slice *services;
    unsigned n;
    uint64_t resume;
    if (!read_resume(call, &resume) || !api_query_services(call, &services, &n))
        return;
    if (prefix && n > 0) {
        api_refuse(call->exchange, 400, NULL, "\"service\" or \"prefix\": one of them");
        return;
    }
    if (atomic_load(&call->api->is_stopping)) {
        api_refuse(call->exchange, 503, NULL, "the server is stopping");
        return;
    }
    struct watch *watch = watch_new(call, prefix ? *prefix : (struct slice){0});
    if (!watch || api_hub_add(&call->worker->hub, &watch->follower, services, n,
                              slice_from(watch->prefix, watch->prefix_len)) < 0) {
        free(watch);
        api_refuse_memory(call->exchange);
        return;
    }
    begin(watch, call->exchange, (int64_t)resume);
}
