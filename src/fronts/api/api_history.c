/* SPDX-License-Identifier: Apache-2.0 */
/* Notes come the oldest first: they are walked twice, to count those that are asked for, and to take the last ones. */
#include "fronts/api/api_history.h"

#include "catalog/instance_record.h"
#include "fronts/api/api_impl.h"
#include "wire/json_writer.h"

#include <errno.h>

struct walk {
    const struct api_history *asked;
    struct buf name; /* as the subjects begin that are asked for */
    struct arena *arena;
    size_t n_seen, n_skipped;
    struct api_entry *entries; /* NULL: only counting */
    unsigned n, room;
    int result;
};

static bool is_asked_for(const struct walk *walk, const struct store_note *note)
{
    struct slice name = buf_slice(&walk->name);
    if (note->kind < STORE_NOTE_FREE || note->wall_ms < walk->asked->since_ms)
        return false;
    if (walk->asked->id.len > 0)
        return slice_equal(note->subject, name);
    return slice_starts_with(note->subject, name);
}

static int take(struct walk *walk, const struct store_note *note)
{
    struct api_entry *entry = &walk->entries[walk->room - 1 - walk->n];
    struct slice subject;
    int r = arena_copy(walk->arena, note->subject, &subject);
    if (r == 0)
        r = arena_copy(walk->arena, note->actor, &entry->actor);
    if (r == 0)
        r = arena_copy(walk->arena, note->cause, &entry->evidence);
    if (r == 0)
        r = instance_record_split_name(subject, walk->arena, &entry->service, &entry->id);
    if (r != 0)
        return r == INSTANCE_RECORD_NO_KEY ? 0 : r; /* somebody else's note */
    entry->kind = note->kind;
    entry->revision = note->revision;
    entry->wall_ms = note->wall_ms;
    entry->silence_ms = note->silence_ms;
    walk->n++;
    return 0;
}

static bool see(void *ctx, const struct store_note *note)
{
    struct walk *walk = ctx;
    if (!is_asked_for(walk, note))
        return true;
    walk->n_seen++;
    if (!walk->entries || walk->n_seen <= walk->n_skipped)
        return true;
    if (walk->n == walk->room)
        return false; /* one that was added just now */
    walk->result = take(walk, note);
    return walk->result == 0;
}

static int walk_notes(struct store *store, struct walk *walk)
{
    store_notes(store, see, walk);
    size_t n_found = walk->n_seen;
    walk->room = (unsigned)min_size(n_found, walk->asked->limit);
    if (walk->room == 0)
        return 0;
    walk->entries = arena_alloc(walk->arena, walk->room * sizeof(walk->entries[0]));
    if (!walk->entries)
        return -ENOMEM;
    walk->n_skipped = n_found - walk->room;
    walk->n_seen = 0;
    store_notes(store, see, walk);
    return walk->result;
}

int api_history_read(struct store *store, const struct api_history *asked, struct arena *arena,
                     struct api_entry **ret_entries, unsigned *ret_n)
{
    struct walk walk = {.asked = asked, .arena = arena};
    if (asked->service.len > 0)
        instance_record_name(&walk.name, asked->service, asked->id);
    if (asked->service.len > 0 && asked->id.len == 0)
        buf_append_char(&walk.name, '/');
    int r = buf_error(&walk.name) < 0 ? -ENOMEM : walk_notes(store, &walk);
    buf_deinit(&walk.name);
    if (r < 0)
        return r;
    *ret_entries = walk.entries ? walk.entries + (walk.room - walk.n) : NULL;
    *ret_n = walk.n;
    return 0;
}

void api_history_write(struct json_writer *json, const struct api_entry *entries, unsigned n)
{
    json_writer_begin_array(json);
    for (unsigned i = 0; i < n; i++) {
        const struct api_entry *entry = &entries[i];
        json_writer_begin_object(json);
        json_writer_member_i64(json, SLICE_LIT("wall_ms"), entry->wall_ms);
        json_writer_member_i64(json, SLICE_LIT("revision"), entry->revision);
        json_writer_member_str(json, SLICE_LIT("kind"), timeline_text(entry->kind));
        json_writer_member_str(json, SLICE_LIT("service"), entry->service);
        json_writer_member_str(json, SLICE_LIT("instance"), entry->id);
        json_writer_member_str(json, SLICE_LIT("actor"), entry->actor);
        json_writer_member_str(json, SLICE_LIT("evidence"), entry->evidence);
        json_writer_member_i64(json, SLICE_LIT("silence_ms"), entry->silence_ms);
        json_writer_end_object(json);
    }
    json_writer_end_array(json);
}
