/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A server that says nothing for so long has hung. */
#define SILENCE_MS 30000

#define RANDOM_SEED 0x9e3779b97f4a7c15u

void load_init(struct load *load, int n_words, char **words)
{
    *load = (struct load){.random = RANDOM_SEED};
    options_parse(&load->options, n_words, words);
    load->client = client_new((uint16_t)load->options.port);
    if (load->options.address)
        buf_append_str(&load->value, "10.0.0.7:8080");
    else
        for (uint64_t i = 0; i < load->options.value; i++)
            buf_append_char(&load->value, 'v');
    if (buf_error(&load->value) < 0)
        errx(EXIT_FAILURE, "out of memory");
}

void load_deinit(struct load *load)
{
    load_disconnect(load);
    client_free(load->client);
    samples_deinit(&load->samples);
    buf_deinit(&load->value);
}

void load_connect(struct load *load)
{
    load->conns = calloc(load->options.conns, sizeof(struct conn *));
    if (!load->conns)
        errx(EXIT_FAILURE, "out of memory");
    for (uint64_t i = 0; i < load->options.conns; i++)
        load->conns[i] = conn_open(load->client);
}

void load_disconnect(struct load *load)
{
    for (uint64_t i = 0; load->conns && i < load->options.conns; i++)
        conn_close(load->conns[i]);
    free(TAKE(load->conns));
}

void load_wait(struct load *load)
{
    if (!client_turn(load->client, SILENCE_MS))
        errx(EXIT_FAILURE, "the server does not answer");
}

/* xorshift64: a few cycles, and the same sequence in every run. */
uint64_t load_random(struct load *load, uint64_t below)
{
    uint64_t x = load->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    load->random = x;
    return x % below;
}

/* ------------------------------------------------------------------------------------------------ samples */

void samples_add(struct samples *samples, nsec_t took)
{
    if (samples->n == samples->n_room) {
        samples->n_room = samples->n_room ? samples->n_room * 2 : 4096;
        samples->took = realloc(samples->took, samples->n_room * sizeof(nsec_t));
        if (!samples->took)
            errx(EXIT_FAILURE, "out of memory");
    }
    samples->took[samples->n++] = took;
}

void samples_reset(struct samples *samples)
{
    samples->n = 0;
}

void samples_deinit(struct samples *samples)
{
    free(samples->took);
    *samples = (struct samples){0};
}

static int compare(const void *a, const void *b)
{
    nsec_t left = *(const nsec_t *)a, right = *(const nsec_t *)b;
    return (left > right) - (left < right);
}

static double quantile_us(const struct samples *samples, size_t percent)
{
    size_t index = (samples->n - 1) * percent / 100;
    return (double)samples->took[index] / 1e3;
}

void samples_print(struct samples *samples, const char *name)
{
    if (samples->n == 0)
        return;
    qsort(samples->took, samples->n, sizeof(nsec_t), compare);
    printf(" %sp50_us=%.1f %sp99_us=%.1f %smax_us=%.1f", name, quantile_us(samples, 50), name, quantile_us(samples, 99),
           name, quantile_us(samples, 100));
}

void load_print(struct load *load, uint64_t n_ops, nsec_t took)
{
    printf("ops=%" PRIu64 " seconds=%.6f", n_ops, (double)took / 1e9);
    samples_print(&load->samples, "");
    samples_reset(&load->samples);
}

/* ------------------------------------------------------------------------------------------------ callers */

struct buf *caller_call(struct caller *caller, const char *path)
{
    call_open(&caller->call, caller->conn, path, false);
    return call_begin(&caller->call);
}

void caller_send(struct caller *caller)
{
    call_send(&caller->call);
}

static void begin_operation(struct caller *caller)
{
    struct callers *all = caller->all;
    nsec_t now = now_ns();
    if (all->n_left == 0 || now >= all->until)
        return;
    all->n_left--;
    all->n_busy++;
    caller->began = now;
    caller->n_calls = 0;
    all->operation->begin(caller);
}

static void on_message(struct call *call, struct slice message)
{
    struct caller *caller = call->user;
    if (caller->all->operation->reply)
        caller->all->operation->reply(caller, message);
}

static void on_end(struct call *call)
{
    struct caller *caller = call->user;
    struct callers *all = caller->all;
    caller->n_calls++;
    if (all->operation->next && all->operation->next(caller))
        return;
    samples_add(&caller->load->samples, now_ns() - caller->began);
    all->n_done++;
    all->n_busy--;
    begin_operation(caller);
}

void callers_run(struct load *load, struct callers *callers)
{
    uint64_t n = callers->n_callers ? callers->n_callers : load->options.callers;
    struct caller *each = calloc(n, sizeof(*each));
    if (!each)
        errx(EXIT_FAILURE, "out of memory");
    for (uint64_t i = 0; i < n; i++) {
        each[i] = (struct caller){
            .all = callers,
            .load = load,
            .conn = load->conns[i % load->options.conns],
            .call = {.on_message = on_message, .on_end = on_end, .user = &each[i]},
        };
        begin_operation(&each[i]);
    }
    while (callers->n_busy > 0)
        load_wait(load);
    for (uint64_t i = 0; i < n; i++)
        call_deinit(&each[i].call);
    free(each);
}

void load_turn(struct load *load, const struct operation *operation)
{
    nsec_t began = now_ns();
    uint64_t n_ops = load->options.ops;
    struct callers callers = {
        .operation = operation,
        .until = n_ops ? NSEC_NEVER : began + (nsec_t)load->options.ms * NSEC_PER_MSEC,
        .n_left = n_ops ? n_ops : UINT64_MAX,
    };
    callers_run(load, &callers);
    load_print(load, callers.n_done, now_ns() - began);
}
