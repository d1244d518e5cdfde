/* SPDX-License-Identifier: Apache-2.0 */
/* Requests, as the program has them. */
#include "base/util.h"
#include "client/server.h"

#include <errno.h>
#include <stdlib.h>

struct muster_request *request_new(struct muster_server *server, struct peer *peer, const struct rpc_request *call)
{
    struct muster_request *request = calloc(1, sizeof(*request));
    char *method = slice_dup(slice_from_str(call->method)), *params = slice_dup(slice_from_str(call->params));
    if (!request || !method || !params) {
        free(request);
        free(method);
        free(params);
        return NULL;
    }
    *request = (struct muster_request){
        .client = server->client,
        .server = server,
        .peer = peer,
        .method = method,
        .params = params,
        .result_bytes = server->by_http.message_bytes,
    };
    list_init(&request->link);
    list_init(&request->queue);
    list_push_back(&server->requests, &request->link);
    list_push_back(&server->queue, &request->queue);
    return request;
}

static void request_free(struct muster_request *request)
{
    list_remove(&request->link);
    list_remove(&request->queue);
    free(request->method);
    free(request->params);
    free(request);
}

void request_begin(struct muster_request *request)
{
    request->is_running = true;
}

void request_end(struct muster_request *request)
{
    request->is_running = false;
    if (request->is_answered)
        request_free(request);
}

void request_abandon(struct muster_request *request)
{
    bool is_the_programs = !list_is_linked(&request->queue);
    request->server = NULL;
    request->peer = NULL;
    if (is_the_programs)
        list_remove(&request->link);
    else
        request_free(request);
}

struct muster_server *muster_request_server(const struct muster_request *request)
{
    return request ? request->server : NULL;
}

const char *muster_request_method(const struct muster_request *request)
{
    return request ? request->method : "";
}

const char *muster_request_params(const struct muster_request *request)
{
    return request ? request->params : "";
}

/* `result` NULL: an error. */
static int answer(struct muster_request *request, const char *result, int64_t code, const char *message)
{
    struct muster_client *client = request->client;
    client_lock(client);
    int result_of_peer = MUSTER_OK;
    if (request->is_answered)
        result_of_peer = client_fail(client, MUSTER_BAD_OPTIONS, "the request is answered already");
    else if (request->peer && peer_answer(request->peer, result, code, message) < 0)
        result_of_peer = MUSTER_OUT_OF_MEMORY;
    request->is_answered = true;
    request->peer = NULL;
    list_remove(&request->link);
    if (!request->is_running)
        request_free(request);
    client_unlock(client);
    return result_of_peer;
}

int muster_request_reply(struct muster_request *request, const char *result)
{
    char *line = NULL;
    if (!request)
        return MUSTER_BAD_OPTIONS;
    int r = rpc_normalise(slice_from_str(result ? result : ""), request->result_bytes, &line, NULL);
    if (r < 0) {
        bool is_bad = r != -ENOMEM;
        int result_of_fail = muster_request_fail(
            request, RPC_INTERNAL_ERROR, is_bad ? "the method gave no JSON, or too much of it" : "out of memory");
        return is_bad ? MUSTER_BAD_OPTIONS : result_of_fail;
    }
    int result_of_answer = answer(request, line, 0, NULL);
    free(line);
    return result_of_answer;
}

int muster_request_fail(struct muster_request *request, int64_t code, const char *message)
{
    return request ? answer(request, NULL, code, message ? message : "") : MUSTER_BAD_OPTIONS;
}
