/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of keys. To add one: a member in struct config, a row here, a line in what uses it; help, documentation and
 * the reading of all four sources follow from the row.
 */
#include "daemon/config_keys.h"

#include "base/assert.h"
#include "base/suggest.h"
#include "base/util.h"
#include "gateway/settings.h"

#include <errno.h>
#include <stdio.h>

#define AT(member) offsetof(struct config, member)

/* Whether SIGHUP applies a changed value. */
#define RELOADS  true
#define RESTARTS false

#define KB 1024ULL
#define MB (1024ULL * 1024)
#define GB (1024ULL * MB)
#define MS ((uint64_t)NSEC_PER_MSEC)
#define S  ((uint64_t)NSEC_PER_SEC)
#define H  (3600 * S)

/* Each in the order of its enum. */
static const char *const roles[] = {"registry", "gateway", "all", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"auto", "text", "logfmt", "json", NULL};
static const char *const durabilities[] = {"disk", "relaxed", NULL};
static const char *const traces[] = {"off", "changes", "all", NULL};
static const char *const docker_modes[] = {"auto", "on", "off", NULL};
static const char *const docker_addresses[] = {"probe", "host", "network", NULL};
static const char *const client_auths[] = {"none", "optional", "require", NULL};
static const char *const balances[] = {"p2c", "round_robin", "random", "least", "hash", NULL};
static const char *const contracts[] = {"safe", "key", "none", NULL};
static const char *const access_logs[] = {"off", "combined", "json", NULL};

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

    {"gateway.routes", CONFIG_TEXTS, RELOADS, AT(gateway.routes), "",
     .help = "which requests go to which service: [HOST]/PREFIX service=NAME and words, see docs/gateway.md"},
    {"gateway.default_service", CONFIG_TEXT, RELOADS, AT(gateway.default_service), "",
     .help = "where requests go that no route covers and whose path names no service; empty: 404"},
    {"gateway.expose_all", CONFIG_BOOL, RELOADS, AT(gateway.expose_all), "false",
     .help = "gateway listeners beyond loopback serve every service, not only what is routed to or exposed"},
    {"gateway.odd_addresses", CONFIG_BOOL, RELOADS, AT(gateway.odd_addresses), "false",
     .help = "instances at link-local, multicast and unspecified addresses are used, too"},
    {"gateway.trusted", CONFIG_TEXTS, RELOADS, AT(gateway.trusted), "",
     .help = "addresses or ranges (10.0.0.0/8) of proxies in front, whose X-Forwarded fields, Forwarded and "
             "X-Request-ID are believed"},
    {"gateway.name", CONFIG_TEXT, RELOADS, AT(gateway.name), "muster",
     .help = "what it is called in Via and Proxy-Status; digits behind that tell it from others of its name"},
    {"gateway.zone", CONFIG_TEXT, RELOADS, AT(gateway.zone), "",
     .help = "where it stands: instances of that zone come first; empty: all are alike"},

    {"gateway.balance", CONFIG_CHOICE, RELOADS, AT(gateway.balance), "p2c", .words = balances,
     .help = "how one of several instances is chosen"},
    {"gateway.hash", CONFIG_TEXT, RELOADS, AT(gateway.hash), "address",
     .help = "with balance hash: by what; address, header:NAME or cookie:NAME"},
    {"gateway.sticky", CONFIG_TEXT, RELOADS, AT(gateway.sticky), "",
     .help = "a cookie that keeps a client with its instance while that is well; empty: none"},
    {"gateway.slow_start", CONFIG_DURATION, RELOADS, AT(gateway.slow_start), "0s", 0, H,
     .help = "time in which a new instance comes to its full share; 0: it has it at once"},
    {"gateway.retry", CONFIG_CHOICE, RELOADS, AT(gateway.retry), "safe", .words = contracts,
     .help =
         "what may be sent again after an instance may have seen it: safe: idempotent methods; key: requests with an "
         "Idempotency-Key, too"},
    {"gateway.retry_percent", CONFIG_NUMBER, RELOADS, AT(gateway.retry_percent), "10", 0, 1000,
     .help = "most retries and hedges, as a share of a service's requests"},
    {"gateway.retry_floor", CONFIG_NUMBER, RELOADS, AT(gateway.retry_floor), "3", 0, 100000,
     .help = "so many per second beside"},
    {"gateway.hedge", CONFIG_BOOL, RELOADS, AT(gateway.hedge), "true",
     .help = "an idempotent request that hangs is sent to a second instance"},

    {"gateway.timeout", CONFIG_DURATION, RELOADS, AT(gateway.timeout), "30s", 1 * MS, 24 * H,
     .help = "time for a request, retries included, until its response begins; beyond: 504"},
    {"gateway.connect_timeout", CONFIG_DURATION, RELOADS, AT(gateway.connect_timeout), "500ms", 1 * MS, H,
     .help = "time to connect to an instance, TLS included, before the next one is tried"},
    {"gateway.first_byte_timeout", CONFIG_DURATION, RELOADS, AT(gateway.first_byte_timeout), "30s", 1 * MS, 24 * H,
     .help = "longest time in which one instance may say nothing to a whole request"},
    {"gateway.body_timeout", CONFIG_DURATION, RELOADS, AT(gateway.body_timeout), "5m", 10 * MS, 24 * H,
     .help = "longest pause inside a response"},
    {"gateway.tunnel_timeout", CONFIG_DURATION, RELOADS, AT(gateway.tunnel_timeout), "1h", 10 * MS, 366 * 24 * H,
     .help = "longest pause of an upgraded connection, such as a WebSocket"},
    {"gateway.idle_timeout", CONFIG_DURATION, RELOADS, AT(gateway.idle_timeout), "60s", 10 * MS, 24 * H,
     .help = "how long connections to instances are kept for the next request"},

    {"gateway.max_in_flight", CONFIG_NUMBER, RELOADS, AT(gateway.max_in_flight), "0", 0, POLICY_IN_FLIGHT_LIMIT,
     .help = "most requests under way to one service; more wait in its queue; 0: no limit"},
    {"gateway.queue", CONFIG_NUMBER, RELOADS, AT(gateway.queue), "1000", 0, POLICY_QUEUE_LIMIT,
     .help = "most requests that wait for one service; beyond: 503"},
    {"gateway.max_body", CONFIG_BYTES, RELOADS, AT(gateway.max_body), "0", 0, POLICY_BODY_LIMIT,
     .help = "longest request body; beyond: 413; 0: no limit"},
    {"gateway.client_rate", CONFIG_NUMBER, RELOADS, AT(gateway.client_rate), "0", 0, 10000000,
     .help = "most requests per second from one address; beyond: 429; 0: no limit"},
    {"gateway.client_burst", CONFIG_NUMBER, RELOADS, AT(gateway.client_burst), "100", 1, 10000000,
     .help = "so many may come at once"},
    {"gateway.client_connections", CONFIG_NUMBER, RELOADS, AT(gateway.client_connections), "0", 0, 10000000,
     .help = "most connections from one address, unless it is in gateway.trusted; beyond: closed; 0: no limit"},
    {"gateway.streams", CONFIG_NUMBER, RELOADS, AT(gateway.streams), "128", 1, 65536,
     .help = "most concurrent requests on one HTTP/2 connection to a gateway listener"},

    {"gateway.park", CONFIG_DURATION, RELOADS, AT(gateway.park), "1s", 0, 60 * S,
     .help = "how long a request to a service that has just lost its last instance waits for a new one; 0: not at all"},
    {"gateway.park_since", CONFIG_DURATION, RELOADS, AT(gateway.park_since), "30s", 0, H,
     .help = "it waits if the service had an instance this lately"},
    {"gateway.parked", CONFIG_NUMBER, RELOADS, AT(gateway.parked), "1000", 0, 1000000,
     .help = "most requests of one worker that wait so; beyond: 503"},
    {"gateway.stall_min", CONFIG_DURATION, RELOADS, AT(gateway.stall_min), "100ms", 1 * MS, H,
     .help = "an instance is taken for frozen when its oldest request waits at least so long,"},
    {"gateway.stall_factor", CONFIG_NUMBER, RELOADS, AT(gateway.stall_factor), "3", 1, 1000,
     .help = "and so many times longer than its slow ones take"},
    {"gateway.prove", CONFIG_BOOL, RELOADS, AT(gateway.prove), "true",
     .help = "instances in trouble are asked whether they live, and some whether they keep connections: OPTIONS *"},
    {"gateway.eject_failures", CONFIG_NUMBER, RELOADS, AT(gateway.eject_failures), "5", 1, 100000,
     .help = "so many failures in a row, and an instance gets nothing for a while"},
    {"gateway.eject_time", CONFIG_DURATION, RELOADS, AT(gateway.eject_time), "1s", 10 * MS, H,
     .help = "the first such while; the next is twice as long, up to 32 times"},

    {"gateway.records", CONFIG_NUMBER, RESTARTS, AT(gateway.records), "4096", 0, 1000000,
     .help = "the last requests that each worker remembers for muster why, 256 bytes each; 0: none"},
    {"gateway.access_log", CONFIG_CHOICE, RELOADS, AT(gateway.access_log), "off", .words = access_logs,
     .help = "a line for each request: in the combined log format, or JSON"},
    {"gateway.access_log_file", CONFIG_TEXT, RELOADS, AT(gateway.access_log_file), "-",
     .help = "where these go; SIGHUP opens it anew; -: standard output"},

    {"gateway.tls.cert", CONFIG_TEXTS, RELOADS, AT(gateway.tls.cert), "",
     .help = "certificate files of the gateway listeners, as tls.cert; empty: no TLS"},
    {"gateway.tls.key", CONFIG_TEXTS, RELOADS, AT(gateway.tls.key), "",
     .help = "their keys (PEM), in the same order; empty: each key is in its certificate's file"},
    {"gateway.tls.ca", CONFIG_TEXT, RELOADS, AT(gateway.tls.ca), "",
     .help = "authorities (PEM) that client certificates must come from"},
    {"gateway.tls.client_auth", CONFIG_CHOICE, RELOADS, AT(gateway.tls.client_auth), "none", .words = client_auths,
     .help = "whether clients of the gateway show a certificate"},
    {"gateway.tls.plain", CONFIG_BOOL, RELOADS, AT(gateway.tls.plain), "false",
     .help = "with certificates: whether plain HTTP is still answered on the gateway listeners"},
    {"gateway.instance_ca", CONFIG_TEXT, RELOADS, AT(gateway.instance_ca), "",
     .help = "authorities (PEM) that the certificates of https instances must come from; empty: the system's"},
    {"gateway.instance_cert", CONFIG_TEXT, RELOADS, AT(gateway.instance_cert), "",
     .help = "certificate (PEM) that is shown to https instances; empty: none"},
    {"gateway.instance_key", CONFIG_TEXT, RELOADS, AT(gateway.instance_key), "",
     .help = "its key (PEM); empty: it is in the certificate's file"},
    {"gateway.instance_verify", CONFIG_BOOL, RELOADS, AT(gateway.instance_verify), "true",
     .help = "whether the certificates of https instances are checked"},

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
    {"http.rate_min", CONFIG_BYTES, RELOADS, AT(http.rate_min), "100", 0, 1 * MB,
     .help = "fewest bytes per second that a client must send of a body, or take of what waits for it; 0: any"},
    {"http.linger", CONFIG_DURATION, RELOADS, AT(http.linger), "2s", 0, 60 * S,
     .help = "time for the peer to read the last answer before its connection is closed"},
    {"http.body_drain_bytes", CONFIG_BYTES, RELOADS, AT(http.body_drain_bytes), "256k", 0, 16 * MB,
     .help = "how much of an unwanted request body is read before the connection is closed instead"},
    {"http.send_buffer_bytes", CONFIG_BYTES, RELOADS, AT(http.send_buffer_bytes), "256k", 4 * KB, 64 * MB,
     .help = "most bytes that wait for one slow peer before its answers are held back"},
    {"http.unsent_bytes", CONFIG_BYTES, RELOADS, AT(http.unsent_bytes), "64M", 256 * KB, 64 * GB,
     .help = "most memory of one worker for what slow peers do not take, together; beyond: 16k for each of them"},
    {"http.streams", CONFIG_NUMBER, RELOADS, AT(http.streams), "10000", 1, 65536,
     .help = "most concurrent streams of an HTTP/2 connection to a registry listener; a watch that waits on one costs "
             "about 2 kB"},
    {"http.worker_connections", CONFIG_NUMBER, RELOADS, AT(http.worker_connections), "100000", 1, 10000000,
     .help = "most connections of one worker; beyond: turned away"},

    {"store.durability", CONFIG_CHOICE, RESTARTS, AT(store.durability), "disk", .words = durabilities,
     .help =
         "disk: a change is answered when it is on the disk; relaxed: before that, and a power failure may lose the "
         "last store.relaxed_interval"},
    {"store.relaxed_interval", CONFIG_DURATION, RESTARTS, AT(store.relaxed_interval), "50ms", 1 * MS, 60 * S,
     .help = "with relaxed durability: longest time until a change is on the disk"},
    {"store.history", CONFIG_DURATION, RESTARTS, AT(store.history), "24h", 1 * S, 366 * 24 * H,
     .help = "how long old revisions can be read and watched from"},
    {"store.history_bytes", CONFIG_BYTES, RESTARTS, AT(store.history_bytes), "256M", 1 * MB, 64 * GB,
     .help = "most memory for old revisions; beyond: the oldest are forgotten"},
    {"store.snapshot_bytes", CONFIG_BYTES, RESTARTS, AT(store.snapshot_bytes), "256M", 1 * MB, 64 * GB,
     .help = "how much is logged before a new snapshot is written, which bounds the time of a restart"},
    {"store.notes_bytes", CONFIG_BYTES, RESTARTS, AT(store.notes_bytes), "8M", 1 * MB, 1 * GB,
     .help = "most memory for notes on why keys are gone; beyond: the oldest are forgotten"},
    {"store.timeline_bytes", CONFIG_BYTES, RESTARTS, AT(store.timeline_bytes), "64M", 1 * MB, 16 * GB,
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

    {"sources.docker.mode", CONFIG_CHOICE, RESTARTS, AT(sources.docker.mode), "auto", .words = docker_modes,
     .help = "whether containers become instances; auto: when there is an engine"},
    {"sources.docker.host", CONFIG_TEXT, RESTARTS, AT(sources.docker.host), "",
     .help = "the engine: unix:///PATH or tcp://HOST:PORT; empty: $DOCKER_HOST, else unix:///var/run/docker.sock"},
    {"sources.docker.tls_ca", CONFIG_TEXT, RESTARTS, AT(sources.docker.tls_ca), "",
     .help = "authorities (PEM) that the engine's certificate must come from; empty: with $DOCKER_TLS_VERIFY ca.pem in "
             "$DOCKER_CERT_PATH"},
    {"sources.docker.tls_cert", CONFIG_TEXT, RESTARTS, AT(sources.docker.tls_cert), "",
     .help = "certificate (PEM) that is shown to the engine; empty: cert.pem there"},
    {"sources.docker.tls_key", CONFIG_TEXT, RESTARTS, AT(sources.docker.tls_key), "",
     .help = "its key (PEM); empty: key.pem there, else in the certificate's file"},
    {"sources.docker.opt_in", CONFIG_BOOL, RESTARTS, AT(sources.docker.opt_in), "false",
     .help = "take only containers with the label muster.enable=true"},
    {"sources.docker.images", CONFIG_TEXTS, RESTARTS, AT(sources.docker.images), "",
     .help = "take only containers of these images, by short or whole name; empty: all"},
    {"sources.docker.label", CONFIG_TEXT, RESTARTS, AT(sources.docker.label), "",
     .help = "take only containers with this label: NAME or NAME=VALUE"},
    {"sources.docker.address", CONFIG_CHOICE, RESTARTS, AT(sources.docker.address), "probe", .words = docker_addresses,
     .help = "which address of a container is used: host is its published port, network its own; probe: the one that "
             "answers"},
    {"sources.docker.host_address", CONFIG_TEXT, RESTARTS, AT(sources.docker.host_address), "",
     .help = "where published ports are reached; empty: 127.0.0.1, or the host of a remote engine"},
    {"sources.docker.network", CONFIG_TEXT, RESTARTS, AT(sources.docker.network), "",
     .help = "of a container in several networks, its address in this one; empty: the first by name"},
    {"sources.docker.list_interval", CONFIG_DURATION, RESTARTS, AT(sources.docker.list_interval), "30s", 100 * MS, H,
     .help = "how often all containers are compared with the catalogue, besides following events"},
    {"sources.docker.poll_interval", CONFIG_DURATION, RESTARTS, AT(sources.docker.poll_interval), "3s", 100 * MS, H,
     .help = "how often they are where the engine does not tell its events"},
    {"sources.docker.stop_timeout", CONFIG_DURATION, RESTARTS, AT(sources.docker.stop_timeout), "60s", 1 * S, 24 * H,
     .help = "a container that was asked to stop and still runs after this gets requests again; the label muster.drain "
             "says it for one"},
    {"sources.file.paths", CONFIG_TEXTS, RESTARTS, AT(sources.file.paths), "",
     .help = "files, or folders of files, whose instances are registered: docs/files.md"},
    {"sources.file.check_interval", CONFIG_DURATION, RESTARTS, AT(sources.file.check_interval), "30s", 100 * MS, H,
     .help = "how often they are looked at and compared with the catalogue, besides being followed"},

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
