/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the curator writes of its own accord: notes for the timeline, keys whose instances are to go, orders whose time
 * is over.
 *
 * Notes are gathered for a moment, so that they do not take turns with the changes of clients in the log, and appended
 * one request at a time. What the store refuses (a full disk) is tried again until it is done or the curator stops.
 */
#include "base/assert.h"
#include "catalog/instance_record.h"
#include "keeper/curator_priv.h"

#include <errno.h>
#include <stdlib.h>

#define GATHER_NS (10 * NSEC_PER_MSEC)

struct curator_write {
    struct store_request request;
    struct store_op op;
    struct store_compare compare;
    struct curator *curator;
    struct curator_write *next;
    char text[]; /* the key, or the document's name */
};

/* Refusals that pass; others mean that there is nothing left to do. */
static bool is_passing(enum store_outcome outcome)
{
    return outcome == STORE_NO_SPACE || outcome == STORE_READ_ONLY || outcome == STORE_OUT_OF_MEMORY;
}

/* ------------------------------------------------------------------------------------------------ notes */

static void submit_notes(struct curator *curator)
{
    curator->is_noting = true;
    store_submit(curator->store, &curator->note_request);
}

static void on_noted(struct store_request *request)
{
    struct curator *curator = container_of(request, struct curator, note_request);
    curator->is_noting = false;
    if (!is_passing(request->outcome))
        catalog_updates_reset(&curator->noted);
    curator_wake(curator);
}

/* All writes of these updates are under way: their notes go, or nothing is left of them. */
static void carry_out_notes(struct curator *curator)
{
    if (curator->is_noting)
        return;
    if (curator->noted.n_notes > 0) { /* refused */
        if (curator->updates.n_notes <= CURATOR_NOTES_MAX)
            return;
        log_error(curator->log, "the store refuses the timeline's entries, some are lost",
                  log_int("entries", curator->updates.n_notes));
        curator->n_writes_done = 0;
        catalog_updates_reset(&curator->updates);
        return;
    }
    if (curator->updates.n_notes == 0) {
        curator->n_writes_done = 0;
        catalog_updates_reset(&curator->updates);
        return;
    }
    nsec_t now_ns = loop_now(curator->loop);
    if (curator->note_at_ns == NSEC_NEVER)
        curator->note_at_ns = now_ns + GATHER_NS;
    if (now_ns < curator->note_at_ns && !curator->is_stopping)
        return;
    curator->note_at_ns = NSEC_NEVER;
    curator->n_writes_done = 0;
    struct catalog_updates emptied = curator->noted;
    curator->noted = curator->updates;
    curator->updates = emptied;
    curator->note_request.type = STORE_NOTES;
    curator->note_request.loop = curator->loop;
    curator->note_request.done = on_noted;
    curator->note_request.notes.all = curator->noted.notes;
    curator->note_request.notes.n = curator->noted.n_notes;
    submit_notes(curator);
}

/* ------------------------------------------------------------------------------------------------ writes */

static void on_written(struct store_request *request)
{
    struct curator_write *write = container_of(request, struct curator_write, request);
    struct curator *curator = write->curator;
    curator->n_writing--;
    store_request_deinit(request);
    if (is_passing(request->outcome) && !curator->is_stopping) {
        write->next = curator->failed;
        curator->failed = write;
    } else {
        free(write);
    }
    curator_wake(curator);
}

static void submit(struct curator_write *write)
{
    write->curator->n_writing++;
    store_submit(write->curator->store, &write->request);
}

/* NULL: out of memory. */
static struct curator_write *write_new(struct curator *curator, struct slice text, struct slice *ret_text)
{
    struct curator_write *write = calloc(1, sizeof(*write) + text.len);
    if (!write)
        return NULL;
    write->curator = curator;
    write->request.loop = curator->loop;
    write->request.done = on_written;
    write->request.origin.actor = SLICE_LIT("muster");
    if (text.len > 0)
        memcpy(write->text, text.ptr, text.len);
    *ret_text = slice_from(write->text, text.len);
    return write;
}

static int delete_key(struct curator *curator, const struct catalog_write *order)
{
    struct slice key;
    struct curator_write *write = write_new(curator, order->key, &key);
    if (!write)
        return -ENOMEM;
    write->op = (struct store_op){.type = STORE_OP_DELETE, .del = {.key = key}};
    write->compare = (struct store_compare){
        .target = STORE_CMP_MOD, .test = STORE_CMP_EQUAL, .key = key, .number = order->mod_revision};
    write->request.type = STORE_TXN;
    write->request.txn = (struct store_txn){&write->compare, &write->op, NULL, 1, 1, 0};
    submit(write);
    return 0;
}

/* The document of an order that is over; version 0: there is none, or another order is in its place. */
struct ended {
    struct curator *curator;
    struct slice name;
    int64_t version;
};

static bool see_doc(void *ctx, struct slice name, struct slice value, int64_t version)
{
    struct ended *ended = ctx;
    struct arena arena = {0};
    struct catalog_event event;
    if (!slice_equal(name, ended->name))
        return true;
    int64_t now_ms = loop_wall_now(ended->curator->loop) / NSEC_PER_MSEC;
    if (curator_order_read(name, value, &arena, &event) == 0 && event.order.order.until_ms != 0 &&
        event.order.order.until_ms <= now_ms)
        ended->version = version;
    arena_deinit(&arena);
    return false;
}

static int remove_doc(struct curator *curator, struct slice name)
{
    struct ended ended = {.curator = curator, .name = name};
    int r = store_docs(curator->store, name, see_doc, &ended);
    if (r < 0 || ended.version == 0)
        return r;
    struct curator_write *write = write_new(curator, name, &ended.name);
    if (!write)
        return -ENOMEM;
    write->request.type = STORE_DOC;
    write->request.doc.name = ended.name;
    write->request.doc.remove = true;
    write->request.doc.expected_version = ended.version;
    submit(write);
    return 0;
}

static int end_order(struct curator *curator, const struct catalog_write *order)
{
    struct buf name = {0};
    buf_append(&name, curator_order_prefix(order->type == CATALOG_END_DRAIN ? CATALOG_DRAIN : CATALOG_MAINTAIN));
    instance_record_name(&name, order->service, order->id);
    int r = buf_error(&name);
    if (r == 0)
        r = remove_doc(curator, buf_slice(&name));
    buf_deinit(&name);
    return r;
}

int curator_carry_out(struct curator *curator)
{
    while (curator->n_writes_done < curator->updates.n_writes) {
        const struct catalog_write *order = &curator->updates.writes[curator->n_writes_done];
        int r = order->type == CATALOG_DELETE_KEY ? delete_key(curator, order) : end_order(curator, order);
        if (r < 0)
            return r;
        curator->n_writes_done++;
    }
    carry_out_notes(curator);
    return 0;
}

void curator_write_revoke(struct curator *curator, int64_t lease)
{
    struct slice nothing;
    struct curator_write *write = write_new(curator, (struct slice){0}, &nothing);
    if (!write)
        return;
    write->request.type = STORE_LEASE_REVOKE;
    write->request.lease.id = lease;
    submit(write);
}

bool curator_write_is_refused(const struct curator *curator)
{
    return curator->failed || (!curator->is_noting && curator->noted.n_notes > 0);
}

void curator_write_retry(struct curator *curator)
{
    struct curator_write *write = TAKE(curator->failed);
    while (write) {
        struct curator_write *next = write->next;
        submit(write);
        write = next;
    }
    if (!curator->is_noting && curator->noted.n_notes > 0)
        submit_notes(curator);
}

void curator_write_drop(struct curator *curator)
{
    while (curator->failed) {
        struct curator_write *write = curator->failed;
        curator->failed = write->next;
        free(write);
    }
}
