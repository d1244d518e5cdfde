/* SPDX-License-Identifier: Apache-2.0 */
#include "io/mailbox.h"

#include "support/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

struct letter {
    struct mail mail;
    struct log *log;
    int number;
};

struct log {
    int numbers[16];
    int n;
};

static void note(struct mail *mail)
{
    struct letter *letter = container_of(mail, struct letter, mail);
    letter->log->numbers[letter->log->n++] = letter->number;
}

static void delivers_in_the_order_sent(void)
{
    struct mailbox box;
    struct log log = {0};
    struct letter letters[3];
    mailbox_init(&box);
    for (int i = 0; i < 3; i++) {
        letters[i] = (struct letter){.mail.deliver = note, .log = &log, .number = i};
        expect_false(mailbox_post(&box, &letters[i].mail)); /* the reader is awake */
    }
    expect_int(mailbox_deliver(&box), 3);
    expect_int(mailbox_deliver(&box), 0);
    expect_int(log.n, 3);
    for (int i = 0; i < 3; i++)
        expect_int(log.numbers[i], i);
}

static void wakes_a_sleeper_once(void)
{
    struct mailbox box;
    struct log log = {0};
    struct letter a = {.mail.deliver = note, .log = &log}, b = a, c = a;
    mailbox_init(&box);
    expect_true(mailbox_sleep(&box));
    expect_true(mailbox_sleep(&box));
    expect_true(mailbox_post(&box, &a.mail));
    expect_false(mailbox_post(&box, &b.mail));
    expect_false(mailbox_sleep(&box)); /* there is mail */
    expect_int(mailbox_deliver(&box), 2);
    expect_false(mailbox_post(&box, &c.mail));
    expect_int(mailbox_deliver(&box), 1);
    expect_true(mailbox_sleep(&box));
    expect_int(mailbox_deliver(&box), 0); /* woken by something else: awake now */
    expect_false(mailbox_post(&box, &a.mail));
    expect_int(mailbox_deliver(&box), 1);
}

/* Mail that posts itself again waits for the next delivery. */
struct bouncer {
    struct mail mail;
    struct mailbox *box;
    int n;
};

static void bounce(struct mail *mail)
{
    struct bouncer *bouncer = container_of(mail, struct bouncer, mail);
    bouncer->n++;
    mailbox_post(bouncer->box, mail);
}

static void what_is_sent_during_delivery_waits(void)
{
    struct mailbox box;
    struct bouncer bouncer = {.mail.deliver = bounce, .box = &box};
    mailbox_init(&box);
    mailbox_post(&box, &bouncer.mail);
    expect_int(mailbox_deliver(&box), 1);
    expect_int(mailbox_deliver(&box), 1);
    expect_int(bouncer.n, 2);
}

/* Many senders, one reader that sleeps on a semaphore whenever the box lets it. */

enum { N_SENDERS = 4, N_PER_SENDER = 20000 };

struct post_office {
    struct mailbox box;
    sem_t wake;
    int next_number[N_SENDERS]; /* the reader's: what must come next from each sender */
    int n_received;
};

struct parcel {
    struct mail mail;
    struct post_office *office;
    int sender, number;
};

static void receive(struct mail *mail)
{
    struct parcel *parcel = container_of(mail, struct parcel, mail);
    struct post_office *office = parcel->office;
    expect_int(parcel->number, office->next_number[parcel->sender]);
    office->next_number[parcel->sender]++;
    office->n_received++;
    free(parcel);
}

struct sender {
    struct post_office *office;
    int index;
};

static void *send_all(void *arg)
{
    struct sender *sender = arg;
    for (int i = 0; i < N_PER_SENDER; i++) {
        struct parcel *parcel = malloc(sizeof(*parcel));
        *parcel = (struct parcel){{NULL, receive}, sender->office, sender->index, i};
        if (mailbox_post(&sender->office->box, &parcel->mail))
            sem_post(&sender->office->wake);
    }
    return NULL;
}

static void many_senders_lose_nothing(void)
{
    struct post_office office = {0};
    struct sender senders[N_SENDERS];
    pthread_t threads[N_SENDERS];
    mailbox_init(&office.box);
    expect_int(sem_init(&office.wake, 0, 0), 0);
    for (int i = 0; i < N_SENDERS; i++) {
        senders[i] = (struct sender){&office, i};
        expect_int(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    /* A lost wake-up shows as a hang here. */
    while (office.n_received < N_SENDERS * N_PER_SENDER) {
        if (mailbox_sleep(&office.box))
            sem_wait(&office.wake);
        mailbox_deliver(&office.box);
    }
    for (int i = 0; i < N_SENDERS; i++)
        pthread_join(threads[i], NULL);
    sem_destroy(&office.wake);
}

static const struct test_case cases[] = {
    {"mail is delivered in the order it was sent", delivers_in_the_order_sent},
    {"a sleeping reader is woken once per burst, one that is awake never", wakes_a_sleeper_once},
    {"mail sent during a delivery waits for the next", what_is_sent_during_delivery_waits},
    {"many senders lose no mail and no wake-up, and keep their order", many_senders_lose_nothing},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
