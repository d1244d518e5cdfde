/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whenever entries of a place are others than before, those of all places are gone through, and the registrations are
 * brought in line. So the order of the files decides, not the order of what happened to them; and it costs little where
 * nothing differs.
 */
#include "sources/file/file_source.h"

#include "base/assert.h"
#include "base/random.h"
#include "base/util.h"
#include "sources/file/file_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Where inotify is not to be had. */
#define POLL_NS (3 * NSEC_PER_SEC)

void file_source_options_init(struct file_source_options *options)
{
    *options = (struct file_source_options){.check_every_ns = 30 * NSEC_PER_SEC, .settle_ns = NSEC_PER_SEC};
}

/* ------------------------------------------------------------------------------------------------ tenants */

static struct file_tenant *tenant_of(struct htab_node *node)
{
    return container_of(node, struct file_tenant, node);
}

static void tenant_free(struct file_tenant *tenant)
{
    source_registration_free(tenant->registration);
    free(tenant->name);
    free(tenant->told);
    free(tenant);
}

/* 0 or -ENOMEM. */
static int tenant_new(struct file_source *source, struct slice service, struct slice id, struct slice name,
                      struct file_tenant **ret_tenant)
{
    struct file_tenant *tenant = calloc(1, sizeof(*tenant));
    if (!tenant)
        return -ENOMEM;
    tenant->name = slice_dup(name);
    int r = tenant->name ? 0 : -ENOMEM;
    if (r == 0)
        r = source_registration_new(&source->registrar, tenant, service, id, &tenant->registration);
    if (r == 0)
        r = htab_insert(&source->tenants, &tenant->node, hash_bytes(&source->hash_key, name));
    if (r < 0) {
        tenant_free(tenant);
        return r;
    }
    *ret_tenant = tenant;
    return 0;
}

/* name: as instance_record_name writes it. 0 or -ENOMEM. */
static int find_or_add(struct file_source *source, struct slice service, struct slice id, struct slice name,
                       struct file_tenant **ret_tenant)
{
    htab_for_each_match (node, &source->tenants, hash_bytes(&source->hash_key, name)) {
        if (slice_equal_str(name, tenant_of(node)->name)) {
            *ret_tenant = tenant_of(node);
            return 0;
        }
    }
    return tenant_new(source, service, id, name, ret_tenant);
}

static void on_gone(struct source_registration *registration)
{
    struct file_tenant *tenant = registration->owner;
    struct file_source *source = container_of(registration->registrar, struct file_source, registrar);
    htab_remove(&source->tenants, &tenant->node);
    tenant_free(tenant);
}

/* ------------------------------------------------------------------------------------------------ bringing in line */

/* The entry is in force: 0 or -ENOMEM. */
static int want(struct file_tenant *tenant, const struct file_item *item, const struct file_entry *entry)
{
    const struct source_wish wish = {.record = &entry->record};
    if (!tenant->told || strcmp(tenant->told, item->path) != 0) {
        char *told = slice_dup(slice_from_str(item->path));
        if (!told)
            return -ENOMEM;
        free(tenant->told);
        tenant->told = told;
    }
    tenant->item = item;
    return source_registration_want(tenant->registration, &wish, item->path);
}

static void tell_twin(const struct file_source *source, const struct file_tenant *tenant, const struct file_item *item)
{
    if (item->is_fresh)
        log_warn(source->log, "an instance is in two files; the first is taken",
                 log_text("service", tenant->registration->service), log_text("instance", tenant->registration->id),
                 log_text("first", tenant->item->path), log_text("second", item->path));
}

/* 0 or -ENOMEM. */
static int want_entries(struct file_source *source, struct file_item *item, unsigned *n)
{
    for (unsigned i = 0; i < item->entries.n; i++) {
        const struct file_entry *entry = &item->entries.list[i];
        struct file_tenant *tenant;
        int r = find_or_add(source, entry->service, entry->id, entry->name, &tenant);
        if (r < 0)
            return r;
        if (tenant->item) {
            tell_twin(source, tenant, item);
            continue;
        }
        r = want(tenant, item, entry);
        if (r < 0)
            return r;
        ++*n;
    }
    item->is_fresh = false;
    return 0;
}

/* 0 or -ENOMEM: then the rest is for the next check. */
static int want_all(struct file_source *source)
{
    for (unsigned i = 0; i < source->options.n_paths; i++) {
        struct file_source_place *place = &source->places[i];
        unsigned n = 0;
        list_for_each (link, &place->place.files) {
            int r = want_entries(source, container_of(link, struct file_item, link), &n);
            if (r < 0)
                return r;
        }
        place->n_instances = n;
    }
    return 0;
}

static bool is_broken(const struct file_source *source)
{
    for (unsigned i = 0; i < source->options.n_paths; i++)
        if (file_place_is_broken(&source->places[i].place))
            return true;
    return false;
}

/* Of a tenant that no file has. What an earlier process left may be of a file that cannot be read now. */
static void leave(struct file_tenant *tenant, bool may_be_of_others)
{
    char words[SOURCE_WORDS_MAX];
    bool is_left = tenant->registration->is_wanted || (!tenant->told && !may_be_of_others);
    if (!is_left)
        return;
    if (tenant->told)
        (void)snprintf(words, sizeof(words), "no longer in %s", tenant->told);
    else
        (void)snprintf(words, sizeof(words), "in no file");
    source_registration_leave(tenant->registration, words);
}

static void bring_in_line(struct file_source *source)
{
    bool broken = is_broken(source);
    if (want_all(source) < 0)
        log_warn(source->log, "instances of files are not all registered", log_text("why", "out of memory"));
    else
        htab_for_each (node, &source->tenants)
            if (!tenant_of(node)->item)
                leave(tenant_of(node), broken);
    htab_for_each (node, &source->tenants)
        tenant_of(node)->item = NULL;
}

static void on_change(struct file_place *place)
{
    struct file_source *source = container_of(place, struct file_source_place, place)->source;
    if (!source->is_looking)
        bring_in_line(source);
}

/* ------------------------------------------------------------------------------------------------ checking */

static void look_at_all(struct file_source *source, bool is_start)
{
    nsec_t wait_ns = source->options.check_every_ns;
    struct loop *loop = source->registrar.loop;
    source->is_looking = true;
    for (unsigned i = 0; i < source->options.n_paths; i++) {
        struct file_place *place = &source->places[i].place;
        file_place_look(place, is_start);
        if (!place->watch.is_armed && wait_ns > POLL_NS)
            wait_ns = POLL_NS;
    }
    source->is_looking = false;
    if (source->options.n_paths == 0)
        return;
    loop_arm(loop, &source->check, loop_now(loop) + wait_ns);
    source->next_ms = (loop_wall_now(loop) + wait_ns) / NSEC_PER_MSEC;
}

/* What the catalogue has not, and nobody told us. */
static void count_drifts(struct file_source *source)
{
    htab_for_each (node, &source->tenants) {
        const struct source_registration *registration = tenant_of(node)->registration;
        if (!source_registration_is_missing(registration))
            continue;
        source->n_drifts++;
        log_warn(source->log, "an instance of a file was not in the catalogue",
                 log_text("service", registration->service), log_text("instance", registration->id),
                 log_text("file", tenant_of(node)->told));
    }
}

static void on_check(struct timer *timer)
{
    struct file_source *source = container_of(timer, struct file_source, check);
    count_drifts(source);
    look_at_all(source, false);
    bring_in_line(source);
}

/* ------------------------------------------------------------------------------------------------ adopting */

struct adoption {
    struct file_source *source;
    int result;
};

static bool adopt_service(void *ctx, const struct directory_service *service)
{
    struct adoption *adoption = ctx;
    const struct instance *instance;
    for (struct directory_cursor at = {.service = service}; (instance = directory_next(&at));) {
        struct buf name = {0};
        struct file_tenant *tenant;
        if (!slice_equal_str(instance->record.origin, "file"))
            continue;
        instance_record_name(&name, instance->service, instance->id);
        int r = buf_error(&name);
        if (r == 0)
            r = find_or_add(adoption->source, instance->service, instance->id, buf_slice(&name), &tenant);
        buf_deinit(&name);
        if (r < 0)
            adoption->result = r;
    }
    return true;
}

static int adopt(struct file_source *source)
{
    struct adoption adoption = {source, 0};
    directory_each(catalog_directory(curator_catalog(source->registrar.curator)), adopt_service, &adoption);
    return adoption.result;
}

/* ------------------------------------------------------------------------------------------------ life */

static int start(struct scout_part *part, struct errand_office *office)
{
    struct file_source *source = container_of(part, struct file_source, part);
    (void)office;
    int r = adopt(source);
    if (r < 0)
        return r;
    look_at_all(source, true);
    bring_in_line(source);
    return 0;
}

static void stop(struct scout_part *part)
{
    struct file_source *source = container_of(part, struct file_source, part);
    source->registrar.is_stopping = true;
    loop_cancel(source->registrar.loop, &source->check);
    for (unsigned i = 0; i < source->options.n_paths; i++)
        file_place_stop(&source->places[i].place);
    htab_for_each (node, &source->tenants)
        source_registration_rest(tenant_of(node)->registration);
}

/* Without slashes at their ends; they have a NUL behind them. 0 or -ENOMEM. */
static int make_places(struct file_source *source, const struct slice *paths)
{
    unsigned n = source->options.n_paths;
    source->options.paths = NULL;
    source->options.n_paths = 0;
    source->places = calloc(n + 1, sizeof(source->places[0]));
    if (!source->places)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        struct file_source_place *place = &source->places[i];
        struct slice path = paths[i];
        while (path.len > 1 && path.ptr[path.len - 1] == '/')
            path.len--;
        char *copy = arena_alloc(&source->texts, path.len + 1);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, path.ptr, path.len);
        place->source = source;
        place->place = (struct file_place){
            .path = copy,
            .loop = source->registrar.loop,
            .log = source->log,
            .settle_ns = source->options.settle_ns,
            .on_change = on_change,
        };
        file_place_init(&place->place);
        source->options.n_paths++;
    }
    return 0;
}

int file_source_new_on(const struct file_source_options *options, struct loop *loop, struct curator *curator,
                       struct log *log, struct file_source **ret_source)
{
    ASSERT(options->n_paths <= FILE_PATHS_MAX);
    struct file_source *source = calloc(1, sizeof(*source));
    if (!source)
        return -ENOMEM;
    source->part = (struct scout_part){.start = start, .stop = stop};
    source->options = *options;
    source->log = log;
    source->registrar = (struct source_registrar){
        .origin = "file",
        .succession = "another one takes its place",
        .curator = curator,
        .loop = loop,
        .log = log,
        .on_gone = on_gone,
    };
    timer_init(&source->check, on_check);
    int r = make_places(source, options->paths);
    if (r == 0)
        r = random_system(&source->hash_key, sizeof(source->hash_key));
    if (r < 0) {
        file_source_free(source);
        return r;
    }
    *ret_source = source;
    return 0;
}

int file_source_new(const struct file_source_options *options, struct scout *scout, struct curator *curator,
                    struct log *log, struct file_source **ret_source)
{
    int r = file_source_new_on(options, scout_loop(scout), curator, log, ret_source);
    if (r == 0)
        scout_add(scout, &(*ret_source)->part);
    return r;
}

struct scout_part *file_source_part(struct file_source *source)
{
    return &source->part;
}

void file_source_free(struct file_source *source)
{
    if (!source)
        return;
    htab_for_each (node, &source->tenants) {
        htab_remove(&source->tenants, node);
        tenant_free(tenant_of(node));
    }
    htab_deinit(&source->tenants);
    for (unsigned i = 0; i < source->options.n_paths; i++)
        file_place_deinit(&source->places[i].place);
    free(source->places);
    arena_deinit(&source->texts);
    free(source);
}
