/* SPDX-License-Identifier: Apache-2.0 */
#include "support/keeper_kit.h"

#include <stdio.h>
#include <stdlib.h>

static void keeper_kit_open(struct keeper_kit *kit)
{
    struct err err = {0};
    int result = keeper_new(&kit->options, &kit->keeper, &err);
    if (result < 0)
        test_fail(__FILE__, __LINE__, "%s", err.text);
    expect_int(keeper_start(kit->keeper, &kit->loop, 1, &err), 0);
    kit->store = keeper_store(kit->keeper);
}

static void keeper_kit_close(struct keeper_kit *kit)
{
    keeper_stop(kit->keeper);
    loop_settle(kit->loop);
    keeper_free(kit->keeper);
    kit->keeper = NULL;
}

void keeper_kit_reopen(struct keeper_kit *kit)
{
    keeper_kit_close(kit);
    keeper_kit_open(kit);
}

void keeper_kit_init(struct keeper_kit *kit)
{
    *kit = (struct keeper_kit){0};
    snprintf(kit->folder, sizeof(kit->folder), "/tmp/muster-keeper-XXXXXX");
    expect_true(mkdtemp(kit->folder) != NULL);
    rcu_init(&kit->rcu);
    expect_int(loop_new(&kit->rcu, &kit->loop), 0);
    kit->options = (struct keeper_options){.folder = kit->folder, .rcu = &kit->rcu};
    local_options_init(&kit->options.local);
    kit->options.local.wal.segment_bytes = 1024 * 1024;
    keeper_kit_open(kit);
}

void keeper_kit_deinit(struct keeper_kit *kit)
{
    keeper_kit_close(kit);
    loop_free(kit->loop);
    rcu_deinit(&kit->rcu);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", kit->folder);
    expect_int(system(command), 0);
}

static void asked_done(struct store_request *request)
{
    struct keeper_asked *asked = container_of(request, struct keeper_asked, request);
    asked->is_done = true;
    asked->kit->n_done++;
}

void keeper_kit_submit(struct keeper_kit *kit, struct keeper_asked *asked)
{
    asked->kit = kit;
    asked->is_done = false;
    asked->request.loop = kit->loop;
    asked->request.done = asked_done;
    asked->request.origin = (struct store_origin){SLICE_LIT("a test"), {0}};
    store_submit(kit->store, &asked->request);
}

void keeper_kit_await(struct keeper_kit *kit, struct keeper_asked *asked)
{
    while (!asked->is_done)
        expect_int(loop_turn(kit->loop, NSEC_NEVER), 0);
}

enum store_outcome keeper_kit_ask(struct keeper_kit *kit, struct keeper_asked *asked)
{
    keeper_kit_submit(kit, asked);
    keeper_kit_await(kit, asked);
    return asked->request.outcome;
}

void keeper_kit_lone_op(struct keeper_asked *asked, const char *key, const char *value, int64_t lease)
{
    snprintf(asked->key, sizeof(asked->key), "%s", key);
    snprintf(asked->value, sizeof(asked->value), "%s", value ? value : "");
    if (value)
        asked->op = (struct store_op){
            .type = STORE_OP_PUT,
            .put = {.key = slice_from_str(asked->key), .value = slice_from_str(asked->value), .lease = lease}};
    else
        asked->op = (struct store_op){.type = STORE_OP_DELETE, .del = {.key = slice_from_str(asked->key)}};
    asked->request.type = STORE_TXN;
    asked->request.txn = (struct store_txn){.success = &asked->op, .n_success = 1};
}

int64_t keeper_kit_put(struct keeper_kit *kit, const char *key, const char *value, int64_t lease)
{
    struct keeper_asked asked = {0};
    keeper_kit_lone_op(&asked, key, value, lease);
    expect_int(keeper_kit_ask(kit, &asked), STORE_OK);
    store_request_deinit(&asked.request);
    return asked.request.revision;
}

int64_t keeper_kit_grant(struct keeper_kit *kit, int64_t id, int64_t ttl_ms)
{
    struct keeper_asked asked = {.request = {.type = STORE_LEASE_GRANT, .lease = {id, ttl_ms}}};
    expect_int(keeper_kit_ask(kit, &asked), STORE_OK);
    return asked.request.lease_id;
}

void keeper_kit_put_brief(struct keeper_kit *kit, const char *key, const char *value, int64_t lease, int64_t ttl_ms)
{
    struct keeper_asked grant = {.request = {.type = STORE_LEASE_GRANT, .lease = {lease, ttl_ms}}}, put = {0};
    keeper_kit_lone_op(&put, key, value, lease);
    keeper_kit_submit(kit, &grant);
    keeper_kit_submit(kit, &put);
    keeper_kit_await(kit, &grant);
    keeper_kit_await(kit, &put);
    expect_int(put.request.outcome, STORE_OK);
    store_request_deinit(&put.request);
}

int64_t keeper_kit_revision(struct keeper_kit *kit)
{
    struct store_view view;
    store_view(kit->store, true, &view);
    int64_t revision = view.revision;
    store_release(kit->store, &view);
    return revision;
}
