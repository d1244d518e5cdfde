/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock-free queue of messages from many threads to one, with one wake-up per burst: only the sender that finds the
 * reader asleep pays for it; while the reader is awake, nobody does.
 *
 * Mail is embedded in the sender's object; from mailbox_post until `deliver` is called it belongs to the box. Mail of
 * one sender is delivered in the order it was sent.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct mail;
typedef void (*mail_fn)(struct mail *mail);

struct mail {
    struct mail *next;
    mail_fn deliver; /* called on the reader's thread; may free the mail's object */
};

struct mailbox {
    _Atomic(struct mail *) newest; /* a stack, or the mark of a sleeping reader */
};

void mailbox_init(struct mailbox *box);

/* True when the reader sleeps: the caller must then wake it. Any thread. */
bool mailbox_post(struct mailbox *box, struct mail *mail);

/* Reader only: delivers all that was there when called, oldest first, and is awake from then on. Returns how many. */
unsigned mailbox_deliver(struct mailbox *box);

/*
 * Reader only: says that it is about to sleep, so that the next sender wakes it. False when mail is waiting: deliver it
 * instead. The reader is asleep until its next mailbox_deliver.
 */
bool mailbox_sleep(struct mailbox *box);
