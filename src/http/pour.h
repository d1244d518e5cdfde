/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A large body of a response goes from the server's socket to the client's without passing through our memory.
 *
 * For whoever relays responses: in on_head, right behind exchange_begin_carry with the response's length.
 */
#pragma once

#include "http/client.h"

/* What is left of a smaller body is not worth a pipe. */
#define POUR_BYTES_MIN ((uint64_t)64 * 1024)

/*
 * 0: the body goes by itself, and the answer is ended behind it. on_body does not come. on_done comes as always: with 0
 * once all was received (the client may still be taking the last of it); else the exchange is the caller's again, to be
 * aborted. Of the exchange comes on_close. Who gives it up aborts the exchange, and leaves the call where it is until
 * on_close; it may be cancelled before.
 * POUR_NO: not possible, or not worth it: use on_body. Both sides must be plain HTTP/1 of a known length, the request
 * complete, and pipes and memory there.
 */
enum { POUR_NO = 1 };
int pour_response(struct client_call *call, struct exchange *exchange);
