/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of keys. To add one: a member in struct config, a row here, a line in what uses it; help, documentation and
 * the reading of all four sources follow from the row.
 */
#include "daemon/config_keys.h"

#include "base/assert.h"
#include "base/suggest.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>

#define AT(member) offsetof(struct config, member)

/* Whether SIGHUP applies a changed value. */
#define RELOADS  true
#define RESTARTS false

#define KB 1024ULL
#define MB (1024ULL * 1024)
#define MS ((uint64_t)NSEC_PER_MSEC)
#define S  ((uint64_t)NSEC_PER_SEC)
#define H  (3600 * S)

/* Each in the order of its enum. */
static const char *const roles[] = {"registry", "gateway", "all", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"auto", "text", "logfmt", "json", NULL};
static const char *const durabilities[] = {"disk", "relaxed", NULL};
static const char *const traces[] = {"off", "changes", "all", NULL};
static const char *const client_auths[] = {"none", "optional", "require", NULL};

const struct config_key config_keys[] = {
    {"listen", CONFIG_ADDRESSES, RESTARTS, AT(listen), "127.0.0.1:2379", .flag = "--listen", .flag_value = "ADDR",
     .help = "registry listeners; each speaks every protocol of the registry"},
    {"gateway.listen", CONFIG_ADDRESSES, RESTARTS, AT(gateway.listen), "127.0.0.1:8080", .flag = "--gateway",
     .flag_value = "ADDR", .help = "gateway listeners"},
    {"role", CONFIG_CHOICE, RESTARTS, AT(role), "all", .words = roles, .flag = "--role", .flag_value = "ROLE",
     .help = "which listeners this process opens"},
    {"data", CONFIG_TEXT, RESTARTS, AT(data), "", .flag = "--data", .flag_value = "DIR",
     .help = "data folder; empty: $STATE_DIRECTORY, else $XDG_STATE_HOME/muster, else ~/.local/state/muster"},
    {"workers", CONFIG_NUMBER, RESTARTS, AT(workers), "0", 0, 64, .flag = "--workers", .flag_value = "N",
     .help = "threads that serve connections; 0: one per core, at most 8"},
    {"pidfile", CONFIG_TEXT, RESTARTS, AT(pidfile), "", .flag = "--pidfile", .flag_value = "FILE",
     .help = "file for the process id while it is ready; empty: none"},

    {"log.level", CONFIG_CHOICE, RELOADS, AT(log.level), "info", .words = log_levels, .flag = "--log-level",
     .flag_value = "LEVEL", .help = "least level that is logged"},
    {"log.format", CONFIG_CHOICE, RESTARTS, AT(log.format), "auto", .words = log_formats, .flag = "--log-format",
     .flag_value = "FORMAT", .help = "layout of the log on standard error; auto: text on a terminal, else logfmt"},

    {"http.head_bytes", CONFIG_BYTES, RELOADS, AT(http.head_bytes), "32k", 1 * KB, 128 * KB,
     .help = "longest request head; beyond: 431"},
    {"http.target_bytes", CONFIG_BYTES, RELOADS, AT(http.target_bytes), "8k", 256, 64 * KB,
     .help = "longest request target; beyond: 414"},
    {"http.fields", CONFIG_NUMBER, RELOADS, AT(http.fields), "100", 8, 128,
     .help = "most header fields of a request; beyond: 431"},
    {"http.head_timeout", CONFIG_DURATION, RELOADS, AT(http.head_timeout), "10s", 10 * MS, H,
     .help = "time for a whole request head, and for the TLS handshake"},
    {"http.body_timeout", CONFIG_DURATION, RELOADS, AT(http.body_timeout), "30s", 10 * MS, H,
     .help = "longest pause inside a request body"},
    {"http.idle_timeout", CONFIG_DURATION, RELOADS, AT(http.idle_timeout), "75s", 10 * MS, 24 * H,
     .help = "longest pause between requests on a connection"},
    {"http.answer_timeout", CONFIG_DURATION, RELOADS, AT(http.answer_timeout), "75s", 10 * MS, H,
     .help = "longest time without progress on an answer; watches and streams set their own"},
    {"http.send_timeout", CONFIG_DURATION, RELOADS, AT(http.send_timeout), "30s", 10 * MS, H,
     .help = "longest time in which a peer takes nothing of what waits for it"},
    {"http.linger", CONFIG_DURATION, RELOADS, AT(http.linger), "2s", 0, 60 * S,
     .help = "time for the peer to read the last answer before its connection is closed"},
    {"http.body_drain_bytes", CONFIG_BYTES, RELOADS, AT(http.body_drain_bytes), "256k", 0, 16 * MB,
     .help = "how much of an unwanted request body is read before the connection is closed instead"},
    {"http.send_buffer_bytes", CONFIG_BYTES, RELOADS, AT(http.send_buffer_bytes), "256k", 4 * KB, 64 * MB,
     .help = "most bytes that wait for one slow peer before its answers are held back"},
    {"http.streams", CONFIG_NUMBER, RELOADS, AT(http.streams), "10000", 1, 65536,
     .help = "most concurrent streams of an HTTP/2 connection; a watch that waits on one costs about 2 kB"},
    {"http.worker_connections", CONFIG_NUMBER, RELOADS, AT(http.worker_connections), "100000", 1, 10000000,
     .help = "most connections of one worker; beyond: closed at once"},

    {"store.durability", CONFIG_CHOICE, RESTARTS, AT(store.durability), "disk", .words = durabilities,
     .help =
         "disk: a change is answered when it is on the disk; relaxed: before that, and a power failure may lose the "
         "last store.relaxed_interval"},
    {"store.relaxed_interval", CONFIG_DURATION, RESTARTS, AT(store.relaxed_interval), "50ms", 1 * MS, 60 * S,
     .help = "with relaxed durability: longest time until a change is on the disk"},
    {"store.history", CONFIG_DURATION, RESTARTS, AT(store.history), "24h", 1 * S, 366 * 24 * H,
     .help = "how long old revisions can be read and watched from"},
    {"store.history_bytes", CONFIG_BYTES, RESTARTS, AT(store.history_bytes), "256M", 1 * MB, 64 * 1024 * MB,
     .help = "most memory for old revisions; beyond: the oldest are forgotten"},
    {"store.snapshot_bytes", CONFIG_BYTES, RESTARTS, AT(store.snapshot_bytes), "256M", 1 * MB, 64 * 1024 * MB,
     .help = "how much is logged before a new snapshot is written, which bounds the time of a restart"},
    {"store.notes_bytes", CONFIG_BYTES, RESTARTS, AT(store.notes_bytes), "8M", 1 * MB, 1024 * MB,
     .help = "most memory for notes on why keys are gone; beyond: the oldest are forgotten"},
    {"store.timeline_bytes", CONFIG_BYTES, RESTARTS, AT(store.timeline_bytes), "64M", 1 * MB, 16 * 1024 * MB,
     .help = "most memory for the timelines of instances; beyond: the oldest entries are forgotten"},
    {"store.min_ttl", CONFIG_DURATION, RESTARTS, AT(store.min_ttl), "1s", 10 * MS, H,
     .help = "shorter leases are granted this long"},
    {"store.trace", CONFIG_CHOICE, RESTARTS, AT(store.trace), "off", .words = traces,
     .help = "what the log tells of the store's work, without values: each request with its outcome, or reads and "
             "heartbeats too"},

    {"auth.ignore", CONFIG_BOOL, RESTARTS, AT(auth.ignore), "false",
     .help = "serve everybody although etcd's auth is enabled: to get back in when root's password is lost"},
    {"auth.bcrypt_cost", CONFIG_NUMBER, RESTARTS, AT(auth.bcrypt_cost), "10", 4, 16,
     .help = "work of hashing a new password; one more takes twice as long"},

    {"catalog.foreign", CONFIG_BOOL, RESTARTS, AT(catalog.foreign), "true",
     .help =
         "whether a key with a lease whose value is plainly an address is an instance: server/001 is 001 of server"},
    {"catalog.rules", CONFIG_TEXTS, RESTARTS, AT(catalog.rules), "",
     .help =
         "which other keys are instances: a pattern such as /{service}/{id} or a/{id*}, then service=NAME, value=KIND "
         "(any, address, naming or record), lease"},
    {"catalog.loss_min", CONFIG_NUMBER, RESTARTS, AT(catalog.loss_min), "3", 2, 1000000,
     .help = "instances of a service that vanish together without evidence of death are held, if they are so many"},
    {"catalog.loss_percent", CONFIG_NUMBER, RESTARTS, AT(catalog.loss_percent), "50", 0, 100,
     .help = "such a loss is more than this share of the service; 100: none is ever held"},
    {"catalog.loss_window", CONFIG_DURATION, RESTARTS, AT(catalog.loss_window), "5s", 100 * MS, H,
     .help = "such a loss happens within this time"},
    {"catalog.hold", CONFIG_DURATION, RESTARTS, AT(catalog.hold), "5m", 1 * S, 24 * H,
     .help = "a held instance that is not seen alive is let go after this"},
    {"catalog.flap_half_life", CONFIG_DURATION, RESTARTS, AT(catalog.flap_half_life), "1m", 1 * S, 24 * H,
     .help = "time in which the penalty of an instance that came and went is halved"},
    {"catalog.flap_suppress", CONFIG_NUMBER, RESTARTS, AT(catalog.flap_suppress), "400", 0, 100000,
     .help = "from this penalty on, in hundredths of a departure, it is a last resort only; 0: never"},
    {"catalog.flap_reuse", CONFIG_NUMBER, RESTARTS, AT(catalog.flap_reuse), "150", 1, 100000,
     .help = "until the penalty is below this again"},
    {"catalog.suspicion", CONFIG_DURATION, RESTARTS, AT(catalog.suspicion), "10s", 100 * MS, H,
     .help = "a suspicion against an instance that is not renewed ends after this"},

    {"health.at_once", CONFIG_NUMBER, RESTARTS, AT(health.at_once), "256", 1, 100000,
     .help = "most checks that run at the same time; more wait for them"},

    {"srpc.service", CONFIG_TEXT, RESTARTS, AT(srpc.service), "srpc",
     .help = "the service that clients of the header registry mean who name none"},
    {"srpc.ttl", CONFIG_DURATION, RESTARTS, AT(srpc.ttl), "5m", 0, 366 * 24 * H,
     .help = "how long an address stays in the header registry without being posted again; 0: for ever"},

    {"hub.beat_interval", CONFIG_DURATION, RESTARTS, AT(hub.beat_interval), "30s", 100 * MS, 24 * H,
     .help = "how often programs of the hub are asked for their heartbeat"},
    {"hub.beat_tries", CONFIG_NUMBER, RESTARTS, AT(hub.beat_tries), "3", 1, 100,
     .help = "so many heartbeats that fail in a row remove a program"},
    {"hub.beat_gap", CONFIG_DURATION, RESTARTS, AT(hub.beat_gap), "1s", 10 * MS, H,
     .help = "after one that failed the next is asked for so soon"},

    {"tls.cert", CONFIG_TEXTS, RELOADS, AT(tls.cert), "",
     .help = "certificate files (PEM, with their chain); clients get the one that has the name they ask for, else the "
             "first; empty: no TLS"},
    {"tls.key", CONFIG_TEXTS, RELOADS, AT(tls.key), "",
     .help = "their keys (PEM), in the same order; empty: each key is in its certificate's file"},
    {"tls.ca", CONFIG_TEXT, RELOADS, AT(tls.ca), "",
     .help = "authorities (PEM) that client certificates must come from"},
    {"tls.client_auth", CONFIG_CHOICE, RELOADS, AT(tls.client_auth), "none", .words = client_auths,
     .help = "whether clients show a certificate"},
    {"tls.plain", CONFIG_BOOL, RELOADS, AT(tls.plain), "false",
     .help = "with certificates: whether plain HTTP is still answered on the registry listeners"},

    {"drain.delay", CONFIG_DURATION, RELOADS, AT(drain.delay), "0s", 0, H,
     .help = "after SIGTERM: time in which /readyz already says no while all else goes on, for load balancers to see"},
    {"drain.timeout", CONFIG_DURATION, RELOADS, AT(drain.timeout), "8s", 0, H,
     .help = "then: time for running requests to finish before they are cut off"},
};

const unsigned n_config_keys = ARRAY_LEN(config_keys);
_Static_assert(ARRAY_LEN(config_keys) <= CONFIG_KEYS_MAX, "struct config has room for the origin of each key");

const struct config_key *config_key_find(struct slice path)
{
    for (unsigned i = 0; i < n_config_keys; i++) {
        if (slice_equal_str(path, config_keys[i].path))
            return &config_keys[i];
    }
    return NULL;
}

const struct config_key *config_key_find_flag(struct slice flag)
{
    for (unsigned i = 0; i < n_config_keys; i++) {
        if (config_keys[i].flag && slice_equal_str(flag, config_keys[i].flag))
            return &config_keys[i];
    }
    return NULL;
}

int config_key_fail_unknown(struct slice path, struct err *err)
{
    struct suggest suggest;
    suggest_init(&suggest, path);
    for (unsigned i = 0; i < n_config_keys; i++)
        suggest_offer(&suggest, config_keys[i].path);
    const char *near = suggest_best(&suggest);
    if (near)
        return err_set(err, -EINVAL, "%.*s: unknown key, did you mean \"%s\"?", SLICE_ARG(path), near);
    return err_set(err, -EINVAL, "%.*s: unknown key (see: muster serve --help)", SLICE_ARG(path));
}

void config_key_variable(const struct config_key *key, char ret_name[CONFIG_VARIABLE_MAX])
{
    int n = snprintf(ret_name, CONFIG_VARIABLE_MAX, "MUSTER_%s", key->path);
    ASSERT(n > 0 && n < CONFIG_VARIABLE_MAX);
    for (char *c = ret_name; *c; c++) {
        if (*c == '.')
            *c = '_';
        else if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    }
}

void config_where(const struct config *config, const struct config_key *key, char *ret_text, size_t size)
{
    char variable[CONFIG_VARIABLE_MAX];
    const struct config_origin *origin = &config->origins[key - config_keys];
    switch (origin->kind) {
    case ORIGIN_FILE:
        snprintf(ret_text, size, "%s:%u: %s", config->file, origin->line, key->path);
        return;
    case ORIGIN_ENVIRONMENT:
        config_key_variable(key, variable);
        snprintf(ret_text, size, "%s", variable);
        return;
    case ORIGIN_SET:
        snprintf(ret_text, size, "--set %s", key->path);
        return;
    case ORIGIN_FLAG:
        snprintf(ret_text, size, "%s", key->flag);
        return;
    case ORIGIN_DEFAULT:
        snprintf(ret_text, size, "%s", key->path);
        return;
    }
}
