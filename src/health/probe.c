/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe is an errand and a judgement. That the time ran out says something about the instance only if we looked at
 * the clock in time ourselves: when this thread was held up, the answer may lie in a socket that we have not read, or
 * the question not have been sent.
 */
#include "health/probe.h"

#include "base/assert.h"
#include "base/host_port.h"
#include "http/grpc_frames.h"
#include "http/grpc_status.h"
#include "wire/pb.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* How late we may be ourselves. */
#define SLACK_NS         (50 * NSEC_PER_MSEC)
#define BEAT_NS          (50 * NSEC_PER_MSEC)
#define KNOCK_TIMEOUT_MS 1000
#define ANSWER_MAX       1024
#define SERVICE_MAX      4096

/* ------------------------------------------------------------------------------------------------ judging */

/* "10.0.0.7:80", "[::1]:80", "unix:/run/web.sock" */
static struct slice describe_place(const struct errand_request *request, char *room, size_t size)
{
    if (slice_starts_with(request->host, SLICE_LIT("unix:")))
        return request->host;
    return host_port_write(request->host, request->port, size, room);
}

static void judge(struct probe *probe, enum probe_verdict verdict, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Words in front of the place. */
static void judge(struct probe *probe, enum probe_verdict verdict, const char *fmt, ...)
{
    const struct errand_request *request = &probe->errand.request;
    char place[PROBE_EVIDENCE_MAX], words[PROBE_EVIDENCE_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, args);
    va_end(args);
    struct slice at = describe_place(request, place, sizeof(place));
    bool has_path = slice_starts_with(request->target, SLICE_LIT("/")) && !request->is_h2;
    probe->verdict = verdict;
    int n = snprintf(probe->evidence, sizeof(probe->evidence), "%s %.*s%.*s", words, SLICE_ARG(at),
                     has_path ? (int)request->target.len : 0, request->target.ptr);
    ASSERT(n > 0);
}

/* What grpc.health.v1 calls it; the numbers are the protocol's. */
static const char *const serving_names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
enum { SERVING = 1 };

/* The status in the answer's one message; -1: there is none that could be read. */
static int read_serving(const struct errand *errand)
{
    struct message {
        uint32_t status;
    } message = {0};
    static const struct pb_member members[] = {[1] = PB_MEMBER(struct message, status, PB_INT32)};
    struct grpc_frames frames;
    struct slice bytes = buf_slice(&errand->body), found;
    grpc_frames_init(&frames, ANSWER_MAX);
    bool is_read = grpc_frames_next(&frames, &bytes, &found) == GRPC_FRAMES_MESSAGE && bytes.len == 0 &&
                   pb_read(found, members, ARRAY_LEN(members), &message) == 0;
    grpc_frames_deinit(&frames);
    return is_read && message.status < ARRAY_LEN(serving_names) ? (int)message.status : -1;
}

static void judge_grpc(struct probe *probe)
{
    const struct errand *errand = &probe->errand;
    int serving = read_serving(errand);
    if (errand->status != 200)
        judge(probe, PROBE_BAD, "HTTP %u from", errand->status);
    else if (errand->grpc_status < 0)
        judge(probe, PROBE_BAD, "no gRPC status from");
    else if (errand->grpc_status != GRPC_OK)
        judge(probe, PROBE_BAD, "gRPC status %d %s from", errand->grpc_status,
              grpc_status_name((enum grpc_status)errand->grpc_status));
    else if (serving < 0)
        judge(probe, PROBE_BAD, "no health status from");
    else
        judge(probe, serving == SERVING ? PROBE_GOOD : PROBE_BAD, "%s from", serving_names[serving]);
}

static void judge_answer(struct probe *probe)
{
    const struct errand *errand = &probe->errand;
    if (slice_is_empty(errand->request.method))
        judge(probe, PROBE_GOOD, "connected to");
    else if (errand->request.is_h2)
        judge_grpc(probe);
    else
        judge(probe, errand->status >= 200 && errand->status < 300 ? PROBE_GOOD : PROBE_BAD, "HTTP %u from",
              errand->status);
}

/* Nobody is there: the host, or the system for a Unix socket, says so. */
static bool is_refused(const struct errand *errand)
{
    bool is_path = slice_starts_with(errand->request.host, SLICE_LIT("unix:"));
    return errand->result == -ECONNREFUSED || (is_path && errand->result == -ENOENT);
}

/* What we could not do has nothing to do with the instance. */
static bool is_ours(int result)
{
    return result == -ENOMEM || result == -EMFILE || result == -ENFILE || result == -EBUSY || result == -EAGAIN ||
           result == -EADDRNOTAVAIL || result == -ENOBUFS;
}

static void judge_failure(struct probe *probe, bool was_held_up)
{
    const struct errand *errand = &probe->errand;
    enum probe_verdict verdict = is_refused(errand) ? PROBE_DEAD : PROBE_BAD;
    if (is_ours(errand->result) || (errand->result == -ETIMEDOUT && was_held_up))
        verdict = PROBE_VOID;
    judge(probe, verdict, "%s:", errand_failure(errand));
}

/* ------------------------------------------------------------------------------------------------ asking */

/* "HOST[:PORT]", "[V6][:PORT]"; without a port it stays. False: it is none. */
static bool read_place(struct slice text, struct errand_request *request)
{
    struct slice port;
    uint64_t number = request->port;
    if (text.len > 0 && text.ptr[0] == '[') {
        struct slice rest = slice_split(slice_skip(text, 1), ']', &request->host);
        if (rest.len > 0 && rest.ptr[0] != ':')
            return false;
        port = rest.len > 0 ? slice_skip(rest, 1) : rest;
    } else {
        port = slice_split(text, ':', &request->host);
    }
    if (port.len > 0 && (slice_parse_u64(port, &number) < 0 || number > UINT16_MAX))
        return false;
    request->port = (uint16_t)number;
    return request->host.len > 0;
}

/* "http://HOST[:PORT]/PATH" and "https://…" */
static bool read_url(struct slice url, struct errand_request *request, struct tls_config *tls)
{
    bool is_tls = slice_starts_with(url, SLICE_LIT("https://"));
    if (!is_tls && !slice_starts_with(url, SLICE_LIT("http://")))
        return false;
    struct slice rest = slice_skip(url, is_tls ? 8 : 7);
    size_t path_at = slice_find(rest, '/');
    request->port = is_tls ? 443 : 80;
    request->tls = is_tls ? tls : NULL;
    request->target = path_at < rest.len ? slice_skip(rest, path_at) : SLICE_LIT("/");
    return read_place(slice_from(rest.ptr, path_at), request);
}

static bool read_path(struct slice path, const struct instance_record *record, struct errand_request *request,
                      struct tls_config *tls)
{
    if (path.len > 0 && path.ptr[0] != '/')
        return false;
    request->target = path.len > 0 ? path : SLICE_LIT("/");
    request->tls = slice_equal_str(record->protocol, "https") ? tls : NULL;
    return true;
}

/* Where the instance is; false: nowhere that we could look. */
static bool find_place(struct probe *probe, const struct instance_record *record)
{
    struct errand_request *request = &probe->errand.request;
    request->host = record->host;
    request->port = record->port;
    if (record->host.len > 0)
        return true;
    if (!slice_starts_with(record->address, SLICE_LIT("unix@")))
        return false;
    int n = snprintf(probe->host, sizeof(probe->host), "unix:%.*s", SLICE_ARG(slice_skip(record->address, 5)));
    request->host = slice_from(probe->host, (size_t)n);
    return (size_t)n < sizeof(probe->host);
}

/* grpc.health.v1.Health/Check about the service that the check names. */
static int ask_grpc(struct probe *probe, const struct instance_record *record)
{
    static const struct header headers[] = {
        {SLICE_LIT("content-type"), SLICE_LIT("application/grpc")},
        {SLICE_LIT("te"), SLICE_LIT("trailers")},
    };
    struct errand_request *request = &probe->errand.request;
    bool is_tls = slice_equal_str(record->protocol, "grpcs") || slice_equal_str(record->protocol, "https");
    struct slice service = instance_details(record)->check->target;
    char prefix[GRPC_PREFIX_BYTES];
    if (service.len > SERVICE_MAX)
        return -EINVAL;
    grpc_frames_prefix(pb_size_bytes(1, service), prefix);
    buf_reset(&probe->question);
    (void)buf_append(&probe->question, slice_from(prefix, sizeof(prefix)));
    pb_add_bytes(&probe->question, 1, service);
    request->is_h2 = true;
    request->tls = is_tls ? probe->kit->tls_h2 : NULL;
    request->method = SLICE_LIT("POST");
    request->target = SLICE_LIT("/grpc.health.v1.Health/Check");
    request->headers = headers;
    request->n_headers = ARRAY_LEN(headers);
    request->body = buf_slice(&probe->question);
    return buf_error(&probe->question);
}

static int ask_http(struct probe *probe, const struct instance_record *record)
{
    struct errand_request *request = &probe->errand.request;
    struct slice target = instance_details(record)->check->target;
    request->method = SLICE_LIT("GET");
    bool is_read = read_url(target, request, probe->kit->tls) || read_path(target, record, request, probe->kit->tls);
    return is_read ? 0 : -EINVAL;
}

static int ask_tcp(struct probe *probe, const struct instance_record *record)
{
    struct slice target = instance_details(record)->check->target;
    return slice_is_empty(target) || read_place(target, &probe->errand.request) ? 0 : -EINVAL;
}

/* 0, -ENOMEM, or -EINVAL: there is nothing that could be asked. */
static int make_request(struct probe *probe, const struct instance_record *record)
{
    const struct instance_check *check = instance_details(record)->check;
    unsigned timeout_ms = check ? check->timeout_ms : KNOCK_TIMEOUT_MS;
    probe->errand.request =
        (struct errand_request){.timeout_ns = timeout_ms * NSEC_PER_MSEC, .body_max_bytes = ANSWER_MAX};
    bool has_place = find_place(probe, record);
    int r = 0;
    if (check && check->type == INSTANCE_CHECK_HTTP)
        r = ask_http(probe, record);
    else if (check && check->type == INSTANCE_CHECK_GRPC)
        r = ask_grpc(probe, record);
    else if (check && check->type == INSTANCE_CHECK_TCP)
        r = ask_tcp(probe, record);
    bool is_elsewhere = r == 0 && probe->errand.request.host.len > 0; /* it was the check that named the place */
    return r == 0 && !has_place && !is_elsewhere ? -EINVAL : r;
}

/* ------------------------------------------------------------------------------------------------ our own pulse */

/*
 * While looks run a timer beats; when it beats late this thread was held up, and what the looks of that time have not
 * heard says nothing: it may lie in sockets that were not read.
 */
static void on_beat(struct timer *timer)
{
    struct probe_kit *kit = container_of(timer, struct probe_kit, pulse);
    nsec_t now_ns = loop_now(kit->office->loop);
    if (now_ns > timer->deadline_ns + SLACK_NS)
        kit->held_up_ns = now_ns;
    loop_arm(kit->office->loop, &kit->pulse, now_ns + BEAT_NS);
}

static void begin_look(struct probe_kit *kit)
{
    if (kit->n_looks++ > 0)
        return;
    timer_init(&kit->pulse, on_beat);
    loop_arm(kit->office->loop, &kit->pulse, loop_now(kit->office->loop) + BEAT_NS);
}

static void end_look(struct probe_kit *kit)
{
    if (--kit->n_looks == 0)
        loop_cancel(kit->office->loop, &kit->pulse);
}

static bool was_held_up(const struct probe *probe)
{
    nsec_t now_ns = loop_now(probe->kit->office->loop);
    return probe->kit->held_up_ns >= probe->started_ns ||
           now_ns > probe->started_ns + probe->errand.request.timeout_ns + SLACK_NS;
}

/* ------------------------------------------------------------------------------------------------ life */

/*
 * There is nothing that could be asked. Of a check that is a fault, which whoever registered it has to put right; that
 * we cannot knock at an address that is none says nothing.
 */
static void refuse(struct probe *probe)
{
    const struct instance_check *check = instance_details(&probe->instance->record)->check;
    probe->verdict = check && check->type != INSTANCE_CHECK_TTL ? PROBE_BAD : PROBE_VOID;
    (void)snprintf(probe->evidence, sizeof(probe->evidence), "its check names nothing that could be asked");
}

static void on_errand(struct errand *errand)
{
    struct probe *probe = container_of(errand, struct probe, errand);
    if (probe->is_cancelled || probe->failure == -ENOMEM)
        judge(probe, PROBE_VOID, "given up:");
    else if (probe->failure < 0)
        refuse(probe);
    else if (errand->result == 0)
        judge_answer(probe);
    else
        judge_failure(probe, was_held_up(probe));
    end_look(probe->kit);
    instance_unref(TAKE(probe->instance));
    probe->done(probe);
}

bool probe_hears(const struct instance *instance)
{
    const struct instance_check *check = instance_details(&instance->record)->check;
    return check && (check->type == INSTANCE_CHECK_HTTP || check->type == INSTANCE_CHECK_GRPC);
}

void probe_init(struct probe *probe, struct probe_kit *kit, probe_done_fn done, void *owner)
{
    *probe = (struct probe){.kit = kit, .done = done, .owner = owner, .errand.on_done = on_errand};
}

void probe_deinit(struct probe *probe)
{
    errand_deinit(&probe->errand);
    buf_deinit(&probe->question);
}

void probe_start(struct probe *probe, const struct instance *instance)
{
    struct errand_office *office = probe->kit->office;
    probe->instance = instance_ref(instance);
    probe->is_cancelled = false;
    probe->failure = make_request(probe, &instance->record);
    if (probe->failure < 0)
        probe->errand.request.host = SLICE_LIT("unix:"); /* is answered at once */
    probe->started_ns = loop_now(office->loop);
    begin_look(probe->kit);
    errand_start(office, &probe->errand);
}

void probe_cancel(struct probe *probe)
{
    probe->is_cancelled = true;
    errand_cancel(&probe->errand);
}
