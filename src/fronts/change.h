/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change of the catalogue on behalf of an exchange: what every front end does that registers, renews or removes.
 * It names the actor, keeps what the request points to until it is done, and survives a client that goes away.
 *
 *     struct change *change = change_new(curator, exchange, "srpc", answer);    503 was answered when it is NULL
 *     change->request.type = CURATOR_REGISTER;
 *     change->request.service = change_copy(change, name);
 *     change_submit(change);      answer(change) comes now or later, on this thread, also when the client has gone
 *
 * Owned by itself: it goes when its exchange has ended and nothing is under way. So an exchange may be answered without
 * that the change was submitted, and its body be collected in between.
 */
#pragma once

#include "fronts/access.h"
#include "http/exchange.h"
#include "keeper/curator.h"

struct change;
/* Looks at change->request and answers by change_respond. */
typedef void (*change_answer_fn)(struct change *change);

struct change {
    struct curator_request request;
    struct exchange *exchange; /* NULL: the client has gone */
    change_answer_fn answer;
    void *user; /* the front end's to use */
    struct arena arena;
    struct curator *curator;
    bool is_out_of_memory; /* change_submit answers 503 then */
    bool is_done, is_closed, is_kept;
};

/*
 * Takes the exchange's app and state. `protocol` begins the actor's name: "srpc 10.0.0.7:51334", or "… as alice" where
 * a certificate or a token says who it is. In on_request, where the token is still there.
 */
struct change *change_new(struct curator *curator, struct exchange *exchange, const struct access *access,
                          const char *protocol, change_answer_fn answer);

/* Both live as long as the change; empty or NULL when out of memory, which change_submit finds out. */
struct slice change_copy(struct change *change, struct slice bytes);
void *change_alloc(struct change *change, size_t n_bytes);

/*
 * Who listens on all addresses ("tcp@[::]:9000") is to be found at the one that it registers from: sets the record's
 * host to that. Others, and those who come by a Unix socket, stay as they are.
 */
void change_find_host(struct change *change, struct instance_record *record);

void change_submit(struct change *change);

/* As exchange_respond and exchange_respond_text; to nobody when the client has gone. */
void change_respond(struct change *change, unsigned status, const struct header *headers, unsigned n_headers,
                    struct slice body);
void change_respond_text(struct change *change, unsigned status, const char *text);

/* In answer(): the exchange is the caller's again, to go on with as it likes. NULL: the client has gone. */
struct exchange *change_take_exchange(struct change *change);

/* In answer(): it answers later, and then lets go. */
void change_keep(struct change *change);
void change_let_go(struct change *change);

/* The HTTP status that says what became of the request: 200, 403, 404, 400, 507, 503. */
unsigned change_status(const struct curator_request *request);
/* The same in words for a person; valid as long as the request. */
const char *change_words(const struct curator_request *request);
