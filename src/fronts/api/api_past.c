/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who was there at a moment. The timeline says when each instance came, changed and went; so what is there now, taken
 * back through the entries after the moment, is what was there then: the first entry about an instance after the moment
 * tells whether it was there before it. Its address is what its key had in the store at that time, as long as the
 * store remembers.
 */
#include "base/htab.h"
#include "base/random.h"
#include "catalog/instance_record.h"
#include "fronts/api/api_impl.h"
#include "fronts/api/api_moment.h"
#include "wire/json_writer.h"

#include <errno.h>
#include <stdlib.h>

/* Commits of one millisecond that are looked through. */
#define LOOKS_BACK 64

/* One instance as the timeline knows it. */
struct past {
    struct htab_node by_subject;
    struct slice subject, service, id;
    bool has_later, was_before_later; /* the first entry after the moment */
    unsigned kind;                    /* the last entry up to the moment; 0: none is known */
    int64_t changed_ms, registered_ms;
    struct slice actor, evidence;
};

struct replay {
    struct api_call *call;
    struct api_moment moment;
    struct hash_key key;
    struct htab all;
    struct buf prefix;                  /* of subjects */
    int64_t oldest_ms, oldest_revision; /* of all entries; 0: there is none */
    int64_t last_ms;                    /* of the last entry up to the moment, of any service */
    int result;
};

/* ------------------------------------------------------------------------------------------------ the entries */

static struct past *past_of(struct replay *replay, struct slice subject)
{
    uint64_t hash = hash_bytes(&replay->key, subject);
    htab_for_each_match (node, &replay->all, hash) {
        struct past *past = container_of(node, struct past, by_subject);
        if (slice_equal(past->subject, subject))
            return past;
    }
    struct arena *arena = &replay->call->arena;
    struct past *past = arena_alloc(arena, sizeof(*past));
    if (!past || arena_copy(arena, subject, &past->subject) < 0 ||
        instance_record_split_name(past->subject, arena, &past->service, &past->id) != 0 ||
        htab_insert(&replay->all, &past->by_subject, hash) < 0)
        return NULL;
    return past;
}

static bool is_later(const struct replay *replay, const struct store_note *note)
{
    return replay->moment.revision > 0 ? note->revision > replay->moment.revision
                                       : note->wall_ms > replay->moment.wall_ms;
}

static int replay_note(struct replay *replay, const struct store_note *note)
{
    struct past *past = past_of(replay, note->subject);
    struct arena *arena = &replay->call->arena;
    if (!past)
        return -ENOMEM;
    if (is_later(replay, note)) {
        past->was_before_later = past->has_later ? past->was_before_later : note->kind != TIMELINE_REGISTERED;
        past->has_later = true;
        return 0;
    }
    past->kind = note->kind;
    past->changed_ms = note->wall_ms;
    if (timeline_is_arrival(note->kind) && note->kind != TIMELINE_HELD)
        past->registered_ms = note->wall_ms;
    int r = arena_copy(arena, note->actor, &past->actor);
    return r == 0 ? arena_copy(arena, note->cause, &past->evidence) : r;
}

static bool see(void *ctx, const struct store_note *note)
{
    struct replay *replay = ctx;
    if (note->kind < STORE_NOTE_FREE)
        return true;
    if (replay->oldest_ms == 0) {
        replay->oldest_ms = note->wall_ms;
        replay->oldest_revision = note->revision;
    }
    if (!is_later(replay, note))
        replay->last_ms = note->wall_ms;
    bool is_asked_for = slice_starts_with(note->subject, buf_slice(&replay->prefix));
    bool tells = note->kind != TIMELINE_REFUSED && note->kind != TIMELINE_CONFLICT;
    if (is_asked_for && tells)
        replay->result = replay_note(replay, note);
    return replay->result == 0;
}

/* ------------------------------------------------------------------------------------------------ the present */

static bool was_there(const struct past *past, const struct directory_service *service)
{
    if (past->has_later)
        return past->was_before_later;
    return service && directory_find_instance(service, past->id) != NULL && past->kind != 0;
}

/* What is there, and of which no entry is remembered: it has been there, unchanged, since before the oldest one. */
static int add_silent(struct replay *replay, const struct directory_service *service)
{
    struct directory_cursor at = {.service = service};
    struct buf subject = {0};
    int r = 0;
    for (const struct instance *instance; service && r == 0 && (instance = directory_next(&at));) {
        bool is_older = replay->moment.revision > 0 ? instance->revision <= replay->moment.revision
                                                    : instance->registered_ms <= replay->moment.wall_ms;
        buf_reset(&subject);
        instance_record_name(&subject, instance->service, instance->id);
        struct past *past = is_older && buf_error(&subject) == 0 ? past_of(replay, buf_slice(&subject)) : NULL;
        if (past && past->kind == 0 && !past->has_later) {
            past->kind = TIMELINE_REGISTERED;
            past->changed_ms = past->registered_ms = instance->registered_ms;
        }
        r = is_older && !past ? -ENOMEM : 0;
    }
    buf_deinit(&subject);
    return r;
}

/* ------------------------------------------------------------------------------------------------ addresses */

/* The store's revision at that time: the last commit that is not younger. 0: it is forgotten. */
static int64_t revision_at(struct store *store, const struct store_view *view, int64_t wall_ms)
{
    int64_t low = view->compacted, high = view->revision;
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        const struct store_commit *commit = store_commit(store, view, middle);
        if (commit && commit->wall_ms > wall_ms)
            high = middle - 1;
        else
            low = middle;
    }
    return low;
}

struct reading {
    struct arena *arena;
    struct instance_record record;
    bool is_good;
};

static bool see_value(void *ctx, const struct store_kv *kv)
{
    struct reading *reading = ctx;
    reading->is_good =
        instance_record_parse(kv->value, INSTANCE_RECORD_LENIENT, reading->arena, &reading->record, NULL) == 0;
    return false;
}

static bool is_of(struct store *store, const struct store_view *view, int64_t revision, int64_t wall_ms)
{
    const struct store_commit *commit = store_commit(store, view, revision);
    return commit && commit->wall_ms == wall_ms;
}

/*
 * At the revision, or a little before it: the same millisecond may have seen an instance go that was there at the
 * moment that is meant.
 */
static struct slice address_then(struct replay *replay, const struct store_view *view, int64_t revision,
                                 int64_t wall_ms, const struct past *past)
{
    struct store *store = replay->call->api->store;
    struct reading reading = {.arena = &replay->call->arena};
    struct store_range_result result;
    struct buf key = {0};
    instance_record_key(&key, past->service, past->id);
    struct store_range range = {.key = buf_slice(&key), .revision = revision};
    for (unsigned n = 0; buf_error(&key) == 0 && !reading.is_good && n < LOOKS_BACK; n++, range.revision--) {
        (void)store_range(store, view, &range, see_value, &reading, &result);
        if (!is_of(store, view, range.revision, wall_ms))
            break;
    }
    buf_deinit(&key);
    return reading.is_good ? reading.record.address : (struct slice){0};
}

/* ------------------------------------------------------------------------------------------------ the answer */

static int compare(const void *a, const void *b)
{
    const struct past *const *first = a, *const *second = b;
    return slice_compare((*first)->id, (*second)->id);
}

static void write_past(struct json_writer *json, const struct past *past, struct slice address)
{
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("service"), past->service);
    json_writer_member_str(json, SLICE_LIT("id"), past->id);
    json_writer_member_str(json, SLICE_LIT("address"), address);
    json_writer_member_str(json, SLICE_LIT("kind"), timeline_text(past->kind));
    json_writer_member_i64(json, SLICE_LIT("registered_ms"), past->registered_ms);
    json_writer_member_i64(json, SLICE_LIT("changed_ms"), past->changed_ms);
    json_writer_member_str(json, SLICE_LIT("actor"), past->actor);
    json_writer_member_str(json, SLICE_LIT("evidence"), past->evidence);
    json_writer_end_object(json);
}

static void respond(struct replay *replay, struct past **all, unsigned n)
{
    int64_t wall_ms = replay->moment.revision > 0 ? replay->last_ms : replay->moment.wall_ms;
    struct store *store = replay->call->api->store;
    struct store_view view;
    struct buf body = {0};
    struct json_writer json;
    store_view(store, false, &view);
    int64_t revision = revision_at(store, &view, wall_ms);
    qsort(all, n, sizeof(struct past *), compare);
    json_writer_init(&json, &body);
    json_writer_begin_object(&json);
    json_writer_member_str(&json, SLICE_LIT("name"), replay->call->service);
    json_writer_member_i64(&json, SLICE_LIT("at_ms"), wall_ms);
    json_writer_key(&json, SLICE_LIT("instances"));
    json_writer_begin_array(&json);
    for (unsigned i = 0; i < n; i++)
        write_past(&json, all[i], address_then(replay, &view, revision, wall_ms, all[i]));
    json_writer_end_array(&json);
    json_writer_end_object(&json);
    api_respond_json(replay->call->exchange, &body);
}

static void answer(struct replay *replay, const struct directory_service *service)
{
    struct past **all = arena_alloc(&replay->call->arena, (replay->all.len + 1) * sizeof(struct past *));
    unsigned n = 0;
    if (!all) {
        api_refuse_memory(replay->call->exchange);
        return;
    }
    htab_for_each (node, &replay->all) {
        struct past *past = container_of(node, struct past, by_subject);
        if (was_there(past, service))
            all[n++] = past;
    }
    if (!service && replay->all.len == 0)
        api_refuse_unknown(replay->call);
    else
        respond(replay, all, n);
}

static bool is_forgotten(const struct replay *replay)
{
    if (replay->oldest_ms == 0)
        return true;
    return replay->moment.revision > 0 ? replay->moment.revision < replay->oldest_revision
                                       : replay->moment.wall_ms < replay->oldest_ms;
}

static void refuse_forgotten(const struct replay *replay)
{
    struct api_problem problem = {.status = 410, .name = "forgotten", .service = replay->call->service};
    problem.oldest_ms = replay->oldest_ms;
    (void)err_set(&problem.detail, 0, "the timeline does not go back so far");
    api_problem_respond(replay->call->exchange, &problem);
}

static int make(struct replay *replay, const struct directory_service *service)
{
    int r = random_system(&replay->key, sizeof(replay->key));
    instance_record_name(&replay->prefix, replay->call->service, (struct slice){0});
    buf_append_char(&replay->prefix, '/');
    if (r == 0)
        r = buf_error(&replay->prefix);
    if (r == 0)
        store_notes(replay->call->api->store, see, replay);
    if (r == 0)
        r = replay->result;
    return r == 0 ? add_silent(replay, service) : r;
}

void api_show_service_at(struct api_call *call, struct slice moment)
{
    struct replay replay = {.call = call};
    const struct directory_service *service = directory_find(api_directory(call->api), call->service);
    if (api_moment_parse(moment, &replay.moment) < 0 || replay.moment.revision > api_revision(call->api)) {
        api_refuse(call->exchange, 400, NULL,
                   "the parameter \"at\": expected milliseconds since 1970, a time such as 2026-11-21T10:00:00Z, or a "
                   "revision such as r%lld, which is the last one",
                   (long long)api_revision(call->api));
        return;
    }
    if (make(&replay, service) < 0)
        api_refuse_memory(call->exchange);
    else if (is_forgotten(&replay))
        refuse_forgotten(&replay);
    else
        answer(&replay, service);
    buf_deinit(&replay.prefix);
    htab_for_each (node, &replay.all)
        htab_remove(&replay.all, node);
    htab_deinit(&replay.all);
}
