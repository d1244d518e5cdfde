/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options that are not usable do not fail the constructor, which could not say why: they are remembered, and each call
 * fails with the reason. A call that waits is a task like all others, only waited for, so heartbeats and streams go on
 * meanwhile.
 */
#include "client/client.h"

#include "base/util.h"
#include "client/follow.h"
#include "wire/chars.h"
#include "wire/http.h"
#include "wire/json.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_ADDRESSES  "http://127.0.0.1:2379"
#define DEFAULT_TIMEOUT_NS (5 * NSEC_PER_SEC)

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

static int init(struct muster_client *client, const struct muster_options *options)
{
    client->n_uses = 1;
    list_init(&client->registrations);
    client->driver.epoll_fd = client->driver.event_fd = -1;
    int r = driver_init(&client->driver);
    if (r == 0)
        r = random_init_system(&client->random);
    if (r < 0 && r != -ENOMEM) { /* told by the first call, as the caller has nobody to ask yet */
        client->options_result = MUSTER_BAD_OPTIONS;
        r = err_set_errno(&client->options_error, 0, "cannot begin");
    }
    const char *token = choose_token(client, options);
    client->timeout_ns = options->timeout_ms > 0 ? options->timeout_ms * NSEC_PER_MSEC : DEFAULT_TIMEOUT_NS;
    if (client->options_result == MUSTER_OK)
        parse_addresses(client, choose_addresses(options));
    if (r == 0 &&
        (copy_text(options->ca_file, &client->ca_file) < 0 || copy_text(options->cert_file, &client->cert_file) < 0 ||
         copy_text(options->key_file, &client->key_file) < 0 || copy_text(token, &client->token) < 0))
        r = -ENOMEM;
    client->files = (struct conn_files){client->ca_file, client->cert_file, client->key_file};
    return r;
}

int muster_client_new(const struct muster_options *options, struct muster_client **ret_client)
{
    static const struct muster_options defaults = MUSTER_OPTIONS_INIT;
    if (!ret_client)
        return MUSTER_BAD_OPTIONS;
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
    if (init(client, options ? options : &defaults) < 0) {
        client_unref(client);
        return MUSTER_OUT_OF_MEMORY;
    }
    *ret_client = client;
    return MUSTER_OK;
}

void client_ref(struct muster_client *client)
{
    client->n_uses++;
}

void client_unref(struct muster_client *client)
{
    client_lock(client);
    bool is_used = --client->n_uses > 0;
    client_unlock(client);
    if (is_used)
        return;
    follow_free(client->follow);
    driver_deinit(&client->driver);
    free(client->ca_file);
    free(client->cert_file);
    free(client->key_file);
    free(client->token);
    free(client);
}

void muster_client_free(struct muster_client *client)
{
    if (!client)
        return;
    client_lock(client);
    bool is_refused = client_refuse_in_callback(client, "free the client") != MUSTER_OK;
    client_unlock(client);
    if (is_refused)
        return;
    muster_client_stop(client);
    client_unref(client);
}

const char *muster_error(const struct muster_client *client)
{
    return client ? client->error.text : "client: expected one, not NULL";
}

void client_lock(struct muster_client *client)
{
    driver_lock(&client->driver);
}

void client_unlock(struct muster_client *client)
{
    driver_unlock(&client->driver);
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

int client_fail_memory(struct muster_client *client)
{
    return client_fail(client, MUSTER_OUT_OF_MEMORY, "out of memory");
}

int client_fail_answer(struct muster_client *client, int r)
{
    return r == -ENOMEM ? client_fail_memory(client)
                        : client_fail(client, MUSTER_BAD_ANSWER, "the answer is none that a muster gives");
}

/* ------------------------------------------------------------------------------------------------ mistakes */

static bool refuse(struct muster_client *client, const char *what, const char *expected)
{
    if (client) {
        client_lock(client);
        (void)client_fail(client, MUSTER_BAD_OPTIONS, "%s: expected %s", what, expected);
        client_unlock(client);
    }
    return true;
}

bool client_misses(struct muster_client *client, const char *what, bool is_given)
{
    return client && is_given ? false : refuse(client, what, "one, not NULL");
}

bool client_misses_name(struct muster_client *client, const char *what, const char *name, size_t len_max)
{
    size_t len = name ? strlen(name) : 0;
    char expected[64], found[24] = "NULL";
    if (client && len > 0 && len <= len_max)
        return false;
    if (name)
        (void)snprintf(found, sizeof(found), "%zu", len);
    (void)snprintf(expected, sizeof(expected), "a name of 1 to %zu bytes, not %s", len_max, found);
    return refuse(client, what, expected);
}

bool client_misses_service(struct muster_client *client, const char *service)
{
    return client_misses_name(client, "service", service, CLIENT_SERVICE_MAX);
}

int client_refuse_in_callback(struct muster_client *client, const char *what)
{
    return client->driver.is_turning ? client_fail(client, MUSTER_IN_CALLBACK, "a callback cannot %s", what)
                                     : MUSTER_OK;
}

/* ------------------------------------------------------------------------------------------------ driving */

int muster_fd(const struct muster_client *client)
{
    return client ? client->driver.epoll_fd : -1;
}

int muster_timeout_ms(struct muster_client *client)
{
    if (!client)
        return -1;
    client_lock(client);
    nsec_t wake_ns = driver_wake_ns(&client->driver);
    client_unlock(client);
    nsec_t left_ns = wake_ns == NSEC_NEVER ? 0 : wake_ns - time_now();
    if (wake_ns == NSEC_NEVER)
        return -1;
    return left_ns <= 0 ? 0 : left_ns / NSEC_PER_MSEC < INT_MAX ? (int)(left_ns / NSEC_PER_MSEC) + 1 : INT_MAX;
}

void muster_process(struct muster_client *client)
{
    if (!client)
        return;
    client_lock(client);
    driver_turn(&client->driver);
    client_unlock(client);
}

int muster_wait(struct muster_client *client, int timeout_ms)
{
    if (!client)
        return MUSTER_BAD_OPTIONS;
    client_lock(client);
    nsec_t deadline_ns = timeout_ms < 0 ? NSEC_NEVER : time_now() + timeout_ms * NSEC_PER_MSEC;
    int result = client_refuse_in_callback(client, "wait");
    int r = result == MUSTER_OK ? driver_wait(&client->driver, deadline_ns) : 0;
    if (r < 0)
        result = r == -ETIMEDOUT ? MUSTER_TIMED_OUT : MUSTER_STOPPED;
    client_unlock(client);
    return result;
}

int muster_client_start(struct muster_client *client)
{
    if (!client)
        return MUSTER_BAD_OPTIONS;
    client_lock(client);
    int r = client->driver.has_thread ? 0 : driver_start(&client->driver);
    int result = r < 0 ? client_fail(client, MUSTER_OUT_OF_MEMORY, "cannot start a thread: %s", strerror(-r)) : 0;
    client_unlock(client);
    return result;
}

void muster_client_stop(struct muster_client *client)
{
    if (!client)
        return;
    client_lock(client);
    bool may_stop =
        client->driver.has_thread && client_refuse_in_callback(client, "wait for the end of the thread") == 0;
    client_unlock(client);
    if (may_stop)
        driver_stop(&client->driver);
}

/* ------------------------------------------------------------------------------------------------ asking */

struct ask_question client_question(const struct muster_client *client, const char *method, const char *path)
{
    return (struct ask_question){
        .addresses = client->addresses,
        .n_addresses = client->n_addresses,
        .files = &client->files,
        .token = client->token,
        .timeout_ns = client->timeout_ns,
        .method = method,
        .path = path,
    };
}

/* A question that is waited for. */
struct waiting {
    struct ask ask;
    http_body_fn on_body;
    void *ctx;
    bool is_over;
    int result;
};

static int pass_body(void *ctx, unsigned status, struct slice piece, struct err *err)
{
    struct waiting *waiting = ctx;
    return waiting->on_body ? waiting->on_body(waiting->ctx, status, piece, err) : 0;
}

static void on_end(struct ask *ask, int result)
{
    struct waiting *waiting = ask->ctx;
    waiting->result = result;
    waiting->is_over = true;
}

int client_ask(struct muster_client *client, const struct ask_question *question, unsigned *ret_status)
{
    client->error = client->options_error;
    if (client->options_result != MUSTER_OK)
        return client->options_result;
    int result = client_refuse_in_callback(client, "wait for an answer");
    if (result != MUSTER_OK)
        return result;
    struct waiting waiting = {.on_body = question->on_body, .ctx = question->ctx};
    struct ask_question passed = *question;
    passed.on_body = pass_body;
    passed.on_end = on_end;
    passed.ctx = &waiting;
    int r = ask_start(&waiting.ask, &client->driver, &passed);
    if (r == -EMSGSIZE)
        return client_fail(client, MUSTER_BAD_OPTIONS, "the request is longer than %zu bytes", ASK_HEAD_MAX);
    if (r < 0)
        return client_fail_memory(client);
    (void)driver_run_until(&client->driver, &waiting.is_over);
    if (waiting.result != MUSTER_OK)
        return client_fail(client, waiting.result, "%s", waiting.ask.err.text);
    *ret_status = ask_status(&waiting.ask);
    return MUSTER_OK;
}

static int append(void *ctx, unsigned status, struct slice piece, struct err *err)
{
    (void)status;
    struct buf *body = ctx;
    int r = buf_append(body, piece);
    return r == -EMSGSIZE ? err_set(err, r, "the answer is longer than %zu bytes", body->limit) : r;
}

int client_ask_all(struct muster_client *client, const struct ask_question *question, struct buf *body,
                   unsigned *ret_status)
{
    struct ask_question with_body = *question;
    with_body.on_body = append;
    with_body.ctx = body;
    return client_ask(client, &with_body, ret_status);
}

static const struct json_limits json_limits = {.n_bytes = CLIENT_ANSWER_BYTES_MAX, .depth = 16};

/* The services that a problem names as missing, behind what it says. */
static void add_missing(const json_t *problem, struct err *err)
{
    const json_t *missing = json_object_get(problem, "missing");
    for (size_t i = 0; i < json_array_size(missing); i++) {
        struct err before = *err;
        const char *name = json_string_value(json_array_get(missing, i));
        err_set(err, 0, "%s%s%s", before.text, i == 0 ? ": " : ", ", name ? name : "");
    }
}

int client_refused(unsigned status, struct slice body, struct err *err)
{
    json_t *tree = NULL;
    const char *detail = NULL;
    struct slice words = slice_trim((struct slice){body.ptr, slice_find(body, '\n')});
    if (json_parse(body, &json_limits, &tree, NULL) == 0 &&
        (client_read_text(tree, "detail", &detail) || client_read_text(tree, "title", &detail)))
        words = slice_from_str(detail);
    words.len = min_size(words.len, 400);
    if (words.len > 0)
        err_set(err, 0, "%.*s", SLICE_ARG(words));
    else
        err_set(err, 0, "the server answered with HTTP status %u", status);
    add_missing(tree, err);
    json_decref(tree);
    return status == 404 ? MUSTER_NOT_FOUND : status == 504 ? MUSTER_TIMED_OUT : MUSTER_REFUSED;
}

int client_ask_json(struct muster_client *client, const struct ask_question *question, json_t **ret_tree)
{
    CLEANUP(buf_deinit) struct buf body = {.limit = CLIENT_ANSWER_BYTES_MAX};
    unsigned status = 0;
    int result = client_ask_all(client, question, &body, &status);
    if (result != MUSTER_OK)
        return result;
    if (status >= 400)
        return client_refused(status, buf_slice(&body), &client->error);
    struct err err = {"the answer is none that a muster gives"};
    int r = json_parse(buf_slice(&body), &json_limits, ret_tree, &err);
    if (r == -ENOMEM)
        return client_fail_memory(client);
    return r < 0 ? client_fail(client, MUSTER_BAD_ANSWER, "%s", err.text) : MUSTER_OK;
}

int client_ask_path(struct muster_client *client, struct buf *path, json_t **ret_tree)
{
    buf_append_char(path, '\0');
    if (buf_error(path) < 0)
        return client_fail_memory(client);
    struct ask_question question = client_question(client, "GET", path->ptr);
    return client_ask_json(client, &question, ret_tree);
}

void client_append_escaped(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (char_is(c, CHAR_UNRESERVED) && c != '~')
            buf_append_char(out, c);
        else
            buf_printf(out, "%%%02X", (unsigned char)c);
    }
}

bool client_read_text(const json_t *object, const char *name, const char **ret_text)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (text)
        *ret_text = text;
    return text != NULL;
}

bool client_read_number(const json_t *object, const char *name, int64_t *ret_number)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value))
        return false;
    *ret_number = json_integer_value(value);
    return true;
}
