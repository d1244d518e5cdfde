/* SPDX-License-Identifier: Apache-2.0 */
/* Two folders of one floor do not know each other: what passes between them passes here. */
#include "daemon/gateway_facts.h"

#include "gateway/holders.h"
#include "gateway/tell.h"

#include <errno.h>
#include <stdlib.h>

/* A question on its way. */
struct asked {
    struct holders holders;
    struct gateway_holders *asker;
};

static void on_holders(struct holders *holders)
{
    struct asked *asked = container_of(holders, struct asked, holders);
    struct gateway_holders *asker = asked->asker;
    asker->is_picked = holders->is_picked;
    asker->n_in_flight = holders->n;
    asker->json = holders->result < 0 ? (struct slice){0} : buf_slice(&holders->json);
    asker->done(asker);
    holders_deinit(holders);
    free(asked);
}

static int ask_holders(void *ctx, struct gateway_holders *asker)
{
    struct asked *asked = malloc(sizeof(*asked));
    if (!asked)
        return -ENOMEM;
    *asked = (struct asked){
        .holders = {.service = asker->service, .id = asker->id, .loop = asker->loop, .done = on_holders},
        .asker = asker,
    };
    holders_ask(ctx, &asked->holders);
    return 0;
}

static void write_requests(void *ctx, const struct gateway_query *query, struct json_writer *json)
{
    const struct tell_question question = {
        .id = query->id,
        .service = query->service,
        .status_min = query->status_min,
        .status_max = query->status_max,
        .since_ms = query->since_ms,
        .limit = query->limit,
    };
    tell_requests(ctx, &question, json);
}

static void write_traffic(void *ctx, struct slice service, struct json_writer *json)
{
    tell_traffic(ctx, service, json);
}

static void write_calls(void *ctx, struct json_writer *json)
{
    tell_calls(ctx, json);
}

void gateway_facts_view(struct gateway *gateway, struct gateway_view *ret_view)
{
    *ret_view = (struct gateway_view){
        .ctx = gateway,
        .ask_holders = ask_holders,
        .write_requests = write_requests,
        .write_traffic = write_traffic,
        .write_calls = write_calls,
    };
}
