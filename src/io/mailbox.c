/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The box is one word: a stack of mail that senders push to and the reader takes whole, turning it round to have the
 * oldest first. Since nothing is ever popped singly, there is no ABA problem and no memory to reclaim.
 *
 * Invariants:
 *  1. The word is NULL (nothing there, the reader is awake), ASLEEP (nothing there, the reader sleeps), or the newest
 *     mail of a list that ends in NULL.
 *  2. Only the reader writes ASLEEP, and only over NULL: it never sleeps on mail.
 *  3. Exactly one sender replaces ASLEEP: it is the one that wakes the reader.
 */
#include "io/mailbox.h"

#include "base/assert.h"

#include <stddef.h>
#include <stdint.h>

/* The address of this mail stands for "asleep"; it is never linked or delivered. */
static struct mail *asleep(void)
{
    static const struct mail mark;
    return (struct mail *)(uintptr_t)&mark;
}

void mailbox_init(struct mailbox *box)
{
    atomic_init(&box->newest, NULL);
}

bool mailbox_post(struct mailbox *box, struct mail *mail)
{
    ASSERT(mail->deliver);
    struct mail *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);
    do {
        mail->next = newest == asleep() ? NULL : newest;
    } while (!atomic_compare_exchange_weak_explicit(&box->newest, &newest, mail, memory_order_release,
                                                    memory_order_relaxed));
    return newest == asleep();
}

/* The list in the order it was sent. */
static struct mail *turn_round(struct mail *newest)
{
    struct mail *oldest = NULL;
    while (newest) {
        struct mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

unsigned mailbox_deliver(struct mailbox *box)
{
    /* The plain look first spares the locked instruction on the many turns that bring no mail. */
    if (!atomic_load_explicit(&box->newest, memory_order_relaxed))
        return 0;
    struct mail *newest = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
    if (newest == asleep())
        return 0;

    unsigned n = 0;
    struct mail *mail = turn_round(newest);
    while (mail) {
        struct mail *next = mail->next; /* deliver may free the mail, or send it on */
        mail->deliver(mail);
        mail = next;
        n++;
    }
    return n;
}

bool mailbox_sleep(struct mailbox *box)
{
    struct mail *expected = NULL;
    return atomic_compare_exchange_strong_explicit(&box->newest, &expected, asleep(), memory_order_relaxed,
                                                   memory_order_relaxed) ||
           expected == asleep();
}
