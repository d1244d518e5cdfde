/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ciphertext side of a TLS stream: what OpenSSL reads from and writes to, on top of the lower stream.
 *
 * A write by OpenSSL never waits: what the lower stream does not take now is kept here, within a limit. So no call into
 * OpenSSL ever stops in the middle of a record and has to be repeated with the very same bytes, and its owner has one
 * question to ask before it writes more: tls_bio_is_flushed.
 */
#pragma once

#include "base/buf.h"
#include "io/stream.h"

#include <openssl/bio.h>

/*
 * Owners write no more than a record at a time and only when all is flushed. What may pile up behind it is OpenSSL's
 * own: a handshake flight with our certificates, alerts. A peer that provokes more and reads none is cut off.
 */
#define TLS_BIO_OUT_MAX (128 * 1024)

struct tls_bio {
    struct stream *lower;
    struct buf early; /* bytes that were read before there was TLS; given to OpenSSL first */
    struct buf out;   /* what the lower stream has not taken yet; owns no memory when empty */
    size_t n_left;    /* so many bytes may be read before the owner sets it anew */
    int error;        /* the first failure of the lower stream or of ours, as -errno */
    bool is_ended;    /* the lower stream gave its end */
};

/* The method of all such BIOs, to be freed after the last of them; NULL when out of memory. */
BIO_METHOD *tls_bio_method_new(void);

/* Copies `early`. 0 or -ENOMEM. */
int tls_bio_init(struct tls_bio *self, struct stream *lower, struct slice early);
void tls_bio_deinit(struct tls_bio *self); /* the lower stream is left alone */

/* A BIO on it, for SSL_set_bio; NULL when out of memory. */
BIO *tls_bio_wrap(struct tls_bio *self, const BIO_METHOD *method);

/* Sends what waits. 0 (perhaps with bytes left), or -errno. */
int tls_bio_flush(struct tls_bio *self);

static inline bool tls_bio_is_flushed(const struct tls_bio *self)
{
    return self->out.len == 0;
}

/* OpenSSL would find something if it read: bytes, the end or an error. */
static inline bool tls_bio_is_readable(const struct tls_bio *self)
{
    return self->early.len > 0 || (self->lower->bits & STREAM_READABLE);
}
