/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client behind the handle of muster.h, and how its calls ask the server.
 *
 * Every function of muster.h takes the client's lock (client_lock) for as long as it touches the client.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/random.h"
#include "client/ask.h"
#include "muster.h"

#include <jansson.h>

#define CLIENT_ADDRESSES_MAX 16

/* The longest answer that is read as one JSON. */
#define CLIENT_ANSWER_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct follow;

struct muster_client {
    struct driver driver;
    struct err error;   /* of the last call */
    int options_result; /* MUSTER_OK, or what every call returns because the options are not usable */
    struct err options_error;
    nsec_t timeout_ns;
    char *ca_file, *cert_file, *key_file;
    struct conn_files files; /* the same */
    char *token;             /* NULL: none */
    unsigned n_addresses;
    struct address addresses[CLIENT_ADDRESSES_MAX];
    struct random random;
    struct follow *follow;     /* the stream of what is followed; NULL: nothing was yet */
    struct list registrations; /* those that are not freed */
    size_t n_uses;             /* the program's, one of each handle and of a running service: with the last it ends */
};

void client_lock(struct muster_client *client);
void client_unlock(struct muster_client *client);

/* A use more, under the lock; one less, without it. */
void client_ref(struct muster_client *client);
void client_unref(struct muster_client *client);

#define CLIENT_SERVICE_MAX 255 /* bytes of a name */
#define CLIENT_ID_MAX      1024

/*
 * Whether the program did not give what it must: then its call is to end with MUSTER_BAD_OPTIONS, and the client, which
 * may be NULL itself, has it in words. Without the lock.
 */
bool client_misses(struct muster_client *client, const char *what, bool is_given);
bool client_misses_name(struct muster_client *client, const char *what, const char *name, size_t len_max);
bool client_misses_service(struct muster_client *client, const char *service);

/* The same of a call that waits, under the lock: MUSTER_OK, MUSTER_IN_CALLBACK. */
int client_refuse_in_callback(struct muster_client *client, const char *what);

/* A question to the addresses of the client, with its time-out; the rest is to be filled in. */
struct ask_question client_question(const struct muster_client *client, const char *method, const char *path);

/*
 * Asks and waits for the end of the answer. A muster_result; when it is not MUSTER_OK client->error says why.
 * -ECANCELED from on_body is MUSTER_STOPPED. Under the lock.
 */
int client_ask(struct muster_client *client, const struct ask_question *question, unsigned *ret_status);

/* The same, with the answer's body appended to `body`, whose limit holds. */
int client_ask_all(struct muster_client *client, const struct ask_question *question, struct buf *body,
                   unsigned *ret_status);

/*
 * The same, with an answer that is JSON. A status from 400 on is MUSTER_NOT_FOUND (404), MUSTER_TIMED_OUT (504) or
 * MUSTER_REFUSED (403 and others), with the server's reason.
 */
int client_ask_json(struct muster_client *client, const struct ask_question *question, json_t **ret_tree);
/* The same for what a path alone asks for; its end is appended. */
int client_ask_path(struct muster_client *client, struct buf *path, json_t **ret_tree);

/* What the server said instead of doing it, from a body that is a problem (RFC 9457) or words. A muster_result. */
int client_refused(unsigned status, struct slice body, struct err *err);

/* Sets the error of the call and gives `result` back. */
int client_fail(struct muster_client *client, int result, const char *fmt, ...) PRINTF_LIKE(3, 4);
int client_fail_memory(struct muster_client *client);
/* An answer that could not be read: -ENOMEM, or it was none. */
int client_fail_answer(struct muster_client *client, int r);

/* Appends text with everything but letters, digits, '-', '.', '_' as %XX: right in any part of a URL. */
void client_append_escaped(struct buf *out, struct slice text);

/* Members of an object; false when it is missing or of another type. Texts are the tree's. */
bool client_read_text(const json_t *object, const char *name, const char **ret_text);
bool client_read_number(const json_t *object, const char *name, int64_t *ret_number);
