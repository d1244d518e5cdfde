/* SPDX-License-Identifier: Apache-2.0 */
/* Two folders of one floor do not know each other: what passes between them passes here. */
#include "daemon/gateway_facts.h"

#include "gateway/tell.h"

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
        .write_requests = write_requests,
        .write_traffic = write_traffic,
        .write_calls = write_calls,
    };
}
