/* SPDX-License-Identifier: Apache-2.0 */
#include "store/local/notes.h"

#include "base/buf.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define RING_BYTES (256 * 1024)

static struct notes *some_notes(void)
{
    struct notes *notes;
    expect_int(notes_new(RING_BYTES, RING_BYTES, &notes), 0);
    return notes;
}

/* A note whose number tells its place. */
static void add(struct notes *notes, unsigned kind, int64_t number)
{
    char subject[32];
    snprintf(subject, sizeof(subject), "subject %d", (int)number);
    notes_add(notes, &(struct store_note){.kind = kind,
                                          .revision = number,
                                          .subject = slice_from_str(subject),
                                          .actor = SLICE_LIT("a test"),
                                          .cause = SLICE_LIT("to be read again")});
}

static bool write_down(void *ctx, const struct store_note *note)
{
    buf_printf(ctx, "%u/%d ", note->kind, (int)note->revision);
    return true;
}

static void expect_notes(struct notes *notes, const char *expected)
{
    struct buf text = {0};
    notes_each(notes, write_down, &text);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}

static bool check_texts(void *ctx, const struct store_note *note)
{
    char subject[32];
    (void)ctx;
    snprintf(subject, sizeof(subject), "subject %d", (int)note->revision);
    expect_slice(note->subject, subject);
    expect_slice(note->actor, "a test");
    expect_slice(note->cause, "to be read again");
    return true;
}

static bool stop_at_once(void *ctx, const struct store_note *note)
{
    (void)write_down(ctx, note);
    return false;
}

static void removals_come_first_each_kind_in_order(void)
{
    struct notes *notes = some_notes();
    expect_notes(notes, "");
    add(notes, STORE_NOTE_FREE, 1);
    add(notes, STORE_NOTE_DELETED, 2);
    add(notes, STORE_NOTE_KIND_MAX, 3);
    add(notes, STORE_NOTE_EXPIRED, 4);
    expect_notes(notes, "3/2 1/4 16/1 255/3 ");
    notes_each(notes, check_texts, NULL);

    struct buf text = {0};
    notes_each(notes, stop_at_once, &text);
    expect_slice(buf_slice(&text), "3/2 ");
    buf_deinit(&text);
    notes_free(notes);
}

/* The span of numbers seen, which must have no gaps. */
struct span {
    int64_t first, last;
    unsigned n_others;
};

static bool take_number(void *ctx, const struct store_note *note)
{
    struct span *span = ctx;
    if (note->kind < STORE_NOTE_FREE) {
        span->n_others++;
        return true;
    }
    expect_true(span->first == 0 || note->revision == span->last + 1);
    span->first = span->first ? span->first : note->revision;
    span->last = note->revision;
    return check_texts(NULL, note);
}

static void a_ring_forgets_its_oldest_and_no_other(void)
{
    struct notes *notes = some_notes();
    add(notes, STORE_NOTE_DELETED, 1);
    for (int64_t i = 1; i <= 20000; i++)
        add(notes, STORE_NOTE_FREE, i);
    struct span span = {0};
    notes_each(notes, take_number, &span);
    expect_int(span.n_others, 1);
    expect_int(span.last, 20000);
    /* About as many as fit: a note takes some 50 bytes. */
    expect_true(span.first > 20000 - RING_BYTES / 40 && span.first < 20000 - RING_BYTES / 80);
    notes_free(notes);
}

static void the_longest_note_is_kept(void)
{
    static char subject[STORE_KEY_MAX], text[STORE_NOTE_TEXT_MAX];
    struct notes *notes = some_notes();
    struct store_note note = {.kind = STORE_NOTE_EXPIRED,
                              .revision = INT64_MAX,
                              .subject = slice_from(subject, sizeof(subject)),
                              .actor = slice_from(text, sizeof(text)),
                              .cause = slice_from(text, sizeof(text))};
    for (int i = 0; i < 10; i++)
        notes_add(notes, &note);
    struct buf seen = {0};
    notes_each(notes, write_down, &seen);
    expect_true(seen.len > 0);
    buf_deinit(&seen);
    notes_free(notes);
}

static void a_view_stays_as_it_was(void)
{
    struct notes *notes = some_notes();
    for (int64_t i = 1; i <= 1000; i++)
        add(notes, STORE_NOTE_FREE, i);
    struct notes_view view;
    notes_view(notes, &view);
    for (int64_t i = 1001; i <= 20000; i++)
        add(notes, STORE_NOTE_FREE, i);
    struct span span = {0};
    notes_view_each(&view, take_number, &span);
    expect_int(span.first, 1);
    expect_int(span.last, 1000);
    notes_view_release(&view);
    notes_free(notes);
}

/* -------- one thread adds, others look */

struct beside {
    struct notes *notes;
    _Atomic bool is_over;
};

static void *look(void *arg)
{
    struct beside *beside = arg;
    int64_t last = 0;
    while (!atomic_load(&beside->is_over)) {
        struct span span = {0};
        notes_each(beside->notes, take_number, &span);
        expect_true(span.last >= last);
        last = span.last;
    }
    return NULL;
}

static void threads_may_look_while_one_adds(void)
{
    struct beside beside = {.notes = some_notes()};
    pthread_t threads[2];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        expect_int(pthread_create(&threads[i], NULL, look, &beside), 0);
    for (int64_t i = 1; i <= 30000; i++)
        add(beside.notes, STORE_NOTE_FREE, i);
    atomic_store(&beside.is_over, true);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        expect_int(pthread_join(threads[i], NULL), 0);
    notes_free(beside.notes);
}

static int add_and_read(void *arg)
{
    (void)arg;
    struct notes *notes;
    if (notes_new(RING_BYTES, RING_BYTES, &notes) < 0)
        return -ENOMEM;
    for (int64_t i = 1; i <= 10; i++)
        add(notes, STORE_NOTE_DELETED, i);
    notes_each(notes, check_texts, NULL);
    notes_free(notes);
    return 0;
}

static void without_memory_notes_are_forgotten(void)
{
    expect_true(fault_alloc_sweep(add_and_read, NULL) >= 3);
}

static const struct test_case cases[] = {
    {"removals come first, then the others, each in order", removals_come_first_each_kind_in_order},
    {"a ring forgets its oldest notes, and none of the other's", a_ring_forgets_its_oldest_and_no_other},
    {"the longest note is kept", the_longest_note_is_kept},
    {"a view stays as it was", a_view_stays_as_it_was},
    {"threads may look while one adds", threads_may_look_while_one_adds},
    {"without memory notes are forgotten", without_memory_notes_are_forgotten},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
