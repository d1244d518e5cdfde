/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each worker remembers its own requests, the newest first; those that fit are written down one by one, and put in
 * order at the end. What is told for people is made of what was recorded, here and not when the request came.
 */
#include "gateway/tell.h"

#include "base/array.h"
#include "gateway/gateway_worker.h"

#include <stdio.h>
#include <stdlib.h>

#define INSTANCE_NONE SLICE_LIT("")

struct telling {
    const struct tell_question *question;
    struct buf text; /* objects, one behind the other */
    struct found {
        uint64_t began_ms;
        size_t at, len;
    } * found;
    size_t n, room;
    size_t n_here; /* of one worker */
    bool has_failed;
};

/* ------------------------------------------------------------------------------------------------ words */

static void step(struct json_writer *json, struct slice name, const char *verdict, const struct buf *why)
{
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("step"), name);
    json_writer_member_str(json, SLICE_LIT("verdict"), slice_from_str(verdict));
    json_writer_member_str(json, SLICE_LIT("why"), buf_slice(why));
    json_writer_end_object(json);
}

static void put_time(struct buf *why, uint32_t us)
{
    if (us < 1000)
        (void)buf_printf(why, "%u us", us);
    else if (us < 10000000)
        (void)buf_printf(why, "%u.%u ms", us / 1000, us / 100 % 10);
    else
        (void)buf_printf(why, "%u.%u s", us / 1000000, us / 100000 % 10);
}

static void tell_waits(const struct passage *passage, struct json_writer *json, struct buf *why)
{
    buf_reset(why);
    if (passage->flags & PASSAGE_PARKED) {
        (void)buf_append_str(why, "no instance was there, or all had failed; it waited for one");
        step(json, SLICE_LIT("wait"), "parked", why);
    }
    buf_reset(why);
    if (passage->flags & PASSAGE_QUEUED) {
        (void)buf_append_str(why, "the service had as many requests under way as it may; it waited for its turn");
        step(json, SLICE_LIT("wait"), "queued", why);
    }
}

static const char *const tiers[] = {
    [PICK_STICKY] = "the instance that the client sticks to",
    [PICK_NEAR] = "near",
    [PICK_OFFERED] = "of all zones",
    [PICK_RESORT] = "of last resort, since there is none better",
};

static const char *const verdicts[] = {
    [PICK_TAKEN] = "taken",     [PICK_WORSE] = "worse",     [PICK_TRIED] = "tried",
    [PICK_STALLED] = "stalled", [PICK_EJECTED] = "ejected", [PICK_GONE] = "gone",
};

static const char *const reasons[] = {
    [PICK_WORSE] = "was busier or slower",
    [PICK_TRIED] = "had been tried for this request already",
    [PICK_STALLED] = "hangs: its oldest request waits for far too long",
    [PICK_EJECTED] = "gets nothing for a while, after failures",
    [PICK_GONE] = "is not registered any more",
};

static bool was_compared(const struct passage_attempt *attempt)
{
    for (unsigned i = 0; i < attempt->n_draws; i++)
        if (attempt->draws[i].verdict == PICK_WORSE)
            return true;
    return false;
}

static void tell_choice(const struct passage_attempt *attempt, struct json_writer *json, struct buf *why)
{
    for (unsigned i = 0; i < attempt->n_draws; i++) {
        enum pick_verdict verdict = attempt->draws[i].verdict;
        buf_reset(why);
        if (verdict != PICK_TAKEN)
            (void)buf_append_str(why, reasons[verdict]);
        else if (attempt->tier == PICK_STICKY)
            (void)buf_append_str(why, tiers[PICK_STICKY]);
        else if (was_compared(attempt))
            (void)buf_printf(why, "the better of two drawn from %u %s", attempt->n_candidates, tiers[attempt->tier]);
        else
            (void)buf_printf(why, "chosen from %u %s", attempt->n_candidates, tiers[attempt->tier]);
        if (attempt->draws[i].score > 0)
            (void)buf_printf(why, " (load x latency: %llu)", (unsigned long long)attempt->draws[i].score);
        step(json, attempt->draws[i].id, verdicts[verdict], why);
    }
}

static struct slice taken_of(const struct passage_attempt *attempt)
{
    for (unsigned i = 0; i < attempt->n_draws; i++)
        if (attempt->draws[i].verdict == PICK_TAKEN)
            return attempt->draws[i].id;
    return INSTANCE_NONE;
}

static const char *verdict_of(const struct passage_attempt *attempt)
{
    return attempt->answered ? "answered" : attempt->cause != CAUSE_NONE ? "failed" : "given up";
}

static const char *sent_of(const struct passage_attempt *attempt)
{
    return attempt->sent_whole ? "full" : attempt->sent ? "partial" : "none";
}

static void tell_attempt(const struct passage_attempt *attempt, struct json_writer *json, struct buf *why)
{
    tell_choice(attempt, json, why);
    buf_reset(why);
    if (attempt->is_hedge)
        (void)buf_append_str(why, "beside an attempt that was slow, ");
    if (!attempt->connected) {
        (void)buf_append_str(why, "no connection");
    } else if (attempt->reused) {
        (void)buf_append_str(why, "on a connection that had been idle for ");
        put_time(why, attempt->idle_us);
    } else {
        (void)buf_append_str(why, "on a new connection");
    }
    if (attempt->cause != CAUSE_NONE) {
        struct slice text = cause_text(attempt->cause);
        (void)buf_printf(why, ": %.*s", SLICE_ARG(text));
    }
    (void)buf_append_str(why, attempt->answered ? ", which began to answer after " : ", after ");
    put_time(why, attempt->took_us);
    if (!attempt->answered)
        (void)buf_append_str(why, attempt->sent_whole ? "; the instance may have seen the request"
                                  : attempt->sent     ? "; the instance may have seen a part of the request"
                                                      : "; nothing of the request was sent");
    step(json, SLICE_LIT("attempt"), verdict_of(attempt), why);
}

static void tell_end(const struct passage *passage, struct json_writer *json, struct buf *why)
{
    struct slice text = cause_text(passage->cause);
    char verdict[12] = "none"; /* or any unsigned */
    buf_reset(why);
    if (passage->status > 0)
        (void)snprintf(verdict, sizeof(verdict), "%u", passage->status);
    if (passage->cause != CAUSE_NONE)
        (void)buf_printf(why, "%.*s, ", SLICE_ARG(text));
    else
        (void)buf_append_str(why, passage->flags & PASSAGE_TUNNEL ? "another protocol from there on, "
                                                                  : "as the instance said, ");
    (void)buf_append_str(why, "in all ");
    put_time(why, passage->took_us);
    step(json, SLICE_LIT("answer"), verdict, why);
}

static void tell_why(const struct passage *passage, struct json_writer *json)
{
    struct buf why = {0};
    json_writer_key(json, SLICE_LIT("because"));
    json_writer_begin_array(json);
    tell_waits(passage, json, &why);
    for (unsigned i = 0; i < passage->n_attempts; i++)
        tell_attempt(&passage->attempts[i], json, &why);
    if (passage->n_untold > 0) {
        buf_reset(&why);
        (void)buf_printf(&why, "%u more, of which nothing is remembered", passage->n_untold);
        step(json, SLICE_LIT("attempt"), "untold", &why);
    }
    tell_end(passage, json, &why);
    json_writer_end_array(json);
    buf_deinit(&why);
}

/* ------------------------------------------------------------------------------------------------ one request */

static void write_attempt(const struct passage_attempt *attempt, struct json_writer *json)
{
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("instance"), taken_of(attempt));
    json_writer_member_str(json, SLICE_LIT("result"), slice_from_str(verdict_of(attempt)));
    if (attempt->cause != CAUSE_NONE)
        json_writer_member_str(json, SLICE_LIT("cause"), cause_name(attempt->cause));
    json_writer_member_str(json, SLICE_LIT("connection"),
                           !attempt->connected ? SLICE_LIT("none")
                           : attempt->reused   ? SLICE_LIT("reused")
                                               : SLICE_LIT("new"));
    json_writer_member_i64(json, SLICE_LIT("idle_us"), attempt->idle_us);
    json_writer_member_str(json, SLICE_LIT("sent"), slice_from_str(sent_of(attempt)));
    json_writer_member_bool(json, SLICE_LIT("hedge"), attempt->is_hedge);
    json_writer_member_i64(json, SLICE_LIT("candidates"), attempt->n_candidates);
    json_writer_member_i64(json, SLICE_LIT("begin_us"), attempt->begin_us);
    json_writer_member_i64(json, SLICE_LIT("took_us"), attempt->took_us);
    json_writer_key(json, SLICE_LIT("looked_at"));
    json_writer_begin_array(json);
    for (unsigned i = 0; i < attempt->n_draws; i++) {
        json_writer_begin_object(json);
        json_writer_member_str(json, SLICE_LIT("instance"), attempt->draws[i].id);
        json_writer_member_str(json, SLICE_LIT("verdict"), slice_from_str(verdicts[attempt->draws[i].verdict]));
        json_writer_member_i64(json, SLICE_LIT("score"), (int64_t)attempt->draws[i].score);
        json_writer_end_object(json);
    }
    json_writer_end_array(json);
    json_writer_end_object(json);
}

static void write_facts(const struct passage *passage, struct json_writer *json)
{
    char room[ADDR_TEXT_MAX];
    bool has_ip = passage->client.family == AF_INET || passage->client.family == AF_INET6;
    json_writer_member_str(json, SLICE_LIT("id"), passage->id);
    json_writer_member_i64(json, SLICE_LIT("began_ms"), (int64_t)passage->began_ms);
    json_writer_member_str(json, SLICE_LIT("client"),
                           has_ip ? peer_format_ip(&passage->client, room) : SLICE_LIT("unix:"));
    json_writer_member_filled(json, SLICE_LIT("certificate"), passage->caller);
    json_writer_member_str(json, SLICE_LIT("method"), slice_from_str(http_method_name(passage->method)));
    json_writer_member_str(json, SLICE_LIT("target"), passage->target);
    json_writer_member_str(json, SLICE_LIT("service"), passage->service);
    json_writer_member_i64(json, SLICE_LIT("status"), passage->status);
    if (passage->cause != CAUSE_NONE)
        json_writer_member_str(json, SLICE_LIT("cause"), cause_name(passage->cause));
    json_writer_member_i64(json, SLICE_LIT("received_bytes"), (int64_t)passage->n_received);
    json_writer_member_i64(json, SLICE_LIT("sent_bytes"), (int64_t)passage->n_sent);
    json_writer_member_i64(json, SLICE_LIT("first_byte_us"), passage->first_byte_us);
    json_writer_member_i64(json, SLICE_LIT("took_us"), passage->took_us);
}

static void write_request(const struct passage *passage, struct buf *text)
{
    struct json_writer json;
    json_writer_init(&json, text);
    json_writer_begin_object(&json);
    write_facts(passage, &json);
    json_writer_key(&json, SLICE_LIT("attempts"));
    json_writer_begin_array(&json);
    for (unsigned i = 0; i < passage->n_attempts; i++)
        write_attempt(&passage->attempts[i], &json);
    json_writer_end_array(&json);
    tell_why(passage, &json);
    json_writer_end_object(&json);
}

/* ------------------------------------------------------------------------------------------------ all of them */

static bool fits(const struct tell_question *question, const struct passage *passage)
{
    return (question->id.len == 0 || slice_equal(question->id, passage->id)) &&
           (question->service.len == 0 || slice_equal(question->service, passage->service)) &&
           passage->status >= question->status_min && passage->status <= question->status_max;
}

static bool look_at(void *ctx, const struct passage *passage)
{
    struct telling *telling = ctx;
    if ((int64_t)(passage->began_ms + passage->took_us / 1000) < telling->question->since_ms)
        return false; /* those before it have ended earlier still */
    if (!fits(telling->question, passage))
        return true;
    struct found *found = array_grow(telling->found, telling->n, &telling->room, sizeof(*found));
    telling->has_failed |= !found;
    if (!found)
        return false;
    size_t at = telling->text.len;
    telling->found = found;
    write_request(passage, &telling->text);
    telling->found[telling->n++] = (struct found){passage->began_ms, at, telling->text.len - at};
    return ++telling->n_here < telling->question->limit;
}

static int newest_first(const void *a, const void *b)
{
    const struct found *first = a, *second = b;
    return (first->began_ms < second->began_ms) - (first->began_ms > second->began_ms);
}

void tell_requests(const struct gateway *gateway, const struct tell_question *question, struct json_writer *json)
{
    struct telling telling = {.question = question};
    for (unsigned i = 0; i < gateway_n_workers(gateway); i++) {
        const struct passage_ring *ring = gateway_worker_at(gateway, i)->records;
        telling.n_here = 0;
        if (ring)
            passage_ring_each(ring, look_at, &telling);
    }
    if (telling.n > 0)
        qsort(telling.found, telling.n, sizeof(telling.found[0]), newest_first);
    json_writer_begin_array(json);
    for (size_t i = 0; i < telling.n && i < question->limit && buf_error(&telling.text) == 0; i++)
        json_writer_raw(json, slice_from(telling.text.ptr + telling.found[i].at, telling.found[i].len));
    json_writer_end_array(json);
    buf_deinit(&telling.text);
    free(telling.found);
}
