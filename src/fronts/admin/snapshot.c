/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of the store as the body of an answer, sent from a task of the loop as fast as the client reads. */
#include "base/util.h"
#include "fronts/admin/admin_impl.h"
#include "fronts/backup.h"

#include <errno.h>
#include <stdlib.h>

#define PIECE_BYTES     ((size_t)64 * 1024)
#define PIECES_PER_TURN 4
/* For a copy to be written, and for a client that takes nothing. */
#define IDLE_NS (600 * NSEC_PER_SEC)

struct download {
    struct exchange *exchange;
    struct backup *backup;
    uint64_t sent;
    struct loop_task task;
    bool is_full; /* the client does not read */
    bool is_over; /* answered or given up: on_close is on its way */
};

static void abandon(struct download *download)
{
    download->is_over = true;
    exchange_abort(download->exchange); /* so that nobody takes what was sent for the whole */
}

static void send_piece(struct download *download)
{
    char *bytes = loop_read_buffer(exchange_loop(download->exchange));
    size_t len = (size_t)min_size(PIECE_BYTES, backup_bytes(download->backup) - download->sent);
    if (backup_read(download->backup, download->sent, bytes, len) < 0) {
        abandon(download);
        return;
    }
    int r = exchange_write(download->exchange, slice_from(bytes, len));
    download->sent += len;
    download->is_full = r == EXCHANGE_FULL;
    download->is_over = r < 0;
}

static void on_task(struct loop_task *task)
{
    struct download *download = container_of(task, struct download, task);
    uint64_t total = backup_bytes(download->backup);
    for (unsigned i = 0; i < PIECES_PER_TURN && !download->is_full && !download->is_over; i++) {
        if (download->sent == total) {
            download->is_over = true;
            exchange_end(download->exchange, NULL, 0);
        } else {
            send_piece(download);
        }
    }
    if (!download->is_full && !download->is_over)
        loop_defer(exchange_loop(download->exchange), &download->task);
}

static void on_drain(struct exchange *exchange)
{
    struct download *download = exchange->state;
    download->is_full = false;
    if (!download->is_over)
        loop_defer(exchange_loop(exchange), &download->task);
}

static void on_close(struct exchange *exchange, enum exchange_end end)
{
    (void)end;
    struct download *download = exchange->state;
    loop_undefer(&download->task);
    backup_free(download->backup);
    free(download);
}

static const struct exchange_app app = {.on_drain = on_drain, .on_close = on_close};

static void on_ready(void *ctx, enum store_outcome outcome)
{
    static const struct header headers[] = {{SLICE_LIT("content-type"), SLICE_LIT("application/octet-stream")}};
    struct download *download = ctx;
    if (outcome != STORE_OK) {
        download->is_over = true;
        admin_refuse(download->exchange, outcome);
        return;
    }
    download->is_over =
        exchange_begin(download->exchange, 200, headers, ARRAY_LEN(headers), backup_bytes(download->backup)) < 0;
    if (!download->is_over)
        loop_defer(exchange_loop(download->exchange), &download->task);
}

void admin_on_snapshot(struct admin *admin, struct exchange *exchange)
{
    struct download *download = calloc(1, sizeof(*download));
    if (!download) {
        exchange_respond_text(exchange, 503, "out of memory\n");
        return;
    }
    download->exchange = exchange;
    loop_task_init(&download->task, on_task);
    int r = backup_new(admin->store, exchange_loop(exchange), &admin->n_backups, on_ready, download, &download->backup);
    if (r < 0) {
        free(download);
        exchange_respond_text(exchange, 503, r == -EBUSY ? "too many copies are being read\n" : "out of memory\n");
        return;
    }
    exchange->app = &app;
    exchange->state = download;
    exchange_set_idle_timeout(exchange, IDLE_NS);
}
