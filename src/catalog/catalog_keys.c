/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys become instances, as the projection says.
 *
 * Who is who. An instance is another one, with a new incarnation, when its key was created anew, or its address or its
 * session changed; what checks, sources and observers found out about the former one does not hold for it. Orders and
 * penalties hold for the name. A key that is merely written again, or written differently, is the same instance.
 *
 * Several keys may claim one name (by two rules, or a rule and a native record). The oldest has it, the smallest of
 * those of one revision, so that a restart, which reads them in another order, comes to the same result. The others
 * wait as claims.
 */
#include "catalog/catalog_priv.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "catalog/instance_record.h"

#include <errno.h>
#include <stddef.h>

#define SCRATCH_BYTES 4096

/* A key-value pair as an instance, and who wrote it. */
struct written {
    const struct store_kv *kv;
    const struct store_note *why;
    bool is_initial;
    struct projected is; /* when it is one */
};

/* ------------------------------------------------------------------------------------------------ comparing */

bool keys_is_older(const struct instance *a, const struct instance *b)
{
    if (a->create_revision != b->create_revision)
        return a->create_revision < b->create_revision;
    return slice_compare(a->key, b->key) < 0;
}

static bool is_same_incarnation(const struct instance *a, const struct instance *b)
{
    return a->create_revision == b->create_revision && slice_equal(a->record.address, b->record.address) &&
           slice_equal(instance_details(&a->record)->session, instance_details(&b->record)->session);
}

/* ------------------------------------------------------------------------------------------------ conflicts */

/* "rest 10.0.0.7:51334 as alice" and ":51335 …" are one: clients have a connection for each registration. */
static uint32_t writer_of(struct slice actor)
{
    if (slice_is_empty(actor))
        return 0;
    const char *as = memmem(actor.ptr, actor.len, " as ", 4);
    size_t end = as ? (size_t)(as - actor.ptr) : actor.len, len = end;
    while (len > 0 && actor.ptr[len - 1] >= '0' && actor.ptr[len - 1] <= '9')
        len--;
    bool has_port = len > 0 && actor.ptr[len - 1] == ':';
    uint32_t crc = crc32c(0, slice_from(actor.ptr, has_port ? len - 1 : end));
    return crc32c(crc, slice_skip(actor, end)) | 1;
}

/* Whether two write it by turns: he wrote it, another one did, and now he does again. */
static bool is_conflict(const struct roster_entry *entry, const struct store_note *why)
{
    uint32_t writer = writer_of(why->actor);
    return writer != 0 && writer != entry->writers[0] && writer == entry->writers[1];
}

static void remember_writer(struct roster_entry *entry, const struct store_note *why)
{
    uint32_t writer = writer_of(why->actor);
    if (writer == 0 || writer == entry->writers[0])
        return;
    entry->writers[1] = entry->writers[0];
    entry->writers[0] = writer;
}

/* ------------------------------------------------------------------------------------------------ models */

static struct edit edit_of(const struct written *written, enum timeline_kind kind)
{
    return (struct edit){
        .kind = kind,
        .actor = written->why->actor,
        .evidence = written->why->cause,
        .is_quiet = written->is_initial,
    };
}

static struct instance model_of(const struct written *written)
{
    return (struct instance){
        .service = written->is.service,
        .id = written->is.id,
        .key = written->kv->key,
        .record = written->is.record,
        .lease = written->kv->lease,
        .create_revision = written->kv->create_revision,
        .mod_revision = written->kv->mod_revision,
        .registered_ms = written->is_initial ? written->why->wall_ms : 0,
    };
}

/* The model is the same instance as `former`: what is known of that holds. */
static void carry_over(struct instance *model, const struct instance *former)
{
    model->incarnation = former->incarnation;
    model->registered_ms = former->registered_ms;
    model->changed_ms = former->changed_ms;
    model->revision = former->revision;
    model->orders = former->orders;
    model->reasons = former->reasons;
    if (!instance_details(&model->record)->check) /* nobody will tell any more */
        model->reasons &= ~(REASON_BIT(STARTING) | REASON_BIT(FAILING));
}

/* It was held by a connection of the process before this one, and may have another one soon. */
static bool is_to_return(const struct instance *model, const struct edit *edit)
{
    return edit->is_quiet && instance_details(&model->record)->session.len > 0;
}

/* What show_new needs memory for: 0 or -ENOMEM. */
static int prepare_new(struct catalog *catalog, struct roster_entry *entry, const struct instance *model,
                       const struct edit *edit)
{
    if (is_to_return(model, edit) && !roster_need_care(&catalog->roster, entry))
        return -ENOMEM;
    return ttl_prepare(catalog, entry, model);
}

/*
 * Shows the model as a new incarnation. One that is read at the start has been checked before, by whoever was here
 * then: it is taken to be well, held ones for as long as their clients need to come back.
 */
static int show_new(struct catalog *catalog, struct roster_entry *entry, struct instance *model,
                    const struct edit *edit)
{
    model->incarnation = catalog->incarnation + 1;
    if (!edit->is_quiet || model->registered_ms == 0)
        model->registered_ms = catalog->time->wall_ms;
    model->reasons = instance_details(&model->record)->check && !edit->is_quiet ? REASON_BIT(STARTING) : 0;
    struct instance_orders orders;
    orders_apply(entry, model, &orders);
    int r = prepare_new(catalog, entry, model, edit);
    if (r == 0)
        r = edit_show(catalog, entry, ROSTER_PRESENT, model, edit);
    if (r < 0)
        return r;
    catalog->incarnation++;
    loss_is_back(catalog, entry);
    time_forget_troubles(catalog, entry);
    time_watch_penalty(catalog, entry);
    ttl_begin(catalog, entry);
    if (is_to_return(model, edit))
        roster_set_deadline(&catalog->roster, entry, ROSTER_GRACE, catalog->time->now_ns + CATALOG_RETURN_NS);
    return 0;
}

static int show_same(struct catalog *catalog, struct roster_entry *entry, const struct instance *model,
                     const struct edit *edit)
{
    int r = ttl_prepare(catalog, entry, model);
    if (r == 0)
        r = edit_show(catalog, entry, ROSTER_PRESENT, model, edit);
    if (r == 0)
        ttl_adjust(catalog, entry);
    return r;
}

int keys_replace(struct catalog *catalog, struct roster_entry *entry, const struct instance *successor,
                 const struct edit *edit)
{
    struct instance model = instance_model(successor);
    const struct edit replaced = {TIMELINE_REPLACED, edit->actor, edit->evidence, edit->silence_ms, edit->is_quiet};
    return show_new(catalog, entry, &model, &replaced);
}

/* ------------------------------------------------------------------------------------------------ writing */

/* Nobody is shown under the name, or one that is held. */
static int key_registers(struct catalog *catalog, struct roster_entry *entry, const struct written *written)
{
    struct instance model = model_of(written);
    struct edit edit = edit_of(written, TIMELINE_REGISTERED);
    int r = roster_link_key(&catalog->roster, entry, model.key);
    if (r < 0)
        return r;
    bool is_back = entry->state == ROSTER_HELD && slice_equal(entry->instance->record.address, model.record.address);
    if (is_back) {
        carry_over(&model, entry->instance);
        model.reasons &= ~REASON_BIT(HELD);
        edit.evidence = SLICE_LIT("it was held, and is back");
        r = show_same(catalog, entry, &model, &edit);
    } else {
        r = show_new(catalog, entry, &model, &edit);
    }
    if (r < 0) {
        roster_unlink_key(&catalog->roster, entry);
        return r;
    }
    if (is_back) {
        loss_is_back(catalog, entry);
        roster_set_deadline(&catalog->roster, entry, ROSTER_HOLD, 0);
        ttl_begin(catalog, entry);
    }
    remember_writer(entry, written->why);
    return 0;
}

/* The key that stands for the instance was written again. */
static int key_rewrites(struct catalog *catalog, struct roster_entry *entry, const struct written *written)
{
    struct instance model = model_of(written);
    bool is_same = is_same_incarnation(entry->instance, &model);
    struct edit edit = edit_of(written, is_same ? TIMELINE_CHANGED : TIMELINE_REPLACED);
    if (is_conflict(entry, written->why))
        edit.kind = TIMELINE_CONFLICT;
    int r;
    if (is_same) {
        edit.is_quiet |= instance_record_equal(&entry->instance->record, &model.record);
        carry_over(&model, entry->instance);
        r = show_same(catalog, entry, &model, &edit);
    } else {
        r = show_new(catalog, entry, &model, &edit);
    }
    if (r < 0)
        return r;
    if (entry->care)
        entry->care->removal = 0; /* the key that was to be deleted is a newer one now */
    if (!instance_details(&model.record)->check)
        roster_set_deadline(&catalog->roster, entry, ROSTER_REMOVAL, 0);
    if (!edit.is_quiet)
        remember_writer(entry, written->why);
    return 0;
}

/* A key whose name another key has: it waits, or at the start takes the other's place when it is the older one. */
static int key_claims(struct catalog *catalog, struct roster_entry *entry, const struct written *written)
{
    const struct instance model = model_of(written);
    const struct edit edit = edit_of(written, TIMELINE_CONFLICT);
    return keys_is_older(&model, entry->instance) ? claims_displace(catalog, entry, &model, &edit)
                                                  : claims_wait(catalog, entry, &model, &edit);
}

static int key_written(struct catalog *catalog, struct roster_entry *entry, const struct written *written)
{
    if (entry->state != ROSTER_PRESENT)
        return key_registers(catalog, entry, written);
    if (slice_equal(entry->instance->key, written->kv->key))
        return key_rewrites(catalog, entry, written);
    return key_claims(catalog, entry, written);
}

/* ------------------------------------------------------------------------------------------------ going */

/* Why the key went, in the timeline's words: from the store's, or what we had it deleted for. */
static struct edit departure(const struct roster_entry *entry, const struct written *written)
{
    const struct store_note *why = written->why;
    const struct roster_care *care = roster_care(entry);
    struct edit edit = edit_of(written, TIMELINE_DEREGISTERED);
    if (written->kv->version == 0 && why->kind == STORE_NOTE_EXPIRED) {
        edit.kind = TIMELINE_EXPIRED;
        edit.silence_ms = why->silence_ms;
    } else if (written->kv->version == 0 && why->kind == STORE_NOTE_REVOKED) {
        edit.evidence = why->cause.len ? why->cause : SLICE_LIT("its lease was revoked");
    } else if (care->removal) {
        edit.kind = care->removal;
        edit.evidence = slice_from_str(care->trouble ? care->trouble : "");
    }
    return edit;
}

/* Whether somebody wanted it to go, or it was seen to be dead or going. */
static bool is_explained(const struct roster_entry *entry, const struct edit *edit)
{
    const uint32_t evidence = REASON_BIT(FAILING) | REASON_BIT(DISCONNECTED) | REASON_BIT(STOPPED) |
                              REASON_BIT(DRAINING) | REASON_BIT(MAINTENANCE);
    return edit->is_quiet || edit->kind != TIMELINE_EXPIRED || roster_care(entry)->is_proved_dead ||
           (entry->instance->reasons & evidence) != 0;
}

/* The key stands for no instance any more; or not for the one of this entry. */
static int key_leaves(struct catalog *catalog, struct roster_entry *entry, const struct written *written,
                      struct slice words)
{
    struct edit edit = departure(entry, written);
    if (words.len)
        edit.evidence = words;
    return loss_key_gone(catalog, entry, &edit, is_explained(entry, &edit));
}

static void drop_claim(struct catalog *catalog, struct roster_claim *claim)
{
    struct roster_entry *entry = claim->entry;
    roster_drop_claim(&catalog->roster, claim);
    roster_tidy(&catalog->roster, entry);
}

static int no_instance(struct catalog *catalog, const struct written *written)
{
    struct roster_claim *claim = roster_find_claim(&catalog->roster, written->kv->key);
    if (claim)
        drop_claim(catalog, claim);
    struct roster_entry *entry = roster_find_key(&catalog->roster, written->kv->key);
    if (!entry)
        return 0;
    const char *words = written->kv->version == 0 ? "" : "its value is that of an instance no more";
    return key_leaves(catalog, entry, written, slice_from_str(words));
}

static bool is_name_of(const struct roster_entry *entry, const struct projected *is)
{
    return slice_equal(roster_id(entry), is->id) && slice_equal(roster_service_name(entry->service), is->service);
}

/* What the key was before, if that was another instance, ends. */
static int leave_former(struct catalog *catalog, const struct written *written)
{
    struct roster_claim *claim = roster_find_claim(&catalog->roster, written->kv->key);
    if (claim && !is_name_of(claim->entry, &written->is))
        drop_claim(catalog, claim);
    struct roster_entry *former = roster_find_key(&catalog->roster, written->kv->key);
    if (!former || is_name_of(former, &written->is))
        return 0;
    return key_leaves(catalog, former, written, SLICE_LIT("its key names another instance now"));
}

static int is_instance(struct catalog *catalog, const struct written *written)
{
    int r = leave_former(catalog, written);
    if (r < 0)
        return r;
    struct roster_entry *entry = roster_entry(&catalog->roster, written->is.service, written->is.id);
    if (!entry)
        return -ENOMEM;
    r = key_written(catalog, entry, written);
    roster_tidy(&catalog->roster, entry);
    return r;
}

int keys_step(struct catalog *catalog, const struct catalog_event *event)
{
    _Alignas(max_align_t) char scratch[SCRATCH_BYTES];
    struct arena arena = {0};
    arena_lend(&arena, scratch, sizeof(scratch));
    struct written written = {
        .kv = event->key.kv,
        .why = &event->key.why,
        .is_initial = event->key.is_initial,
    };
    int r = PROJECTION_NONE;
    if (written.kv->version != 0)
        r = projection_apply(catalog->options.projection, written.kv, &arena, &written.is);
    if (r >= 0)
        r = r == PROJECTION_NONE ? no_instance(catalog, &written) : is_instance(catalog, &written);
    arena_deinit(&arena);
    return r;
}
