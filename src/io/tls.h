/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS over any stream, behind the stream interface.
 *
 * A tls_config is immutable and reference-counted: certificates are reloaded by making a new one and publishing it;
 * connections keep the one they began with. One config serves all threads.
 */
#pragma once

#include "base/err.h"
#include "io/stream.h"

struct tls_config;

/* A certificate with its key, both PEM files, offered to clients that ask (SNI) for one of the certificate's names. */
struct tls_identity {
    const char *cert_file;
    const char *key_file;
};

enum tls_peer_check {
    TLS_PEER_IGNORE,   /* do not ask for / do not verify the other side's certificate */
    TLS_PEER_OPTIONAL, /* server: ask, verify when one is given */
    TLS_PEER_REQUIRE,  /* server: refuse clients without one; client: verify the server (its name too) */
};

struct tls_options {
    const struct tls_identity *identities; /* the first is the default one; a client may have none */
    size_t n_identities;
    const char *ca_file; /* trusted authorities; NULL: the system's */
    enum tls_peer_check peer_check;
    const char *const *alpn; /* in order of preference, NULL-terminated; NULL: none */
};

/* 0, or -errno with the reason (the file, what is wrong with it) in err. */
int tls_config_new_server(const struct tls_options *options, struct tls_config **ret_config, struct err *err);
int tls_config_new_client(const struct tls_options *options, struct tls_config **ret_config, struct err *err);
struct tls_config *tls_config_ref(struct tls_config *config);
struct tls_config *tls_config_unref(struct tls_config *config); /* returns NULL */
void tls_config_unrefp(struct tls_config **config);

/*
 * Both take the lower stream over (on failure it is closed). The handshake runs by itself; STREAM_OPEN comes when it is
 * done. `early` are bytes already read from the lower stream (by whoever looked at the first byte); they are copied.
 */
int tls_accept(struct stream *lower, struct tls_config *config, struct slice early, stream_event_fn on_event, void *owner,
               struct stream **ret_stream);
/* server_name: for SNI and for verification; a name or an IP address. */
int tls_connect(struct stream *lower, struct tls_config *config, const char *server_name, stream_event_fn on_event,
                void *owner, struct stream **ret_stream);

/* What was agreed; valid while the stream is open. Empty for streams that are not TLS or have none. */
bool stream_is_tls(const struct stream *stream);
struct slice tls_alpn(const struct stream *stream);
struct slice tls_server_name(const struct stream *stream);
/* The verified client certificate's subject common name (or first DNS name); empty when none was given. */
struct slice tls_peer_name(const struct stream *stream);
/* Why the handshake or the connection failed, for a log line; "" when it did not. */
const char *tls_error_text(const struct stream *stream);
