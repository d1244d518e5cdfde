/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS stream: OpenSSL between the owner's bytes and a lower stream, see tls_bio.h for that side.
 *
 * Three parties may make it move: the lower stream's events, the owner's calls, and once at the start a task of the
 * loop, so that nothing is told from inside tls_accept and tls_connect.
 *
 * Invariants, once open:
 * 1. WRITABLE is cleared only while ciphertext waits for the lower stream, or OpenSSL for bytes of the peer before it
 * can write; the lower stream's event that ends the wait sets it again.
 * 2. READABLE is cleared only when the lower stream is not readable either, so its next event tells of new bytes.
 * 3. A call by the owner never calls the owner back: failures found in it are returned, and the bits set silently.
 */
#include "io/tls.h"

#include "base/assert.h"
#include "io/tls_bio.h"
#include "io/tls_config.h"
#include "io/tls_error.h"
#include "io/tls_name.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>

/*
 * Of ciphertext, in one call: records may be as small as a byte, or change keys, of which OpenSSL takes any number on
 * its own, and others want their turn, too. A peer that says so much without a byte for the owner has nothing to say.
 */
enum { RECV_BYTES_MAX = 128 * 1024 };

struct tls_stream {
    struct stream stream;
    struct tls_bio bio;
    struct tls_config *config;
    SSL *ssl;
    struct loop_task start;
    char *peer_name;     /* NULL: none */
    struct err *failure; /* made when there is something to tell */
    size_t n_barren;     /* bytes of ciphertext in which there was nothing for the owner, since there was */
    bool write_waits;    /* for bytes of the peer: half of a message of TLS itself has come */
};

static struct tls_stream *tls_of(struct stream *stream)
{
    return container_of(stream, struct tls_stream, stream);
}

/* Where the words for a failure go; NULL without memory for them: then the code alone must do. */
static struct err *failure_words(struct tls_stream *tls)
{
    if (!tls->failure)
        tls->failure = calloc(1, sizeof(*tls->failure));
    return tls->failure;
}

/* The lower stream, or the BIO on it, failed. */
static int judge_below(struct tls_stream *tls, int error)
{
    if (error == -EMSGSIZE)
        return err_set(failure_words(tls), -EPROTO, "the peer provokes answers and does not read them");
    return err_set_errno(failure_words(tls), error, "the connection below TLS failed");
}

/*
 * What a call into OpenSSL came to: 0 when it did what it should, -EAGAIN when it waits for the peer, or else the
 * failure, which is put into words.
 */
static int judge(struct tls_stream *tls, int ret)
{
    int outcome = SSL_get_error(tls->ssl, ret);
    if (outcome == SSL_ERROR_NONE)
        return 0;
    if (outcome == SSL_ERROR_WANT_READ)
        return -EAGAIN;
    if (outcome == SSL_ERROR_SSL)
        return tls_error_take_peer(failure_words(tls), tls->ssl);
    if (tls->bio.error < 0)
        return judge_below(tls, tls->bio.error);
    if (tls->stream.bits & STREAM_OPEN)
        return err_set(failure_words(tls), -ECONNRESET,
                       "the peer's bytes ended without a close_notify: they may be cut");
    return err_set(failure_words(tls), -ECONNRESET, "the peer closed the connection during the TLS handshake");
}

static bool can_write(const struct tls_stream *tls)
{
    return tls_bio_is_flushed(&tls->bio) && !tls->write_waits;
}

static bool can_read(const struct tls_stream *tls)
{
    return SSL_has_pending(tls->ssl) || tls_bio_is_readable(&tls->bio);
}

static int flush(struct tls_stream *tls)
{
    int result = tls_bio_flush(&tls->bio);
    return result < 0 ? judge_below(tls, result) : 0;
}

/* -- Receiving -- */

/* Of one record at most: bytes, 0 at the end, -EAGAIN, or the failure. */
static ssize_t read_record(struct tls_stream *tls, char *ret_bytes, size_t len)
{
    size_t n_read = 0;
    ERR_clear_error();
    int ret = SSL_read_ex(tls->ssl, ret_bytes, len, &n_read);
    if (ret == 1)
        return (ssize_t)n_read;
    if (SSL_get_error(tls->ssl, ret) == SSL_ERROR_ZERO_RETURN) {
        tls->stream.bits |= STREAM_PEER_DONE;
        return 0;
    }
    int result = judge(tls, ret);
    return result == -EAGAIN ? result : stream_broke(&tls->stream, result);
}

/* Of as many records as there are and fit, within bio.n_left. */
static ssize_t read_records(struct tls_stream *tls, char *ret_bytes, size_t len)
{
    size_t n_read = 0;
    while (n_read < len && tls->bio.n_left > 0) {
        ssize_t n = read_record(tls, ret_bytes + n_read, len - n_read);
        if (n <= 0 && n != -EAGAIN) /* the end or a failure is told again when asked again */
            return n_read > 0 ? (ssize_t)n_read : n;
        n_read += n > 0 ? (size_t)n : 0;
        bool is_dry = n > 0 ? !can_read(tls) : tls->bio.n_left > 0;
        if (is_dry)
            tls->stream.bits &= (unsigned short)~STREAM_READABLE;
        if (is_dry || n < 0)
            break;
    }
    return n_read > 0 ? (ssize_t)n_read : -EAGAIN;
}

static ssize_t tls_recv(struct stream *stream, void *ret_bytes, size_t len)
{
    struct tls_stream *tls = tls_of(stream);
    ASSERT(len > 0);
    if (!(stream->bits & STREAM_OPEN))
        return stream->bits & STREAM_FAILED ? stream->error : -EAGAIN;
    /* When it is the lower stream that failed, what came before is still there, perhaps the peer's reason. */
    if (stream->bits & STREAM_FAILED && !(tls->bio.lower->bits & STREAM_FAILED))
        return stream->error;

    tls->bio.n_left = RECV_BYTES_MAX;
    ssize_t n = read_records(tls, ret_bytes, len);
    tls->n_barren = n == -EAGAIN ? tls->n_barren + RECV_BYTES_MAX - tls->bio.n_left : 0;
    tls->bio.n_left = SIZE_MAX;
    if (tls->n_barren >= RECV_BYTES_MAX)
        return stream_broke(stream, err_set(failure_words(tls), -EPROTO, "the peer talks about TLS and says nothing"));
    return n;
}

/* -- Sending -- */

/* The bytes of an owner's call, taken off record by record. */
struct pieces {
    const struct iovec *iov;
    int n_iov;
    size_t offset; /* into the first */
};

/*
 * The next bytes for a record, empty at the end. Small pieces are joined in `scratch`, so that a head and a small body
 * travel as one record; a piece that fills a record, or is the last, is taken where it is.
 */
static struct slice next_record(struct pieces *pieces, char scratch[SSL3_RT_MAX_PLAIN_LENGTH])
{
    size_t len = 0;
    while (pieces->n_iov > 0 && len < SSL3_RT_MAX_PLAIN_LENGTH) {
        const char *piece = (const char *)pieces->iov->iov_base + pieces->offset;
        size_t rest = pieces->iov->iov_len - pieces->offset;
        size_t n = min_size(rest, SSL3_RT_MAX_PLAIN_LENGTH - len);
        pieces->offset += n;
        if (n == rest) {
            pieces->iov++;
            pieces->n_iov--;
            pieces->offset = 0;
        }
        if (len == 0 && (n == SSL3_RT_MAX_PLAIN_LENGTH || pieces->n_iov == 0))
            return slice_from(piece, n);
        if (n > 0) /* an empty piece may have no address */
            memcpy(scratch + len, piece, n);
        len += n;
    }
    return slice_from(scratch, len);
}

/* 0, -EAGAIN, or the failure. All or nothing: the BIO takes whole records. */
static int write_record(struct tls_stream *tls, struct slice record)
{
    size_t n_written = 0;
    ERR_clear_error();
    int result = judge(tls, SSL_write_ex(tls->ssl, record.ptr, record.len, &n_written));
    ASSERT(result != 0 || n_written == record.len);
    tls->write_waits = result == -EAGAIN;
    return result;
}

static ssize_t tls_sendv(struct stream *stream, const struct iovec *iov, int n_iov)
{
    struct tls_stream *tls = tls_of(stream);
    if (stream->bits & STREAM_FAILED)
        return stream->error;
    if (!(stream->bits & STREAM_OPEN))
        return -EAGAIN;
    if (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN)
        return -EPIPE;

    char scratch[SSL3_RT_MAX_PLAIN_LENGTH];
    struct pieces pieces = {.iov = iov, .n_iov = n_iov};
    size_t n_sent = 0;
    int result = flush(tls);
    while (result == 0 && can_write(tls)) {
        struct slice record = next_record(&pieces, scratch);
        if (slice_is_empty(record))
            break;
        result = write_record(tls, record);
        n_sent += result == 0 ? record.len : 0;
    }
    if (result < 0 && result != -EAGAIN)
        result = stream_broke(stream, result);
    else if (!can_write(tls))
        stream->bits &= (unsigned short)~STREAM_WRITABLE;
    if (n_sent > 0)
        return (ssize_t)n_sent;
    return result < 0 || can_write(tls) ? result : -EAGAIN;
}

/* -- Ending -- */

static int send_end(struct tls_stream *tls)
{
    if (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN)
        return 0;
    ERR_clear_error();
    if (SSL_in_init(tls->ssl)) { /* OpenSSL has no close_notify in the middle of a message of TLS itself */
        int result = judge(tls, SSL_do_handshake(tls->ssl));
        tls->write_waits = result == -EAGAIN;
        if (result < 0)
            return result;
    }
    int ret = SSL_shutdown(tls->ssl);
    return ret >= 0 ? 0 : judge(tls, ret); /* 0 says that the peer has not ended yet */
}

static int tls_shutdown(struct stream *stream)
{
    struct tls_stream *tls = tls_of(stream);
    if (stream->bits & STREAM_FAILED)
        return stream->error;
    if (!(stream->bits & STREAM_OPEN))
        return -EAGAIN;

    int result = send_end(tls);
    if (result == 0)
        result = flush(tls);
    if (result < 0 && result != -EAGAIN)
        return stream_broke(stream, result);
    if (!can_write(tls)) {
        stream->bits &= (unsigned short)~STREAM_WRITABLE;
        return -EAGAIN;
    }
    return stream_shutdown(tls->bio.lower);
}

/* Also of a half-built one. */
static void tls_close(struct stream *stream)
{
    struct tls_stream *tls = tls_of(stream);
    loop_undefer(&tls->start);
    SSL_free(tls->ssl);
    stream_close(tls->bio.lower);
    tls_bio_deinit(&tls->bio);
    tls_config_unref(tls->config);
    free(tls->peer_name);
    free(tls->failure);
    free(tls);
}

static const struct stream_ops tls_ops = {
    .name = "tls",
    .recv = tls_recv,
    .sendv = tls_sendv,
    .shutdown = tls_shutdown,
    .close = tls_close,
};

/* -- Events of the lower stream. Whatever tells the owner comes last: the stream may be gone afterwards. -- */

/* Only servers have a use for the name, and only names that an authority vouches for are names. */
static int remember_peer(struct tls_stream *tls)
{
    if (!tls->config->is_server || tls->config->peer_check == TLS_PEER_IGNORE)
        return 0;
    X509 *cert = SSL_get0_peer_certificate(tls->ssl);
    int result = cert ? tls_name_of_peer(cert, &tls->peer_name) : 0;
    return result < 0 ? err_set_errno(failure_words(tls), result, "cannot accept the client's certificate") : 0;
}

static void shake_hands(struct tls_stream *tls)
{
    ERR_clear_error();
    int result = judge(tls, SSL_do_handshake(tls->ssl));
    if (result == 0)
        result = remember_peer(tls);
    if (result == -EAGAIN)
        return;
    if (result < 0) {
        stream_fail(&tls->stream, result);
        return;
    }
    unsigned bits = STREAM_OPEN | (tls->bio.lower->bits & STREAM_PEER_DONE);
    if (can_read(tls))
        bits |= STREAM_READABLE;
    if (can_write(tls))
        bits |= STREAM_WRITABLE;
    stream_raise(&tls->stream, bits);
}

static void pass_on(struct tls_stream *tls, unsigned new_bits)
{
    unsigned bits = new_bits & (STREAM_READABLE | STREAM_PEER_DONE);
    if (new_bits & STREAM_READABLE)
        tls->write_waits = false;
    if (can_write(tls))
        bits |= STREAM_WRITABLE;
    stream_raise(&tls->stream, bits);
}

static void on_lower_event(struct stream *lower, unsigned new_bits)
{
    struct tls_stream *tls = lower->owner;
    if (tls->stream.bits & STREAM_FAILED)
        return;
    int result = flush(tls);
    bool is_open = tls->stream.bits & STREAM_OPEN;
    /* A handshake also goes on when the lower stream failed: the peer's reason may have come before. */
    if (result == 0 && !is_open && lower->bits & STREAM_OPEN)
        shake_hands(tls);
    else if (result == 0 && lower->bits & STREAM_FAILED)
        stream_fail(&tls->stream, judge_below(tls, lower->error));
    else if (result < 0)
        stream_fail(&tls->stream, result);
    else if (is_open)
        pass_on(tls, new_bits);
}

static void on_start(struct loop_task *task)
{
    struct tls_stream *tls = container_of(task, struct tls_stream, start);
    on_lower_event(tls->bio.lower, 0);
}

/* -- Making -- */

/* Takes the lower stream over, on failure too. */
static int stream_new(struct stream *lower, struct tls_config *config, struct slice early, stream_event_fn on_event,
                      void *owner, struct tls_stream **ret_tls)
{
    struct tls_stream *tls = calloc(1, sizeof(*tls));
    if (!tls) {
        stream_close(lower);
        return -ENOMEM;
    }
    tls->stream = (struct stream){.ops = &tls_ops, .loop = lower->loop, .on_event = on_event, .owner = owner};
    tls->config = tls_config_ref(config);
    loop_task_init(&tls->start, on_start);
    lower->on_event = on_lower_event;
    lower->owner = tls;
    int result = tls_bio_init(&tls->bio, lower, early);
    ERR_clear_error();
    tls->ssl = SSL_new(config->context);
    BIO *bio = tls->ssl ? tls_bio_wrap(&tls->bio, config->bio_method) : NULL;
    if (result < 0 || !bio) {
        BIO_free(bio);
        stream_close(&tls->stream);
        return -ENOMEM;
    }
    SSL_set_bio(tls->ssl, bio, bio);
    *ret_tls = tls;
    return 0;
}

int tls_accept(struct stream *lower, struct tls_config *config, struct slice early, stream_event_fn on_event,
               void *owner, struct stream **ret_stream)
{
    ASSERT(config->is_server);
    struct tls_stream *tls;
    int result = stream_new(lower, config, early, on_event, owner, &tls);
    if (result < 0)
        return result;
    SSL_set_accept_state(tls->ssl);
    loop_defer(lower->loop, &tls->start);
    *ret_stream = &tls->stream;
    return 0;
}

/* RFC 6066, 3: no SNI for an address. An empty name would switch the check off, so there is none. */
static int expect_server(struct tls_stream *tls, const char *name)
{
    unsigned char ip[sizeof(struct in6_addr)];
    bool is_ip = inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
    ERR_clear_error();
    if (name[0] == '\0' || (!is_ip && SSL_set_tlsext_host_name(tls->ssl, name) != 1))
        return -EINVAL;
    if (tls->config->peer_check == TLS_PEER_IGNORE)
        return 0;
    SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int result = is_ip ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), name) : SSL_set1_host(tls->ssl, name);
    return result == 1 ? 0 : -ENOMEM;
}

int tls_connect(struct stream *lower, struct tls_config *config, const char *server_name, stream_event_fn on_event,
                void *owner, struct stream **ret_stream)
{
    ASSERT(!config->is_server);
    struct tls_stream *tls;
    int result = stream_new(lower, config, (struct slice){.ptr = NULL}, on_event, owner, &tls);
    if (result < 0)
        return result;
    SSL_set_connect_state(tls->ssl);
    result = expect_server(tls, server_name);
    if (result < 0) {
        stream_close(&tls->stream);
        return result;
    }
    loop_defer(lower->loop, &tls->start);
    *ret_stream = &tls->stream;
    return 0;
}

/* -- Asking -- */

bool stream_is_tls(const struct stream *stream)
{
    return stream->ops == &tls_ops;
}

/* NULL when it is not TLS. */
static const struct tls_stream *tls_if(const struct stream *stream)
{
    _Static_assert(offsetof(struct tls_stream, stream) == 0, "a stream that is TLS is the start of a tls_stream");
    return stream_is_tls(stream) ? (const struct tls_stream *)stream : NULL;
}

static struct slice slice_or_empty(const char *str)
{
    return str ? slice_from_str(str) : (struct slice){.ptr = NULL};
}

struct slice tls_alpn(const struct stream *stream)
{
    const struct tls_stream *tls = tls_if(stream);
    const unsigned char *name = NULL;
    unsigned len = 0;
    if (tls)
        SSL_get0_alpn_selected(tls->ssl, &name, &len);
    return slice_from(name, len);
}

struct slice tls_server_name(const struct stream *stream)
{
    const struct tls_stream *tls = tls_if(stream);
    return slice_or_empty(tls ? SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name) : NULL);
}

struct slice tls_peer_name(const struct stream *stream)
{
    const struct tls_stream *tls = tls_if(stream);
    return slice_or_empty(tls ? tls->peer_name : NULL);
}

const char *tls_error_text(const struct stream *stream)
{
    const struct tls_stream *tls = tls_if(stream);
    if (!tls || !(stream->bits & STREAM_FAILED))
        return "";
    return tls->failure ? tls->failure->text : "out of memory";
}
