/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The curator's thread. Whatever happens to it (commits, answers of the store, reports, its timer) records itself and
 * defers the one tick, which does in turn what can be done:
 *
 *   reports -> commits -> what was written for requests -> time -> publish -> carry out updates -> answer
 *
 * So a burst of commits is one publishing and one message to followers, and a request is answered only after the
 * commit that it made has been published. While commits come without end, those that no request waits for are looked at
 * once in REST_NS, and until then the store is not heard: who only uses it as a store pays for few wake-ups.
 *
 * What fails for want of memory is left where it is and tried again soon.
 */
#include "keeper/curator.h"

#include "keeper/curator_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Per tick, so that readers are not held up for long and what waits is seen. */
#define COMMITS_MAX 1024
#define TIMES_MAX   1024
#define RETRY_NS    (100 * NSEC_PER_MSEC)
#define REST_NS     NSEC_PER_MSEC
/* While stopping: those whose answer is under way are looked for again after this. */
#define LOOK_AGAIN_NS NSEC_PER_MSEC

/* ------------------------------------------------------------------------------------------------ steps */

int curator_step(struct curator *curator, const struct catalog_event *event)
{
    const struct catalog_time time = {
        .now_ns = loop_now(curator->loop),
        .wall_ms = loop_wall_now(curator->loop) / NSEC_PER_MSEC,
    };
    return catalog_step(curator->catalog, event, &time, &curator->updates);
}

static int step_commit(struct curator *curator, const struct store_commit *commit)
{
    struct catalog_event event = {.type = CATALOG_KEY};
    store_commit_why(commit, &event.key.why);
    for (; curator->n_events_passed < commit->n_events; curator->n_events_passed++) {
        event.key.kv = commit->events[curator->n_events_passed].kv;
        int r = curator_step(curator, &event);
        if (r < 0)
            return r;
    }
    curator->n_events_passed = 0;
    curator->passed++;
    return 0;
}

/* 1: there is more. */
static int step_commits(struct curator *curator)
{
    struct store_view view;
    store_view(curator->store, false, &view);
    for (unsigned n = 0; curator->passed < view.revision; n++) {
        if (n == COMMITS_MAX)
            return 1;
        const struct store_commit *commit = store_commit(curator->store, &view, curator->passed + 1);
        curator->has_lost |= !commit;
        int r = curator->has_lost ? curator_load_keys(curator, false) : step_commit(curator, commit);
        if (r < 0)
            return r;
    }
    return 0;
}

/* 1: there is more. */
static int step_time(struct curator *curator)
{
    const struct catalog_event event = {.type = CATALOG_TIME};
    for (unsigned n = 0; catalog_deadline(curator->catalog) <= loop_now(curator->loop); n++) {
        if (n == TIMES_MAX)
            return 1;
        int r = curator_step(curator, &event);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Takes the requests that can be answered off those that wait; both keep their order. */
static struct curator_request *settle_requests(struct curator *curator)
{
    struct curator_request *settled = NULL, **last_settled = &settled;
    struct curator_request *written = TAKE(curator->first_written);
    curator->last_written = &curator->first_written;
    while (written) {
        struct curator_request *request = written;
        written = request->next;
        request->next = NULL;
        enum curator_settled result = curator_request_settle(request);
        if (result == CURATOR_AGAIN)
            continue; /* it is the store's now */
        struct curator_request ***last = result == CURATOR_SETTLED ? &last_settled : &curator->last_written;
        **last = request;
        *last = &request->next;
    }
    return settled;
}

/* ------------------------------------------------------------------------------------------------ the tick */

/* A curator that is being stopped ends when nothing of it is under way. */
static bool may_stop(const struct curator *curator)
{
    return curator->is_stopping && !curator->is_noting && curator->n_writing == 0 &&
           atomic_load(&curator->n_under_way) == 0;
}

static void arm(struct curator *curator)
{
    nsec_t now_ns = loop_now(curator->loop);
    nsec_t next_ns = catalog_deadline(curator->catalog);
    if (!curator->is_noting && next_ns > curator->note_at_ns)
        next_ns = curator->note_at_ns;
    if (curator->subscriber.is_muted && next_ns > curator->rest_until_ns)
        next_ns = curator->rest_until_ns;
    if (curator->is_short && next_ns > now_ns + RETRY_NS)
        next_ns = now_ns + RETRY_NS;
    if (curator->is_stopping && next_ns > now_ns + LOOK_AGAIN_NS)
        next_ns = now_ns + LOOK_AGAIN_NS;
    if (next_ns == NSEC_NEVER)
        loop_cancel(curator->loop, &curator->timer);
    else
        loop_arm(curator->loop, &curator->timer, next_ns);
}

/* Commits came in this tick, or not. When they do after a rest too, the next rest begins at once. */
static void rest(struct curator *curator, bool has_rested, bool had_commits)
{
    if (had_commits)
        curator->rest_until_ns = loop_now(curator->loop) + REST_NS;
    store_mute(&curator->subscriber, has_rested && had_commits);
}

static void tick(struct loop_task *task)
{
    struct curator *curator = container_of(task, struct curator, tick);
    if (curator->has_ended)
        return;
    int64_t revision = catalog_revision(curator->catalog);
    bool has_rested = curator->subscriber.is_muted;
    store_mute(&curator->subscriber, false);
    const int64_t passed = curator->passed;
    int r_reports = curator_step_reports(curator);
    int r_commits = step_commits(curator);
    struct curator_request *settled = settle_requests(curator);
    int r_time = step_time(curator);

    catalog_publish(curator->catalog, curator->passed);
    int r_writes = curator_carry_out(curator);
    curator->is_short = r_reports < 0 || r_commits < 0 || r_time < 0 || r_writes < 0 || curator->first_written ||
                        curator_write_is_refused(curator);
    while (settled) {
        struct curator_request *request = settled;
        settled = request->next; /* it is its owner's again once it is answered */
        curator_request_answer(request);
    }
    if (catalog_revision(curator->catalog) != revision)
        curator_tell(curator);
    (void)rcu_reclaim(curator->rcu);
    if (r_commits > 0 || r_time > 0)
        curator_wake(curator);
    rest(curator, has_rested, curator->passed != passed);
    if (may_stop(curator))
        loop_stop(curator->loop);
    else
        arm(curator);
}

static void on_news(struct store_subscriber *subscriber)
{
    struct curator *curator = container_of(subscriber, struct curator, subscriber);
    if (loop_now(curator->loop) >= curator->rest_until_ns) {
        curator_wake(curator);
    } else {
        store_mute(subscriber, true);
        arm(curator);
    }
}

static void on_timer(struct timer *timer)
{
    struct curator *curator = container_of(timer, struct curator, timer);
    curator_write_retry(curator);
    curator_wake(curator);
}

/* ------------------------------------------------------------------------------------------------ life */

static void on_load(struct mail *mail)
{
    struct curator *curator = container_of(mail, struct curator, load_mail);
    curator->load_result = curator_load_orders(curator);
    if (curator->load_result == 0)
        curator->load_result = curator_load_keys(curator, true);
    if (curator->load_result < 0)
        return;
    catalog_publish(curator->catalog, curator->passed);
    curator->load_result = curator_recall(curator);
}

static void on_stop(struct mail *mail)
{
    struct curator *curator = container_of(mail, struct curator, stop_mail);
    curator->is_stopping = true;
    curator_wake(curator);
}

static void init_parts(struct curator *curator)
{
    curator->note_at_ns = NSEC_NEVER;
    curator->last_written = &curator->first_written;
    list_init(&curator->reports);
    list_init(&curator->followers);
    loop_task_init(&curator->tick, tick);
    timer_init(&curator->timer, on_timer);
    curator->subscriber = (struct store_subscriber){.loop = curator->loop, .on_news = on_news};
    curator->load_mail.deliver = on_load;
    curator->stop_mail.deliver = on_stop;
    pthread_mutex_init(&curator->followers_lock, NULL);
}

int curator_new_on(const struct curator_options *options, struct loop *loop, struct curator **ret_curator)
{
    struct curator *curator = calloc(1, sizeof(*curator));
    if (!curator)
        return -ENOMEM;
    curator->store = options->store;
    curator->rcu = options->rcu;
    curator->log = options->log;
    curator->min_ttl_ms = options->min_ttl_ms;
    curator->loop = loop;
    init_parts(curator);

    int r = curator_first_find(curator->store, &curator->first_revision);
    if (r == 0)
        r = catalog_new(&options->catalog, options->rcu, curator->first_revision, &curator->catalog);
    if (r == 0) {
        loop_post(loop, &curator->load_mail); /* in a turn of the loop, which is an RCU reader */
        loop_settle(loop);
        r = curator->load_result;
    }
    if (r < 0) {
        curator_free(curator);
        return r;
    }
    *ret_curator = curator;
    return 0;
}

int curator_new(const struct curator_options *options, struct curator **ret_curator)
{
    struct loop *loop;
    int r = loop_new(options->rcu, &loop);
    if (r < 0)
        return r;
    r = curator_new_on(options, loop, ret_curator);
    if (r < 0)
        loop_free(loop);
    else
        (*ret_curator)->owns_loop = true;
    return r;
}

void curator_free(struct curator *curator)
{
    if (!curator)
        return;
    ASSERT(!curator->has_thread && list_is_empty(&curator->followers));
    curator->has_ended = true;
    if (curator->owns_loop)
        loop_settle(curator->loop); /* reports that came after the end */
    curator_drop_reports(curator);
    curator_write_drop(curator);
    catalog_free(curator->catalog);
    catalog_updates_deinit(&curator->updates);
    catalog_updates_deinit(&curator->noted);
    if (curator->owns_loop)
        loop_free(curator->loop);
    pthread_mutex_destroy(&curator->followers_lock);
    free(curator);
}

void curator_begin(struct curator *curator)
{
    store_subscribe(curator->store, &curator->subscriber);
    curator_wake(curator); /* what was committed since it was read */
}

void curator_end(struct curator *curator)
{
    curator->has_ended = true;
    store_unsubscribe(curator->store, &curator->subscriber);
    loop_undefer(&curator->tick);
    loop_cancel(curator->loop, &curator->timer);
}

/* ------------------------------------------------------------------------------------------------ its thread */

static void *curator_main(void *arg)
{
    struct curator *curator = arg;
    int r = loop_run(curator->loop);
    if (r < 0)
        log_error(curator->log, "the curator's loop failed", log_int("errno", -r));
    curator_end(curator);
    return NULL;
}

int curator_start(struct curator *curator, struct err *err)
{
    ASSERT(!curator->has_thread);
    curator_first_remember(curator);
    curator_begin(curator);
    int r = pthread_create(&curator->thread, NULL, curator_main, curator);
    if (r != 0) {
        curator_end(curator);
        return err_set_errno(err, -r, "the curator's thread");
    }
    curator->has_thread = true;
    return 0;
}

void curator_stop(struct curator *curator)
{
    if (!curator || !curator->has_thread)
        return;
    atomic_store(&curator->is_stopped, true);
    loop_post(curator->loop, &curator->stop_mail);
    pthread_join(curator->thread, NULL);
    curator->has_thread = false;
}

struct catalog *curator_catalog(const struct curator *curator)
{
    return curator->catalog;
}
