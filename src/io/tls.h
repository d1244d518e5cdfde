/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS over any stream, behind the stream interface.
 *
 * A tls_config is immutable and reference-counted: certificates are reloaded by making a new one and publishing it;
 * connections keep the one they began with. One config serves all threads.
 *
 * TLS 1.2 and 1.3, ciphers with forward secrecy and authenticated encryption only; no compression, no renegotiation,
 * no data before the handshake is done. Servers hand out session tickets, which are good for the config they come from.
 *
 * The end of a stream. stream_shutdown sends close_notify and ends the lower stream's sending side; receiving goes on.
 * stream_close alone sends no close_notify: it is how a message that cannot be completed is cut. Likewise, a peer's
 * close_notify is the end (stream_recv gives 0), and its end without one fails the stream with -ECONNRESET: a body that
 * is delimited by the close may have been cut by anyone on the way.
 *
 * Failures: -ECONNRESET as above; -EKEYREJECTED when we refuse the peer's certificate, or that there is none; -EPROTO
 * when either side finds fault with the other's TLS; what the lower stream failed with. tls_error_text has the words.
 */
#pragma once

#include "base/err.h"
#include "io/stream.h"

struct tls_config;

/*
 * A certificate (followed by its chain, if any) with its key, both PEM files. A server offers it to clients that ask
 * (SNI) for one of the DNS names in the certificate, of which "*.x" covers one label; a whole name goes before a "*".
 */
struct tls_identity {
    const char *cert_file;
    const char *key_file;
};

enum tls_peer_check {
    TLS_PEER_IGNORE,   /* do not ask for / do not verify the other side's certificate */
    TLS_PEER_OPTIONAL, /* server: ask, verify when one is given; client: the same as REQUIRE */
    TLS_PEER_REQUIRE,  /* server: refuse clients without one; client: verify the server (its name too) */
};

struct tls_options {
    const struct tls_identity *identities; /* the first is the default one; a client has none or one */
    size_t n_identities;
    const char *ca_file; /* trusted authorities; NULL: the system's, which only a client may rely on */
    enum tls_peer_check peer_check;
    const char *const *alpn; /* in order of preference, NULL-terminated; NULL: none */
};

/*
 * 0, or -errno with the reason in err: the file and what is wrong with it. Reads files: not for a worker's thread.
 * Server: a client that offers ALPN protocols, but none of `alpn`, is refused.
 */
int tls_config_new_server(const struct tls_options *options, struct tls_config **ret_config, struct err *err);
int tls_config_new_client(const struct tls_options *options, struct tls_config **ret_config, struct err *err);
struct tls_config *tls_config_ref(struct tls_config *config);
struct tls_config *tls_config_unref(struct tls_config *config); /* returns NULL */
void tls_config_unrefp(struct tls_config **config);

/*
 * Both take the lower stream over (on failure it is closed). The handshake runs by itself; STREAM_OPEN comes when it is
 * done, never from inside these calls. There is no deadline: it is the owner's. `early` are bytes already read from the
 * lower stream (by whoever looked at the first byte); they are copied.
 */
int tls_accept(struct stream *lower, struct tls_config *config, struct slice early, stream_event_fn on_event,
               void *owner, struct stream **ret_stream);
/* The lower stream may still be connecting. server_name: for SNI and for verification; a name or an IP address. */
int tls_connect(struct stream *lower, struct tls_config *config, const char *server_name, stream_event_fn on_event,
                void *owner, struct stream **ret_stream);

/* What was agreed; valid while the stream is open. Empty for streams that are not TLS or have none. */
bool stream_is_tls(const struct stream *stream);
struct slice tls_alpn(const struct stream *stream);
struct slice tls_server_name(const struct stream *stream);
/* The verified client certificate's subject common name (or first DNS name); empty when none was given. */
struct slice tls_peer_name(const struct stream *stream);
/* Why the handshake or the connection failed, for a log line; "" when it did not. Valid until the stream is closed. */
const char *tls_error_text(const struct stream *stream);
