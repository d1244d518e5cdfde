/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two things end a change, in either order: the catalogue's answer, which may be kept for a while, and the end of the
 * exchange. It is freed when both have come.
 */
#include "fronts/change.h"

#include "base/assert.h"
#include "base/util.h"
#include "io/addr.h"
#include "io/tls.h"

#include <stdio.h>
#include <stdlib.h>

static void free_if_over(struct change *change)
{
    if (!change->is_done || !change->is_closed || change->is_kept)
        return;
    curator_request_deinit(&change->request);
    arena_deinit(&change->arena);
    free(change);
}

static void on_close(struct exchange *exchange, enum exchange_end end)
{
    (void)end;
    struct change *change = exchange->state;
    change->is_closed = true;
    change->exchange = NULL;
    free_if_over(change);
}

static const struct exchange_app app = {.on_close = on_close};

static void on_done(struct curator_request *request)
{
    struct change *change = container_of(request, struct change, request);
    change->is_done = true;
    change->answer(change);
    free_if_over(change);
}

struct slice change_copy(struct change *change, struct slice bytes)
{
    struct slice copy = {0};
    if (arena_copy(&change->arena, bytes, &copy) < 0)
        change->is_out_of_memory = true;
    return copy;
}

void *change_alloc(struct change *change, size_t n_bytes)
{
    void *memory = arena_alloc(&change->arena, n_bytes);
    change->is_out_of_memory = change->is_out_of_memory || !memory;
    return memory;
}

static void name_actor(struct change *change, const struct access *access, const char *protocol)
{
    struct curator_request *request = &change->request;
    struct buf text = {0};
    char peer[ADDR_TEXT_MAX];
    request->identity = change_copy(change, tls_peer_name(exchange_stream(change->exchange)));
    struct slice who = request->identity.len > 0 ? request->identity : access_user(access, change->exchange);
    buf_append_str(&text, protocol);
    buf_append_char(&text, ' ');
    buf_append(&text, peer_format(exchange_peer(change->exchange), peer));
    buf_append_str(&text, who.len > 0 ? " as " : "");
    buf_append(&text, who);
    request->origin.actor = change_copy(change, buf_slice(&text));
    change->is_out_of_memory |= buf_error(&text) < 0;
    buf_deinit(&text);
}

struct change *change_new(struct curator *curator, struct exchange *exchange, const struct access *access,
                          const char *protocol, change_answer_fn answer)
{
    struct change *change = calloc(1, sizeof(*change));
    if (!change) {
        exchange_respond_text(exchange, 503, "out of memory\n");
        return NULL;
    }
    change->curator = curator;
    change->exchange = exchange;
    change->answer = answer;
    change->is_done = true; /* nothing is under way yet */
    change->request.loop = exchange_loop(exchange);
    change->request.done = on_done;
    name_actor(change, access, protocol);
    exchange->state = change;
    exchange->app = &app;
    return change;
}

void change_find_host(struct change *change, struct instance_record *record)
{
    const struct peer *peer = exchange_peer(change->exchange);
    char text[ADDR_TEXT_MAX];
    bool is_unspecified = slice_equal_str(record->host, "0.0.0.0") || slice_equal_str(record->host, "::");
    if (is_unspecified && peer->family != AF_UNIX)
        record->host = change_copy(change, peer_format_ip(peer, text));
}

void change_submit(struct change *change)
{
    if (!change->is_out_of_memory) {
        change->is_done = false;
        curator_submit(change->curator, &change->request);
        return;
    }
    exchange_respond_text(change->exchange, 503, "out of memory\n");
}

void change_respond(struct change *change, unsigned status, const struct header *headers, unsigned n_headers,
                    struct slice body)
{
    if (change->exchange)
        exchange_respond(change->exchange, status, headers, n_headers, body);
}

void change_respond_text(struct change *change, unsigned status, const char *text)
{
    if (change->exchange)
        exchange_respond_text(change->exchange, status, "%s\n", text);
}

struct exchange *change_take_exchange(struct change *change)
{
    struct exchange *exchange = TAKE(change->exchange);
    change->is_closed = true;
    if (exchange)
        exchange->app = NULL;
    return exchange;
}

void change_keep(struct change *change)
{
    change->is_kept = true;
}

void change_let_go(struct change *change)
{
    change->is_kept = false;
    free_if_over(change);
}

unsigned change_status(const struct curator_request *request)
{
    switch (request->outcome) {
    case CURATOR_OK:
        return 200;
    case CURATOR_NOT_FOUND:
        return 404;
    case CURATOR_NOT_OWNER:
    case CURATOR_FOREIGN:
        return 403;
    case CURATOR_INVALID:
        return 400;
    case CURATOR_REFUSED:
        break;
    }
    return request->store_outcome == STORE_NO_SPACE ? 507 : 503;
}

static const char *refusal_words(enum store_outcome outcome)
{
    switch (outcome) {
    case STORE_NO_SPACE:
        return "the disk is full: what is registered stays, nothing new can be";
    case STORE_READ_ONLY:
        return "the store is read-only after a failed write to the disk: see the log";
    case STORE_STOPPED:
        return "the registry is stopping";
    case STORE_OUT_OF_MEMORY:
        return "out of memory";
    default:
        return "the store refused the change";
    }
}

const char *change_words(const struct curator_request *request)
{
    switch (request->outcome) {
    case CURATOR_OK:
        return "";
    case CURATOR_NOT_FOUND:
        return "no such instance is registered";
    case CURATOR_NOT_OWNER:
        return "the instance belongs to somebody else";
    case CURATOR_FOREIGN:
        return "the instance stands for a key that another program wrote: change that key";
    case CURATOR_INVALID:
        return request->err.text;
    case CURATOR_REFUSED:
        break;
    }
    return refusal_words(request->store_outcome);
}
