/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tls_link.h"

#include "support/test.h"

#include <errno.h>

/* Odd and smaller than a record, so that records are received in parts. */
#define RECEIVE_BYTES 5003

static void note_error(struct tls_end *end, ssize_t result)
{
    if (result < 0 && result != -EAGAIN && end->error == 0)
        end->error = (int)result;
}

static void receive(struct tls_end *end)
{
    while (!end->is_at_end && end->error == 0 && end->stream->bits & STREAM_READABLE) {
        char bytes[RECEIVE_BYTES];
        ssize_t n = stream_recv(end->stream, bytes, sizeof(bytes));
        note_error(end, n);
        end->is_at_end = n == 0;
        if (n > 0)
            note_error(end, buf_append(&end->received, slice_from(bytes, (size_t)n)));
    }
}

static void send_rest(struct tls_end *end)
{
    while (!slice_is_empty(end->to_send) && end->error == 0 && end->stream->bits & STREAM_WRITABLE) {
        ssize_t n = stream_send(end->stream, end->to_send);
        note_error(end, n);
        end->to_send = slice_skip(end->to_send, n > 0 ? (size_t)n : 0);
    }
    if (slice_is_empty(end->to_send) && end->ends_when_sent && !end->has_ended && end->error == 0) {
        int result = stream_shutdown(end->stream);
        note_error(end, result);
        end->has_ended = result == 0;
    }
}

void tls_end_tick(struct tls_end *end)
{
    if (!(end->stream->bits & (STREAM_OPEN | STREAM_FAILED)))
        return;
    if (end->stream->bits & STREAM_OPEN) {
        send_rest(end);
        if (!end->is_paused)
            receive(end);
    }
    if (end->stream->bits & STREAM_FAILED)
        note_error(end, end->stream->error);
}

void tls_end_on_event(struct stream *stream, unsigned new_bits)
{
    struct tls_end *end = stream->owner;
    expect_true(new_bits != 0 && (stream->bits & new_bits) == new_bits);
    end->n_events++;
    if (end->closes_at_once) {
        stream_close(TAKE(end->stream));
        return;
    }
    tls_end_tick(end);
}

void tls_end_deinit(struct tls_end *end)
{
    stream_close(end->stream);
    buf_deinit(&end->received);
    *end = (struct tls_end){.stream = NULL};
}

int tls_link_init(struct tls_link *link, const struct tls_link_options *options)
{
    *link = (struct tls_link){.sim = NULL};
    int result = sim_new(NULL, &link->sim, &link->loop);
    if (result == 0)
        result = sim_pair(link->sim, options->ways, &link->lower_client, &link->lower_server);
    if (result < 0)
        return result;
    result = tls_accept(link->lower_server, options->server, (struct slice){.ptr = NULL}, tls_end_on_event,
                        &link->server, &link->server.stream);
    if (result < 0) {
        stream_close(link->lower_client);
        return result;
    }
    result = tls_connect(link->lower_client, options->client, options->name ? options->name : "a.test",
                         tls_end_on_event, &link->client, &link->client.stream);
    expect_int(link->client.n_events + link->server.n_events, 0);
    return result;
}

void tls_link_run(struct tls_link *link)
{
    sim_run_for(link->sim, NSEC_PER_SEC);
}

void tls_link_deinit(struct tls_link *link)
{
    tls_end_deinit(&link->client);
    tls_end_deinit(&link->server);
    loop_free(link->loop);
}

struct tls_config *tls_server_of(const struct tls_options *options)
{
    struct tls_config *config = NULL;
    struct err err = {.text = ""};
    (void)tls_config_new_server(options, &config, &err);
    expect_str(err.text, "");
    return config;
}

struct tls_config *tls_client_of(const struct tls_options *options)
{
    struct tls_config *config = NULL;
    struct err err = {.text = ""};
    (void)tls_config_new_client(options, &config, &err);
    expect_str(err.text, "");
    return config;
}
