/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of client.h, through the table of the protocol.
 */
#include "http/client.h"

#include "base/assert.h"

void client_call_start(struct client_connection *connection, struct client_call *call,
                       const struct client_request *request)
{
    ASSERT(!call->connection);
    call->reused = call->sent = call->sent_whole = call->responded = false;
    call->idle_ns = 0;
    call->n_body_bytes = 0;
    call->fault = NULL;
    call->pour = NULL;
    call->connection = connection;
    connection->ops->start(connection, call, request);
}

int client_call_write(struct client_call *call, struct slice bytes)
{
    return call->connection->ops->write(call, bytes);
}

void client_call_end(struct client_call *call, const struct header *trailers, unsigned n_trailers)
{
    call->connection->ops->end(call, trailers, n_trailers);
}

void client_call_pause(struct client_call *call, bool paused)
{
    call->connection->ops->pause(call, paused);
}

void client_call_cancel(struct client_call *call)
{
    if (call->connection)
        call->connection->ops->cancel(call);
}

void client_connection_close(struct client_connection *connection)
{
    connection->ops->close(connection);
}
