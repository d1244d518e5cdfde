/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock-free queue of messages from many threads to one, with one wake-up per burst: only the sender that finds the
 * box empty (and its reader not awake already) pays for the wake-up.
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
    _Atomic(struct mail *) newest; /* a stack; the reader takes it whole and turns it round */
};

void mailbox_init(struct mailbox *box);

/* True when the box was empty: the caller must then wake the reader. Any thread. */
bool mailbox_post(struct mailbox *box, struct mail *mail);

/* Reader only: delivers all that is there, oldest first; returns how many. */
unsigned mailbox_deliver(struct mailbox *box);
