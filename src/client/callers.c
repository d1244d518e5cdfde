/* SPDX-License-Identifier: Apache-2.0 */
/*
 * muster_get_callers: reads what /api/v1/clients says (src/fronts/ops/ops_status.c writes it).
 */
#include "base/util.h"
#include "client/client.h"

#include <errno.h>
#include <stdlib.h>

struct callers {
    struct muster_callers shown;
    struct muster_caller *items;
    json_t *tree; /* has the texts */
};

void muster_callers_free(struct muster_callers *shown)
{
    if (!shown)
        return;
    struct callers *callers = container_of(shown, struct callers, shown);
    json_decref(callers->tree);
    free(callers->items);
    free(callers);
}

static bool read_count(const json_t *item, const char *name, uint64_t *ret_number)
{
    int64_t number;
    if (!client_read_number(item, name, &number) || number < 0)
        return false;
    *ret_number = (uint64_t)number;
    return true;
}

static bool read_caller(const json_t *item, struct muster_caller *ret_caller)
{
    return client_read_text(item, "address", &ret_caller->address) &&
           read_count(item, "requests_per_minute", &ret_caller->requests_per_minute) &&
           read_count(item, "bytes_per_minute", &ret_caller->bytes_per_minute) &&
           read_count(item, "requests", &ret_caller->n_requests) && read_count(item, "bytes", &ret_caller->n_bytes);
}

/* A muster_result. */
static int read_callers(struct muster_client *client, struct callers *callers)
{
    const json_t *list = json_object_get(callers->tree, "clients");
    size_t n = json_array_size(list);
    callers->items = calloc(n + 1, sizeof(callers->items[0]));
    if (!callers->items)
        return client_fail_memory(client);
    for (size_t i = 0; i < n; i++) {
        if (!read_caller(json_array_get(list, i), &callers->items[i]))
            return client_fail_answer(client, -EINVAL);
    }
    callers->shown = (struct muster_callers){n, callers->items};
    return MUSTER_OK;
}

int muster_get_callers(struct muster_client *client, struct muster_callers **ret_callers)
{
    if (client_misses(client, "ret_callers", ret_callers != NULL))
        return MUSTER_BAD_OPTIONS;
    *ret_callers = NULL;
    struct callers *callers = calloc(1, sizeof(*callers));
    client_lock(client);
    struct ask_question question = client_question(client, "GET", "/api/v1/clients");
    int result = callers ? client_ask_json(client, &question, &callers->tree) : client_fail_memory(client);
    if (result == MUSTER_OK)
        result = read_callers(client, callers);
    client_unlock(client);
    if (result == MUSTER_OK)
        *ret_callers = &callers->shown;
    else if (callers)
        muster_callers_free(&callers->shown);
    return result;
}
