/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small sends of a busy turn, which leave together when it is over: a few dozen sends behind each other cost less than
 * the same ones between the work of as many requests, since what the system needs for them stays in the processor's
 * caches, and so does what we need.
 *
 * Bytes are copied, and belong to whoever put them in: a letter of his. One loop's, on its thread.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <sys/uio.h>

#define OUTBOX_LETTERS_MAX 512
#define OUTBOX_BYTES       (192 * 1024)
/* Longer ones cost more to copy than they save. */
#define OUTBOX_LETTER_MAX 4096

/* The bytes are valid during the call. In it letters may be put in, which leave as well, or taken out. */
typedef void (*outbox_send_fn)(void *sender, struct slice bytes);

struct outbox {
    unsigned n_letters, i_next; /* those before it have left */
    size_t n_bytes;
    struct outbox_letter {
        void *sender; /* NULL: it was taken out */
        outbox_send_fn send;
        size_t begin, len;
    } letters[OUTBOX_LETTERS_MAX];
    char bytes[OUTBOX_BYTES];
};

void outbox_init(struct outbox *box);

/* False: there is no room, or it is too long for it. */
bool outbox_put(struct outbox *box, void *sender, outbox_send_fn send, const struct iovec *iov, int n_iov, size_t len);

/* Takes the oldest letter of that sender out; the bytes are valid until something is put in. False: there is none. */
bool outbox_take(struct outbox *box, const void *sender, struct slice *ret_bytes);

/* Sends all, in the order in which they came; it is empty then. */
void outbox_send(struct outbox *box);
