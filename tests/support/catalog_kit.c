/* SPDX-License-Identifier: Apache-2.0 */
#include "support/catalog_kit.h"

#include "base/assert.h"
#include "catalog/instance_record.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define START_NS      (1000 * NSEC_PER_SEC)
#define START_WALL_MS 1700000000000

static void expect_ok(int result)
{
    expect_int(result, 0);
}

static void new_catalog(struct catalog_kit *kit, const struct catalog_options *options, int64_t first_revision)
{
    struct catalog_options defaults;
    catalog_options_init(&defaults);
    if (options)
        defaults = *options;
    if (!defaults.projection)
        defaults.projection = kit->projection;
    expect_ok(catalog_new(&defaults, &kit->rcu, first_revision, &kit->catalog));
    kit->seen = catalog_revision(kit->catalog);
}

void catalog_kit_init(struct catalog_kit *kit, const struct catalog_options *options)
{
    *kit = (struct catalog_kit){.time = {START_NS, START_WALL_MS}, .store_revision = 1};
    rcu_init(&kit->rcu);
    expect_ok(projection_new(NULL, 0, true, &kit->projection, NULL));
    new_catalog(kit, options, 0);
}

void catalog_kit_deinit(struct catalog_kit *kit)
{
    catalog_free(kit->catalog);
    rcu_deinit(&kit->rcu);
    projection_free(kit->projection);
    catalog_updates_deinit(&kit->updates);
    for (size_t i = 0; i < kit->n_keys; i++) {
        free(kit->keys[i].key);
        free(kit->keys[i].value);
    }
    free(kit->keys);
    buf_deinit(&kit->trace);
}

/* ------------------------------------------------------------------------------------------------ steps */

/* A step that fails has had no effect and is given again; in time, what was done before it failed stays done. */
static void disturb(struct catalog_kit *kit, const struct catalog_event *event)
{
    for (size_t n = 1;; n++) {
        unsigned n_notes = kit->updates.n_notes, n_writes = kit->updates.n_writes;
        fault_alloc_arm(n);
        int r = catalog_step(kit->catalog, event, &kit->time, &kit->updates);
        bool has_failed = fault_alloc_disarm();
        if (r == 0)
            return;
        expect_true(has_failed);
        expect_int(r, -ENOMEM);
        expect_true(event->type == CATALOG_TIME ||
                    (kit->updates.n_notes == n_notes && kit->updates.n_writes == n_writes));
        kit->n_failed++;
    }
}

int kit_step(struct catalog_kit *kit, const struct catalog_event *event)
{
    if (!kit->is_disturbed)
        return catalog_step(kit->catalog, event, &kit->time, &kit->updates);
    disturb(kit, event);
    return 0;
}

static void trace_change(struct catalog_kit *kit, const struct catalog_change *change)
{
    const struct instance *instance = change->after ? change->after : change->before;
    kit->last = kit->trace.len;
    expect_ok(buf_printf(&kit->trace, "%lld %.*s %.*s/%.*s", (long long)change->revision,
                         SLICE_ARG(timeline_text(change->kind)), SLICE_ARG(instance->service),
                         SLICE_ARG(instance->id)));
    if (change->actor.len)
        expect_ok(buf_printf(&kit->trace, " by %.*s", SLICE_ARG(change->actor)));
    if (change->silence_ms)
        expect_ok(buf_printf(&kit->trace, " after %lld ms", (long long)change->silence_ms));
    if (change->evidence.len)
        expect_ok(buf_printf(&kit->trace, ": %.*s", SLICE_ARG(change->evidence)));
    expect_ok(buf_append_char(&kit->trace, '\n'));
}

/* One change and one note for each revision since the last time, saying the same. */
static void check_changes(struct catalog_kit *kit)
{
    int64_t revision = catalog_revision(kit->catalog);
    expect_int(kit->updates.n_notes, revision - kit->seen);
    for (unsigned i = 0; i < kit->updates.n_notes; i++) {
        const struct store_note *note = &kit->updates.notes[i];
        const struct catalog_change *change = catalog_change(kit->catalog, kit->seen + 1 + i);
        expect_true(change && (change->before || change->after));
        expect_int(change->revision, kit->seen + 1 + i);
        expect_int(note->revision, change->revision);
        expect_int(note->kind, change->kind);
        expect_int(note->wall_ms, change->wall_ms);
        expect_bytes(note->actor, change->actor);
        expect_bytes(note->cause, change->evidence);
        expect_true(timeline_text(note->kind).len > 0);
        if (change->after)
            expect_int(change->after->revision, change->revision);
        expect_true(!timeline_is_departure(note->kind) || !change->after);
        expect_true(change->after || timeline_is_departure(note->kind));
        trace_change(kit, change);
    }
    kit->seen = revision;
}

static struct kit_key *find_key(const struct catalog_kit *kit, struct slice key)
{
    for (size_t i = 0; i < kit->n_keys; i++)
        if (slice_equal_str(key, kit->keys[i].key))
            return &kit->keys[i];
    return NULL;
}

/* The catalogue's writes, of which carrying out one may give others. */
static void carry_out(struct catalog_kit *kit)
{
    struct catalog_updates updates = kit->updates;
    kit->updates = (struct catalog_updates){0};
    for (unsigned i = 0; i < updates.n_writes && !kit->is_read_only; i++) {
        const struct catalog_write *write = &updates.writes[i];
        if (write->type != CATALOG_DELETE_KEY) {
            kit->n_ended++;
            continue;
        }
        const struct kit_key *key = find_key(kit, write->key);
        if (!key || key->mod_revision != write->mod_revision)
            continue;
        char *cause = slice_dup(write->cause);
        kit->n_deleted++;
        kit_delete(kit, key->key, STORE_NOTE_DELETED, "catalogue", cause);
        free(cause);
    }
    catalog_updates_deinit(&updates);
}

void kit_settle(struct catalog_kit *kit)
{
    const struct catalog_event time = {.type = CATALOG_TIME};
    while (catalog_deadline(kit->catalog) <= kit->time.now_ns)
        expect_ok(kit_step(kit, &time));
    catalog_publish(kit->catalog, kit->store_revision);
    check_changes(kit);
    carry_out(kit);
    (void)rcu_reclaim(&kit->rcu);
}

static void step_and_settle(struct catalog_kit *kit, const struct catalog_event *event)
{
    expect_ok(kit_step(kit, event));
    kit_settle(kit);
}

static void move_clocks(struct catalog_kit *kit, nsec_t to_ns)
{
    kit->time.wall_ms += to_ns / NSEC_PER_MSEC - kit->time.now_ns / NSEC_PER_MSEC;
    kit->time.now_ns = to_ns;
}

void kit_pass(struct catalog_kit *kit, nsec_t by_ns)
{
    nsec_t until_ns = kit->time.now_ns + by_ns;
    for (;;) {
        kit_settle(kit);
        nsec_t next_ns = catalog_deadline(kit->catalog);
        if (next_ns > until_ns)
            break;
        if (next_ns > kit->time.now_ns)
            move_clocks(kit, next_ns);
    }
    move_clocks(kit, until_ns);
}

/* ------------------------------------------------------------------------------------------------ the store */

static struct kit_key *add_key(struct catalog_kit *kit, const char *name)
{
    if (kit->n_keys == kit->cap_keys) {
        kit->cap_keys = kit->cap_keys ? kit->cap_keys * 2 : 16;
        kit->keys = realloc(kit->keys, kit->cap_keys * sizeof(kit->keys[0]));
        expect_true(kit->keys != NULL);
    }
    struct kit_key *key = &kit->keys[kit->n_keys++];
    *key = (struct kit_key){.key = slice_dup(slice_from_str(name)), .create_revision = kit->store_revision};
    return key;
}

static struct store_kv kv_of(const struct kit_key *key)
{
    return (struct store_kv){
        .key = slice_from_str(key->key),
        .value = slice_from_str(key->value),
        .create_revision = key->create_revision,
        .mod_revision = key->mod_revision,
        .version = key->version,
        .lease = key->lease,
    };
}

void kit_put(struct catalog_kit *kit, const char *key_text, const char *value, int64_t lease, const char *actor)
{
    kit->store_revision++;
    struct kit_key *key = find_key(kit, slice_from_str(key_text));
    if (!key)
        key = add_key(kit, key_text);
    char *copy = slice_dup(slice_from_str(value)); /* value may be the key's own */
    free(key->value);
    key->value = copy;
    key->mod_revision = kit->store_revision;
    key->version++;
    key->lease = lease;
    const struct store_kv kv = kv_of(key);
    step_and_settle(kit, &(struct catalog_event){
                             .type = CATALOG_KEY,
                             .key = {.kv = &kv, .why = {.kind = STORE_NOTE_CHANGED, .actor = slice_from_str(actor)}},
                         });
}

static void native_key(char *room, size_t size, const char *service, const char *id)
{
    struct buf key = {0};
    instance_record_key(&key, slice_from_str(service), slice_from_str(id));
    expect_int(snprintf(room, size, "%.*s", SLICE_ARG(buf_slice(&key))), (int)key.len);
    buf_deinit(&key);
}

void kit_register_by(struct catalog_kit *kit, const char *service, const char *id, const char *record,
                     const char *actor)
{
    char key[512], value[512];
    native_key(key, sizeof(key), service, id);
    snprintf(value, sizeof(value), record[0] == '{' ? "%s" : "{\"address\": \"%s\"}", record);
    kit_put(kit, key, value, 77, actor);
}

void kit_register(struct catalog_kit *kit, const char *service, const char *id, const char *record)
{
    kit_register_by(kit, service, id, record, "");
}

void kit_delete(struct catalog_kit *kit, const char *key_text, unsigned why, const char *actor, const char *cause)
{
    struct kit_key *key = find_key(kit, slice_from_str(key_text));
    if (!key)
        return;
    kit->store_revision++;
    struct kit_key gone = *key;
    *key = kit->keys[--kit->n_keys];
    const struct store_kv kv = {.key = slice_from_str(gone.key), .mod_revision = kit->store_revision};
    step_and_settle(kit, &(struct catalog_event){
                             .type = CATALOG_KEY,
                             .key = {.kv = &kv,
                                     .why = {.kind = why,
                                             .actor = slice_from_str(actor),
                                             .cause = slice_from_str(cause),
                                             .silence_ms = why == STORE_NOTE_EXPIRED ? 3000 : 0}},
                         });
    free(gone.key);
    free(gone.value);
}

void kit_deregister(struct catalog_kit *kit, const char *service, const char *id, const char *actor)
{
    char key[512];
    native_key(key, sizeof(key), service, id);
    kit_delete(kit, key, STORE_NOTE_DELETED, actor, "");
}

void kit_expire(struct catalog_kit *kit, const char *service, const char *id)
{
    char key[512];
    native_key(key, sizeof(key), service, id);
    kit_delete(kit, key, STORE_NOTE_EXPIRED, "", "");
}

bool kit_has_key(const struct catalog_kit *kit, const char *service, const char *id)
{
    char key[512];
    native_key(key, sizeof(key), service, id);
    return find_key(kit, slice_from_str(key)) != NULL;
}

void kit_restart(struct catalog_kit *kit)
{
    int64_t revision = catalog_revision(kit->catalog);
    catalog_free(kit->catalog);
    new_catalog(kit, NULL, revision + 1000);
    for (size_t i = 0; i < kit->n_keys; i++) {
        const struct store_kv kv = kv_of(&kit->keys[i]);
        step_and_settle(kit, &(struct catalog_event){.type = CATALOG_KEY, .key = {.kv = &kv, .is_initial = true}});
    }
}

/* ------------------------------------------------------------------------------------------------ others */

void kit_report(struct catalog_kit *kit, enum catalog_event_type type, const char *service, const char *id,
                bool is_good, const char *evidence)
{
    step_and_settle(kit, &(struct catalog_event){
                             .type = type,
                             .report = {.service = slice_from_str(service),
                                        .id = slice_from_str(id),
                                        .is_good = is_good,
                                        .evidence = slice_from_str(evidence)},
                         });
}

void kit_session_broke(struct catalog_kit *kit, const char *service, const char *id, nsec_t grace_ns)
{
    step_and_settle(kit, &(struct catalog_event){
                             .type = CATALOG_SESSION,
                             .report = {.service = slice_from_str(service),
                                        .id = slice_from_str(id),
                                        .grace_ns = grace_ns,
                                        .evidence = SLICE_LIT("reset by peer")},
                         });
}

void kit_order(struct catalog_kit *kit, enum catalog_event_type type, const char *service, const char *id,
               const char *owner, const char *reason, int64_t until_ms)
{
    step_and_settle(kit, &(struct catalog_event){
                             .type = type,
                             .order = {.service = slice_from_str(service),
                                       .id = slice_from_str(id),
                                       .actor = slice_from_str(owner),
                                       .order = {.owner = slice_from_str(owner),
                                                 .reason = slice_from_str(reason),
                                                 .since_ms = kit->time.wall_ms,
                                                 .until_ms = until_ms}},
                         });
}

void kit_withdraw(struct catalog_kit *kit, enum catalog_event_type type, const char *service, const char *id,
                  const char *actor)
{
    step_and_settle(
        kit,
        &(struct catalog_event){
            .type = type,
            .order = {.service = slice_from_str(service), .id = slice_from_str(id), .actor = slice_from_str(actor)},
        });
}

/* ------------------------------------------------------------------------------------------------ reading */

const struct instance *kit_find(const struct catalog_kit *kit, const char *service, const char *id)
{
    return directory_look_up(catalog_directory(kit->catalog), slice_from_str(service), slice_from_str(id));
}

unsigned kit_count(const struct catalog_kit *kit, const char *service)
{
    const struct directory_service *found = directory_find(catalog_directory(kit->catalog), slice_from_str(service));
    return found ? found->n_instances : 0;
}

const char *kit_reasons(struct catalog_kit *kit, const char *service, const char *id)
{
    static _Thread_local char words[256];
    const struct instance *instance = kit_find(kit, service, id);
    if (!instance)
        return "gone";
    if (instance->reasons == 0)
        return "up";
    size_t len = 0;
    for (enum instance_reason reason = 0; reason < INSTANCE_UP; reason++)
        if ((instance->reasons >> reason) & 1)
            len += (size_t)snprintf(words + len, sizeof(words) - len, len ? " %.*s" : "%.*s",
                                    SLICE_ARG(instance_reason_text(reason)));
    return words;
}

const char *kit_last(struct catalog_kit *kit)
{
    static _Thread_local char line[512];
    struct slice rest = slice_skip(buf_slice(&kit->trace), kit->last), first;
    (void)slice_split(rest, '\n', &first);
    snprintf(line, sizeof(line), "%.*s", SLICE_ARG(first));
    return line;
}

unsigned kit_trace_count(struct catalog_kit *kit, const char *words)
{
    unsigned n = 0;
    struct slice rest = buf_slice(&kit->trace), line;
    while (!slice_is_empty(rest)) {
        rest = slice_split(rest, '\n', &line);
        n += memmem(line.ptr, line.len, words, strlen(words)) != NULL;
    }
    return n;
}
