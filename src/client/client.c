/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include "base/util.h"
#include "wire/http.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_ADDRESSES "http://127.0.0.1:2379"

const char *muster_version(void)
{
    return MUSTER_VERSION;
}

/* Copies text, which may be NULL. 0 or -ENOMEM. */
static int copy_text(const char *text, char **ret_copy)
{
    if (!text)
        return 0;
    char *copy = slice_dup(slice_from_str(text));
    if (!copy)
        return -ENOMEM;
    *ret_copy = copy;
    return 0;
}

/* Fills client->addresses; what is not usable is remembered for the calls. */
static void parse_addresses(struct muster_client *client, const char *list)
{
    struct slice rest = slice_from_str(list);
    while (!slice_is_empty(rest) && client->options_result == MUSTER_OK) {
        struct slice item;
        rest = slice_split(rest, ',', &item);
        if (client->n_addresses == CLIENT_ADDRESSES_MAX) {
            client->options_result = MUSTER_BAD_OPTIONS;
            err_set(&client->options_error, 0, "more than %d addresses", CLIENT_ADDRESSES_MAX);
        } else if (address_parse(item, &client->addresses[client->n_addresses], &client->options_error) < 0) {
            client->options_result = MUSTER_BAD_OPTIONS;
        } else {
            client->n_addresses++;
        }
    }
    if (client->n_addresses == 0 && client->options_result == MUSTER_OK) {
        client->options_result = MUSTER_BAD_OPTIONS;
        err_set(&client->options_error, 0, "the list of addresses is empty");
    }
}

static const char *choose_addresses(const struct muster_options *options)
{
    const char *from_environment = getenv("MUSTER_ADDR");
    if (options->addresses)
        return options->addresses;
    return from_environment && *from_environment ? from_environment : DEFAULT_ADDRESSES;
}

/* NULL: none. It stands in a field of a request's head, so not all bytes are good. */
static const char *choose_token(struct muster_client *client, const struct muster_options *options)
{
    const char *token = options->version >= 2 ? options->token : NULL;
    if (!token)
        token = getenv("MUSTER_TOKEN");
    if (!token || !*token || http_is_field_value(slice_from_str(token)))
        return token && *token ? token : NULL;
    client->options_result = MUSTER_BAD_OPTIONS;
    err_set(&client->options_error, 0, "the token has bytes that no token has");
    return NULL;
}

int muster_client_new(const struct muster_options *options, struct muster_client **ret_client)
{
    static const struct muster_options defaults = MUSTER_OPTIONS_INIT;
    *ret_client = NULL;
    struct muster_client *client = calloc(1, sizeof(*client));
    if (!client)
        return MUSTER_OUT_OF_MEMORY;
    if (options && (options->version < 1 || options->version > MUSTER_OPTIONS_VERSION)) {
        client->options_result = MUSTER_BAD_OPTIONS;
        err_set(&client->options_error, 0, "muster_options.version is %u; this library knows up to %d",
                options->version, MUSTER_OPTIONS_VERSION);
        options = NULL;
    }
    if (!options)
        options = &defaults;
    const char *token = choose_token(client, options);
    client->timeout_ns = options->timeout_ms * NSEC_PER_MSEC;
    if (client->options_result == MUSTER_OK)
        parse_addresses(client, choose_addresses(options));
    if (copy_text(options->ca_file, &client->ca_file) < 0 || copy_text(options->cert_file, &client->cert_file) < 0 ||
        copy_text(options->key_file, &client->key_file) < 0 || copy_text(token, &client->token) < 0) {
        muster_client_free(client);
        return MUSTER_OUT_OF_MEMORY;
    }
    *ret_client = client;
    return MUSTER_OK;
}

void muster_client_free(struct muster_client *client)
{
    if (!client)
        return;
    free(client->ca_file);
    free(client->cert_file);
    free(client->key_file);
    free(client->token);
    free(client);
}

const char *muster_error(const struct muster_client *client)
{
    return client->error.text;
}

int client_fail(struct muster_client *client, int result, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(&client->error, result, "%s", text);
}

static void format_address(const struct address *address, char ret_text[ADDRESS_HOST_MAX + 32])
{
    const char *colons = strchr(address->host, ':');
    if (address->scheme == ADDRESS_UNIX)
        snprintf(ret_text, ADDRESS_HOST_MAX + 32, "unix:%s", address->host);
    else
        snprintf(ret_text, ADDRESS_HOST_MAX + 32, "%s://%s%s%s:%s", address->scheme == ADDRESS_HTTPS ? "https" : "http",
                 colons ? "[" : "", address->host, colons ? "]" : "", address->port);
}

/*
 * Connects to the first address that can be reached, each having an equal share of the time left. Says of all of them
 * why not, when there is none.
 */
static int connect_any(struct muster_client *client, nsec_t deadline_ns, const struct address **ret_address,
                       struct conn **ret_conn)
{
    const struct conn_files files = {client->ca_file, client->cert_file, client->key_file};
    client->error.text[0] = '\0';
    for (unsigned i = 0; i < client->n_addresses; i++) {
        const struct address *address = &client->addresses[i];
        nsec_t now_ns = conn_now();
        nsec_t share_ns = (deadline_ns - now_ns) / (client->n_addresses - i);
        struct err err = {""};
        int r = conn_open(address, &files, now_ns + share_ns, ret_conn, &err);
        if (r == 0) {
            *ret_address = address;
            client->error.text[0] = '\0';
            return MUSTER_OK;
        }
        if (r == -ENOMEM)
            return client_fail(client, MUSTER_OUT_OF_MEMORY, "out of memory");
        char text[ADDRESS_HOST_MAX + 32];
        format_address(address, text);
        err_set(&client->error, 0, "%s%s%s: %s", client->error.text, i > 0 ? "; " : "", text, err.text);
        if (r == -EINVAL)
            return MUSTER_BAD_OPTIONS;
    }
    return MUSTER_UNREACHABLE;
}

static int result_of(int error)
{
    switch (error) {
    case -ENOMEM:
        return MUSTER_OUT_OF_MEMORY;
    case -ETIMEDOUT:
        return MUSTER_TIMED_OUT;
    case -ECANCELED:
        return MUSTER_STOPPED;
    default:
        return MUSTER_BAD_ANSWER;
    }
}

int client_ask(struct muster_client *client, const char *method, const char *path, http_body_fn on_body, void *ctx,
               unsigned *ret_status)
{
    client->error = client->options_error;
    if (client->options_result != MUSTER_OK)
        return client->options_result;

    struct conn *conn CLEANUP(conn_closep) = NULL;
    const struct address *address = NULL;
    nsec_t deadline_ns = conn_now() + client->timeout_ns;
    int result = connect_any(client, deadline_ns, &address, &conn);
    if (result != MUSTER_OK)
        return result;

    char text[ADDRESS_HOST_MAX + 32];
    format_address(address, text);
    const char *host = address->scheme == ADDRESS_UNIX ? "localhost" : strstr(text, "://") + 3;
    struct err err = {""};
    const struct http_question question = {method, host, path, client->token};
    int r = http_ask(conn, &question, on_body, ctx, ret_status, &err);
    if (r < 0)
        return client_fail(client, result_of(r), "%s: %s", text, r == -ENOMEM ? "out of memory" : err.text);
    return MUSTER_OK;
}

static int append(void *ctx, unsigned status, struct slice piece, struct err *err)
{
    (void)status;
    struct buf *body = ctx;
    int r = buf_append(body, piece);
    return r == -EMSGSIZE ? err_set(err, r, "the answer is longer than %zu bytes", body->limit) : r;
}

int client_ask_all(struct muster_client *client, const char *method, const char *path, struct buf *body,
                   unsigned *ret_status)
{
    return client_ask(client, method, path, append, body, ret_status);
}
