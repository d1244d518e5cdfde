/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: every setting of the daemon, with a value.
 *
 * Values come from four places, the later ones winning: the defaults, the file, the environment, the command line
 * (there `--set` first, then the flags). Whatever is wrong in any of them is one line of text that names the place, the
 * key, what was wrong and what was expected. Keys are listed once, in config_keys.c.
 *
 * A config does not change once loaded; reloading makes a new one. It belongs to the main thread.
 */
#pragma once

#include "base/err.h"
#include "base/time.h"
#include "daemon/arguments.h"

#include <stdbool.h>
#include <stddef.h>

enum config_role { ROLE_REGISTRY, ROLE_GATEWAY, ROLE_ALL };
enum config_durability { DURABILITY_DISK, DURABILITY_RELAXED };
enum config_trace { TRACE_OFF, TRACE_CHANGES, TRACE_ALL };
enum config_client_auth { CLIENT_AUTH_NONE, CLIENT_AUTH_OPTIONAL, CLIENT_AUTH_REQUIRE };

/* Strings owned by the config. */
struct config_list {
    unsigned n;
    char **items;
};

/* Where a value came from. */
struct config_origin {
    enum { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_SET, ORIGIN_FLAG } kind;
    unsigned line; /* of the file */
};

#define CONFIG_KEYS_MAX 128

/* TLS of a kind of listeners. */
struct config_tls {
    struct config_list cert, key;
    char *ca;
    unsigned client_auth; /* enum config_client_auth */
    bool plain;
};

struct config {
    unsigned role; /* enum config_role */
    struct config_list listen;
    unsigned workers; /* 0: by the number of cores */
    char *data;       /* "": chosen by data_dir_choose */
    char *pidfile;    /* "": none */

    struct {
        struct config_list listen, routes, trusted;
        char *default_service, *hash, *sticky, *zone, *name;
        unsigned balance; /* enum balance */
        unsigned retry;   /* enum retry_contract */
        bool hedge, expose_all, odd_addresses;
        nsec_t timeout, slow_start;
        unsigned max_in_flight, queue;
        size_t max_body;
        nsec_t connect_timeout, first_byte_timeout, body_timeout, idle_timeout, tunnel_timeout;
        nsec_t park, park_since;
        unsigned parked;
        unsigned retry_percent, retry_floor;
        nsec_t stall_min;
        unsigned stall_factor;
        bool prove;
        unsigned eject_failures;
        nsec_t eject_time;
        unsigned client_rate, client_burst;
        unsigned client_connections;
        unsigned streams;
        unsigned records;
        unsigned access_log; /* enum access_log_format */
        char *access_log_file;
        struct config_tls tls;
        char *instance_ca, *instance_cert, *instance_key;
        bool instance_verify;
    } gateway;

    struct {
        unsigned level;  /* enum log_level */
        unsigned format; /* enum log_format */
    } log;

    struct {
        size_t head_bytes, target_bytes;
        unsigned fields;
        nsec_t head_timeout, body_timeout, idle_timeout, answer_timeout, send_timeout, linger;
        size_t body_drain_bytes;
        size_t rate_min;
        size_t send_buffer_bytes;
        size_t unsent_bytes;
        unsigned streams;
        unsigned worker_connections;
    } http;

    struct config_tls tls; /* of the registry's listeners */

    struct {
        bool ignore;
        unsigned bcrypt_cost;
    } auth;

    struct {
        unsigned durability; /* enum config_durability */
        nsec_t relaxed_interval;
        nsec_t history;
        size_t history_bytes, snapshot_bytes, notes_bytes, timeline_bytes;
        nsec_t min_ttl;
        unsigned trace; /* enum config_trace */
    } store;

    struct {
        bool foreign;
        struct config_list rules;
        unsigned loss_min, loss_percent;
        nsec_t loss_window, hold;
        nsec_t flap_half_life;
        unsigned flap_suppress, flap_reuse;
        nsec_t suspicion;
    } catalog;

    struct {
        unsigned at_once;
    } health;

    struct {
        struct {
            unsigned mode; /* enum docker_mode */
            char *host;    /* "": as the environment says, or the usual socket */
            char *tls_ca, *tls_cert, *tls_key;
            bool opt_in;
            struct config_list images;
            char *label;
            unsigned address; /* enum docker_address */
            char *host_address, *network;
            nsec_t list_interval, poll_interval, stop_timeout;
        } docker;
        struct {
            struct config_list paths;
            nsec_t check_interval;
        } file;
    } sources;

    struct {
        char *service;
        nsec_t ttl;
    } srpc;

    struct {
        nsec_t beat_interval, beat_gap;
        unsigned beat_tries;
    } hub;

    struct {
        nsec_t delay, timeout;
    } drain;

    char *file;                                    /* the file it was read from; NULL: none */
    struct config_origin origins[CONFIG_KEYS_MAX]; /* in the order of config_keys */
};

/*
 * Reads the file that the arguments name, the environment and the arguments, and checks what belongs together.
 * `environment` is NAME=VALUE strings, NULL-terminated. 0; -EINVAL or another -errno with the line for people in err.
 */
int config_load(const struct arguments *arguments, char *const *environment, struct config **ret_config,
                struct err *err);
void config_free(struct config *config);
void config_freep(struct config **config);

/*
 * The first variable of the environment, from *index on, that looks like a misspelt setting: its name, with the name
 * that was probably meant. NULL when there is none. A foreign MUSTER_ variable is no error: in some container systems a
 * service called "muster" brings several.
 */
const char *config_misspelt_variable(char *const *environment, size_t *index, char *ret_meant, size_t size);
