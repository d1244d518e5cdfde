/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change of one instance. First all that can fail is made ready: the new instance, the change for followers, the
 * note for the timeline, the room in the directory; the directory is changed last, since that too can fail. Then comes
 * what cannot. So a failing allocation leaves no trace, and revision, change, note and directory never disagree.
 */
#include "catalog/catalog_priv.h"

#include "base/assert.h"

/* A change that is made ready: what followers and the timeline will get. */
struct ready {
    struct changes_item *item; /* NULL: nobody is told */
};

static int make_ready(struct catalog *catalog, const struct instance *before, const struct instance *after,
                      const struct edit *edit, struct ready *ret_ready)
{
    *ret_ready = (struct ready){0};
    if (edit->is_quiet)
        return 0;
    const struct catalog_change change = {
        .revision = changes_revision(catalog->changes) + 1,
        .wall_ms = catalog->time->wall_ms,
        .kind = edit->kind,
        .before = before,
        .after = after,
        .actor = updates_cut(edit->actor),
        .evidence = updates_cut(edit->evidence),
        .silence_ms = edit->silence_ms,
    };
    int r = updates_prepare_note(catalog->updates, &change);
    return r < 0 ? r : changes_prepare(catalog->changes, &change, &ret_ready->item);
}

static void tell(struct catalog *catalog, struct ready *ready)
{
    if (!ready->item)
        return;
    changes_add(catalog->changes, ready->item);
    updates_commit_note(catalog->updates);
}

static struct directory_stamp stamp(const struct catalog *catalog, const struct edit *edit)
{
    return (struct directory_stamp){
        .revision = changes_revision(catalog->changes) + (edit->is_quiet ? 0 : 1),
        .wall_ms = catalog->time->wall_ms,
    };
}

/* The model as it will be seen: of which revision, and since when its status is what it is. */
static struct instance stamped(const struct catalog *catalog, const struct instance *model,
                               const struct instance *before, const struct edit *edit)
{
    struct instance instance = instance_model(model);
    if (!edit->is_quiet || !before)
        instance.revision = stamp(catalog, edit).revision;
    if (!before || instance_status(before) != instance_status(model))
        instance.changed_ms = edit->is_quiet && !before ? model->registered_ms : catalog->time->wall_ms;
    return instance;
}

int edit_show(struct catalog *catalog, struct roster_entry *entry, enum roster_state state,
              const struct instance *model, const struct edit *edit)
{
    ASSERT(state == ROSTER_PRESENT || state == ROSTER_HELD);
    const struct instance *before = entry_is_shown(entry) ? entry->instance : NULL;
    const struct instance seen = stamped(catalog, model, before, edit);
    const struct directory_stamp at = stamp(catalog, edit);
    struct instance *after;
    int r = instance_new(&seen, &after);
    if (r < 0)
        return r;
    struct ready ready;
    r = make_ready(catalog, before, after, edit, &ready);
    if (r == 0)
        r = directory_put(catalog->directory, after, &at);
    if (r < 0) {
        changes_drop(ready.item);
        instance_unref(after);
        return r;
    }
    tell(catalog, &ready);
    roster_set(&catalog->roster, entry, state, after);
    return 0;
}

int edit_hide(struct catalog *catalog, struct roster_entry *entry, enum roster_state state, const struct edit *edit)
{
    ASSERT(entry_is_shown(entry) && (state == ROSTER_ABSENT || state == ROSTER_LOST));
    const struct directory_stamp at = stamp(catalog, edit);
    struct ready ready;
    int r = make_ready(catalog, entry->instance, NULL, edit, &ready);
    if (r == 0)
        r = directory_remove(catalog->directory, entry->instance, &at);
    if (r < 0) {
        changes_drop(ready.item);
        return r;
    }
    tell(catalog, &ready);
    roster_set(&catalog->roster, entry, state, state == ROSTER_LOST ? entry->instance : NULL);
    return 0;
}

int edit_reasons(struct catalog *catalog, struct roster_entry *entry, uint32_t reasons, const struct edit *edit)
{
    struct instance model = instance_model(entry->instance);
    model.reasons = reasons;
    return edit_show(catalog, entry, entry->state, &model, edit);
}
