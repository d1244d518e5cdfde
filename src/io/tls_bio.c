/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BIO (OpenSSL's idea of a source and sink) on a stream. The lower stream's readiness bits are asked before the lower
 * stream is: OpenSSL always tries once more than there is data, and that would be a system call each time.
 */
#include "io/tls_bio.h"

#include <errno.h>

static int bio_read(BIO *bio, char *ret_bytes, size_t len, size_t *ret_len)
{
    struct tls_bio *self = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    len = min_size(len, self->n_left);
    if (self->early.len > 0 && len > 0) {
        *ret_len = min_size(len, self->early.len);
        memcpy(ret_bytes, self->early.ptr, *ret_len);
        buf_consume(&self->early, *ret_len);
        if (self->early.len == 0)
            buf_deinit(&self->early);
        self->n_left -= *ret_len;
        return 1;
    }
    bool may_read = len > 0 && self->lower->bits & STREAM_READABLE;
    ssize_t n = may_read ? stream_recv(self->lower, ret_bytes, len) : -EAGAIN;
    if (n > 0) {
        *ret_len = (size_t)n;
        self->n_left -= (size_t)n;
        return 1;
    }
    if (n == -EAGAIN)
        BIO_set_retry_read(bio);
    else if (n == 0)
        self->is_ended = true;
    else
        self->error = (int)n;
    return -1;
}

static int bio_write(BIO *bio, const char *bytes, size_t len, size_t *ret_len)
{
    struct tls_bio *self = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    struct slice rest = slice_from(bytes, len);
    if (tls_bio_is_flushed(self) && (self->lower->bits & STREAM_WRITABLE)) {
        ssize_t n = stream_send(self->lower, rest);
        if (n < 0 && n != -EAGAIN) {
            self->error = (int)n;
            return -1;
        }
        rest = slice_skip(rest, n > 0 ? (size_t)n : 0);
    }
    int result = slice_is_empty(rest) ? 0 : buf_append(&self->out, rest);
    if (result < 0) {
        self->error = result;
        return -1;
    }
    *ret_len = len;
    return 1;
}

/* OpenSSL asks for a flush after each flight; all that can be sent has been. Everything else it may ask is answered 0.
 */
static long bio_ctrl(BIO *bio, int command, long number, void *ptr)
{
    (void)bio;
    (void)number;
    (void)ptr;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *tls_bio_method_new(void)
{
    /* No number from BIO_get_new_index: there are about a hundred, and each reload of certificates would use one up. */
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "muster stream");
    if (!method)
        return NULL;
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    BIO_meth_set_create(method, bio_create);
    return method;
}

int tls_bio_init(struct tls_bio *self, struct stream *lower, struct slice early)
{
    *self = (struct tls_bio){.lower = lower, .out = {.limit = TLS_BIO_OUT_MAX}, .n_left = SIZE_MAX};
    return slice_is_empty(early) ? 0 : buf_append(&self->early, early);
}

void tls_bio_deinit(struct tls_bio *self)
{
    buf_deinit(&self->early);
    buf_deinit(&self->out);
}

BIO *tls_bio_wrap(struct tls_bio *self, const BIO_METHOD *method)
{
    BIO *bio = BIO_new(method);
    if (bio)
        BIO_set_data(bio, self);
    return bio;
}

int tls_bio_flush(struct tls_bio *self)
{
    while (!tls_bio_is_flushed(self) && (self->lower->bits & STREAM_WRITABLE)) {
        ssize_t n = stream_send(self->lower, buf_slice(&self->out));
        if (n == -EAGAIN)
            return 0;
        if (n < 0)
            return (int)n;
        buf_consume(&self->out, (size_t)n);
    }
    if (tls_bio_is_flushed(self))
        buf_deinit(&self->out);
    return 0;
}
