/* SPDX-License-Identifier: Apache-2.0 */
#include "support/curator_kit.h"

#include "catalog/instance_record.h"
#include "support/fake_store.h"
#include "support/sim.h"
#include "support/test.h"

void curator_kit_start(struct curator_kit *kit)
{
    struct curator_options options = {.store = kit->store, .rcu = &kit->rcu, .min_ttl_ms = 1000};
    catalog_options_init(&options.catalog);
    options.catalog.projection = kit->projection;
    expect_int(curator_new_on(&options, kit->curator_loop, &kit->curator), 0);
    curator_begin(kit->curator);
}

void curator_kit_stop(struct curator_kit *kit)
{
    curator_end(kit->curator);
    curator_free(TAKE(kit->curator));
}

void curator_kit_init(struct curator_kit *kit)
{
    *kit = (struct curator_kit){0};
    rcu_init(&kit->rcu);
    expect_int(sim_new(&kit->rcu, &kit->sim, &kit->loop), 0);
    expect_int(sim_new(&kit->rcu, &kit->curator_sim, &kit->curator_loop), 0);
    expect_int(fake_store_new(kit->loop, &kit->rcu, &kit->store), 0);
    expect_int(projection_new(NULL, 0, true, &kit->projection, NULL), 0);
    curator_kit_start(kit);
}

void curator_kit_run_for(struct curator_kit *kit, nsec_t duration_ns)
{
    for (unsigned round = 0; round < 4; round++) {
        sim_run_for(kit->sim, round == 0 ? duration_ns : 0);
        sim_run_for(kit->curator_sim, round == 0 ? duration_ns : 0);
    }
}

void curator_kit_run(struct curator_kit *kit)
{
    curator_kit_run_for(kit, 0);
}

void curator_kit_deinit(struct curator_kit *kit)
{
    curator_kit_run(kit);
    if (kit->curator)
        curator_kit_stop(kit);
    projection_free(kit->projection);
    fake_store_free(kit->store);
    loop_free(kit->loop);
    loop_free(kit->curator_loop);
    rcu_deinit(&kit->rcu);
}

const struct instance *kit_find(const struct curator_kit *kit, const char *service, const char *id)
{
    const struct directory *directory = catalog_directory(curator_catalog(kit->curator));
    return directory_look_up(directory, slice_from_str(service), slice_from_str(id));
}

static void on_done(struct curator_request *request)
{
    struct asked *asked = container_of(request, struct asked, request);
    expect_false(asked->is_done);
    asked->is_done = true;
    const struct directory *directory = catalog_directory(curator_catalog(asked->kit->curator));
    asked->was_visible = directory_look_up(directory, request->service, request->id) != NULL;
}

struct asked curator_kit_request(struct curator_kit *kit, enum curator_request_type type, const char *id)
{
    return (struct asked){
        .kit = kit,
        .request = {.type = type,
                    .loop = kit->loop,
                    .done = on_done,
                    .origin = {.actor = SLICE_LIT("a test")},
                    .service = SLICE_LIT("web"),
                    .id = slice_from_str(id)},
    };
}

struct asked kit_registration(struct curator_kit *kit, const char *id, const char *address, int64_t ttl_ms)
{
    struct asked asked = curator_kit_request(kit, CURATOR_REGISTER, id);
    asked.record.weight = 1;
    (void)instance_record_set_address(&asked.record, slice_from_str(address));
    asked.request.ttl_ms = ttl_ms;
    return asked;
}

void kit_submit(struct asked *asked)
{
    asked->request.record = &asked->record;
    curator_submit(asked->kit->curator, &asked->request);
}

enum curator_outcome kit_ask(struct asked *asked)
{
    kit_submit(asked);
    curator_kit_run(asked->kit);
    expect_true(asked->is_done);
    curator_request_deinit(&asked->request);
    return asked->request.outcome;
}

enum curator_outcome kit_register(struct curator_kit *kit, const char *id, const char *address, int64_t ttl_ms)
{
    struct asked asked = kit_registration(kit, id, address, ttl_ms);
    return kit_ask(&asked);
}

enum curator_outcome kit_ask_for(struct curator_kit *kit, enum curator_request_type type, const char *id)
{
    struct asked asked = curator_kit_request(kit, type, id);
    return kit_ask(&asked);
}

static bool collect_note(void *ctx, const struct store_note *note)
{
    if (note->kind < STORE_NOTE_FREE)
        return true;
    struct buf *text = ctx;
    return buf_printf(text, "%.*s %.*s by %.*s\n", SLICE_ARG(note->subject), SLICE_ARG(timeline_text(note->kind)),
                      SLICE_ARG(note->actor)) == 0;
}

void kit_expect_timeline(struct curator_kit *kit, const char *expected)
{
    struct buf text = {0};
    curator_kit_run_for(kit, NSEC_PER_SEC / 10); /* notes are gathered for a moment */
    curator_kit_run(kit);
    store_notes(kit->store, collect_note, &text);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}

void kit_put_leased(struct curator_kit *kit, const char *key, const char *value)
{
    struct store_request grant = {.type = STORE_LEASE_GRANT, .loop = kit->loop, .lease = {77, 5000}};
    struct store_op op = {.type = STORE_OP_PUT, .put = {slice_from_str(key), slice_from_str(value), .lease = 77}};
    struct store_request put = {.type = STORE_TXN,
                                .loop = kit->loop,
                                .txn = {.success = &op, .n_success = 1},
                                .origin = {.actor = SLICE_LIT("etcd 1")}};
    struct store_request *both[] = {&grant, &put};
    for (unsigned i = 0; i < ARRAY_LEN(both); i++) {
        both[i]->done = store_request_deinit;
        store_submit(kit->store, both[i]);
        curator_kit_run(kit);
    }
}
