/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call goes through runs: instances in a row that are asked in the same way, by HTTP or by a line, are given to one
 * ask (client/ask.h), which says nothing to anybody before one of them took the connection. What happens after that
 * ends the call, or begins the next run behind that instance when the method may be carried out twice.
 */
#include "client/call.h"

#include "base/util.h"
#include "client/known.h"
#include "client/target.h"
#include "wire/chars.h"

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_PATH        "/rpc"
#define DEFAULT_REPLY_BYTES ((size_t)1024 * 1024)
#define REQUEST_BYTES_MAX   CLIENT_ANSWER_BYTES_MAX

/* ------------------------------------------------------------------------------------------------ the question */

static bool is_path(const char *path)
{
    if (path[0] != '/' || strlen(path) > 1024)
        return false;
    for (const char *at = path; *at; at++) {
        if (*at <= ' ' || *at >= 0x7f)
            return false;
    }
    return true;
}

static int copy_params(struct call_question *question, struct muster_client *client, const char *params)
{
    struct err err = {""};
    int r = rpc_normalise(slice_from_str(params), REQUEST_BYTES_MAX, &question->params, &err);
    if (r == -ENOMEM)
        return client_fail_memory(client);
    if (r < 0)
        return client_fail(client, MUSTER_BAD_OPTIONS, "params: %s", err.text);
    if (question->params[0] != '[' && question->params[0] != '{')
        return client_fail(client, MUSTER_BAD_OPTIONS, "params: expected a JSON object or array");
    return MUSTER_OK;
}

int call_question_init(struct call_question *question, struct muster_client *client, const char *method,
                       const char *params, const struct muster_call_options *options)
{
    static const struct muster_call_options defaults = MUSTER_CALL_INIT;
    *question = (struct call_question){.method = NULL};
    if (!options)
        options = &defaults;
    if (options->version != MUSTER_CALL_VERSION)
        return client_fail(client, MUSTER_BAD_OPTIONS, "muster_call_options.version is %u; this library knows %d",
                           options->version, MUSTER_CALL_VERSION);
    const char *path = options->path ? options->path : DEFAULT_PATH;
    if (!is_path(path))
        return client_fail(client, MUSTER_BAD_OPTIONS, "path \"%.100s\": expected an encoded path such as /rpc", path);
    if (!method || !*method || strlen(method) > RPC_METHOD_MAX)
        return client_fail(client, MUSTER_BAD_OPTIONS, "a method has a name of 1 to %d bytes", RPC_METHOD_MAX);
    nsec_t timeout_ns = options->timeout_ms > 0 ? options->timeout_ms * NSEC_PER_MSEC : client->timeout_ns;
    question->deadline_ns = time_now() + timeout_ns;
    question->is_repeatable = options->repeatable != 0;
    question->reply_bytes = options->reply_bytes > 0 ? options->reply_bytes : DEFAULT_REPLY_BYTES;
    question->path = slice_dup(slice_from_str(path));
    question->method = slice_dup(slice_from_str(method));
    if (!question->path || !question->method)
        return client_fail_memory(client);
    return params ? copy_params(question, client, params) : MUSTER_OK;
}

void call_question_deinit(struct call_question *question)
{
    free(question->method);
    free(question->path);
    free(question->params);
    *question = (struct call_question){.method = NULL};
}

/* ------------------------------------------------------------------------------------------------ runs */

enum manner { BY_HTTP, BY_LINE, NOT_AT_ALL };

/* How an instance is asked; the registry also gives instances that do not speak JSON-RPC. */
static enum manner find_manner(const struct muster_instance *instance, struct address *ret_address, struct err *err)
{
    struct target target;
    struct slice text = slice_from_str(instance->address);
    if (target_parse(text, &target, err) < 0)
        return NOT_AT_ALL;
    *ret_address = target.address;
    if (strcmp(target.protocol, "http") == 0 || strcmp(target.protocol, "https") == 0)
        return BY_HTTP;
    if (strcmp(target.protocol, "unix") == 0)
        return BY_LINE;
    if (strcmp(target.protocol, "tcp") == 0)
        return slice_starts_with(text, SLICE_LIT("tcp")) ? BY_LINE : BY_HTTP;
    err_set(err, 0, "%s: nobody speaks JSON-RPC there: expected http@, tcp@, unix@ or HOST:PORT", instance->address);
    return NOT_AT_ALL;
}

static const struct muster_instance *instance_at(const struct call *call, size_t i)
{
    return call->instances->items[(call->first + i) % call->instances->n];
}

static void add_failure(struct call *call, const char *words)
{
    struct err before = call->err;
    err_set(&call->err, 0, "%s%s%s", before.text, *before.text ? "; " : "", words);
}

static void finish(struct call *call, int result)
{
    call->result = result;
    call->on_end(call);
}

/* The addresses of those that are next and alike; 0 when nobody is left. Passes over those that cannot be asked. */
static unsigned gather_run(struct call *call, enum manner *ret_manner)
{
    unsigned n = 0;
    while (call->n_tried + n < call->n_tries) {
        struct err err = {""};
        const struct muster_instance *instance = instance_at(call, call->n_tried + n);
        enum manner manner = find_manner(instance, &call->addresses[n], &err);
        if (n > 0 && manner != *ret_manner)
            return n;
        if (manner == NOT_AT_ALL) {
            call->instance = instance;
            call->n_tried++;
            add_failure(call, err.text);
            continue;
        }
        *ret_manner = manner;
        n++;
    }
    return n;
}

static int take_body(void *ctx, unsigned status, struct slice piece, struct err *err)
{
    struct call *call = ctx;
    (void)status;
    int r = buf_append(&call->body, piece);
    return r == -EMSGSIZE ? err_set(err, r, "the reply is longer than %zu bytes", call->question->reply_bytes) : r;
}

static void on_ask_end(struct ask *ask, int result);

static int ask_run(struct call *call, enum manner manner, unsigned n_addresses)
{
    CLEANUP(buf_deinit) struct buf message = {0};
    const struct call_question *question = call->question;
    struct slice params = question->params ? slice_from_str(question->params) : (struct slice){0};
    rpc_write_request(&message, question->method, params);
    buf_append_char(&message, '\n');
    buf_reset(&call->body);
    const struct ask_question asked = {
        .addresses = call->addresses,
        .n_addresses = n_addresses,
        .files = &call->client->files,
        .timeout_ns = question->deadline_ns - time_now(),
        .method = manner == BY_HTTP ? "POST" : NULL,
        .path = question->path,
        .body = buf_slice(&message),
        .on_body = take_body,
        .on_end = on_ask_end,
        .ctx = call,
    };
    return buf_error(&message) < 0 ? -ENOMEM : ask_start(&call->ask, &call->client->driver, &asked);
}

/* 0, -ENOMEM, or -EHOSTUNREACH: nobody is left that can be asked. */
static int start_run(struct call *call)
{
    enum manner manner = NOT_AT_ALL;
    unsigned n = gather_run(call, &manner);
    return n > 0 ? ask_run(call, manner, n) : -EHOSTUNREACH;
}

/* ------------------------------------------------------------------------------------------------ the end */

static void take_reply(struct call *call)
{
    struct err err = {""};
    unsigned status = ask_status(&call->ask);
    int r = rpc_read_reply(buf_slice(&call->body), call->question->reply_bytes, &call->reply, &err);
    call->err.text[0] = '\0';
    if (r == -ENOMEM) {
        err_set(&call->err, 0, "out of memory");
        finish(call, MUSTER_OUT_OF_MEMORY);
    } else if (r < 0 && status != 200) {
        err_set(&call->err, 0, "%s: HTTP status %u instead of a reply", call->instance->address, status);
        finish(call, MUSTER_BAD_ANSWER);
    } else if (r < 0) {
        err_set(&call->err, 0, "%s: %s", call->instance->address, err.text);
        finish(call, MUSTER_BAD_ANSWER);
    } else if (call->reply.message) {
        err_set(&call->err, 0, "%s", call->reply.message);
        finish(call, MUSTER_REMOTE_ERROR);
    } else {
        finish(call, MUSTER_OK);
    }
}

static bool may_try_another(const struct call *call, int result)
{
    if (result == MUSTER_UNREACHABLE)
        return true; /* nobody took the connection */
    return result == MUSTER_BAD_ANSWER && (call->question->is_repeatable || !call->ask.was_sent);
}

static void on_ask_end(struct ask *ask, int result)
{
    struct call *call = ask->ctx;
    unsigned at = ask->at < ask->n_addresses ? ask->at : ask->n_addresses - 1;
    call->instance = instance_at(call, call->n_tried + at);
    call->n_tried += at + 1;
    if (result == MUSTER_OK) {
        take_reply(call);
        return;
    }
    add_failure(call, ask->err.text);
    if (!may_try_another(call, result) || call->n_tried == call->n_tries) {
        finish(call, result);
        return;
    }
    int r = start_run(call);
    if (r < 0)
        finish(call, r == -ENOMEM ? MUSTER_OUT_OF_MEMORY : result);
}

int call_start(struct call *call, struct muster_client *client, const struct call_question *question,
               struct muster_instances *instances, size_t first, size_t n_tries)
{
    ASSERT(n_tries > 0 && n_tries <= instances->n);
    call->client = client;
    call->question = question;
    call->instances = known_list_ref(instances);
    call->first = first;
    call->n_tries = n_tries;
    call->body.limit = question->reply_bytes;
    call->addresses = calloc(n_tries, sizeof(call->addresses[0]));
    return call->addresses ? start_run(call) : -ENOMEM;
}

void call_deinit(struct call *call)
{
    if (!call->instances)
        return;
    ask_stop(&call->ask);
    rpc_reply_deinit(&call->reply);
    buf_deinit(&call->body);
    free(TAKE(call->addresses));
    muster_instances_free(TAKE(call->instances));
}

struct muster_reply call_show(const struct call *call)
{
    return (struct muster_reply){
        .result = call->result,
        .json = call->reply.result ? call->reply.result : "",
        .error_code = call->reply.message ? call->reply.code : 0,
        .error = call->result != MUSTER_OK ? call->err.text : "",
        .instance = call->instance,
    };
}
