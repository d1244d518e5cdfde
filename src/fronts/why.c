/* SPDX-License-Identifier: Apache-2.0 */
/* Notes are walked twice: to count those that answer the question, and to tell the newest of them. */
#include "fronts/why.h"

#include "wire/chars.h"

#include <errno.h>

struct telling {
    const struct why_question *question;
    size_t n_seen, n_skipped; /* of those that answer the question; the oldest are skipped */
    store_note_fn fn;         /* NULL: only counting */
    void *ctx;
};

static bool tell(void *ctx, const struct store_note *note)
{
    struct telling *telling = ctx;
    telling->n_seen++;
    return !telling->fn || telling->n_seen <= telling->n_skipped || telling->fn(telling->ctx, note);
}

static bool tell_of_lease(void *ctx, const struct store_note *note)
{
    struct telling *telling = ctx;
    if (note->kind >= STORE_NOTE_FREE)
        return false; /* the removals came first */
    return note->lease != telling->question->lease || tell(ctx, note);
}

static void ask(struct store *store, struct telling *telling)
{
    if (slice_is_empty(telling->question->key))
        store_notes(store, tell_of_lease, telling);
    else
        store_why(store, telling->question->key, tell, telling);
}

void why_tell(struct store *store, const struct why_question *question, store_note_fn fn, void *ctx)
{
    struct telling counting = {.question = question};
    ask(store, &counting);
    struct telling telling = {.question = question, .fn = fn, .ctx = ctx};
    telling.n_skipped = counting.n_seen > WHY_NOTES_MAX ? counting.n_seen - WHY_NOTES_MAX : 0;
    ask(store, &telling);
}

static bool see(void *ctx, const struct store_kv *kv)
{
    (void)kv;
    *(bool *)ctx = true;
    return false;
}

bool why_exists(struct store *store, struct slice key)
{
    bool exists = false;
    struct store_view view;
    struct store_range_result result;
    const struct store_range range = {.key = key, .keys_only = true};
    store_view(store, true, &view);
    (void)store_range(store, &view, &range, see, &exists, &result);
    store_release(store, &view);
    return exists;
}

const char *why_word(unsigned kind)
{
    switch (kind) {
    case STORE_NOTE_EXPIRED:
        return "expired";
    case STORE_NOTE_REVOKED:
        return "revoked";
    case STORE_NOTE_DELETED:
        return "deleted";
    default:
        return "changed";
    }
}

int why_parse_lease(struct slice text, int64_t *ret_lease)
{
    uint64_t lease = 0;
    if (text.len < 1 || text.len > 16)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        int digit = char_hex_value(text.ptr[i]);
        if (digit < 0)
            return -EINVAL;
        lease = lease << 4 | (unsigned)digit;
    }
    if (lease == 0)
        return -EINVAL;
    *ret_lease = (int64_t)lease;
    return 0;
}
