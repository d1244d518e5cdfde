/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that stand for a name which another key has: two parties that gave themselves the same id. One is shown, the
 * oldest, and stays it however often the others write; that they are there is told once, as a conflict. When its key
 * goes, the oldest of those who wait is shown in its place.
 */
#include "catalog/catalog_priv.h"

#include "base/assert.h"

/*
 * From now on another key stands for the name, as another incarnation. The table of keys has room for it: its
 * predecessor has just left it.
 */
static int switch_key(struct catalog *catalog, struct roster_entry *entry, const struct instance *successor,
                      const struct edit *edit)
{
    roster_unlink_key(&catalog->roster, entry);
    int linked = roster_link_key(&catalog->roster, entry, successor->key);
    ASSERT(linked == 0);
    int r = keys_replace(catalog, entry, successor, edit);
    if (r < 0) {
        roster_unlink_key(&catalog->roster, entry);
        linked = roster_link_key(&catalog->roster, entry, entry->instance->key);
        ASSERT(linked == 0);
    }
    return r;
}

static struct roster_claim *oldest_claim(const struct roster_entry *entry)
{
    struct roster_claim *oldest = NULL;
    for (struct roster_claim *claim = roster_care(entry)->claims; claim; claim = claim->next)
        if (!oldest || keys_is_older(claim->instance, oldest->instance))
            oldest = claim;
    return oldest;
}

int claims_take_over(struct catalog *catalog, struct roster_entry *entry, const struct edit *edit)
{
    struct roster_claim *claim = oldest_claim(entry);
    int r = switch_key(catalog, entry, claim->instance, edit);
    if (r == 0)
        roster_drop_claim(&catalog->roster, claim);
    roster_tidy(&catalog->roster, entry);
    return r;
}

int claims_wait(struct catalog *catalog, struct roster_entry *entry, const struct instance *model,
                const struct edit *edit)
{
    struct instance *instance;
    int r = instance_new(model, &instance);
    if (r < 0)
        return r;
    struct roster_claim *claim = roster_find_claim(&catalog->roster, model->key);
    if (claim) { /* it has waited before, and was written again */
        instance_unref(claim->instance);
        claim->instance = instance;
        return 0;
    }
    r = roster_add_claim(&catalog->roster, entry, instance);
    if (r < 0) {
        instance_unref(instance);
        return r;
    }
    r = edit->is_quiet ? 0 : edit_reasons(catalog, entry, entry->instance->reasons, edit);
    if (r < 0)
        roster_drop_claim(&catalog->roster, roster_find_claim(&catalog->roster, model->key));
    return r;
}

int claims_displace(struct catalog *catalog, struct roster_entry *entry, const struct instance *model,
                    const struct edit *edit)
{
    const struct instance *shown = instance_ref(entry->instance);
    int r = roster_add_claim(&catalog->roster, entry, shown);
    if (r < 0) {
        instance_unref(shown);
        return r;
    }
    r = switch_key(catalog, entry, model, edit);
    if (r < 0)
        roster_drop_claim(&catalog->roster, roster_find_claim(&catalog->roster, shown->key));
    return r;
}
