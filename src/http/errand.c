/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One state machine: RESTS -> RESOLVES -> CONNECTS -> ASKS -> ENDS -> RESTS, with one deadline over all of it. A knock
 * goes RESOLVES -> KNOCKS -> ENDS, a call by HTTP/2 RESOLVES -> CALLS -> ENDS, on sockets that are nobody else's.
 * Whatever ends it (the answer, a failure, the deadline, the caller) records the result and goes through `finish`;
 * on_done is called from a task of its own, so that a caller is never called back from inside his own call.
 *
 * While a name is being resolved, the request belongs to the resolver: ending the errand then means cancelling there
 * and waiting for its mail.
 *
 * A host's addresses are tried one after the other until one takes the connection.
 */
#include "http/errand.h"

#include "base/assert.h"
#include "base/host_port.h"
#include "wire/http_date.h"

#include <errno.h>
#include <limits.h>

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

static void connect_to(struct errand *errand, const struct addr *addr);

/* There is no connection to this one of the host's addresses. */
static void try_next(struct errand *errand, int result)
{
    if (errand->i_addr + 1 < errand->resolve.n_addrs)
        connect_to(errand, &errand->resolve.addrs[++errand->i_addr]);
    else
        finish(errand, result);
}

/* ------------------------------------------------------------------------------------------------ asking */

static void on_head(struct client_call *call, const struct http_response *response)
{
    struct errand *errand = container_of(call, struct errand, call);
    const struct http_field *date = http_fields_get(response->fields, HTTP_FIELD_DATE);
    errand->status = response->status;
    if (!date || http_date_parse(date->value, &errand->date_s) < 0)
        errand->date_s = 0;
}

static void keep_body(struct errand *errand, struct slice bytes)
{
    size_t room = errand->request.body_max_bytes - errand->body.len;
    buf_append(&errand->body, slice_from(bytes.ptr, min_size(bytes.len, room)));
}

static void on_body(struct client_call *call, struct slice bytes)
{
    keep_body(container_of(call, struct errand, call), bytes);
}

static void on_call_done(struct client_call *call, int result)
{
    struct errand *errand = container_of(call, struct errand, call);
    errand->was_sent = call->sent;
    errand->fault = call->fault;
    finish(errand, result == 0 ? buf_error(&errand->body) : result);
}

static const struct client_events events = {.on_head = on_head, .on_body = on_body, .on_done = on_call_done};

#define AUTHORITY_MAX (RESOLVER_NAME_MAX + HOST_PORT_EXTRA)

static struct slice write_authority(const struct errand_request *request, char room[AUTHORITY_MAX])
{
    if (slice_starts_with(request->host, SLICE_LIT("unix:")))
        return SLICE_LIT("localhost");
    return host_port_write(request->host, request->port, AUTHORITY_MAX, room);
}

static void ask(struct errand *errand, struct client_connection *connection)
{
    const struct errand_request *request = &errand->request;
    struct header headers[ERRAND_HEADERS_MAX + 1] = {{SLICE_LIT("connection"), SLICE_LIT("close")}};
    char authority[AUTHORITY_MAX];
    for (unsigned i = 0; i < request->n_headers; i++)
        headers[i + 1] = request->headers[i];

    errand->state = ERRAND_ASKS;
    errand->call = (struct client_call){.events = &events};
    client_call_start(connection, &errand->call,
                      &(struct client_request){
                          .method = request->method,
                          .target = request->target,
                          .authority = write_authority(request, authority),
                          .headers = headers,
                          .n_headers = request->n_headers + 1,
                          .body = request->body,
                      });
}

/* ------------------------------------------------------------------------------------------------ by HTTP/2 */

static void on_h2_field(void *owner, struct slice name, struct slice value)
{
    struct errand *errand = owner;
    uint64_t number;
    if (slice_equal_str(name, "grpc-status"))
        errand->grpc_status = slice_parse_u64(value, &number) == 0 && number <= INT_MAX ? (int)number : -1;
}

static void on_h2_body(void *owner, struct slice bytes)
{
    keep_body(owner, bytes);
}

static void on_h2_done(void *owner, int result, unsigned status, const char *fault)
{
    struct errand *errand = owner;
    errand->was_sent = h2_once_was_sent(errand->h2);
    errand->status = status;
    errand->fault = fault;
    h2_once_free(TAKE(errand->h2));
    if (result < 0 && !errand->was_sent)
        try_next(errand, result);
    else
        finish(errand, result == 0 ? buf_error(&errand->body) : result);
}

static const struct h2_once_events h2_events = {.on_field = on_h2_field, .on_body = on_h2_body, .on_done = on_h2_done};

/* h2_once waits for the connection, and is told what happens to it from then on. */
static void on_nothing(struct stream *stream, unsigned new_bits)
{
    (void)stream, (void)new_bits;
}

/* The connection for a call, TLS included. It is under way. */
static int open_h2(struct errand *errand, const struct addr *addr, struct stream **ret_stream)
{
    struct tls_config *tls = errand->request.tls;
    struct stream *lower;
    int r = errand->office->connect(errand->office->loop, addr, NSEC_NEVER, on_nothing, NULL, &lower);
    if (r < 0 || !tls) {
        *ret_stream = r < 0 ? NULL : lower;
        return r;
    }
    bool is_path = slice_starts_with(errand->request.host, SLICE_LIT("unix:"));
    return tls_connect(lower, tls, is_path ? "localhost" : errand->resolve.name, on_nothing, NULL, ret_stream);
}

static void call_h2(struct errand *errand, const struct addr *addr)
{
    const struct errand_request *request = &errand->request;
    char authority[AUTHORITY_MAX];
    struct stream *stream;
    errand->state = ERRAND_CALLS;
    int r = open_h2(errand, addr, &stream);
    if (r == 0)
        r = h2_once_start(stream,
                          &(struct h2_once_request){
                              .method = request->method,
                              .scheme = request->tls ? SLICE_LIT("https") : SLICE_LIT("http"),
                              .authority = write_authority(request, authority),
                              .target = request->target,
                              .headers = request->headers,
                              .n_headers = request->n_headers,
                              .body = request->body,
                          },
                          &h2_events, errand, &errand->h2);
    if (r < 0)
        try_next(errand, r);
}

/* ------------------------------------------------------------------------------------------------ connecting */

static void on_connection(struct pool_wait *wait, int result, struct client_connection *connection)
{
    struct errand *errand = container_of(wait, struct errand, wait);
    if (result < 0)
        try_next(errand, result);
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
    if (result < 0)
        try_next(errand, result);
    else
        finish(errand, 0);
}

static void knock(struct errand *errand, const struct addr *addr)
{
    errand->state = ERRAND_KNOCKS;
    int r = errand->office->connect(errand->office->loop, addr, NSEC_NEVER, on_knock, errand, &errand->stream);
    if (r < 0)
        try_next(errand, r);
}

static void connect_to(struct errand *errand, const struct addr *addr)
{
    struct client_connection *connection;
    if (slice_is_empty(errand->request.method)) {
        knock(errand, addr);
        return;
    }
    if (errand->request.is_h2) {
        call_h2(errand, addr);
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
        try_next(errand, r);
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
    case ERRAND_CALLS:
        errand->was_sent = h2_once_was_sent(errand->h2);
        h2_once_free(TAKE(errand->h2));
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
    errand->resolve.n_addrs = 0;
    errand->i_addr = 0;
    errand->status = 0;
    errand->grpc_status = -1;
    errand->fault = NULL;
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

void errand_addr(const struct errand *errand, struct addr *ret_addr)
{
    ASSERT(errand->result == 0);
    if (!slice_starts_with(errand->request.host, SLICE_LIT("unix:"))) {
        *ret_addr = errand->resolve.addrs[errand->i_addr];
        return;
    }
    int r = addr_parse(errand->request.host, ret_addr, NULL);
    ASSERT(r == 0);
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
        return slice_starts_with(errand->request.host, SLICE_LIT("unix:")) ? "no such socket" : "no such host";
    case -EAGAIN:
        return "nobody answers where names are asked for";
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
    case -EACCES:
    case -EPERM:
        return "permission denied";
    case -EKEYREJECTED:
        return "its certificate was refused";
    case -EPROTO:
        return "TLS with it failed";
    case -EBADMSG:
        return errand->fault ? errand->fault : "the answer is not HTTP";
    case -ECANCELED:
        return "given up";
    default:
        return "cannot connect";
    }
}
