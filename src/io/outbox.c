/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See outbox.h. Letters lie behind each other, in order; room is free again when all have left.
 */
#include "io/outbox.h"

#include "base/assert.h"

void outbox_init(struct outbox *box)
{
    box->n_letters = box->i_next = 0;
    box->n_bytes = 0;
}

bool outbox_put(struct outbox *box, void *sender, outbox_send_fn send, const struct iovec *iov, int n_iov, size_t len)
{
    ASSERT(sender);
    if (len > OUTBOX_LETTER_MAX || len > OUTBOX_BYTES - box->n_bytes || box->n_letters == OUTBOX_LETTERS_MAX)
        return false;
    char *at = box->bytes + box->n_bytes;
    for (int i = 0; i < n_iov; i++)
        at = mempcpy(at, iov[i].iov_base, iov[i].iov_len);
    ASSERT(at == box->bytes + box->n_bytes + len);
    box->letters[box->n_letters++] = (struct outbox_letter){sender, send, box->n_bytes, len};
    box->n_bytes += len;
    return true;
}

static struct slice bytes_of(const struct outbox *box, const struct outbox_letter *letter)
{
    return slice_from(box->bytes + letter->begin, letter->len);
}

bool outbox_take(struct outbox *box, const void *sender, struct slice *ret_bytes)
{
    for (unsigned i = box->i_next; i < box->n_letters; i++) {
        struct outbox_letter *letter = &box->letters[i];
        if (letter->sender == sender) {
            letter->sender = NULL;
            *ret_bytes = bytes_of(box, letter);
            return true;
        }
    }
    return false;
}

void outbox_send(struct outbox *box)
{
    while (box->i_next < box->n_letters) {
        const struct outbox_letter *letter = &box->letters[box->i_next++];
        if (letter->sender)
            letter->send(letter->sender, bytes_of(box, letter));
    }
    outbox_init(box);
}
