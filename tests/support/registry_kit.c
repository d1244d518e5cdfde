/* SPDX-License-Identifier: Apache-2.0 */
#include "support/registry_kit.h"

#include "support/fake_store.h"
#include "support/test.h"

void registry_kit_init(struct registry_kit *kit, bool holds)
{
    struct curator_options options = {.min_ttl_ms = 1000};
    rcu_init(&kit->rcu);
    expect_int(sim_new(&kit->rcu, &kit->sim, &kit->loop), 0);
    expect_int(fake_store_new(kit->loop, &kit->rcu, &kit->store), 0);
    expect_int(projection_new(NULL, 0, true, &kit->projection, NULL), 0);
    catalog_options_init(&options.catalog);
    options.store = kit->store;
    options.rcu = &kit->rcu;
    options.catalog.projection = kit->projection;
    options.catalog.flap_suppress = 0;
    if (!holds)
        options.catalog.loss_min = UINT32_MAX;
    expect_int(curator_new_on(&options, kit->loop, &kit->curator), 0);
    curator_begin(kit->curator);
    expect_int(log_new(&(struct log_options){.fd = -1}, &kit->log), 0);
}

void registry_kit_deinit(struct registry_kit *kit)
{
    curator_end(kit->curator);
    curator_free(kit->curator);
    sim_run_for(kit->sim, 0);
    log_free(kit->log);
    projection_free(kit->projection);
    fake_store_free(kit->store);
    loop_free(kit->loop);
    rcu_deinit(&kit->rcu);
}

const struct instance *registry_kit_find(const struct registry_kit *kit, const char *service, const char *id)
{
    const struct directory *directory = catalog_directory(curator_catalog(kit->curator));
    return directory_look_up(directory, slice_from_str(service), slice_from_str(id));
}

static void on_done(struct curator_request *request)
{
    expect_int(request->outcome, CURATOR_OK);
}

void registry_kit_ask(struct registry_kit *kit, const char *service, const char *id, const char *address)
{
    struct instance_record record = {.weight = 1, .origin = SLICE_LIT("rest")};
    struct curator_request request = {
        .type = address ? CURATOR_REGISTER : CURATOR_DEREGISTER,
        .loop = kit->loop,
        .done = on_done,
        .origin = {.actor = SLICE_LIT("somebody")},
        .service = slice_from_str(service),
        .id = slice_from_str(id),
        .record = &record,
    };
    if (address)
        expect_true(instance_record_set_address(&record, slice_from_str(address)));
    curator_submit(kit->curator, &request);
    sim_run_for(kit->sim, 0);
    curator_request_deinit(&request);
}

static bool collect_note(void *ctx, const struct store_note *note)
{
    if (note->kind >= STORE_NOTE_FREE)
        buf_printf(ctx, "%.*s by %.*s: %.*s\n", SLICE_ARG(timeline_text(note->kind)), SLICE_ARG(note->actor),
                   SLICE_ARG(note->cause));
    return true;
}

void registry_kit_expect_timeline(struct registry_kit *kit, const char *expected)
{
    struct buf text = {0};
    sim_run_for(kit->sim, NSEC_PER_SEC / 10); /* notes are gathered for a moment */
    store_notes(kit->store, collect_note, &text);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}
