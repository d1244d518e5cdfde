/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane is a ring of bytes with one writer and one reader, each moving an end of its own. The first line in an empty
 * lane arms a timer of its worker, which wakes the thread a moment later; a lane that is half full wakes it at once. So
 * a busy gateway writes some times a second, and an idle one does nothing.
 *
 * The file is opened by the main thread, where it can be told that it failed, and taken over by the thread before a
 * batch. A pipe or terminal is written in pieces that it is sure to take whole, and given up on when the end comes.
 */
#include "gateway/access_log.h"

#include "base/assert.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DELAY_NS    (100 * NSEC_PER_MSEC)
#define PATIENCE_MS 100  /* of one look whether a pipe takes more */
#define LAST_LOOKS  10   /* of those, when all is to end */
#define PIPE_PIECE  4096 /* PIPE_BUF: taken whole, or not at all */

struct lane {
    struct access_log *access_log;
    struct loop *loop;
    struct timer timer;
    char *bytes;                     /* made at the first line */
    _Alignas(64) _Atomic size_t end; /* the worker's */
    _Atomic uint64_t n_dropped;
    _Alignas(64) _Atomic size_t begin; /* the thread's */
};

struct access_log {
    struct log *log;
    pthread_t thread;
    bool has_thread;
    sem_t wake;
    _Atomic bool is_ending;
    _Atomic int next_fd; /* opened, not taken over yet; -1: none */
    int fd;              /* the thread's; -1: none */
    bool is_file;        /* the same: it takes what it is given */
    bool is_failing;     /* the same: it was told */
    _Atomic uint64_t n_lost;
    unsigned n_lanes;
    struct lane lanes[];
};

/* ------------------------------------------------------------------------------------------------ the worker's side */

static void wake(struct access_log *access_log)
{
    (void)sem_post(&access_log->wake);
}

static void on_time(struct timer *timer)
{
    wake(container_of(timer, struct lane, timer)->access_log);
}

void access_log_start_lane(struct access_log *access_log, unsigned lane, struct loop *loop)
{
    ASSERT(lane < access_log->n_lanes);
    access_log->lanes[lane].loop = loop;
}

void access_log_stop_lane(struct access_log *access_log, unsigned lane)
{
    struct lane *its = &access_log->lanes[lane];
    if (its->loop)
        loop_cancel(its->loop, &its->timer);
    its->loop = NULL;
}

static void put(struct lane *lane, size_t at, struct slice piece)
{
    size_t offset = at % ACCESS_LANE_BYTES, n = min_size(piece.len, ACCESS_LANE_BYTES - offset);
    if (n > 0)
        memcpy(lane->bytes + offset, piece.ptr, n);
    if (n < piece.len)
        memcpy(lane->bytes, piece.ptr + n, piece.len - n);
}

static void write_line(struct access_log *access_log, struct lane *lane, const struct slice *pieces, unsigned n_pieces)
{
    size_t begin = atomic_load_explicit(&lane->begin, memory_order_acquire);
    size_t end = atomic_load_explicit(&lane->end, memory_order_relaxed), n_bytes = 0;
    for (unsigned i = 0; i < n_pieces; i++)
        n_bytes += pieces[i].len;
    if (!lane->bytes)
        lane->bytes = malloc(ACCESS_LANE_BYTES);
    if (!lane->bytes || n_bytes > ACCESS_LANE_BYTES - (end - begin)) {
        atomic_fetch_add_explicit(&lane->n_dropped, 1, memory_order_relaxed);
        return;
    }
    for (unsigned i = 0, at = 0; i < n_pieces; at += (unsigned)pieces[i].len, i++)
        put(lane, end + at, pieces[i]);
    atomic_store_explicit(&lane->end, end + n_bytes, memory_order_release);
    bool was_low = end - begin < ACCESS_LANE_BYTES / 2, is_low = end + n_bytes - begin < ACCESS_LANE_BYTES / 2;
    if (was_low && !is_low)
        wake(access_log);
    else if (!timer_is_armed(&lane->timer))
        loop_arm(lane->loop, &lane->timer, loop_now(lane->loop) + DELAY_NS);
}

void access_log_write(struct access_log *access_log, unsigned lane, const struct slice *pieces, unsigned n_pieces)
{
    ASSERT(lane < access_log->n_lanes);
    write_line(access_log, &access_log->lanes[lane], pieces, n_pieces);
}

/* ------------------------------------------------------------------------------------------------ the thread */

static void take_file(struct access_log *access_log)
{
    int fd = atomic_exchange(&access_log->next_fd, -1);
    struct stat stat;
    if (fd < 0)
        return;
    if (access_log->fd >= 0)
        close(access_log->fd);
    access_log->fd = fd;
    access_log->is_file = fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
    access_log->is_failing = false;
}

/* 0, or why nothing more is written. */
static int wait_for_room(struct access_log *access_log)
{
    struct pollfd poll_fd = {access_log->fd, POLLOUT, 0};
    for (unsigned n_looks = 0; !access_log->is_file;) {
        int r = poll(&poll_fd, 1, PATIENCE_MS);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
        if (atomic_load(&access_log->next_fd) >= 0)
            return -ETIMEDOUT; /* who opened another file did not want this one any more */
        if (atomic_load(&access_log->is_ending) && ++n_looks >= LAST_LOOKS)
            return -ETIMEDOUT;
    }
    return 0;
}

static int write_all(struct access_log *access_log, struct slice bytes)
{
    while (bytes.len > 0) {
        int r = wait_for_room(access_log);
        if (r < 0)
            return r;
        ssize_t n = write(access_log->fd, bytes.ptr, access_log->is_file ? bytes.len : min_size(bytes.len, PIPE_PIECE));
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        bytes = slice_skip(bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

static void count_lost(struct access_log *access_log, struct slice bytes, int result)
{
    uint64_t n_lines = 0;
    for (size_t i = 0; i < bytes.len; i++)
        n_lines += bytes.ptr[i] == '\n';
    atomic_fetch_add_explicit(&access_log->n_lost, n_lines, memory_order_relaxed);
    if (!access_log->is_failing)
        log_error(access_log->log, "the access log cannot be written, lines are lost",
                  log_text("reason", strerrordesc_np(-result)));
    access_log->is_failing = true;
}

static void empty(struct access_log *access_log, struct lane *lane)
{
    size_t end = atomic_load_explicit(&lane->end, memory_order_acquire);
    size_t begin = atomic_load_explicit(&lane->begin, memory_order_relaxed);
    take_file(access_log); /* not before: what is logged after a file was opened is written to no earlier one */
    while (begin < end) {
        size_t offset = begin % ACCESS_LANE_BYTES, n = min_size(end - begin, ACCESS_LANE_BYTES - offset);
        struct slice bytes = slice_from(lane->bytes + offset, n);
        int r = write_all(access_log, bytes);
        if (r < 0)
            count_lost(access_log, bytes, r);
        else
            access_log->is_failing = false;
        begin += n;
        atomic_store_explicit(&lane->begin, begin, memory_order_release);
    }
}

static void *run(void *ctx)
{
    struct access_log *access_log = ctx;
    bool is_last;
    do {
        while (sem_wait(&access_log->wake) < 0)
            continue; /* interrupted */
        is_last = atomic_load(&access_log->is_ending);
        for (unsigned i = 0; i < access_log->n_lanes; i++)
            empty(access_log, &access_log->lanes[i]);
    } while (!is_last);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ */

int access_log_new(unsigned n_lanes, struct log *log, struct access_log **ret_access_log)
{
    size_t n_bytes = sizeof(struct access_log) + n_lanes * sizeof(struct lane);
    struct access_log *access_log = aligned_alloc(64, (n_bytes + 63) / 64 * 64);
    if (!access_log)
        return -ENOMEM;
    memset(access_log, 0, n_bytes);
    access_log->log = log;
    access_log->n_lanes = n_lanes;
    access_log->fd = -1;
    atomic_init(&access_log->next_fd, -1);
    (void)sem_init(&access_log->wake, 0, 0);
    for (unsigned i = 0; i < n_lanes; i++) {
        access_log->lanes[i].access_log = access_log;
        timer_init(&access_log->lanes[i].timer, on_time);
    }
    *ret_access_log = access_log;
    return 0;
}

void access_log_free(struct access_log *access_log)
{
    if (!access_log)
        return;
    if (access_log->has_thread) {
        atomic_store(&access_log->is_ending, true);
        wake(access_log);
        (void)pthread_join(access_log->thread, NULL);
    }
    int next_fd = atomic_load(&access_log->next_fd);
    if (next_fd >= 0)
        close(next_fd);
    if (access_log->fd >= 0)
        close(access_log->fd);
    for (unsigned i = 0; i < access_log->n_lanes; i++)
        free(access_log->lanes[i].bytes);
    (void)sem_destroy(&access_log->wake);
    free(access_log);
}

static int start_thread(struct access_log *access_log)
{
    /* Threads inherit the mask: signals are for the main thread. */
    sigset_t all, before;
    if (access_log->has_thread)
        return 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&access_log->thread, NULL, run, access_log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    access_log->has_thread = r == 0;
    return r;
}

int access_log_open(struct access_log *access_log, const char *path, struct err *err)
{
    bool is_stdout = strcmp(path, "-") == 0;
    int fd = is_stdout ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                       : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_set_errno(err, -errno, "the access log %s", is_stdout ? "on standard output" : path);
    int r = start_thread(access_log);
    if (r < 0) {
        close(fd);
        return err_set_errno(err, r, "the access log");
    }
    int unused = atomic_exchange(&access_log->next_fd, fd);
    if (unused >= 0)
        close(unused);
    wake(access_log);
    return 0;
}

uint64_t access_log_n_dropped(const struct access_log *access_log)
{
    uint64_t n = atomic_load_explicit(&access_log->n_lost, memory_order_relaxed);
    for (unsigned i = 0; i < access_log->n_lanes; i++)
        n += atomic_load_explicit(&access_log->lanes[i].n_dropped, memory_order_relaxed);
    return n;
}
