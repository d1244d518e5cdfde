/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values are checked by reading them, and written anew on one line: so nothing that a program or a peer gave can break
 * a line or a message apart.
 */
#include "client/rpc.h"

#include "wire/json.h"
#include "wire/json_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define DEPTH_MAX 64

static char *dump(const json_t *value)
{
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

static int parse(struct slice text, size_t limit, json_t **ret_tree, struct err *err)
{
    const struct json_limits limits = {.n_bytes = limit, .depth = DEPTH_MAX};
    return json_parse(text, &limits, ret_tree, err);
}

/* The reader wants a container, so the value becomes the one element of an array. */
int rpc_normalise(struct slice text, size_t limit, char **ret_line, struct err *err)
{
    CLEANUP(buf_deinit) struct buf wrapped = {0};
    json_auto_t *tree = NULL;
    buf_append_char(&wrapped, '[');
    buf_append(&wrapped, text);
    buf_append_char(&wrapped, ']');
    int r = buf_error(&wrapped);
    if (r == 0)
        r = parse(buf_slice(&wrapped), limit + 2, &tree, err);
    if (r < 0)
        return r;
    if (json_array_size(tree) != 1)
        return err_set(err, -EINVAL, "expected one JSON value");
    *ret_line = dump(json_array_get(tree, 0));
    return *ret_line ? 0 : -ENOMEM;
}

/* ------------------------------------------------------------------------------------------------ writing */

static void write_text(struct buf *out, const char *text)
{
    struct json_writer json;
    json_writer_init(&json, out);
    json_writer_str(&json, slice_from_str(text));
}

void rpc_write_request(struct buf *out, const char *method, struct slice params)
{
    buf_append_str(out, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":");
    write_text(out, method);
    if (!slice_is_empty(params)) {
        buf_append_str(out, ",\"params\":");
        buf_append(out, params);
    }
    buf_append_char(out, '}');
}

static void write_reply_head(struct buf *out, const char *id)
{
    buf_append_str(out, "{\"jsonrpc\":\"2.0\",\"id\":");
    buf_append_str(out, id ? id : "null");
}

void rpc_write_result(struct buf *out, const char *id, struct slice result)
{
    write_reply_head(out, id);
    buf_append_str(out, ",\"result\":");
    buf_append(out, result);
    buf_append_char(out, '}');
}

void rpc_write_error(struct buf *out, const char *id, int64_t code, const char *message)
{
    write_reply_head(out, id);
    buf_printf(out, ",\"error\":{\"code\":%" PRId64 ",\"message\":", code);
    write_text(out, message);
    buf_append_str(out, "}}");
}

/* ------------------------------------------------------------------------------------------------ reading */

static int read_id(const json_t *id, struct rpc_request *request, struct err *err)
{
    if (!id)
        return 0;
    if (!json_is_string(id) && !json_is_number(id) && !json_is_null(id))
        return err_set(err, -EINVAL, "\"id\": expected a string or a number");
    request->id = dump(id);
    return request->id ? 0 : -ENOMEM;
}

static int read_request(const json_t *tree, struct rpc_request *request, struct err *err)
{
    const json_t *version = json_object_get(tree, "jsonrpc"), *method = json_object_get(tree, "method");
    const json_t *params = json_object_get(tree, "params");
    if (!json_is_object(tree))
        return err_set(err, -EINVAL, "expected one request, an object; batches are not taken");
    int r = read_id(json_object_get(tree, "id"), request, err);
    if (r < 0)
        return r;
    if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0)
        return err_set(err, -EINVAL, "\"jsonrpc\": expected \"2.0\"");
    if (!json_is_string(method) || json_string_length(method) == 0 || json_string_length(method) > RPC_METHOD_MAX)
        return err_set(err, -EINVAL, "\"method\": expected a name of 1 to %d bytes", RPC_METHOD_MAX);
    if (params && !json_is_object(params) && !json_is_array(params))
        return err_set(err, -EINVAL, "\"params\": expected an object or an array");
    request->method = slice_dup(slice_from_str(json_string_value(method)));
    request->params = params ? dump(params) : slice_dup(SLICE_LIT("null"));
    return request->method && request->params ? 0 : -ENOMEM;
}

int rpc_read_request(struct slice text, size_t limit, struct rpc_request *ret_request, enum rpc_code *ret_code,
                     struct err *err)
{
    json_auto_t *tree = NULL;
    *ret_request = (struct rpc_request){NULL, NULL, NULL};
    *ret_code = RPC_PARSE_ERROR;
    int r = parse(text, limit, &tree, err);
    if (r < 0)
        return r;
    *ret_code = RPC_INVALID_REQUEST;
    return read_request(tree, ret_request, err);
}

void rpc_request_deinit(struct rpc_request *request)
{
    free(request->id);
    free(request->method);
    free(request->params);
    *request = (struct rpc_request){NULL, NULL, NULL};
}

static int read_reply(const json_t *tree, struct rpc_reply *reply, struct err *err)
{
    const json_t *id = json_object_get(tree, "id"), *result = json_object_get(tree, "result");
    const json_t *error = json_object_get(tree, "error"), *code = json_object_get(error, "code");
    const json_t *message = json_object_get(error, "message");
    /* An error about a request that could not be read has no id. */
    if (!(json_is_integer(id) && json_integer_value(id) == 1) && !(json_is_null(id) && error))
        return err_set(err, -EPROTO, "a reply to another request than ours");
    if (!result == !error || (error && (!json_is_integer(code) || !json_is_string(message))))
        return err_set(err, -EPROTO, "a reply with neither a result nor an error, or with both");
    if (result) {
        reply->result = dump(result);
        return reply->result ? 0 : -ENOMEM;
    }
    reply->code = json_integer_value(code);
    reply->message = slice_dup(slice_from_str(json_string_value(message)));
    return reply->message ? 0 : -ENOMEM;
}

int rpc_read_reply(struct slice text, size_t limit, struct rpc_reply *ret_reply, struct err *err)
{
    json_auto_t *tree = NULL;
    *ret_reply = (struct rpc_reply){NULL, 0, NULL};
    int r = parse(text, limit, &tree, err);
    if (r == -EINVAL)
        return err_wrap(err, -EPROTO, "no JSON-RPC reply");
    return r < 0 ? r : read_reply(tree, ret_reply, err);
}

void rpc_reply_deinit(struct rpc_reply *reply)
{
    free(reply->result);
    free(reply->message);
    *reply = (struct rpc_reply){NULL, 0, NULL};
}
