/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See inbox.h. Letters lie behind each other; the first that might not fit ends it for this turn, and who gets none
 * receives by himself. The end of a socket is not kept, since the system tells it again; an error it tells but once.
 */
#include "io/inbox.h"

#include "base/assert.h"
#include "io/sys.h"

#include <errno.h>

void inbox_init(struct inbox *box)
{
    inbox_clear(box);
}

unsigned short inbox_receive(struct inbox *box, int fd)
{
    if (box->n_letters == INBOX_LETTERS_MAX || INBOX_BYTES - box->n_bytes < INBOX_LETTER_MAX)
        return 0;
    char *room = box->bytes + box->n_bytes;
    ssize_t n = sys_recv(fd, room, INBOX_LETTER_MAX);
    int error = n < 0 ? -errno : 0;
    if (n == 0 || error == -EAGAIN)
        return 0;
    size_t len = n > 0 ? (size_t)n : 0;
    box->n_bytes += len;
    box->letters[box->n_letters++] = (struct inbox_letter){
        .is_there = true,
        .is_all = len < INBOX_LETTER_MAX,
        .error = error,
        .bytes = slice_from(room, len),
    };
    return (unsigned short)box->n_letters;
}

struct inbox_letter *inbox_letter(struct inbox *box, unsigned short number)
{
    ASSERT(number >= 1 && number <= box->n_letters);
    return &box->letters[number - 1];
}

void inbox_clear(struct inbox *box)
{
    box->n_letters = 0;
    box->n_bytes = 0;
}
