/* SPDX-License-Identifier: Apache-2.0 */
/* Notes in order of arrival. One allocation per note holds its texts. */
#include "store/local/notes.h"

#include "base/list.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* What is kept of an actor's and a cause's words. */
#define TEXT_MAX 256

struct kept_note {
    struct list link;
    size_t n_bytes;
    struct record_note note;
    char text[];
};

struct notes {
    pthread_mutex_t lock;
    struct list all; /* the oldest first */
    size_t n_bytes, max_bytes;
};

int notes_new(size_t max_bytes, struct notes **ret_notes)
{
    struct notes *notes = calloc(1, sizeof(*notes));
    if (!notes)
        return -ENOMEM;
    pthread_mutex_init(&notes->lock, NULL);
    list_init(&notes->all);
    notes->max_bytes = max_bytes;
    *ret_notes = notes;
    return 0;
}

static void forget_oldest(struct notes *notes)
{
    struct kept_note *kept = container_of(list_pop_front(&notes->all), struct kept_note, link);
    notes->n_bytes -= kept->n_bytes;
    free(kept);
}

void notes_free(struct notes *notes)
{
    if (!notes)
        return;
    while (!list_is_empty(&notes->all))
        forget_oldest(notes);
    pthread_mutex_destroy(&notes->lock);
    free(notes);
}

static struct slice place(char **at, struct slice text)
{
    struct slice placed = slice_from(*at, text.len);
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return placed;
}

void notes_add(struct notes *notes, const struct record_note *note)
{
    struct slice actor = slice_from(note->actor.ptr, min_size(note->actor.len, TEXT_MAX));
    struct slice cause = slice_from(note->cause.ptr, min_size(note->cause.len, TEXT_MAX));
    size_t n_bytes = sizeof(struct kept_note) + note->key.len + actor.len + cause.len;
    struct kept_note *kept = malloc(n_bytes);
    if (!kept)
        return;
    kept->n_bytes = n_bytes;
    kept->note = *note;
    char *at = kept->text;
    kept->note.key = place(&at, note->key);
    kept->note.actor = place(&at, actor);
    kept->note.cause = place(&at, cause);
    list_init(&kept->link);

    pthread_mutex_lock(&notes->lock);
    list_push_back(&notes->all, &kept->link);
    notes->n_bytes += n_bytes;
    while (notes->n_bytes > notes->max_bytes)
        forget_oldest(notes);
    pthread_mutex_unlock(&notes->lock);
}

void notes_each(struct notes *notes, void (*fn)(void *ctx, const struct record_note *note), void *ctx)
{
    pthread_mutex_lock(&notes->lock);
    list_for_each (link, &notes->all)
        fn(ctx, &container_of(link, struct kept_note, link)->note);
    pthread_mutex_unlock(&notes->lock);
}
