/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change to many watchers. All watch the same prefix, as the clients of one service do.
 */
#include "etcd.h"
#include "modes.h"

#include <err.h>
#include <stdlib.h>

struct watch {
    struct load *load;
    struct call *streams; /* one on each connection */
    struct conn *conn;    /* of the writer: a registrant is no watcher */
    struct call writer;
    bool is_written;
    uint64_t n_created, n_events;
};

static void on_watch_message(struct call *call, struct slice message)
{
    struct watch *watch = call->user;
    if (get_number(message, WATCH_REPLY_CANCELED))
        errx(EXIT_FAILURE, "a watch was cancelled");
    if (get_number(message, WATCH_REPLY_CREATED))
        watch->n_created++;
    else
        watch->n_events += count_elements(message, WATCH_REPLY_EVENTS);
}

static void on_written(struct call *call, struct slice message)
{
    (void)message;
    ((struct watch *)call->user)->is_written = true;
}

static void on_write_end(struct call *call)
{
    (void)call;
}

static void create_watchers(struct watch *watch, uint64_t stream, uint64_t n)
{
    struct call *call = &watch->streams[stream];
    *call = (struct call){.on_message = on_watch_message, .user = watch};
    call_open(call, watch->load->conns[stream], PATH_WATCH, true);
    struct key begin, end;
    for (uint64_t i = 0; i < n; i++) {
        add_watch_create(call_begin(call), space_begin(SPACE_WATCHED, &begin), space_end(SPACE_WATCHED, &end));
        call_send(call);
    }
}

static void prepare_watch(struct load *load)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch || !(watch->streams = calloc(load->options.conns, sizeof(struct call))))
        errx(EXIT_FAILURE, "out of memory");
    load->state = watch;
    watch->load = load;
    watch->writer = (struct call){.on_message = on_written, .on_end = on_write_end, .user = watch};
    load_connect(load);
    watch->conn = conn_open(load->client);
    for (uint64_t i = 0; i < load->options.conns; i++)
        create_watchers(watch, i, load->options.watchers / load->options.conns);
    while (watch->n_created < load->options.watchers)
        load_wait(load);
}

static void change_once(struct watch *watch)
{
    struct load *load = watch->load;
    struct key key = key_of(SPACE_WATCHED, load->n_made++);
    watch->n_events = 0;
    watch->is_written = false;
    nsec_t began = now_ns();
    call_open(&watch->writer, watch->conn, PATH_PUT, false);
    add_put(call_begin(&watch->writer), key_slice(&key), buf_slice(&load->value), 0);
    call_send(&watch->writer);
    while (watch->n_events < load->options.watchers)
        load_wait(load);
    samples_add(&load->samples, now_ns() - began);
    while (!watch->is_written || watch->writer.status != 0)
        load_wait(load);
}

static void turn_watch(struct load *load)
{
    nsec_t began = now_ns();
    for (uint64_t i = 0; i < load->options.rounds; i++)
        change_once(load->state);
    load_print(load, load->options.rounds * load->options.watchers, now_ns() - began);
}

static void end_watch(struct load *load)
{
    struct watch *watch = load->state;
    conn_close(watch->conn);
    for (uint64_t i = 0; i < load->options.conns; i++)
        call_deinit(&watch->streams[i]);
    call_deinit(&watch->writer);
    free(watch->streams);
    free(watch);
}

/*
 * A turn makes options.rounds changes, one after another, to options.watchers watchers on options.conns streams. Its
 * operations are delivered events, its times are those from a change to its last event.
 */
const struct mode mode_watch = {"watch", prepare_watch, turn_watch, end_watch};
