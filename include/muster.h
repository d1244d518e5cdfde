/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmuster: how a C or C++ program talks to a muster registry.
 *
 *     struct muster_client *client;
 *     struct muster_status *status;
 *     if (muster_client_new(NULL, &client) != MUSTER_OK)
 *         return out_of_memory();
 *     if (muster_get_status(client, &status) == MUSTER_OK)
 *         printf("muster %s, up for %lld ms\n", status->version, (long long)status->uptime_ms);
 *     else
 *         fprintf(stderr, "%s\n", muster_error(client));
 *     muster_status_free(status);
 *     muster_client_free(client);
 *
 * Threads: a client belongs to one thread at a time; different clients are independent of each other. The library has
 * no threads, no global state and installs no signal handlers; it never raises SIGPIPE, never writes to the program's
 * output and never ends the program.
 *
 * Ownership: what a function gives through a `ret_` argument belongs to the caller, who frees it with the function
 * named beside it. Strings inside a result live as long as the result. Arguments are copied.
 *
 * Growth: structs that the library gives out may get new members at their end, and struct muster_options tells by its
 * version which members its program knows; a program keeps working with a newer library without being built again.
 */
#ifndef MUSTER_H
#define MUSTER_H

#include <stddef.h>
#include <stdint.h>

#define MUSTER_VERSION "0.1.0"

#if defined(__GNUC__)
#define MUSTER_API __attribute__((visibility("default")))
#else
#define MUSTER_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* What every call returns. Anything but MUSTER_OK leaves ret_ arguments NULL. */
enum muster_result {
    MUSTER_OK = 0,
    MUSTER_OUT_OF_MEMORY = -1,
    MUSTER_BAD_OPTIONS = -2, /* an address or a certificate file of the options is not usable */
    MUSTER_UNREACHABLE = -3, /* no address of the list took the connection in time */
    MUSTER_TIMED_OUT = -4,   /* connected, but no whole answer came in time */
    MUSTER_BAD_ANSWER = -5,  /* the connection broke in the middle, or the answer is none that a muster gives */
    MUSTER_REFUSED = -6,     /* the server would not do it: muster_error says why */
    MUSTER_STOPPED = -7      /* a function of the caller's ended the call */
};

/* The version of the library that runs (MUSTER_VERSION is that of this header). Static. Any thread. */
MUSTER_API const char *muster_version(void);

struct muster_options {
    unsigned version; /* MUSTER_OPTIONS_VERSION, set by MUSTER_OPTIONS_INIT */
    /*
     * Where muster listens: "http://HOST:PORT", "https://HOST:PORT" or "unix:/PATH", several separated by commas, tried
     * in order. NULL: the environment variable MUSTER_ADDR, or http://127.0.0.1:2379 when there is none.
     */
    const char *addresses;
    unsigned timeout_ms;   /* for a whole call; only the look-up of a host name may take longer */
    const char *ca_file;   /* https: PEM file of the authorities to trust; NULL: the system's */
    const char *cert_file; /* https: PEM file of the certificate to show; NULL: none */
    const char *key_file;  /* https: PEM file of its key; NULL: it is in cert_file */
    /* since version 2: */
    /* Of a user, where the server wants one (POST /v3/auth/authenticate). NULL: $MUSTER_TOKEN, or none. */
    const char *token;
};

#define MUSTER_OPTIONS_VERSION 2
#define MUSTER_OPTIONS_INIT                                                                                            \
    {                                                                                                                  \
        MUSTER_OPTIONS_VERSION, NULL, 5000, NULL, NULL, NULL, NULL                                                     \
    }

struct muster_client;

/*
 * Makes a client; options may be NULL for the defaults. It does not connect yet. Options that are not usable are told
 * by the first call that needs them (MUSTER_BAD_OPTIONS), so that there is a client to ask for the reason. MUSTER_OK or
 * MUSTER_OUT_OF_MEMORY. Free it with muster_client_free.
 */
MUSTER_API int muster_client_new(const struct muster_options *options, struct muster_client **ret_client);

/* NULL is fine. */
MUSTER_API void muster_client_free(struct muster_client *client);

/* What went wrong in the last call on this client, in words; "" when it went well. Valid until the next call. */
MUSTER_API const char *muster_error(const struct muster_client *client);

struct muster_listener {
    const char *role;      /* "registry" or "gateway" */
    const char *address;   /* "127.0.0.1:2379", "unix:/run/muster.sock" */
    const char *protocols; /* "HTTP/1.1, HTTP/2" */
};

struct muster_worker {
    uint64_t n_connections;
};

struct muster_status {
    const char *version; /* of the server */
    const char *role;    /* "registry", "gateway" or "all" */
    int64_t pid;
    int64_t uptime_ms;
    int ready;             /* 1 or 0 */
    const char *not_ready; /* why not; "" when ready */
    uint64_t memory_bytes; /* resident */
    size_t n_listeners;
    const struct muster_listener *listeners;
    size_t n_workers;
    const struct muster_worker *workers;
};

/* How the server is. Free the result with muster_status_free. */
MUSTER_API int muster_get_status(struct muster_client *client, struct muster_status **ret_status);

/* NULL is fine. */
MUSTER_API void muster_status_free(struct muster_status *status);

/*
 * A copy of the server's store, as `muster store restore` takes it, piece by piece; it is whole when the call returns
 * MUSTER_OK. fn gives 0 to go on. A server with much to copy needs its time: options.timeout_ms is for the whole.
 */
typedef int (*muster_piece_fn)(void *ctx, const void *bytes, size_t len);
MUSTER_API int muster_store_snapshot(struct muster_client *client, muster_piece_fn fn, void *ctx);

/*
 * Has the store forget the history before a revision; 0: before the newest. Gives that revision through ret_revision,
 * which may be NULL. MUSTER_REFUSED: it is forgotten already, or has not come yet.
 */
MUSTER_API int muster_store_compact(struct muster_client *client, int64_t revision, int64_t *ret_revision);

struct muster_note {
    const char *what;   /* "changed", "expired", "revoked" or "deleted" */
    int64_t revision;   /* of the change */
    int64_t wall_ms;    /* when: milliseconds since 1970, UTC */
    const char *lease;  /* expired, revoked: of which lease, in hexadecimal; else "" */
    int64_t silence_ms; /* expired: how long it had been silent */
    const void *key;    /* not of a note about the lease itself */
    size_t key_len;
    const char *actor; /* who; "" when that is not known */
    const char *cause; /* why; often "" */
};

struct muster_why {
    int exists; /* 1 or 0: the key, now; 0 for leases */
    size_t n_notes;
    const struct muster_note *notes; /* oldest first */
};

/*
 * When and why a key went, or who changed it last; the same of a lease (hexadecimal) and of the keys that went with it.
 * Free the result with muster_why_free.
 */
MUSTER_API int muster_store_why_key(struct muster_client *client, const void *key, size_t key_len,
                                    struct muster_why **ret_why);
MUSTER_API int muster_store_why_lease(struct muster_client *client, const char *lease, struct muster_why **ret_why);

/* NULL is fine. */
MUSTER_API void muster_why_free(struct muster_why *why);

#ifdef __cplusplus
}
#endif

#endif
