/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of a slot have each of its attempts exactly once (attempt.c), so what is told is what is counted. */
#include "gateway/holders.h"

#include "gateway/relay.h"

static const char *state_of(const struct attempt *attempt)
{
    switch (attempt->state) {
    case ATTEMPT_CONNECT:
        return "connecting";
    case ATTEMPT_WAIT:
        return attempt->sent_ns > 0 ? "waiting" : "sending";
    case ATTEMPT_ANSWER:
        return attempt->relay->state == RELAY_TUNNEL ? "tunnel" : "answering";
    case ATTEMPT_REST:
    case ATTEMPT_FAILED:
        break;
    }
    return "over";
}

/* "GET /orders/42": the first line as it is sent, without the version. */
static struct slice request_of(const struct relay *relay)
{
    struct slice line, method;
    (void)slice_split(relay->head, '\r', &line);
    struct slice rest = slice_split(line, ' ', &method);
    size_t n = slice_find(rest, ' ');
    return slice_from(line.ptr, n < rest.len ? method.len + 1 + n : line.len);
}

static void tell(struct holders *holders, const struct attempt *attempt)
{
    const struct relay *relay = attempt->relay;
    struct json_writer *json = &holders->writer;
    char client[ADDR_TEXT_MAX];
    nsec_t age_ns = loop_now(relay->worker->loop) - relay->begin_ns;
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("instance"), attempt->slot->runtime->id);
    json_writer_member_str(json, SLICE_LIT("client"), peer_format(exchange_peer(relay->exchange), client));
    json_writer_member_str(json, SLICE_LIT("request"), request_of(relay));
    json_writer_member_filled(json, SLICE_LIT("request_id"), slice_from(relay->id.text, relay->id.len));
    json_writer_member_str(json, SLICE_LIT("state"), slice_from_str(state_of(attempt)));
    json_writer_member_i64(json, SLICE_LIT("age_ms"), age_ns / NSEC_PER_MSEC);
    json_writer_end_object(json);
}

static void tell_slot(struct holders *holders, const struct runtime_slot *slot)
{
    const struct list *lists[] = {&slot->connecting, &slot->writing, &slot->waiting, &slot->answering};
    for (unsigned i = 0; i < ARRAY_LEN(lists); i++) {
        list_for_each (node, lists[i]) {
            if (holders->n++ < HOLDERS_MAX)
                tell(holders, container_of(node, struct attempt, link));
        }
    }
}

static void tell_slots(struct holders *holders, const struct list *slots)
{
    list_for_each (node, slots) {
        const struct runtime_slot *slot = container_of(node, struct runtime_slot, open_link);
        const struct runtime *runtime = slot->runtime;
        if (slice_equal(runtime->service, holders->service) &&
            (holders->id.len == 0 || slice_equal(runtime->id, holders->id)))
            tell_slot(holders, slot);
    }
}

static bool is_picked(const struct holders *holders)
{
    const struct plan_cell *cell = plan_find(planner_plan(gateway_planner(holders->gateway)), holders->service);
    const struct plan_service *service = cell ? rcu_read(&cell->current) : NULL;
    if (!service)
        return false;
    if (holders->id.len == 0)
        return service->offered.n > 0 || service->resort.n > 0;
    const struct target *target = plan_find_target(service, holders->id);
    return target && target->places != 0;
}

static void deliver_answer(struct mail *mail)
{
    struct holders *holders = container_of(mail, struct holders, mail);
    holders->done(holders);
}

static void deliver_question(struct mail *mail)
{
    struct holders *holders = container_of(mail, struct holders, mail);
    const struct gateway_worker *worker = gateway_worker_at(holders->gateway, holders->worker);
    if (holders->worker == 0)
        holders->is_picked = is_picked(holders);
    tell_slots(holders, &worker->open);
    tell_slots(holders, &worker->gone);
    if (++holders->worker < gateway_n_workers(holders->gateway)) {
        loop_post(gateway_worker_at(holders->gateway, holders->worker)->loop, mail);
        return;
    }
    json_writer_end_array(&holders->writer);
    holders->result = json_writer_finish(&holders->writer);
    mail->deliver = deliver_answer;
    loop_post(holders->loop, mail);
}

void holders_ask(struct gateway *gateway, struct holders *holders)
{
    holders->gateway = gateway;
    holders->worker = 0;
    holders->n = 0;
    holders->json = (struct buf){0};
    json_writer_init(&holders->writer, &holders->json);
    json_writer_begin_array(&holders->writer);
    holders->mail.deliver = deliver_question;
    loop_post(gateway_worker_at(gateway, 0)->loop, &holders->mail);
}

void holders_deinit(struct holders *holders)
{
    buf_deinit(&holders->json);
}
