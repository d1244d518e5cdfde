/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper's thread. Everything that happens to it (a request, a timer, the log thread's answer, a nudged loop)
 * records itself and defers the one tick; keeper_tick looks at the whole state and does what can be done now:
 *
 *   apply what waits -> expire, checkpoint, trim -> if the log rests: seal the batch and have it written, or begin or
 *   end a snapshot -> set the timer.
 *
 * The log is at rest (LOG_RESTS), has a batch (LOG_WRITES), or holds one that could not be written (LOG_RETRIES). While
 * it is not at rest the next batch grows: that is what groups the commits of many clients.
 */
#include "keeper/keeper.h"

#include "base/assert.h"
#include "keeper/keeper_priv.h"

#include <errno.h>
#include <stdlib.h>

/* A batch of so few requests is written by the keeper itself. */
#define INLINE_REQUESTS 4
/* Requests applied per tick, so that timers and the log's answer are not held up. */
#define APPLY_MAX 4096
#define RETRY_NS  (NSEC_PER_SEC / 5)
#define MINUTE_NS (60 * NSEC_PER_SEC)

int64_t keeper_wall_ms(struct keeper *keeper)
{
    return loop_wall_now(keeper->loop) / NSEC_PER_MSEC;
}

/* ------------------------------------------------------------------------------------------------ what happens */

void keeper_receive(struct mail *mail)
{
    struct store_request *request = container_of(mail, struct store_request, mail);
    struct keeper *keeper = request->engine;
    if (request->type == STORE_BACKUP) {
        keeper_add_backup(keeper, request);
    } else {
        request->next = NULL;
        *keeper->last_waiting = request;
        keeper->last_waiting = &request->next;
    }
    loop_defer(keeper->loop, &keeper->tick);
}

static void on_timer(struct timer *timer)
{
    struct keeper *keeper = container_of(timer, struct keeper, timer);
    loop_defer(keeper->loop, &keeper->tick);
}

static void on_minute(struct timer *timer)
{
    struct keeper *keeper = container_of(timer, struct keeper, minute);
    keeper->wants_checkpoint = true;
    loop_arm(keeper->loop, timer, loop_now(keeper->loop) + MINUTE_NS);
    loop_defer(keeper->loop, &keeper->tick);
}

static void on_written(struct mail *mail)
{
    struct keeper *keeper = container_of(mail, struct keeper, written_mail);
    ASSERT(keeper->log_state == LOG_WRITES);
    keeper->log_state = keeper->written_result < 0 ? LOG_RETRIES : LOG_RESTS;
    loop_defer(keeper->loop, &keeper->tick);
}

static void on_snapshot(struct mail *mail)
{
    struct keeper *keeper = container_of(mail, struct keeper, snapshot_mail);
    keeper->snapshot_done = true;
    loop_defer(keeper->loop, &keeper->tick);
}

static void on_spare(struct mail *mail)
{
    struct keeper *keeper = container_of(mail, struct keeper, spare_mail);
    keeper->space_is_made = true;
    loop_defer(keeper->loop, &keeper->tick);
}

static void on_stop(struct mail *mail)
{
    struct keeper *keeper = container_of(mail, struct keeper, stop_mail);
    atomic_store_explicit(&keeper->backup_is_canceled, true, memory_order_relaxed);
    keeper->is_stopping = true;
    keeper->wants_checkpoint = true;
    loop_defer(keeper->loop, &keeper->tick);
}

/* ------------------------------------------------------------------------------------------------ expiry by arrival */

/* On the nudged loop, which may be turned only now that nobody waits for it any more. */
static void nudge_turn(struct mail *mail)
{
    struct nudge *nudge = container_of(mail, struct nudge, mail);
    if (atomic_load_explicit(&nudge->keeper->is_stopped, memory_order_relaxed))
        return;
    if (--nudge->n_turns > 0)
        loop_post(nudge->loop, mail);
    else
        loop_post(nudge->keeper->loop, &nudge->answer);
}

static void nudge_answered(struct mail *mail)
{
    struct nudge *nudge = container_of(mail, struct nudge, answer);
    nudge->is_under_way = false;
    loop_defer(nudge->keeper->loop, &nudge->keeper->tick);
}

/* The moment up to which every loop has read its input; loops that are behind `now` are asked to catch up. */
static nsec_t read_until(struct keeper *keeper, nsec_t now_ns)
{
    nsec_t until = now_ns;
    for (unsigned i = 0; i < keeper->n_nudges; i++) {
        struct nudge *nudge = &keeper->nudges[i];
        nsec_t loop_until = loop_read_until(nudge->loop);
        if (loop_until < until)
            until = loop_until;
        if (loop_until < now_ns && !nudge->is_under_way) {
            nudge->is_under_way = true;
            nudge->n_turns = 3; /* this mail's own turn, and the two that loop_read_until asks for */
            loop_post(nudge->loop, &nudge->mail);
        }
    }
    return until;
}

/*
 * Once per batch, with the log at rest: a slice for each request that comes in while the log writes would make a batch
 * that all of them wait for. True when more leases may be due at once.
 */
static bool expire(struct keeper *keeper)
{
    nsec_t now_ns = loop_now(keeper->loop);
    if (lease_next(local_leases(keeper->local)) > now_ns)
        return false;
    unsigned n =
        local_expire(keeper->local, now_ns, read_until(keeper, now_ns), keeper_wall_ms(keeper), LOCAL_EXPIRE_MAX);
    return n == LOCAL_EXPIRE_MAX;
}

/* ------------------------------------------------------------------------------------------------ the tick */

/* Applies what waits; how many requests that were. */
static unsigned apply_waiting(struct keeper *keeper)
{
    nsec_t now_ns = loop_now(keeper->loop);
    int64_t now_wall_ms = keeper_wall_ms(keeper);
    unsigned n = 0;
    for (struct store_request *request; n < APPLY_MAX && (request = keeper->first_waiting); n++) {
        keeper->first_waiting = request->next;
        if (!keeper->first_waiting)
            keeper->last_waiting = &keeper->first_waiting;
        if (local_apply(keeper->local, request, now_ns, now_wall_ms) < 0) {
            request->outcome = STORE_OUT_OF_MEMORY;
            keeper_answer(request);
        }
    }
    return n;
}

/* With the log at rest: has the open batch written, if there is one. */
static void write_open_batch(struct keeper *keeper, unsigned n_applied)
{
    struct local_batch *batch = local_seal(keeper->local);
    if (!batch)
        return;
    if (n_applied <= INLINE_REQUESTS || keeper_wants_snapshot(keeper)) { /* a snapshot begins with the log at rest */
        if (keeper_write_batch(keeper, batch) < 0) {
            keeper->failed = batch;
            keeper->log_state = LOG_RETRIES;
        }
        return;
    }
    keeper->log_state = LOG_WRITES;
    keeper_hand_over(keeper, batch);
}

static void arm_timer(struct keeper *keeper, bool more_to_do)
{
    nsec_t now_ns = loop_now(keeper->loop);
    nsec_t next_ns = lease_next(local_leases(keeper->local));
    if (keeper->log_state == LOG_RETRIES || local_refusal(keeper->local) == STORE_NO_SPACE) {
        next_ns = now_ns + RETRY_NS;
    } else if (more_to_do) {
        loop_defer(keeper->loop, &keeper->tick);
    } else if (next_ns <= now_ns) {
        next_ns = now_ns + NSEC_PER_MSEC; /* due, but some loop has not read that far yet: its answer may come sooner */
    }
    if (keeper->log_state == LOG_RESTS && keeper->sync_at_ns < next_ns)
        next_ns = keeper->sync_at_ns;
    if (next_ns == NSEC_NEVER)
        loop_cancel(keeper->loop, &keeper->timer);
    else
        loop_arm(keeper->loop, &keeper->timer, next_ns);
}

/* What is done only while nothing is being written. True when there is more of it. */
static bool work_at_rest(struct keeper *keeper, unsigned n_applied)
{
    if (keeper->snapshot_done)
        keeper_end_snapshot(keeper);
    bool has_more = local_forget_log(keeper->local);
    if (keeper->space_is_made)
        keeper_end_space(keeper);
    local_watch_space(keeper->local);
    if (keeper_wants_space(keeper))
        keeper_begin_space(keeper);
    if (local_refusal(keeper->local) == STORE_NO_SPACE)
        local_prove_room(keeper->local);
    write_open_batch(keeper, n_applied);
    if (keeper->log_state == LOG_RESTS)
        keeper->sync_at_ns = local_sync_relaxed(keeper->local, loop_now(keeper->loop));
    if (keeper->log_state == LOG_RESTS && keeper_wants_snapshot(keeper))
        keeper_begin_snapshot(keeper);
    return has_more;
}

/*
 * A loop that is being stopped is left when all is written and no thread of ours works. Nudges are not waited for:
 * whoever stops the keeper may be the one who turns the loop.
 */
static bool may_stop(const struct keeper *keeper)
{
    return keeper->is_stopping && keeper->log_state != LOG_WRITES && !keeper->first_waiting && !keeper->snapshot &&
           !keeper->is_making_space;
}

/* A full disk, and its end. What the disk refuses for good was told by keeper_write_batch. */
static void tell_refusal(struct keeper *keeper)
{
    enum store_outcome refusal = local_refusal(keeper->local);
    if (refusal == keeper->told_refusal)
        return;
    if (refusal == STORE_NO_SPACE)
        log_error(keeper->log, "the disk is full: the store refuses changes until there is room",
                  log_text("folder", keeper->files->path));
    else if (refusal == STORE_OK)
        log_info(keeper->log, "there is room on the disk again: the store takes changes",
                 log_int("early_snapshots", keeper->n_early_snapshots),
                 log_int("history_from", mvcc_compacted(local_mvcc(keeper->local))));
    keeper->n_early_snapshots = 0;
    keeper->told_refusal = refusal;
}

/* The batch that could not be written, with all the room that can be given up for it. */
static void retry(struct keeper *keeper)
{
    if (keeper->space_is_made)
        keeper_end_space(keeper);
    if (local_refusal(keeper->local) == STORE_NO_SPACE)
        local_drop_spent(keeper->local);
    if (keeper_write_batch(keeper, keeper->failed) < 0)
        return;
    keeper->failed = NULL;
    keeper->log_state = LOG_RESTS;
}

static void keeper_tick(struct loop_task *task)
{
    struct keeper *keeper = container_of(task, struct keeper, tick);
    if (atomic_load_explicit(&keeper->is_stopped, memory_order_relaxed))
        return; /* keeper_stop turns away what comes now */
    if (keeper->log_state == LOG_RETRIES)
        retry(keeper);

    unsigned n_applied = apply_waiting(keeper);
    bool more_to_do = keeper->first_waiting != NULL;
    if (keeper->log_state == LOG_RESTS && !keeper->is_stopping)
        more_to_do |= expire(keeper);
    if (keeper->wants_checkpoint) {
        keeper->wants_checkpoint = false;
        local_checkpoint(keeper->local, loop_now(keeper->loop));
    }
    more_to_do |= local_trim(keeper->local, keeper_wall_ms(keeper));
    if (keeper->log_state == LOG_RESTS)
        more_to_do |= work_at_rest(keeper, n_applied);
    more_to_do |= local_reclaim(keeper->local);
    tell_refusal(keeper);
    if (may_stop(keeper))
        loop_stop(keeper->loop);
    else
        arm_timer(keeper, more_to_do && keeper->log_state == LOG_RESTS);
}

/* ------------------------------------------------------------------------------------------------ life */

static void init_parts(struct keeper *keeper)
{
    keeper->store.engine = &keeper_engine;
    keeper->last_waiting = &keeper->first_waiting;
    keeper->sync_at_ns = NSEC_NEVER;
    keeper->backup_fd = -1;
    pthread_mutex_init(&keeper->log_lock, NULL);
    pthread_cond_init(&keeper->log_wanted, NULL);
    pthread_mutex_init(&keeper->subscribers_lock, NULL);
    list_init(&keeper->subscribers);
    loop_task_init(&keeper->tick, keeper_tick);
    timer_init(&keeper->timer, on_timer);
    timer_init(&keeper->minute, on_minute);
    keeper->stop_mail.deliver = on_stop;
    keeper->written_mail.deliver = on_written;
    keeper->snapshot_mail.deliver = on_snapshot;
    keeper->spare_mail.deliver = on_spare;
}

static int open_files(struct keeper *keeper, const struct keeper_options *options, struct err *err)
{
    keeper->files = options->files;
    if (keeper->files)
        return 0;
    int result = wal_folder_open(options->folder, &keeper->own_files, err);
    keeper->files = keeper->own_files;
    return result;
}

static void log_recovery(struct keeper *keeper)
{
    const struct local_recovery *recovery = &keeper->recovery;
    log_info(keeper->log, "store opened", log_text("folder", keeper->files->path),
             log_int("revision", recovery->revision), log_int("keys", (int64_t)recovery->n_keys),
             log_int("leases", (int64_t)recovery->n_leases), log_int("records", (int64_t)recovery->n_records));
    if (recovery->torn_bytes > 0)
        log_warn(keeper->log, "the log ended in the middle of a record, which was never answered and is cut off",
                 log_int("bytes", (int64_t)recovery->torn_bytes));
    if (recovery->bad_snapshots > 0)
        log_warn(keeper->log, "a damaged snapshot was passed over", log_int("snapshots", recovery->bad_snapshots));
}

static int open_store(struct keeper *keeper, const struct keeper_options *options, struct err *err)
{
    int result = loop_new(options->rcu, &keeper->loop);
    if (result < 0)
        return err_set_errno(err, result, "the keeper's loop");
    result = open_files(keeper, options, err);
    if (result < 0)
        return result;
    result = local_open(keeper->files, &options->local, options->rcu, loop_now(keeper->loop), &keeper->local,
                        &keeper->recovery, err);
    if (result < 0)
        return err_wrap(err, result, "the store in %s", keeper->files->path);
    log_recovery(keeper);
    return 0;
}

int keeper_new(const struct keeper_options *options, struct keeper **ret_keeper, struct err *err)
{
    struct keeper *keeper = calloc(1, sizeof(*keeper));
    if (!keeper)
        return err_set_errno(err, -ENOMEM, "the keeper");
    keeper->log = options->log;
    keeper->rcu = options->rcu;
    init_parts(keeper);
    int result = open_store(keeper, options, err);
    if (result < 0) {
        keeper_free(keeper);
        return result;
    }
    *ret_keeper = keeper;
    return 0;
}

void keeper_free(struct keeper *keeper)
{
    if (!keeper)
        return;
    ASSERT(!keeper->has_threads);
    if (keeper->loop)
        loop_settle(keeper->loop); /* nudges that were answered after the end */
    local_close(keeper->local);
    wal_folder_close(keeper->own_files);
    loop_free(keeper->loop);
    pthread_mutex_destroy(&keeper->log_lock);
    pthread_cond_destroy(&keeper->log_wanted);
    pthread_mutex_destroy(&keeper->subscribers_lock);
    free(keeper->nudges);
    free(keeper);
}

static void *keeper_main(void *arg)
{
    struct keeper *keeper = arg;
    nsec_t now_ns = loop_now(keeper->loop);
    loop_arm(keeper->loop, &keeper->minute, now_ns + MINUTE_NS);
    loop_defer(keeper->loop, &keeper->tick);
    int result = loop_run(keeper->loop);
    if (result < 0)
        log_error(keeper->log, "the keeper's loop failed", log_int("errno", -result));
    loop_cancel(keeper->loop, &keeper->minute);
    loop_cancel(keeper->loop, &keeper->timer);
    return NULL;
}

static int make_nudges(struct keeper *keeper, struct loop *const *loops, unsigned n_loops)
{
    keeper->nudges = calloc(n_loops ? n_loops : 1, sizeof(keeper->nudges[0]));
    if (!keeper->nudges)
        return -ENOMEM;
    for (unsigned i = 0; i < n_loops; i++) {
        keeper->nudges[i] = (struct nudge){.keeper = keeper, .loop = loops[i]};
        keeper->nudges[i].mail.deliver = nudge_turn;
        keeper->nudges[i].answer.deliver = nudge_answered;
    }
    keeper->n_nudges = n_loops;
    return 0;
}

int keeper_start(struct keeper *keeper, struct loop *const *loops, unsigned n_loops, struct err *err)
{
    ASSERT(!keeper->has_threads);
    if (make_nudges(keeper, loops, n_loops) < 0)
        return err_set_errno(err, -ENOMEM, "the keeper");
    loop_settle(keeper->loop); /* the clock: opening may have taken long */
    local_start(keeper->local, loop_now(keeper->loop));
    local_watch_space(keeper->local);
    local_prove_room(keeper->local); /* else the first batch would wait for it, unanswered */

    int result = pthread_create(&keeper->log_thread, NULL, keeper_log_main, keeper);
    if (result != 0)
        return err_set_errno(err, -result, "the log thread");
    result = pthread_create(&keeper->thread, NULL, keeper_main, keeper);
    if (result != 0) {
        keeper->log_ends = true;
        keeper_hand_over(keeper, NULL);
        pthread_join(keeper->log_thread, NULL);
        return err_set_errno(err, -result, "the keeper's thread");
    }
    keeper->has_threads = true;
    return 0;
}

static void turn_away_all(struct store_request *request)
{
    while (request) {
        struct store_request *next = request->next;
        request->outcome = STORE_STOPPED;
        keeper_answer(request);
        request = next;
    }
}

/* Requests that came after the end, or whose batch could never be written. */
static void turn_away(struct keeper *keeper)
{
    loop_settle(keeper->loop);
    if (keeper->failed)
        keeper->first_waiting = local_batch_free(TAKE(keeper->failed));
    turn_away_all(TAKE(keeper->first_waiting));
    keeper->last_waiting = &keeper->first_waiting;
    turn_away_all(TAKE(keeper->waiting_backups));
}

void keeper_stop(struct keeper *keeper)
{
    if (!keeper->has_threads)
        return;
    loop_post(keeper->loop, &keeper->stop_mail);
    pthread_join(keeper->thread, NULL);
    atomic_store_explicit(&keeper->is_stopped, true, memory_order_release);
    rcu_synchronize(keeper->rcu); /* who saw it run, and submits, has done so */
    pthread_mutex_lock(&keeper->log_lock);
    keeper->log_ends = true;
    pthread_cond_signal(&keeper->log_wanted);
    pthread_mutex_unlock(&keeper->log_lock);
    pthread_join(keeper->log_thread, NULL);
    keeper->has_threads = false;
    turn_away(keeper);
}

struct store *keeper_store(struct keeper *keeper)
{
    return &keeper->store;
}

struct local *keeper_local(struct keeper *keeper)
{
    return keeper->local;
}

const struct local_recovery *keeper_recovery(const struct keeper *keeper)
{
    return &keeper->recovery;
}
