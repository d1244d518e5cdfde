/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why an instance is, or is not, in the answer that clients get (?offered=true, libmuster): every question that decides
 * it is asked in turn and its answer told, then what has happened to it lately.
 *
 * Verdicts: "yes" goes on, "no" keeps it out, "last_resort" means that it is offered when there is nothing better.
 */
#include "fronts/api/api_history.h"
#include "fronts/api/api_impl.h"
#include "wire/json_writer.h"

#include <stdio.h>

#define HISTORY_MAX 10

struct explaining {
    struct api_call *call;
    struct json_writer *json;
    const struct directory_service *service; /* NULL: not known */
    const struct instance *instance;         /* NULL: not there */
    struct api_entry *entries;               /* the newest first */
    unsigned n_entries;
};

static void step(struct explaining *explaining, const char *name, const char *verdict, const char *why)
{
    struct json_writer *json = explaining->json;
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("step"), slice_from_str(name));
    json_writer_member_str(json, SLICE_LIT("verdict"), slice_from_str(verdict));
    json_writer_member_str(json, SLICE_LIT("why"), slice_from_str(why));
    json_writer_end_object(json);
}

/* "expired at 2026-…: …, by rest 10.0.0.7:51334" of the newest entry with one of these kinds; "" when there is none. */
static void tell_entry(const struct explaining *explaining, bool (*is_wanted)(unsigned kind), struct err *ret_words)
{
    for (unsigned i = 0; i < explaining->n_entries; i++) {
        const struct api_entry *entry = &explaining->entries[i];
        if (is_wanted && !is_wanted(entry->kind))
            continue;
        struct slice kind = timeline_text(entry->kind);
        (void)err_set(ret_words, 0, "%.*s%s%.*s%s%.*s", SLICE_ARG(kind), entry->actor.len ? " by " : "",
                      SLICE_ARG(entry->actor), entry->evidence.len ? ": " : "", SLICE_ARG(entry->evidence));
        return;
    }
}

static void explain_absence(struct explaining *explaining)
{
    struct err words = {0}, why = {0};
    tell_entry(explaining, timeline_is_departure, &words);
    if (words.text[0] && explaining->entries[0].kind == TIMELINE_EXPIRED)
        (void)err_set(&why, 0, "%.200s, after %lld ms without a heartbeat", words.text,
                      (long long)explaining->entries[0].silence_ms);
    else if (words.text[0])
        (void)err_set(&why, 0, "%.300s", words.text);
    else
        (void)err_set(&why, 0, "no instance of this name is registered, and the timeline remembers none");
    step(explaining, "registered", "no", why.text);
}

/* ------------------------------------------------------------------------------------------------ reasons */

static const char *const troubles[] = {
    [INSTANCE_REASON_STOPPED] = "its source says that it is stopped",
    [INSTANCE_REASON_FAILING] = "its check fails",
    [INSTANCE_REASON_STARTING] = "its first check has not passed yet",
    [INSTANCE_REASON_HELD] = "it went together with many others: it is held until something proves it dead",
    [INSTANCE_REASON_DISCONNECTED] = "the connection that held it broke, it may come back",
    [INSTANCE_REASON_SUSPECT] = "somebody had trouble with it lately",
    [INSTANCE_REASON_FLAPPING] = "it came and went too often lately",
};

static void explain_order(struct explaining *explaining, const char *name, const struct instance_order *order)
{
    char until[64] = "without end";
    struct err why = {0};
    if (order->until_ms != 0)
        (void)snprintf(until, sizeof(until), "until %lld ms since 1970", (long long)order->until_ms);
    (void)err_set(&why, 0, "ordered by %.*s, %s: %.*s", SLICE_ARG(order->owner), until, SLICE_ARG(order->reason));
    step(explaining, name, "no", why.text);
}

/* What was told about the reason when it began: the check's words, how the connection ended. */
static struct slice evidence_of(const struct explaining *explaining, enum instance_reason reason)
{
    static const unsigned kinds[] = {
        [INSTANCE_REASON_STOPPED] = TIMELINE_STOPPED,   [INSTANCE_REASON_FAILING] = TIMELINE_CHECK_FAILED,
        [INSTANCE_REASON_HELD] = TIMELINE_HELD,         [INSTANCE_REASON_DISCONNECTED] = TIMELINE_DISCONNECTED,
        [INSTANCE_REASON_SUSPECT] = TIMELINE_SUSPECTED, [INSTANCE_REASON_FLAPPING] = TIMELINE_FLAPPING,
    };
    for (unsigned i = 0; i < explaining->n_entries; i++)
        if (kinds[reason] != 0 && explaining->entries[i].kind == kinds[reason])
            return explaining->entries[i].evidence;
    return (struct slice){0};
}

static void explain_reason(struct explaining *explaining, enum instance_reason reason)
{
    const struct instance *instance = explaining->instance;
    const struct instance_orders *orders = instance_orders(instance);
    struct instance alone = instance_model(instance);
    struct err why = {0};
    alone.reasons = 1U << reason;
    if (reason == INSTANCE_REASON_MAINTENANCE && orders->maintenance) {
        explain_order(explaining, "maintenance", orders->maintenance);
        return;
    }
    if (reason == INSTANCE_REASON_DRAINING && orders->drain) {
        explain_order(explaining, "draining", orders->drain);
        return;
    }
    struct slice evidence = evidence_of(explaining, reason);
    const char *trouble = troubles[reason] ? troubles[reason] : "it is ordered";
    (void)err_set(&why, 0, "%s%s%.*s", trouble, evidence.len ? ": " : "", SLICE_ARG(evidence));
    const char *verdict = instance_offer(&alone) == INSTANCE_LAST_RESORT ? "last_resort" : "no";
    step(explaining, instance_reason_text(reason).ptr, verdict, why.text);
}

static void explain_presence(struct explaining *explaining)
{
    const struct instance *instance = explaining->instance;
    struct err words = {0};
    tell_entry(explaining, timeline_is_arrival, &words);
    step(explaining, "registered", "yes", words.text[0] ? words.text : "since before the timeline's oldest entry");
    for (unsigned reason = 0; reason < INSTANCE_UP; reason++)
        if ((instance->reasons >> reason) & 1U)
            explain_reason(explaining, (enum instance_reason)reason);
    if (instance->reasons == 0)
        step(explaining, "well", "yes", "nothing speaks against it");
    if (instance->record.weight == 0)
        step(explaining, "weight", "no", "its weight is 0: it is told, and picked by nobody");
}

/* ------------------------------------------------------------------------------------------------ the answer */

static void write_answer(struct explaining *explaining, struct slice service, struct slice id)
{
    struct json_writer *json = explaining->json;
    const struct instance *instance = explaining->instance;
    bool is_in = instance && directory_gives(explaining->service, instance);
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("service"), service);
    json_writer_member_str(json, SLICE_LIT("instance"), id);
    json_writer_member_bool(json, SLICE_LIT("in_answer"), is_in);
    json_writer_key(json, SLICE_LIT("because"));
    json_writer_begin_array(json);
    step(explaining, "service", explaining->service ? "yes" : "no",
         explaining->service ? "the service is known" : "no service of this name is known");
    if (instance)
        explain_presence(explaining);
    else
        explain_absence(explaining);
    json_writer_end_array(json);
    json_writer_key(json, SLICE_LIT("history"));
    api_history_write(json, explaining->entries, explaining->n_entries);
    json_writer_end_object(json);
}

void api_explain(struct api_call *call)
{
    const struct slice *service = api_query_get(call, "service"), *id = api_query_get(call, "instance");
    struct json_writer json;
    struct buf body = {0};
    struct explaining explaining = {.call = call, .json = &json};
    if (!service || !id || service->len == 0 || id->len == 0) {
        api_refuse(call->exchange, 400, NULL, "expected the parameters \"service\" and \"instance\"");
        return;
    }
    if (!api_may(call, ACCESS_READ, *service))
        return;
    const struct api_history asked = {.service = *service, .id = *id, .limit = HISTORY_MAX};
    if (api_history_read(call->api->store, &asked, &call->arena, &explaining.entries, &explaining.n_entries) < 0) {
        api_refuse_memory(call->exchange);
        return;
    }
    explaining.service = directory_find(api_directory(call->api), *service);
    if (explaining.service)
        explaining.instance = directory_find_instance(explaining.service, *id);
    json_writer_init(&json, &body);
    write_answer(&explaining, *service, *id);
    api_respond_json(call->exchange, &body);
}
