/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe is an errand and a judgement. That the time ran out says something about the instance only if we looked at
 * the clock in time ourselves: when this thread was held up, the answer may lie in a socket that we have not read.
 */
#include "health/probe.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>

/* How late we may be ourselves. */
#define SLACK_NS         (50 * NSEC_PER_MSEC)
#define KNOCK_TIMEOUT_MS 1000
#define ANSWER_MAX       1024

/* ------------------------------------------------------------------------------------------------ judging */

static void judge_answer(struct probe *probe)
{
    const struct errand_request *request = &probe->errand.request;
    unsigned status = probe->errand.status;
    bool is_good = slice_is_empty(request->method) || (status >= 200 && status < 300);
    probe->verdict = is_good ? PROBE_GOOD : PROBE_BAD;
    if (slice_is_empty(request->method))
        (void)snprintf(probe->evidence, sizeof(probe->evidence), "connected to %.*s:%u", SLICE_ARG(request->host),
                       request->port);
    else
        (void)snprintf(probe->evidence, sizeof(probe->evidence), "HTTP %u from %.*s:%u%.*s", status,
                       SLICE_ARG(request->host), request->port, SLICE_ARG(request->target));
}

static void judge_failure(struct probe *probe)
{
    const struct errand *errand = &probe->errand;
    bool was_held_up = loop_now(errand->office->loop) > probe->deadline_ns + SLACK_NS;
    bool is_ours = errand->result == -ENOMEM || errand->result == -EMFILE || errand->result == -ENFILE ||
                   errand->result == -EBUSY || errand->result == -EAGAIN;
    if (probe->is_cancelled || is_ours || (errand->result == -ETIMEDOUT && was_held_up))
        probe->verdict = PROBE_VOID;
    else
        probe->verdict = errand->result == -ECONNREFUSED ? PROBE_DEAD : PROBE_BAD;
    (void)snprintf(probe->evidence, sizeof(probe->evidence), "%s: %.*s:%u", errand_failure(errand),
                   SLICE_ARG(errand->request.host), errand->request.port);
}

static void on_errand(struct errand *errand)
{
    struct probe *probe = container_of(errand, struct probe, errand);
    if (errand->result == 0)
        judge_answer(probe);
    else
        judge_failure(probe);
    probe->done(probe);
}

/* ------------------------------------------------------------------------------------------------ asking */

/* Host and port of "http://HOST[:PORT]/PATH" and of "https://…"; false: it is none. */
static bool read_url(struct slice url, struct errand_request *request, struct tls_config *tls)
{
    bool is_tls = slice_starts_with(url, SLICE_LIT("https://"));
    if (!is_tls && !slice_starts_with(url, SLICE_LIT("http://")))
        return false;
    struct slice rest = slice_skip(url, is_tls ? 8 : 7), authority, port;
    size_t path_at = slice_find(rest, '/');
    uint64_t number = is_tls ? 443 : 80;
    authority = slice_from(rest.ptr, path_at);
    if (authority.len > 0 && authority.ptr[0] == '[') {
        port = slice_split(slice_skip(authority, 1), ']', &request->host);
        port = port.len > 0 ? slice_skip(port, 1) : port;
    } else {
        port = slice_split(authority, ':', &request->host);
    }
    if (port.len > 0 && (slice_parse_u64(port, &number) < 0 || number > UINT16_MAX))
        return false;
    request->port = (uint16_t)number;
    request->tls = is_tls ? tls : NULL;
    request->target = path_at < rest.len ? slice_skip(rest, path_at) : SLICE_LIT("/");
    return request->host.len > 0;
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

/* False: the check cannot be made. */
static bool make_request(struct probe *probe, const struct instance *instance)
{
    const struct instance_record *record = &instance->record;
    const struct instance_check *check = record->check;
    struct errand_request *request = &probe->errand.request;
    unsigned timeout_ms = check ? check->timeout_ms : KNOCK_TIMEOUT_MS;
    *request = (struct errand_request){.timeout_ns = timeout_ms * NSEC_PER_MSEC, .body_max_bytes = ANSWER_MAX};
    if (!find_place(probe, record))
        return false;
    if (!check || check->type != INSTANCE_CHECK_HTTP)
        return true;
    request->method = SLICE_LIT("GET");
    return read_url(check->target, request, probe->kit->tls) ||
           read_path(check->target, record, request, probe->kit->tls);
}

void probe_init(struct probe *probe, struct probe_kit *kit, probe_done_fn done)
{
    *probe = (struct probe){.kit = kit, .done = done, .errand.on_done = on_errand};
}

void probe_deinit(struct probe *probe)
{
    errand_deinit(&probe->errand);
}

void probe_start(struct probe *probe, const struct instance *instance)
{
    probe->is_cancelled = false;
    if (!make_request(probe, instance))
        probe->errand.request.host = SLICE_LIT("unix:"); /* is answered as a place that does not exist */
    struct errand_office *office = probe->kit->office;
    probe->deadline_ns = loop_now(office->loop) + probe->errand.request.timeout_ns;
    errand_start(office, &probe->errand);
}

void probe_cancel(struct probe *probe)
{
    probe->is_cancelled = true;
    errand_cancel(&probe->errand);
}

bool probe_rests(const struct probe *probe)
{
    return probe->errand.state == ERRAND_RESTS;
}
