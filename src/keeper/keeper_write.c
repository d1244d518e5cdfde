/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches to disk, to the readers, and back to those who asked. Runs on the log thread, or on the keeper's while the
 * log thread rests; never on both at once.
 */
#include "base/assert.h"
#include "keeper/keeper_priv.h"

#include <errno.h>

static void deliver_answer(struct mail *mail)
{
    struct store_request *request = container_of(mail, struct store_request, mail);
    request->done(request);
}

void keeper_answer(struct store_request *request)
{
    request->mail.deliver = deliver_answer;
    loop_post(request->loop, &request->mail);
}

static void deliver_news(struct mail *mail)
{
    struct store_subscriber *subscriber = container_of(mail, struct store_subscriber, mail);
    atomic_store_explicit(&subscriber->posted, false, memory_order_release); /* what comes now is news again */
    subscriber->on_news(subscriber);
}

static void tell_subscribers(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->subscribers_lock);
    list_for_each (link, &keeper->subscribers) {
        struct store_subscriber *subscriber = container_of(link, struct store_subscriber, link);
        if (atomic_exchange_explicit(&subscriber->posted, true, memory_order_acq_rel))
            continue;
        subscriber->mail.deliver = deliver_news;
        loop_post(subscriber->loop, &subscriber->mail);
    }
    pthread_mutex_unlock(&keeper->subscribers_lock);
}

int keeper_write_batch(struct keeper *keeper, struct local_batch *batch)
{
    struct err err;
    int result = local_write(keeper->local, batch, &err);
    if (result < 0) {
        log_error(keeper->log, "the store cannot write", log_text("reason", err.text));
        if (result == -ENOSPC || result == -ENOMEM)
            return result;
    }

    bool has_news = result == 0 && local_publish(keeper->local, batch, time_now());
    struct store_request *request = local_batch_free(batch);
    while (request) {
        struct store_request *next = request->next; /* the request is its owner's again once it is posted */
        if (result < 0)
            request->outcome = STORE_READ_ONLY;
        keeper_answer(request);
        request = next;
    }
    if (has_news)
        tell_subscribers(keeper);
    local_prove_room(keeper->local);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the log thread */

void keeper_hand_over(struct keeper *keeper, struct local_batch *batch)
{
    pthread_mutex_lock(&keeper->log_lock);
    ASSERT(!keeper->to_write);
    keeper->to_write = batch;
    pthread_cond_signal(&keeper->log_wanted);
    pthread_mutex_unlock(&keeper->log_lock);
}

/* The next batch; NULL when the thread shall end. */
static struct local_batch *wait_for_batch(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->log_lock);
    while (!keeper->to_write && !keeper->log_ends)
        pthread_cond_wait(&keeper->log_wanted, &keeper->log_lock);
    struct local_batch *batch = TAKE(keeper->to_write);
    pthread_mutex_unlock(&keeper->log_lock);
    return batch;
}

void *keeper_log_main(void *arg)
{
    struct keeper *keeper = arg;
    for (struct local_batch *batch; (batch = wait_for_batch(keeper)) != NULL;) {
        keeper->written_result = keeper_write_batch(keeper, batch);
        keeper->failed = keeper->written_result < 0 ? batch : NULL;
        loop_post(keeper->loop, &keeper->written_mail);
    }
    return NULL;
}
