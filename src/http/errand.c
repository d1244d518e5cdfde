/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One state machine: RESTS -> RESOLVES -> CONNECTS -> ASKS -> ENDS -> RESTS, with one deadline over all of it; a knock
 * goes RESOLVES -> KNOCKS -> ENDS, on a socket that is nobody else's. Whatever ends it (the answer, a failure, the deadline, the caller) records the result and goes through `finish`; on_done is
 * called from a task of its own, so that a caller is never called back from inside his own call.
 *
 * While a name is being resolved, the request belongs to the resolver: ending the errand then means cancelling there
 * and waiting for its mail.
 */
#include "http/errand.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>

static void finish(struct errand *errand, int result)
{
    ASSERT(errand->state != ERRAND_RESTS && errand->state != ERRAND_ENDS);
    errand->state = ERRAND_ENDS;
    errand->result = result;
    loop_cancel(errand->office->loop, &errand->timer);
    loop_defer(errand->office->loop, &errand->done);
}

static void run_done(struct loop_task *task)
{
    struct errand *errand = container_of(task, struct errand, done);
    errand->state = ERRAND_RESTS;
    errand->on_done(errand);
}

/* ------------------------------------------------------------------------------------------------ asking */

static void on_head(struct client_call *call, const struct http_response *response)
{
    container_of(call, struct errand, call)->status = response->status;
}

static void on_body(struct client_call *call, struct slice bytes)
{
    struct errand *errand = container_of(call, struct errand, call);
    size_t room = errand->request.body_max_bytes - errand->body.len;
    buf_append(&errand->body, slice_from(bytes.ptr, min_size(bytes.len, room)));
}

static void on_call_done(struct client_call *call, int result)
{
    struct errand *errand = container_of(call, struct errand, call);
    errand->was_sent = call->sent;
    finish(errand, result == 0 ? buf_error(&errand->body) : result);
}

static const struct client_events events = {.on_head = on_head, .on_body = on_body, .on_done = on_call_done};

static void ask(struct errand *errand, struct client_connection *connection)
{
    const struct errand_request *request = &errand->request;
    struct header headers[ERRAND_HEADERS_MAX + 1] = {{SLICE_LIT("connection"), SLICE_LIT("close")}};
    bool is_path = slice_starts_with(request->host, SLICE_LIT("unix:"));
    bool is_v6 = slice_find(request->host, ':') < request->host.len;
    char authority[RESOLVER_NAME_MAX + 8];
    int n = is_path ? snprintf(authority, sizeof(authority), "localhost")
                    : snprintf(authority, sizeof(authority), is_v6 ? "[%.*s]:%u" : "%.*s:%u", SLICE_ARG(request->host),
                               request->port);
    ASSERT(n > 0 && (size_t)n < sizeof(authority));
    for (unsigned i = 0; i < request->n_headers; i++)
        headers[i + 1] = request->headers[i];

    errand->state = ERRAND_ASKS;
    errand->call = (struct client_call){.events = &events};
    client_call_start(connection, &errand->call,
                      &(struct client_request){
                          .method = request->method,
                          .target = request->target,
                          .authority = slice_from(authority, (size_t)n),
                          .headers = headers,
                          .n_headers = request->n_headers + 1,
                          .body = request->body,
                      });
}

/* ------------------------------------------------------------------------------------------------ connecting */

static void on_connection(struct pool_wait *wait, int result, struct client_connection *connection)
{
    struct errand *errand = container_of(wait, struct errand, wait);
    if (result < 0)
        finish(errand, result);
    else
        ask(errand, connection);
}

static void on_knock(struct stream *stream, unsigned new_bits)
{
    struct errand *errand = stream->owner;
    if (!(new_bits & (STREAM_OPEN | STREAM_FAILED)))
        return;
    int result = new_bits & STREAM_FAILED ? stream->error : 0;
    stream_close(TAKE(errand->stream));
    finish(errand, result);
}

static void knock(struct errand *errand, const struct addr *addr)
{
    errand->state = ERRAND_KNOCKS;
    int r = errand->office->connect(errand->office->loop, addr, NSEC_NEVER, on_knock, errand, &errand->stream);
    if (r < 0)
        finish(errand, r);
}

static void connect_to(struct errand *errand, const struct addr *addr)
{
    struct client_connection *connection;
    if (slice_is_empty(errand->request.method)) {
        knock(errand, addr);
        return;
    }
    const struct pool_key key = {
        .addr = *addr,
        .tls = errand->request.tls,
        .server_name = errand->request.tls ? errand->request.host : (struct slice){0},
    };
    errand->state = ERRAND_CONNECTS;
    errand->wait = (struct pool_wait){.on_ready = on_connection};
    int r = pool_get(errand->office->pool, &key, &errand->wait, &connection);
    if (r == 0)
        ask(errand, connection);
    else if (r < 0)
        finish(errand, r);
}

/* ------------------------------------------------------------------------------------------------ resolving */

static void on_resolved(struct resolve_request *resolve)
{
    struct errand *errand = container_of(resolve, struct errand, resolve);
    if (errand->result < 0) /* it ended meanwhile: by its deadline or its caller */
        finish(errand, errand->result);
    else if (resolve->result < 0)
        finish(errand, resolve->result);
    else
        connect_to(errand, &resolve->addrs[0]);
}

static void resolve(struct errand *errand)
{
    struct slice host = errand->request.host;
    errand->state = ERRAND_RESOLVES;
    if (host.len >= RESOLVER_NAME_MAX) {
        finish(errand, -ENOENT);
        return;
    }
    errand->resolve.loop = errand->office->loop;
    errand->resolve.port = errand->request.port;
    errand->resolve.done = on_resolved;
    memcpy(errand->resolve.name, host.ptr, host.len);
    errand->resolve.name[host.len] = '\0';
    int r = resolver_submit(errand->office->resolver, &errand->resolve);
    if (r < 0)
        finish(errand, r);
}

/* ------------------------------------------------------------------------------------------------ life */

static void end(struct errand *errand, int result)
{
    switch (errand->state) {
    case ERRAND_RESTS:
    case ERRAND_ENDS:
        return;
    case ERRAND_RESOLVES:
        errand->result = result;
        resolver_cancel(errand->office->resolver, &errand->resolve); /* its mail finishes the errand */
        return;
    case ERRAND_CONNECTS:
        pool_cancel(&errand->wait);
        break;
    case ERRAND_ASKS:
        errand->was_sent = errand->call.sent;
        client_call_cancel(&errand->call);
        break;
    case ERRAND_KNOCKS:
        stream_close(TAKE(errand->stream));
        break;
    }
    finish(errand, result);
}

static void on_deadline(struct timer *timer)
{
    end(container_of(timer, struct errand, timer), -ETIMEDOUT);
}

void errand_cancel(struct errand *errand)
{
    end(errand, -ECANCELED);
}

void errand_start(struct errand_office *office, struct errand *errand)
{
    ASSERT(errand->state == ERRAND_RESTS && errand->request.n_headers <= ERRAND_HEADERS_MAX);
    struct addr addr;
    errand->office = office;
    errand->result = 0;
    errand->was_sent = false;
    errand->status = 0;
    buf_reset(&errand->body);
    loop_task_init(&errand->done, run_done);
    timer_init(&errand->timer, on_deadline);
    loop_arm(office->loop, &errand->timer, loop_now(office->loop) + errand->request.timeout_ns);
    if (!slice_starts_with(errand->request.host, SLICE_LIT("unix:"))) {
        resolve(errand);
        return;
    }
    errand->state = ERRAND_CONNECTS;
    if (addr_parse(errand->request.host, &addr, NULL) < 0)
        finish(errand, -ENOENT);
    else
        connect_to(errand, &addr);
}

void errand_deinit(struct errand *errand)
{
    ASSERT(errand->state == ERRAND_RESTS);
    buf_deinit(&errand->body);
}

const char *errand_failure(const struct errand *errand)
{
    switch (errand->result) {
    case 0:
        return "";
    case -ENOENT:
    case -EAGAIN:
        return "no such host";
    case -ETIMEDOUT:
        return "no answer in time";
    case -ECONNREFUSED:
        return "connection refused";
    case -ECONNRESET:
    case -EPIPE:
        return "connection broken before the answer was complete";
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        return "no route to the host";
    case -EBADMSG:
        return errand->call.fault ? errand->call.fault : "the answer is not HTTP";
    case -ECANCELED:
        return "given up";
    default:
        return "cannot connect";
    }
}
