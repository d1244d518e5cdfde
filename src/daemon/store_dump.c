/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `muster store dump`: a line for each thing. As JSON a line is an object whose `type` says what it is; bytes that are
 * no text stand under the name with `_base64` behind it.
 */
#include "daemon/store_command.h"

#include "base/utf8.h"
#include "base/util.h"
#include "fronts/why.h"
#include "keeper/keeper.h"
#include "wire/base64.h"
#include "wire/json_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#define LEASE_TEXT_MAX 20
#define TIME_TEXT_MAX  40

struct dump {
    const struct store_arguments *arguments;
    FILE *out;
    struct slice prefix;
    struct buf line;
    struct json_writer json;
};

/* ------------------------------------------------------------------------------------------------ values */

static bool is_text(struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if ((unsigned char)bytes.ptr[i] < ' ' || bytes.ptr[i] == 0x7f)
            return false;
    return utf8_is_valid(bytes);
}

static void format_lease(int64_t lease, char ret_text[LEASE_TEXT_MAX])
{
    ret_text[0] = '\0';
    if (lease != 0)
        (void)snprintf(ret_text, LEASE_TEXT_MAX, "%016" PRIx64, lease);
}

static void format_time(int64_t wall_ms, char ret_text[TIME_TEXT_MAX])
{
    struct tm parts;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (gmtime_r(&seconds, &parts) == NULL || strftime(ret_text, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        ret_text[0] = '\0';
}

/* ------------------------------------------------------------------------------------------------ lines */

static void begin(struct dump *dump, const char *type)
{
    buf_reset(&dump->line);
    if (!dump->arguments->json) {
        buf_append_str(&dump->line, type);
        return;
    }
    json_writer_init(&dump->json, &dump->line);
    json_writer_begin_object(&dump->json);
    json_writer_member_str(&dump->json, SLICE_LIT("type"), slice_from_str(type));
}

static void put_number(struct dump *dump, const char *name, int64_t value)
{
    if (!dump->arguments->json) {
        buf_printf(&dump->line, "  %s %" PRId64, name, value);
        return;
    }
    json_writer_member_i64(&dump->json, slice_from_str(name), value);
}

/* Words of the store's own; left out when there are none. */
static void put_words(struct dump *dump, const char *name, struct slice words)
{
    if (slice_is_empty(words))
        return;
    if (!dump->arguments->json) {
        buf_printf(&dump->line, "  %s %.*s", name, SLICE_ARG(words));
        return;
    }
    json_writer_member_str(&dump->json, slice_from_str(name), words);
}

/* What clients have chosen. */
static void put_bytes(struct dump *dump, const char *name, struct slice bytes)
{
    bool is_plain = is_text(bytes);
    char base64_name[32];
    if (dump->arguments->json) {
        (void)snprintf(base64_name, sizeof(base64_name), "%s%s", name, is_plain ? "" : "_base64");
        json_writer_key(&dump->json, slice_from_str(base64_name));
        if (is_plain)
            json_writer_str(&dump->json, bytes);
        else
            json_writer_base64(&dump->json, bytes);
        return;
    }
    buf_append_str(&dump->line, "  ");
    if (is_plain) {
        buf_append_char(&dump->line, '"');
        for (size_t i = 0; i < bytes.len; i++) {
            if (bytes.ptr[i] == '"' || bytes.ptr[i] == '\\')
                buf_append_char(&dump->line, '\\');
            buf_append_char(&dump->line, bytes.ptr[i]);
        }
        buf_append_char(&dump->line, '"');
    } else {
        buf_append_str(&dump->line, "base64:");
        (void)base64_encode(bytes, &dump->line);
    }
}

static void put_lease(struct dump *dump, int64_t lease)
{
    char text[LEASE_TEXT_MAX];
    format_lease(lease, text);
    put_words(dump, "lease", slice_from_str(text));
}

static void put_time(struct dump *dump, int64_t wall_ms)
{
    char text[TIME_TEXT_MAX];
    if (dump->arguments->json) {
        put_number(dump, "wall_ms", wall_ms);
        return;
    }
    format_time(wall_ms, text);
    put_words(dump, "at", slice_from_str(text));
}

/* False: it could not be written. */
static bool end(struct dump *dump)
{
    if (dump->arguments->json)
        json_writer_end_object(&dump->json);
    buf_append_char(&dump->line, '\n');
    if (buf_error(&dump->line) < 0)
        return false;
    return fwrite(dump->line.ptr, 1, dump->line.len, dump->out) == dump->line.len;
}

/* ------------------------------------------------------------------------------------------------ what there is */

static bool dump_store(struct dump *dump, struct store *store, const struct store_view *view)
{
    struct store_identity identity;
    char id[20];
    store_identify(store, &identity);
    (void)snprintf(id, sizeof(id), "%" PRIx64, identity.cluster_id);
    begin(dump, "store");
    put_words(dump, "cluster_id", slice_from_str(id));
    put_number(dump, "revision", view->revision);
    put_number(dump, "compacted_revision", view->compacted);
    return end(dump);
}

static bool dump_key(void *ctx, const struct store_kv *kv)
{
    struct dump *dump = ctx;
    if (!slice_starts_with(kv->key, dump->prefix))
        return false; /* keys come in order */
    begin(dump, "key");
    put_bytes(dump, "key", kv->key);
    put_bytes(dump, "value", kv->value);
    put_number(dump, "create_revision", kv->create_revision);
    put_number(dump, "mod_revision", kv->mod_revision);
    put_number(dump, "version", kv->version);
    put_lease(dump, kv->lease);
    return end(dump);
}

static bool dump_keys(struct dump *dump, struct store *store, const struct store_view *view)
{
    struct store_range range = {.key = dump->prefix, .end = slice_from("", 1)};
    struct store_range_result result;
    if (slice_is_empty(range.key))
        range.key = slice_from("", 1);
    return store_range(store, view, &range, dump_key, dump, &result) == STORE_OK && buf_error(&dump->line) == 0;
}

static bool dump_event(struct dump *dump, const struct store_commit *commit, const struct store_kv *kv)
{
    if (!slice_starts_with(kv->key, dump->prefix))
        return true;
    begin(dump, kv->version ? "put" : "delete");
    put_bytes(dump, "key", kv->key);
    if (kv->version)
        put_bytes(dump, "value", kv->value);
    put_number(dump, "revision", commit->revision);
    put_time(dump, commit->wall_ms);
    if (kv->version)
        put_number(dump, "version", kv->version);
    put_lease(dump, kv->lease);
    return end(dump);
}

static bool dump_history(struct dump *dump, struct store *store, const struct store_view *view)
{
    for (int64_t revision = view->compacted ? view->compacted : 2; revision <= view->revision; revision++) {
        const struct store_commit *commit = store_commit(store, view, revision);
        for (unsigned i = 0; commit && i < commit->n_events; i++)
            if (!dump_event(dump, commit, commit->events[i].kv))
                return false;
    }
    return true;
}

static bool dump_note(void *ctx, const struct store_note *note)
{
    struct dump *dump = ctx;
    if (!slice_starts_with(note->subject, dump->prefix))
        return true;
    begin(dump, "note");
    if (note->kind < STORE_NOTE_FREE)
        put_words(dump, "what", slice_from_str(why_word(note->kind)));
    else
        put_number(dump, "kind", note->kind);
    put_bytes(dump, "subject", note->subject);
    put_number(dump, "revision", note->revision);
    put_time(dump, note->wall_ms);
    put_lease(dump, note->lease);
    if (note->kind == STORE_NOTE_EXPIRED)
        put_number(dump, "silence_ms", note->silence_ms);
    put_words(dump, "actor", note->actor);
    put_words(dump, "cause", note->cause);
    return end(dump);
}

static bool dump_doc(void *ctx, struct slice name, struct slice value, int64_t version)
{
    struct dump *dump = ctx;
    begin(dump, "document");
    put_bytes(dump, "name", name);
    put_bytes(dump, "value", value);
    put_number(dump, "version", version);
    return end(dump);
}

static void dump_all(struct dump *dump, struct store *store)
{
    const struct store_arguments *arguments = dump->arguments;
    struct store_view view;
    store_view(store, true, &view);
    bool goes_on = dump_store(dump, store, &view) && dump_keys(dump, store, &view);
    if (goes_on && arguments->history)
        goes_on = dump_history(dump, store, &view);
    store_release(store, &view);
    if (goes_on && arguments->notes)
        store_notes(store, dump_note, dump);
    if (goes_on && arguments->docs)
        (void)store_docs(store, (struct slice){0}, dump_doc, dump);
}

int store_dump(const struct store_arguments *arguments, const struct command_io *io)
{
    struct dump dump = {.arguments = arguments, .out = io->out};
    struct loaded_store *loaded = NULL;
    struct store_place place;
    struct err err;
    if (arguments->operand)
        dump.prefix = slice_from_str(arguments->operand);
    int r = store_place_find(&arguments->options, &place, &err);
    if (r < 0)
        return store_fail(arguments, io, r, &err);
    r = loaded_store_open(&place, &loaded, &err);
    if (r == 0)
        r = loaded_store_load(loaded, false, &err);
    if (r == 0) {
        dump_all(&dump, keeper_store(loaded_store_keeper(loaded)));
        r = buf_error(&dump.line);
        if (r < 0)
            err_set(&err, r, "out of memory");
    }
    buf_deinit(&dump.line);
    loaded_store_close(loaded);
    store_place_close(&place);
    return r < 0 ? store_fail(arguments, io, r, &err) : EXIT_OK;
}
