/* SPDX-License-Identifier: Apache-2.0 */
/* Errors for programs (status, type) and for people (detail): RFC 9457. */
#include "fronts/api/api_impl.h"
#include "fronts/service_access.h"
#include "wire/json_writer.h"

#include <stdarg.h>
#include <stdio.h>

static void write_list(struct json_writer *json, const char *const *list)
{
    json_writer_key(json, SLICE_LIT("expected"));
    json_writer_begin_array(json);
    for (unsigned i = 0; list[i]; i++)
        json_writer_str(json, slice_from_str(list[i]));
    json_writer_end_array(json);
}

static void write_problem(struct buf *body, const struct api_problem *problem)
{
    char type[64] = "about:blank";
    struct json_writer json;
    if (problem->name)
        (void)snprintf(type, sizeof(type), "/problems/%s", problem->name);
    json_writer_init(&json, body);
    json_writer_begin_object(&json);
    json_writer_member_str(&json, SLICE_LIT("type"), slice_from_str(type));
    json_writer_member_str(&json, SLICE_LIT("title"), slice_from_str(http_status_reason(problem->status)));
    json_writer_member_i64(&json, SLICE_LIT("status"), problem->status);
    json_writer_member_str(&json, SLICE_LIT("detail"), slice_from_str(problem->detail.text));
    json_writer_member_filled(&json, SLICE_LIT("service"), problem->service);
    json_writer_member_filled(&json, SLICE_LIT("instance"), problem->id);
    if (problem->expected)
        write_list(&json, problem->expected);
    if (problem->n_missing > 0)
        json_writer_member_list(&json, SLICE_LIT("missing"), problem->missing, problem->n_missing);
    if (problem->oldest_ms > 0)
        json_writer_member_i64(&json, SLICE_LIT("oldest_ms"), problem->oldest_ms);
    json_writer_end_object(&json);
}

/* "GET, HEAD": 405 must say it in a header too. */
static struct slice join(const char *const *list, char *text, size_t room)
{
    size_t len = 0;
    for (unsigned i = 0; list[i] && len < room; i++)
        len += (size_t)snprintf(text + len, room - len, "%s%s", i > 0 ? ", " : "", list[i]);
    return slice_from(text, min_size(len, room - 1));
}

void api_problem_respond(struct exchange *exchange, const struct api_problem *problem)
{
    struct buf body = {0};
    char allow[128] = "";
    struct header headers[2] = {{SLICE_LIT("content-type"), SLICE_LIT("application/problem+json")}};
    unsigned n_headers = 1;
    if (problem->status == 405)
        headers[n_headers++] = (struct header){SLICE_LIT("allow"), join(problem->expected, allow, sizeof(allow))};
    write_problem(&body, problem);
    if (buf_error(&body) < 0)
        buf_deinit(&body); /* the status says enough */
    exchange_respond(exchange, problem->status, headers, n_headers, buf_slice(&body));
    buf_deinit(&body);
}

void api_refuse(struct exchange *exchange, unsigned status, const char *name, const char *fmt, ...)
{
    struct api_problem problem = {.status = status, .name = name};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(problem.detail.text, sizeof(problem.detail.text), fmt, args);
    va_end(args);
    api_problem_respond(exchange, &problem);
}

void api_refuse_memory(struct exchange *exchange)
{
    api_refuse(exchange, 503, NULL, "out of memory");
}

void api_refuse_unknown(struct api_call *call)
{
    struct api_problem problem = {.status = 404, .service = call->service, .id = call->id};
    const struct directory *directory = api_directory(call->api);
    bool is_known = call->service.len > 0 && directory_find(directory, call->service);
    problem.name = is_known ? "unknown-instance" : "unknown-service";
    (void)err_set(&problem.detail, 0, is_known ? "the service has no such instance" : "no such service is known");
    api_problem_respond(call->exchange, &problem);
}

static const char *problem_of(enum curator_outcome outcome)
{
    switch (outcome) {
    case CURATOR_NOT_FOUND:
        return "unknown-instance";
    case CURATOR_NOT_OWNER:
        return "not-owner";
    case CURATOR_FOREIGN:
        return "foreign-key";
    default:
        return NULL;
    }
}

void api_refuse_change(struct change *change)
{
    const struct curator_request *request = &change->request;
    struct api_problem problem = {.status = change_status(request), .name = problem_of(request->outcome)};
    problem.service = request->service;
    problem.id = request->id;
    (void)err_set(&problem.detail, 0, "%s", change_words(request));
    if (change->exchange)
        api_problem_respond(change->exchange, &problem);
}

/* ------------------------------------------------------------------------------------------------ well answered */

void api_respond_json(struct exchange *exchange, struct buf *body)
{
    static const struct header headers[] = {{SLICE_LIT("content-type"), SLICE_LIT("application/json")}};
    if (buf_error(body) < 0)
        api_refuse_memory(exchange);
    else
        exchange_respond(exchange, 200, headers, ARRAY_LEN(headers), buf_slice(body));
    buf_deinit(body);
}

void api_respond_revision(struct exchange *exchange, unsigned status, int64_t revision)
{
    static const struct header headers[] = {{SLICE_LIT("content-type"), SLICE_LIT("application/json")}};
    char body[64];
    int n = snprintf(body, sizeof(body), "{\"revision\":%lld}", (long long)revision);
    exchange_respond(exchange, status, headers, ARRAY_LEN(headers), slice_from(body, (size_t)n));
}

/* ------------------------------------------------------------------------------------------------ who may */

bool api_may(struct api_call *call, enum access_touch touch, struct slice service)
{
    unsigned status = service_access_check(call->api->access, call->exchange, touch, service);
    if (status == 503)
        api_refuse_memory(call->exchange);
    else if (status)
        api_refuse(call->exchange, status, NULL, "%s", access_text(status));
    return status == 0;
}
