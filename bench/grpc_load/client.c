/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nghttp2 speaks HTTP/2; this carries its bytes. A connection on which something was written is on the `dirty` list
 * and is flushed at the beginning of the next turn, however many calls wrote on it: the load generator shares the
 * machine with the server, so that it must be cheap itself.
 *
 * Windows are so large that no server ever waits for us; a client that is slow is not what is measured here.
 */
#include "client.h"

#include "base/assert.h"
#include "base/list.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define INPUT_BYTES (256u << 10)
#define N_EVENTS    64

#define STREAM_WINDOW (16 << 20)
#define CONN_WINDOW   (1 << 30)

/* Flag (1 byte) and length (4, most significant first) of a gRPC message. */
#define PREFIX_BYTES 5

#define LISTEN_DEADLINE (120 * NSEC_PER_SEC)

struct client {
    int epoll_fd;
    struct sockaddr_in address;
    char authority[32];
    struct list dirty;
    nghttp2_session_callbacks *callbacks;
    char *input; /* shared by all connections */
};

struct conn {
    struct client *client;
    int fd;
    nghttp2_session *session;
    struct buf out; /* what the socket did not take */
    bool wants_out; /* EPOLLOUT is armed */
    struct list dirty_node;
};

nsec_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (nsec_t)now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

static void mark_dirty(struct conn *conn)
{
    if (!list_is_linked(&conn->dirty_node))
        list_push_back(&conn->client->dirty, &conn->dirty_node);
}

/* ------------------------------------------------------------------------------------------------ what arrives */

static void hand_out_messages(struct call *call)
{
    size_t at = 0;
    while (call->in.len - at >= PREFIX_BYTES) {
        const unsigned char *prefix = (const unsigned char *)call->in.ptr + at;
        size_t len = (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4];
        if (call->in.len - at - PREFIX_BYTES < len)
            break;
        call->on_message(call, slice_from(prefix + PREFIX_BYTES, len));
        at += PREFIX_BYTES + len;
    }
    buf_consume(&call->in, at);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t len,
                   void *user)
{
    (void)flags, (void)user;
    struct call *call = nghttp2_session_get_stream_user_data(session, stream_id);
    if (buf_append(&call->in, slice_from(data, len)) < 0)
        errx(EXIT_FAILURE, "out of memory");
    hand_out_messages(call);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
    (void)flags, (void)user;
    struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    struct slice field = slice_from(name, name_len), content = slice_from(value, value_len);
    uint64_t status;
    if (slice_equal_str(field, "grpc-status")) {
        if (slice_parse_u64(content, &status) < 0)
            errx(EXIT_FAILURE, "%s: a status that is no number", call->path);
        call->status = (int)status;
    } else if (slice_equal_str(field, "grpc-message")) {
        size_t n = min_size(value_len, sizeof(call->error) - 1);
        memcpy(call->error, value, n);
        call->error[n] = '\0';
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user)
{
    (void)user;
    struct call *call = nghttp2_session_get_stream_user_data(session, stream_id);
    if (error_code != NGHTTP2_NO_ERROR || call->status != 0)
        errx(EXIT_FAILURE, "%s: status %d, HTTP/2 error %u: %s", call->path, call->status, error_code, call->error);
    if (call->is_stream)
        errx(EXIT_FAILURE, "%s: the server ended the stream", call->path);
    call->on_end(call);
    return 0;
}

static void receive(struct conn *conn)
{
    ssize_t n = read(conn->fd, conn->client->input, INPUT_BYTES);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        errx(EXIT_FAILURE, "the server closed the connection%s%s", n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
    ssize_t r = nghttp2_session_mem_recv(conn->session, (const uint8_t *)conn->client->input, (size_t)n);
    if (r < 0)
        errx(EXIT_FAILURE, "HTTP/2: %s", nghttp2_strerror((int)r));
    mark_dirty(conn);
}

/* ------------------------------------------------------------------------------------------------ what is sent */

static void want_out(struct conn *conn, bool wants)
{
    if (conn->wants_out == wants)
        return;
    conn->wants_out = wants;
    struct epoll_event event = {.events = EPOLLIN | (wants ? EPOLLOUT : 0), .data.ptr = conn};
    if (epoll_ctl(conn->client->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) < 0)
        err(EXIT_FAILURE, "epoll_ctl");
}

static void flush(struct conn *conn)
{
    const uint8_t *data;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(conn->session, &data)) > 0)
        if (buf_append(&conn->out, slice_from(data, (size_t)n)) < 0)
            errx(EXIT_FAILURE, "out of memory");
    if (n < 0)
        errx(EXIT_FAILURE, "HTTP/2: %s", nghttp2_strerror((int)n));
    if (conn->out.len == 0)
        return;
    ssize_t sent = send(conn->fd, conn->out.ptr, conn->out.len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        err(EXIT_FAILURE, "send");
    buf_consume(&conn->out, sent > 0 ? (size_t)sent : 0);
    want_out(conn, conn->out.len > 0);
}

static ssize_t read_out(nghttp2_session *session, int32_t stream_id, uint8_t *room, size_t n_room, uint32_t *flags,
                        nghttp2_data_source *source, void *user)
{
    (void)session, (void)stream_id, (void)user;
    struct call *call = source->ptr;
    size_t n = min_size(n_room, call->out.len - call->n_sent);
    if (n == 0 && call->is_stream) {
        call->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    memcpy(room, call->out.ptr + call->n_sent, n);
    call->n_sent += n;
    if (call->n_sent == call->out.len) {
        buf_reset(&call->out);
        call->n_sent = 0;
        if (!call->is_stream)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)n;
}

static nghttp2_nv field_of(const char *name, const char *value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value,
        .namelen = strlen(name),
        .valuelen = strlen(value),
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
    };
}

void call_open(struct call *call, struct conn *conn, const char *path, bool is_stream)
{
    call->conn = conn;
    call->path = path;
    call->is_stream = is_stream;
    call->is_deferred = false;
    call->status = -1;
    call->error[0] = '\0';
    call->n_sent = 0;
    buf_reset(&call->out);
    buf_reset(&call->in);

    const nghttp2_nv fields[] = {
        field_of(":method", "POST"), field_of(":scheme", "http"),
        field_of(":path", path),     field_of(":authority", conn->client->authority),
        field_of("te", "trailers"),  field_of("content-type", "application/grpc"),
    };
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_out};
    call->stream_id = nghttp2_submit_request(conn->session, NULL, fields, ARRAY_LEN(fields), &body, call);
    if (call->stream_id < 0)
        errx(EXIT_FAILURE, "HTTP/2: %s", nghttp2_strerror(call->stream_id));
    mark_dirty(conn);
}

struct buf *call_begin(struct call *call)
{
    char *room;
    if (buf_reserve(&call->out, PREFIX_BYTES, &room) < 0)
        errx(EXIT_FAILURE, "out of memory");
    call->begin = call->out.len;
    buf_commit(&call->out, PREFIX_BYTES);
    return &call->out;
}

void call_send(struct call *call)
{
    if (buf_error(&call->out) < 0)
        errx(EXIT_FAILURE, "out of memory");
    uint32_t len = htonl((uint32_t)(call->out.len - call->begin - PREFIX_BYTES));
    call->out.ptr[call->begin] = 0;
    memcpy(call->out.ptr + call->begin + 1, &len, sizeof(len));
    if (call->is_deferred) {
        call->is_deferred = false;
        nghttp2_session_resume_data(call->conn->session, call->stream_id);
        mark_dirty(call->conn);
    }
}

void call_deinit(struct call *call)
{
    buf_deinit(&call->in);
    buf_deinit(&call->out);
}

/* ------------------------------------------------------------------------------------------------ life */

struct client *client_new(uint16_t port)
{
    struct client *client = calloc(1, sizeof(*client));
    if (!client || !(client->input = malloc(INPUT_BYTES)) || nghttp2_session_callbacks_new(&client->callbacks) < 0)
        errx(EXIT_FAILURE, "out of memory");
    client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (client->epoll_fd < 0)
        err(EXIT_FAILURE, "epoll_create1");
    client->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    snprintf(client->authority, sizeof(client->authority), "127.0.0.1:%u", port);
    list_init(&client->dirty);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(client->callbacks, on_data);
    nghttp2_session_callbacks_set_on_header_callback(client->callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(client->callbacks, on_stream_close);
    return client;
}

void client_free(struct client *client)
{
    ASSERT(list_is_empty(&client->dirty));
    nghttp2_session_callbacks_del(client->callbacks);
    close(client->epoll_fd);
    free(client->input);
    free(client);
}

/* A server that is just starting does not listen yet. */
static int connect_patiently(const struct sockaddr_in *address)
{
    nsec_t deadline = now_ns() + LISTEN_DEADLINE;
    for (;;) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(EXIT_FAILURE, "socket");
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
            return fd;
        if (errno != ECONNREFUSED || now_ns() > deadline)
            err(EXIT_FAILURE, "connect");
        close(fd);
        nanosleep(&(struct timespec){.tv_nsec = NSEC_PER_MSEC}, NULL);
    }
}

static void begin_session(struct conn *conn)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
    };
    if (nghttp2_session_client_new(&conn->session, conn->client->callbacks, conn) < 0 ||
        nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) < 0 ||
        nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW) < 0)
        errx(EXIT_FAILURE, "out of memory");
}

struct conn *conn_open(struct client *client)
{
    struct conn *conn = calloc(1, sizeof(*conn));
    if (!conn)
        errx(EXIT_FAILURE, "out of memory");
    conn->client = client;
    conn->fd = connect_patiently(&client->address);
    list_init(&conn->dirty_node);
    begin_session(conn);

    const int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    if (fcntl(conn->fd, F_SETFL, O_NONBLOCK) < 0 ||
        setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) < 0)
        err(EXIT_FAILURE, "a connection's socket");
    mark_dirty(conn);
    return conn;
}

void conn_close(struct conn *conn)
{
    list_remove(&conn->dirty_node);
    nghttp2_session_del(conn->session);
    close(conn->fd);
    buf_deinit(&conn->out);
    free(conn);
}

bool client_turn(struct client *client, int timeout_ms)
{
    list_for_each (node, &client->dirty) {
        list_remove(node);
        flush(container_of(node, struct conn, dirty_node));
    }
    struct epoll_event events[N_EVENTS];
    int n = epoll_wait(client->epoll_fd, events, N_EVENTS, timeout_ms);
    if (n < 0 && errno != EINTR)
        err(EXIT_FAILURE, "epoll_wait");
    for (int i = 0; i < n; i++) {
        struct conn *conn = events[i].data.ptr;
        if (events[i].events & EPOLLOUT)
            mark_dirty(conn);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(conn);
    }
    return n > 0;
}
