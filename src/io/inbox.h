/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was received ahead: in a busy turn the loop receives from all sockets that have something before the first of
 * them is worked on. As with the outbox, a few dozen receives behind each other cost less than the same ones between
 * the work of as many requests.
 *
 * A letter is what one receive gave. It belongs to a source on the loop, which names it by its number; one per source,
 * good until the source's on_ready returns. One loop's, on its thread.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>

#define INBOX_LETTERS_MAX 256
#define INBOX_LETTER_MAX  ((size_t)16 * 1024)
#define INBOX_BYTES       ((size_t)192 * 1024)

struct inbox {
    unsigned n_letters;
    size_t n_bytes;
    struct inbox_letter {
        bool is_there;      /* false: its source is done with it, or gone */
        bool is_all;        /* the system had no more at that moment */
        int error;          /* negative errno instead of bytes */
        struct slice bytes; /* not yet read */
    } letters[INBOX_LETTERS_MAX];
    char bytes[INBOX_BYTES];
};

void inbox_init(struct inbox *box);

/* Receives from a non-blocking socket. The letter's number, from 1; 0: there was nothing, the end, or no room. */
unsigned short inbox_receive(struct inbox *box, int fd);

struct inbox_letter *inbox_letter(struct inbox *box, unsigned short number);

/* All are gone. */
void inbox_clear(struct inbox *box);
