/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients and server connections around a relay do what they like, in any order: send in pieces, answer early, with too
 * much or too little, break off. Whatever they do, no byte of one request or answer may get into another one: each
 * request that a server connection sees is whole and follows a whole one, and each answer that a client sees is whole
 * and its own.
 */
#include "support/relay_kit.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

enum { CLIENTS = 4, SERVERS_MAX = 2000, IDS_MAX = 4000, BODY_MAX = 3000, STEPS = 6000, ROUNDS = 12 };

/* Takes the messages of one way of a connection apart. */
struct reader {
    struct buf in;
    struct http1_body body;
    unsigned id;
    unsigned status; /* of an answer */
    size_t n_body;
    bool has_head, is_whole;
};

/* One that sends a message in pieces. */
struct writer {
    struct buf out;
    size_t n_sent;
};

struct client {
    struct stream *stream; /* NULL: not connected */
    struct reader reader;
    struct writer writer;
    unsigned id; /* of the request that runs; 0: none */
};

struct server {
    struct stream *stream; /* NULL: closed */
    struct reader reader;
    struct writer writer;
    bool is_answering;
    bool is_cut;     /* to be closed behind what is sent */
    bool is_spoiled; /* by bytes behind an answer: no other request may come */
};

struct round {
    uint64_t seed;
    struct sim *sim;
    struct loop *loop;
    struct http_server *http;
    struct relay_kit relay;
    struct client clients[CLIENTS];
    struct server servers[SERVERS_MAX];
    int n_servers;
    unsigned n_ids, n_whole;
    size_t answer_bytes[IDS_MAX]; /* SIZE_MAX: cut off, or not begun */
};

static struct round *the_round;
static struct http_fields fields;

static bool one_in(unsigned n)
{
    return test_random(&the_round->seed) % n == 0;
}

static size_t below(size_t n)
{
    return (size_t)(test_random(&the_round->seed) % n);
}

/* Never a character of a head. */
static char byte_of(unsigned id)
{
    return (char)(128 + id % 101);
}

static int connect_server(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event,
                          void *owner, struct stream **ret_stream)
{
    const struct sim_options network = {.connect_ns = 1 + below(1000)};
    (void)loop, (void)addr, (void)deadline_ns;
    expect_true(the_round->n_servers < SERVERS_MAX);
    struct server *server = &the_round->servers[the_round->n_servers++];
    return sim_connect(the_round->sim, &network, on_event, owner, ret_stream, &server->stream);
}

/* -- reading -- */

static unsigned id_in(const struct http_fields *head)
{
    uint64_t id = 0;
    const struct http_field *field = http_fields_get_name(head, SLICE_LIT("x-id"));
    if (field)
        expect_int(slice_parse_u64(field->value, &id), 0);
    return (unsigned)id;
}

/* True when a head was there. */
static bool read_head(struct reader *reader, bool is_request)
{
    const struct http1_limits limits = {.head_bytes = 4096, .target_bytes = 100, .n_fields = 50};
    struct http_request request;
    struct http_response response;
    struct http1_fault fault;
    size_t n = http1_head_end(buf_slice(&reader->in), 0);
    if (n == 0)
        return false;
    struct slice head = slice_from(reader->in.ptr, n);
    if (is_request) {
        expect_int(http1_parse_request(head, &limits, &fields, &request, &fault), 0);
        http1_body_init(&reader->body, request.framing, request.content_length);
    } else {
        expect_int(http1_parse_response(head, &limits, HTTP_METHOD_POST, &fields, &response, &fault), 0);
        http1_body_init(&reader->body, response.framing, response.content_length);
        reader->status = response.status;
    }
    reader->id = id_in(&fields);
    reader->n_body = 0;
    reader->has_head = is_request || reader->status >= 200;
    buf_consume(&reader->in, n);
    return true;
}

static void read_body(struct reader *reader)
{
    struct slice data;
    struct http1_fault fault;
    enum http1_body_step step;
    do {
        size_t n = 0;
        step = http1_body_step(&reader->body, buf_slice(&reader->in), &data, &n, &fields, &fault);
        expect_true(step != HTTP1_BODY_BAD);
        for (size_t i = 0; step == HTTP1_BODY_DATA && reader->id != 0 && i < data.len; i++)
            expect_int(data.ptr[i], byte_of(reader->id));
        if (step == HTTP1_BODY_DATA)
            reader->n_body += data.len;
        if (step == HTTP1_BODY_TRAILERS)
            expect_int(id_in(&fields), reader->id);
        buf_consume(&reader->in, n);
    } while (step == HTTP1_BODY_DATA || step == HTTP1_BODY_TRAILERS);
    reader->is_whole = step == HTTP1_BODY_END;
}

/* What has come; false: an end or a failure. */
static bool receive(struct reader *reader, struct stream *stream)
{
    char *room;
    size_t n_room = 1 + below(2000);
    expect_int(buf_reserve(&reader->in, n_room, &room), 0);
    ssize_t n = stream_recv(stream, room, n_room);
    if (n > 0)
        buf_commit(&reader->in, (size_t)n);
    return n > 0 || n == -EAGAIN;
}

static void reader_reset(struct reader *reader)
{
    struct buf in = reader->in;
    *reader = (struct reader){.in = in};
}

/* -- writing -- */

/* Head and body; a body of unknown length has chunks and a trailer. */
static void write_message(struct writer *writer, const char *start, unsigned id, size_t len)
{
    bool is_chunked = one_in(2);
    char body[BODY_MAX];
    memset(body, byte_of(id), sizeof(body));
    buf_reset(&writer->out);
    writer->n_sent = 0;
    expect_int(buf_printf(&writer->out, "%s\r\nx-id: %u\r\nhost: h\r\n", start, id), 0);
    if (!is_chunked) {
        expect_int(buf_printf(&writer->out, "content-length: %zu\r\n\r\n", len), 0);
        expect_int(buf_append(&writer->out, slice_from(body, len)), 0);
        return;
    }
    expect_int(buf_append_str(&writer->out, "transfer-encoding: chunked\r\n\r\n"), 0);
    for (size_t n = 0; len > 0; len -= n) {
        n = 1 + below(len);
        expect_int(buf_printf(&writer->out, "%zx\r\n%.*s\r\n", n, (int)n, body), 0);
    }
    expect_int(buf_printf(&writer->out, "0\r\nx-id: %u\r\n\r\n", id), 0);
}

static bool is_written(const struct writer *writer)
{
    return writer->n_sent == writer->out.len;
}

static void send_some(struct writer *writer, struct stream *stream, size_t n_max)
{
    size_t n = min_size(n_max, writer->out.len - writer->n_sent);
    ssize_t sent = n > 0 ? stream_send(stream, slice_from(writer->out.ptr + writer->n_sent, n)) : 0;
    if (sent > 0)
        writer->n_sent += (size_t)sent;
}

/* -- a client -- */

static void client_close(struct client *client)
{
    stream_close(TAKE(client->stream));
    buf_reset(&client->reader.in);
    reader_reset(&client->reader);
    client->id = 0;
}

static void client_connect(struct round *round, struct client *client)
{
    static const size_t pieces[] = {700, 1, 60, 0};
    struct stream *stream;
    const struct sim_options network = {.to_b.pieces = one_in(2) ? NULL : pieces};
    expect_int(sim_pair(round->sim, &network, &client->stream, &stream), 0);
    http_server_adopt(round->http, stream, &(struct peer){.family = AF_INET});
}

static void client_read(struct round *round, struct client *client)
{
    struct reader *reader = &client->reader;
    while (!reader->has_head && read_head(reader, false))
        continue;
    if (!reader->has_head)
        return;
    read_body(reader);
    if (!reader->is_whole)
        return;
    if (reader->id != 0) {
        expect_int(reader->id, client->id);
        expect_int(reader->n_body, round->answer_bytes[client->id]);
        round->n_whole++;
    } else {
        expect_true(reader->status >= 400);
    }
    reader_reset(reader);
    if (is_written(&client->writer))
        client->id = 0;
    else
        client_close(client); /* what it still had to say is of no interest any more */
}

static void client_step(struct round *round, struct client *client)
{
    if (!client->stream)
        client_connect(round, client);
    if (client->id == 0 && one_in(3)) {
        client->id = ++round->n_ids;
        expect_true(client->id < IDS_MAX);
        round->answer_bytes[client->id] = SIZE_MAX;
        write_message(&client->writer, one_in(2) ? "POST / HTTP/1.1" : "PUT /x HTTP/1.1", client->id, below(BODY_MAX));
    }
    if (client->id != 0)
        send_some(&client->writer, client->stream, 1 + below(1500));
    if (client->id != 0 && one_in(80)) {
        client_close(client);
        return;
    }
    bool is_open = receive(&client->reader, client->stream);
    client_read(round, client);
    if (!is_open && client->stream)
        client_close(client);
}

/* -- a connection at the server -- */

static void server_close(struct server *server)
{
    stream_close(TAKE(server->stream));
}

static void answer(struct round *round, struct server *server)
{
    static const char more[] = "HTTP/1.1 200 OK\r\nx-id: 1\r\ncontent-length: 0\r\n\r\n";
    unsigned id = server->reader.id;
    size_t len = below(BODY_MAX);
    struct buf *out = &server->writer.out;
    server->is_answering = true;
    round->answer_bytes[id] = len;
    if (one_in(8))
        write_message(&server->writer, "HTTP/1.1 200 OK\r\nconnection: close", id, len);
    else
        write_message(&server->writer, "HTTP/1.1 200 OK", id, len);
    if (one_in(10)) {
        server->is_cut = true;
        out->len = below(out->len);
        round->answer_bytes[id] = SIZE_MAX;
    } else if (one_in(10)) {
        server->is_spoiled = true;
        expect_int(buf_append_str(out, more), 0);
        send_some(&server->writer, server->stream, SIZE_MAX);
    }
}

static void server_answer(struct round *round, struct server *server)
{
    struct reader *reader = &server->reader;
    if (reader->has_head && !server->is_answering && one_in(reader->is_whole ? 3 : 60))
        answer(round, server);
    if (!server->is_answering)
        return;
    send_some(&server->writer, server->stream, 1 + below(1500));
    if (!is_written(&server->writer))
        return;
    if (server->is_cut)
        server_close(server);
}

static void server_step(struct round *round, struct server *server)
{
    struct reader *reader = &server->reader;
    if (!server->stream)
        return;
    bool is_open = receive(reader, server->stream);
    if (reader->is_whole && server->is_answering && is_written(&server->writer) && reader->in.len > 0) {
        expect_false(server->is_spoiled);
        server->is_answering = false;
        reader_reset(reader);
    }
    if (!reader->has_head && read_head(reader, true))
        expect_true(reader->id != 0 && !server->is_answering);
    if (reader->has_head && !reader->is_whole)
        read_body(reader);
    else if (reader->is_whole)
        expect_int(reader->in.len, 0); /* the next request does not come before the answer was sent */
    if (is_open)
        server_answer(round, server);
    else
        server_close(server);
}

/* -- all of them -- */

static void round_free(struct round *round)
{
    for (int i = 0; i < CLIENTS; i++) {
        stream_close(round->clients[i].stream);
        buf_deinit(&round->clients[i].reader.in);
        buf_deinit(&round->clients[i].writer.out);
    }
    sim_run_for(round->sim, 0);
    http_server_free(round->http);
    relay_kit_deinit(&round->relay);
    for (int i = 0; i < round->n_servers; i++) {
        stream_close(round->servers[i].stream);
        buf_deinit(&round->servers[i].reader.in);
        buf_deinit(&round->servers[i].writer.out);
    }
    loop_free(round->loop);
    free(round);
}

static void play(uint64_t seed)
{
    struct pool_options options;
    struct http_server_options server_options;
    struct addr addr = {.len = sizeof(struct sockaddr_in), .v4 = {.sin_family = AF_INET}};
    struct round *round = calloc(1, sizeof(*round));
    expect_true(round != NULL);
    the_round = round;
    round->seed = seed;
    pool_options_init(&options);
    options.connect = connect_server;
    http_server_options_init(&server_options);
    expect_int(sim_new(NULL, &round->sim, &round->loop), 0);
    relay_kit_init(&round->relay, round->loop, &options, &addr);
    expect_int(http_server_new(round->loop, &server_options, &round->relay.handler, NULL, 0, &round->http), 0);

    for (int i = 0; i < STEPS; i++) {
        size_t who = below(CLIENTS + 8);
        if (who < CLIENTS)
            client_step(round, &round->clients[who]);
        else if (round->n_servers > 0) /* mostly one of the youngest, which are those that are open */
            server_step(round,
                        &round->servers[(size_t)round->n_servers - 1 - below(min_size((size_t)round->n_servers, 12))]);
        if (one_in(2))
            sim_run_for(round->sim, below(3) * NSEC_PER_MSEC);
    }
    expect_true(round->n_whole > 20);
    struct pool_stats stats;
    pool_get_stats(round->relay.pool, &stats);
    expect_true(stats.n_reused > 10);
    round_free(round);
}

static void messages_stay_apart(void)
{
    uint64_t seed = test_seed();
    for (int i = 0; i < ROUNDS; i++)
        play(test_random(&seed));
}

static const struct test_case cases[] = {
    {"messages stay apart, whatever their peers do", messages_stay_apart},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
