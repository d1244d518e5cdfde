/* SPDX-License-Identifier: Apache-2.0 */
/* `muster store compact` and `why`: forgetting the past, and asking after it. */
#include "daemon/store_command.h"

#include "base/util.h"
#include "fronts/why.h"
#include "keeper/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* ------------------------------------------------------------------------------------------------ compact */

static void on_done(struct store_request *request)
{
    loop_stop(request->loop);
}

static int fail_outcome(enum store_outcome outcome, int64_t revision, struct err *err)
{
    switch (outcome) {
    case STORE_OK:
        return 0;
    case STORE_COMPACTED:
        return err_set(err, -EIO, "the history before revision %" PRId64 " is forgotten already", revision);
    case STORE_FUTURE_REVISION:
        return err_set(err, -EIO, "the store has not come to revision %" PRId64 " yet", revision);
    case STORE_NO_SPACE:
        return err_set(err, -ENOSPC, "the disk is full");
    default:
        return err_set(err, -EIO, "the store cannot be written");
    }
}

/* By a keeper of our own, for as long as it takes. */
static int compact_loaded(struct keeper *keeper, int64_t *revision, struct err *err)
{
    struct loop *loop;
    int r = loop_new(NULL, &loop);
    if (r < 0)
        return err_set_errno(err, r, "a loop");
    if (*revision == 0)
        *revision = keeper_recovery(keeper)->revision;
    struct store_request request = {
        .type = STORE_COMPACT,
        .loop = loop,
        .done = on_done,
        .origin.actor = SLICE_LIT("muster store compact"),
        .compact_revision = *revision,
    };
    r = keeper_start(keeper, &loop, 1, err);
    if (r == 0) {
        store_submit(keeper_store(keeper), &request);
        r = loop_run(loop);
        keeper_stop(keeper);
        r = r < 0 ? err_set_errno(err, r, "a loop") : fail_outcome(request.outcome, *revision, err);
    }
    loop_settle(loop);
    loop_free(loop);
    store_request_deinit(&request);
    return r;
}

static int compact(const struct store_place *place, int64_t *revision, struct err *err)
{
    if (place->kind == PLACE_SERVER) {
        int result = muster_store_compact(place->client, *revision, revision);
        return result == MUSTER_OK ? 0 : store_place_fail_client(place->client, result, err);
    }
    struct loaded_store *loaded = NULL;
    int r = loaded_store_open(place, &loaded, err);
    if (r == 0)
        r = loaded_store_load(loaded, false, err);
    if (r == 0)
        r = compact_loaded(loaded_store_keeper(loaded), revision, err);
    loaded_store_close(loaded);
    return r;
}

int store_compact(const struct store_arguments *arguments, const struct command_io *io)
{
    struct store_place place;
    struct err err = {""};
    uint64_t number = 0;
    const char *text = arguments->operand;
    if (text && (slice_parse_u64(slice_from_str(text), &number) < 0 || number == 0 || number > INT64_MAX))
        return command_fail_usage(&store_command, io, "\"%s\" is no revision; expected a number from 1 on", text);
    int64_t revision = (int64_t)number;
    int r = store_place_find(&arguments->options, &place, &err);
    if (r == 0) {
        r = compact(&place, &revision, &err);
        store_place_close(&place);
    }
    if (r < 0)
        return store_fail(arguments, io, r, &err);
    struct writer *writer = store_writer(arguments, io);
    if (writer)
        writer_number(writer, "compacted_revision", revision);
    return store_writer_end(arguments, io, writer);
}

/* ------------------------------------------------------------------------------------------------ why */

static void write_time(struct writer *writer, int64_t wall_ms)
{
    struct tm parts;
    char text[40] = "";
    time_t seconds = (time_t)(wall_ms / 1000);
    if (wall_ms > 0 && gmtime_r(&seconds, &parts))
        (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
    writer_text(writer, "when", text);
}

static void write_key(struct writer *writer, const struct muster_note *note)
{
    char *key = slice_dup(slice_from(note->key, note->key_len));
    writer_text(writer, "key", key ? key : "");
    free(key);
}

static void write_note(struct writer *writer, const struct muster_note *note, bool by_lease)
{
    writer_open_record(writer);
    write_time(writer, note->wall_ms);
    writer_text(writer, "what", note->what);
    if (by_lease)
        write_key(writer, note);
    writer_number(writer, "revision", note->revision);
    writer_text(writer, "lease", note->lease);
    writer_number(writer, "silence_ms", note->silence_ms);
    writer_text(writer, "by", note->actor);
    writer_text(writer, "cause", note->cause);
    writer_close_record(writer);
}

static int report_why(const struct store_arguments *arguments, const struct command_io *io,
                      const struct muster_why *why)
{
    struct writer *writer = store_writer(arguments, io);
    if (writer && arguments->lease) {
        writer_text(writer, "lease", arguments->lease);
    } else if (writer) {
        writer_text(writer, "key", arguments->operand);
        writer_truth(writer, "exists", why->exists);
    }
    if (writer) {
        writer_open_list(writer, "notes");
        for (size_t i = 0; i < why->n_notes; i++)
            write_note(writer, &why->notes[i], arguments->lease != NULL);
        writer_close_list(writer);
    }
    int code = store_writer_end(arguments, io, writer);
    if (code == EXIT_OK && why->n_notes == 0)
        fprintf(io->err, "muster store why: nothing is remembered about it\n");
    return code == EXIT_OK && why->n_notes == 0 ? EXIT_NO : code;
}

/* Notes of a loaded store, as libmuster would give them. */
struct gathering {
    struct muster_note notes[WHY_NOTES_MAX];
    size_t n;
    struct arena arena; /* the texts */
    bool is_short_of_memory;
};

static const char *keep_text(struct gathering *gathering, struct slice text)
{
    char *copy = arena_alloc(&gathering->arena, text.len + 1);
    gathering->is_short_of_memory |= !copy;
    if (copy && text.len > 0)
        memcpy(copy, text.ptr, text.len);
    return copy ? copy : "";
}

static bool gather(void *ctx, const struct store_note *note)
{
    struct gathering *gathering = ctx;
    char lease[20] = "";
    if (note->lease != 0)
        (void)snprintf(lease, sizeof(lease), "%016" PRIx64, note->lease);
    gathering->notes[gathering->n++] = (struct muster_note){
        .what = why_word(note->kind),
        .revision = note->revision,
        .wall_ms = note->wall_ms,
        .lease = keep_text(gathering, slice_from_str(lease)),
        .silence_ms = note->silence_ms,
        .key = keep_text(gathering, note->subject),
        .key_len = note->subject.len,
        .actor = keep_text(gathering, note->actor),
        .cause = keep_text(gathering, note->cause),
    };
    return gathering->n < WHY_NOTES_MAX;
}

static int ask_loaded(const struct store_arguments *arguments, const struct command_io *io,
                      const struct store_place *place, const struct why_question *question, struct err *err)
{
    struct loaded_store *loaded = NULL;
    struct gathering *gathering = calloc(1, sizeof(*gathering));
    int code = gathering ? loaded_store_open(place, &loaded, err) : err_set(err, -ENOMEM, "out of memory");
    if (code == 0)
        code = loaded_store_load(loaded, false, err);
    if (code == 0) {
        struct store *store = keeper_store(loaded_store_keeper(loaded));
        why_tell(store, question, gather, gathering);
        bool exists = question->key.len > 0 && why_exists(store, question->key);
        const struct muster_why why = {exists, gathering->n, gathering->notes};
        code = gathering->is_short_of_memory ? err_set(err, -ENOMEM, "out of memory") : report_why(arguments, io, &why);
    }
    loaded_store_close(loaded);
    if (gathering)
        arena_deinit(&gathering->arena);
    free(gathering);
    return code;
}

static int ask_server(const struct store_arguments *arguments, const struct command_io *io,
                      const struct store_place *place, const struct why_question *question, struct err *err)
{
    struct muster_why *why;
    int result = arguments->lease ? muster_store_why_lease(place->client, arguments->lease, &why)
                                  : muster_store_why_key(place->client, question->key.ptr, question->key.len, &why);
    if (result != MUSTER_OK)
        return store_place_fail_client(place->client, result, err);
    int code = report_why(arguments, io, why);
    muster_why_free(why);
    return code;
}

int store_tell_why(const struct store_arguments *arguments, const struct command_io *io)
{
    struct why_question question = {.lease = 0};
    struct store_place place;
    struct err err = {""};
    if (!arguments->operand == !arguments->lease)
        return command_fail_usage(&store_command, io, "why needs a KEY, or --lease ID");
    if (arguments->lease && why_parse_lease(slice_from_str(arguments->lease), &question.lease) < 0)
        return command_fail_usage(&store_command, io, "\"%s\" is no lease; expected up to 16 hexadecimal digits",
                                  arguments->lease);
    if (arguments->operand)
        question.key = slice_from_str(arguments->operand);
    if (arguments->operand && slice_is_empty(question.key))
        return command_fail_usage(&store_command, io, "the key is empty");
    int code = store_place_find(&arguments->options, &place, &err);
    if (code == 0) {
        code = place.kind == PLACE_SERVER ? ask_server(arguments, io, &place, &question, &err)
                                          : ask_loaded(arguments, io, &place, &question, &err);
        store_place_close(&place);
    }
    return code < 0 ? store_fail(arguments, io, code, &err) : code;
}
