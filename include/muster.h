/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmuster: how a C or C++ program talks to a muster registry.
 *
 *     struct muster_client *client;
 *     struct muster_registration *registration;
 *     struct muster_service *db;
 *     struct muster_register_options me = MUSTER_REGISTER_INIT;
 *     me.address = "http@10.0.0.7:8080";
 *     if (muster_client_new(NULL, &client) != MUSTER_OK)
 *         return out_of_memory();
 *     if (muster_register(client, "web", &me, &registration) != MUSTER_OK ||
 *         muster_follow(client, "db", &db) != MUSTER_OK || muster_client_start(client) != MUSTER_OK)
 *         return failed(muster_error(client));
 *     …  muster_service_select(db, MUSTER_ROUND_ROBIN, &instance) gives one to connect to, as often as one is needed
 *     muster_deregister_wait(registration);
 *     muster_service_free(db);
 *     muster_client_free(client);
 *
 * The parts, each on its own: driving; registering; discovering; calling (JSON-RPC); asking once, and the server's
 * gateway, for tools that show and change what is registered; serving, for programs that are nothing but a service; the
 * server itself. Begin with the first three, or with muster_serve.
 *
 * Driving: registrations, followed services and calls go on while somebody turns the client. That is whoever fits the
 * program: its own event loop (muster_fd, muster_timeout_ms, muster_process), a blocking program (muster_wait, or any
 * function here that waits for an answer: all that wait turn the client meanwhile), or a thread of the library
 * (muster_client_start) for a program that blocks elsewhere. Callbacks are called while the client turns, by the thread
 * that turns it. In a callback every function may be called, and the handle that it is about may be freed; but those
 * that wait give MUSTER_IN_CALLBACK, and muster_client_free and muster_client_stop do nothing.
 *
 * Threads: each function of a client and of what was made from it may be called from any thread at any time, for a lock
 * inside; only the free functions must be the last use of what they free. Two threads that share a client share
 * muster_error. Without muster_client_start the library has no thread. It has no global state and installs no signal
 * handlers, but for muster_serve; it never raises SIGPIPE, never writes to the program's output and never ends the
 * program.
 *
 * Ownership: what a function gives through a `ret_` argument belongs to the caller, who frees it with the muster_*_free
 * that is named, or declared right below. Strings inside a result live as long as the result. Arguments are copied. A
 * client lives until it and all handles made from it are freed, in any order.
 *
 * Mistakes: an argument that is missing (NULL where no meaning of NULL is named here), too long, no name or no member
 * of its enum gives MUSTER_BAD_OPTIONS, and muster_error says which it was. A function that returns no result does
 * nothing then, and one that returns something gives NULL, "" or -1. All free functions take NULL.
 *
 * Growth: structs that the library gives out may get new members at their end, and structs of options tell by their
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

/* What every call returns. Anything but MUSTER_OK leaves ret_ arguments NULL, unless the function says otherwise. */
enum muster_result {
    MUSTER_OK = 0,
    MUSTER_OUT_OF_MEMORY = -1,
    MUSTER_BAD_OPTIONS = -2,  /* an argument, or what an option names, is not usable */
    MUSTER_UNREACHABLE = -3,  /* no address of the list took the connection in time */
    MUSTER_TIMED_OUT = -4,    /* connected, but no whole answer came in time */
    MUSTER_BAD_ANSWER = -5,   /* the connection broke in the middle, or the answer is none that a muster gives */
    MUSTER_REFUSED = -6,      /* the server would not do it: muster_error says why */
    MUSTER_STOPPED = -7,      /* a function of the caller's ended the call, or a signal the wait */
    MUSTER_NOT_FOUND = -8,    /* there is no such service or instance, or none that may be used */
    MUSTER_IN_CALLBACK = -9,  /* a callback cannot wait */
    MUSTER_REMOTE_ERROR = -10 /* the method that was called ended with an error: the reply has it */
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
    unsigned timeout_ms;   /* for a whole call; only the look-up of a host name may take longer. 0: 5 s */
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

/* Its thread is stopped. What was made from it can be used on, by calls that wait. Not in a callback. */
MUSTER_API void muster_client_free(struct muster_client *client);

/*
 * What went wrong in the last call on this client that could fail, in words; "" when it went well. Valid until the next
 * call of any thread on this client.
 */
MUSTER_API const char *muster_error(const struct muster_client *client);

/* ------------------------------------------------------------------------------------------------ driving */

/*
 * A descriptor that is readable when there is something to do: for poll, epoll or any event loop, level-triggered. It
 * is the same for the life of the client, which owns it.
 */
MUSTER_API int muster_fd(const struct muster_client *client);

/* Milliseconds until muster_process must be called at the latest, whatever the descriptor says; -1: no such moment. */
MUSTER_API int muster_timeout_ms(struct muster_client *client);

/* Does what can be done now and calls callbacks. Never waits, but for looking up the name of a host. */
MUSTER_API void muster_process(struct muster_client *client);

/*
 * Waits until there is something to do, and does it. timeout_ms -1: as long as it takes. MUSTER_OK; MUSTER_TIMED_OUT;
 * MUSTER_STOPPED: a signal came; MUSTER_IN_CALLBACK.
 */
MUSTER_API int muster_wait(struct muster_client *client, int timeout_ms);

/*
 * Starts a thread that turns the client until muster_client_stop, with all signals blocked. Harmless when it runs
 * already. MUSTER_OK or MUSTER_OUT_OF_MEMORY (there can be no more threads). Stop waits for it: not in a callback.
 */
MUSTER_API int muster_client_start(struct muster_client *client);
MUSTER_API void muster_client_stop(struct muster_client *client);

/* ------------------------------------------------------------------------------------------------ registering */

struct muster_pair {
    const char *name, *value;
};

/* How muster itself checks an instance. Zero and NULL: the server's defaults. */
struct muster_check {
    const char *type;   /* "tcp", "http", "grpc"; "ttl": muster_registration_report must be called in time */
    const char *target; /* http: the path, "/health"; grpc: the service */
    int64_t interval_ms, timeout_ms;
    unsigned to_fail, to_pass; /* results in a row that change the state */
};

struct muster_register_options {
    unsigned version;        /* MUSTER_REGISTER_VERSION, set by MUSTER_REGISTER_INIT */
    const char *id;          /* of the instance in its service; NULL: the address */
    const char *address;     /* "http@10.0.0.7:8080", "tcp@HOST:PORT", "unix@/PATH", "HOST:PORT"; must be set */
    const char *protocol;    /* NULL: as the address says */
    const char *zone;        /* NULL: none */
    unsigned weight;         /* relative to others; 0: the default, 1 */
    const char *const *tags; /* these lists end with NULL, or are NULL */
    const char *const *needs;
    const struct muster_pair *metadata;
    size_t n_metadata;
    const struct muster_check *check; /* NULL: none */
    /*
     * Without hold: the instance goes when there was no heartbeat for so long; there is one in each third of it. 0: 30
     * s. With hold: how long it outlives a restart of the server.
     */
    unsigned ttl_ms;
    /*
     * 1: the registration lasts as long as this program's connection. Its end is seen by the kernel of the server in
     * the moment in which the program dies. A connection that breaks otherwise is made again within the grace.
     */
    int hold;
    unsigned grace_ms; /* with hold; 0: the server's default, 1 s */
};

#define MUSTER_REGISTER_VERSION 1
#define MUSTER_REGISTER_INIT                                                                                           \
    {                                                                                                                  \
        MUSTER_REGISTER_VERSION, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 0, NULL, 0, 0, 0                         \
    }

enum muster_registration_state {
    MUSTER_REGISTERING = 0, /* never was registered yet; tries */
    MUSTER_REGISTERED = 1,
    MUSTER_LOST = 2,   /* was registered; the server cannot be reached or has lost it; tries */
    MUSTER_DENIED = 3, /* the server does not want it: muster_registration_reason says why; tries now and then */
    MUSTER_ENDED = 4   /* after muster_deregister_start: it is gone, or nobody could be told within the time-out */
};

struct muster_registration;

/* The state has changed; several changes in a row may be told once. `ctx` is the one of muster_registration_notify. */
typedef void (*muster_registration_fn)(void *ctx, struct muster_registration *registration,
                                       enum muster_registration_state state);

/*
 * Begins to register an instance of a service, and goes on to for as long as the handle lives: heartbeats, and the same
 * registration again after any loss (a restart of the registry with or without its data, a lease that ended while the
 * program was stopped, a broken connection), with waits that grow to 5 s and have jitter. MUSTER_OK, also when the
 * registry cannot be reached now; MUSTER_BAD_OPTIONS (also: this client registers that instance already);
 * MUSTER_OUT_OF_MEMORY. Free it with muster_registration_free.
 */
MUSTER_API int muster_register(struct muster_client *client, const char *service,
                               const struct muster_register_options *options,
                               struct muster_registration **ret_registration);

/* fn NULL: nobody. It is called soon if the state is no longer MUSTER_REGISTERING. */
MUSTER_API void muster_registration_notify(struct muster_registration *registration, muster_registration_fn fn,
                                           void *ctx);

MUSTER_API enum muster_registration_state muster_registration_state(struct muster_registration *registration);

/* The id of the instance. As long as the handle. */
MUSTER_API const char *muster_registration_id(const struct muster_registration *registration);

/* Why it is not registered, in words, "" when it is. Copied into `text` (cut to its size). */
MUSTER_API void muster_registration_reason(struct muster_registration *registration, char *text, size_t size);

/*
 * Waits until it is registered. MUSTER_OK; MUSTER_TIMED_OUT; MUSTER_REFUSED (denied or ended: see the reason);
 * MUSTER_STOPPED (it was freed meanwhile); MUSTER_IN_CALLBACK.
 */
MUSTER_API int muster_registration_wait(struct muster_registration *registration, unsigned timeout_ms);

/* Tells the result of the program's own check (type "ttl"), with its output in words. Waits for the answer. */
MUSTER_API int muster_registration_report(struct muster_registration *registration, int passing, const char *output);

/* Has it deregistered; the state becomes MUSTER_ENDED. Does not wait. */
MUSTER_API void muster_deregister_start(struct muster_registration *registration);

/*
 * The same, waits for it and frees the handle. MUSTER_OK, also when the registry did not know the instance; what
 * prevented it from being told otherwise: then the registration goes by itself, since nobody renews it. With
 * MUSTER_IN_CALLBACK nothing was done.
 */
MUSTER_API int muster_deregister_wait(struct muster_registration *registration);

/* Stops renewing it: the instance goes when its time is over, with hold after the grace. */
MUSTER_API void muster_registration_free(struct muster_registration *registration);

/* ------------------------------------------------------------------------------------------------ discovering */

/* An order that keeps an instance, or a whole service, from being offered. */
struct muster_order {
    const char *owner, *reason;
    int64_t since_ms, until_ms; /* milliseconds since 1970; until 0: no end */
};

/* An instance at one moment; it never changes. */
struct muster_instance {
    const char *service, *id;
    const char *address;  /* as registered */
    const char *protocol; /* of the address: "http", "tcp", "unix", …; "" when it has none */
    const char *host;     /* "" for unix@ */
    unsigned port;        /* 0 when there is none */
    unsigned weight;
    const char *zone;   /* "" when there is none */
    const char *status; /* "up", "draining", "maintenance", "failing", … */
    int offered;        /* 1: may be used */
    int last_resort;    /* 1: may be used when none is offered: there is doubt about it, and no proof */
    size_t n_reasons, n_tags, n_needs, n_metadata;
    const char *const *reasons; /* all that speak against it */
    const char *const *tags;
    const char *const *needs;
    const struct muster_pair *metadata;
    const char *origin;                             /* the protocol by which it was registered */
    const char *owner;                              /* who registered it; "" when that is not known */
    int64_t registered_ms, changed_ms;              /* milliseconds since 1970 */
    int64_t revision;                               /* of its last change */
    const struct muster_order *drain, *maintenance; /* NULL: none */
};

/* Instances, by their ids. */
struct muster_instances {
    size_t n;
    const struct muster_instance *const *items;
};

/* The instances go with it, but for those that were selected and are not released. Any thread. */
MUSTER_API void muster_instances_free(struct muster_instances *instances);

struct muster_service;

/*
 * Follows a service: a copy of its instances is kept here and pushed to at each change. MUSTER_OK, also when the
 * registry cannot be reached now; MUSTER_BAD_OPTIONS; MUSTER_OUT_OF_MEMORY. The copy stays when the registry goes: see
 * muster_service_age_ms. Following the same one again gives another handle of the same copy. Free it with
 * muster_service_free.
 */
MUSTER_API int muster_follow(struct muster_client *client, const char *service, struct muster_service **ret_service);

/*
 * A service whose instances are a fixed list: "tcp@h:1,http@h:2,unix@/p". No registry is asked. MUSTER_BAD_OPTIONS:
 * the list is empty or an address is of no known form.
 */
MUSTER_API int muster_service_static(struct muster_client *client, const char *service, const char *addresses,
                                     struct muster_service **ret_service);
MUSTER_API void muster_service_free(struct muster_service *service);

MUSTER_API const char *muster_service_name(const struct muster_service *service);

/* The instances have changed; several changes in a row may be told once. fn NULL: nobody. */
typedef void (*muster_service_fn)(void *ctx, struct muster_service *service);
MUSTER_API void muster_service_notify(struct muster_service *service, muster_service_fn fn, void *ctx);

/*
 * How old the copy may be: milliseconds since the registry last said that all is as it is here. It says so every 5 s at
 * least. 0 for a fixed list; -1 when it never did.
 */
MUSTER_API int64_t muster_service_age_ms(struct muster_service *service);

/*
 * All instances as they are now, also those that are not offered. Never asks the registry: empty until its first
 * answer. MUSTER_OK or MUSTER_OUT_OF_MEMORY.
 */
MUSTER_API int muster_service_instances(struct muster_service *service, struct muster_instances **ret_instances);

/*
 * Waits until at least `min` instances are offered; min 0: until the registry has answered. MUSTER_OK,
 * MUSTER_TIMED_OUT, MUSTER_STOPPED (it was freed meanwhile), MUSTER_IN_CALLBACK.
 */
MUSTER_API int muster_service_wait(struct muster_service *service, unsigned min, unsigned timeout_ms);

enum muster_policy {
    MUSTER_ROUND_ROBIN = 0,
    MUSTER_RANDOM = 1, /* by weight */
    MUSTER_LEAST = 2   /* the one with the fewest that are selected and not released, by weight */
};

/*
 * An instance to use now: one that is offered; where there is none, one of last resort; never another. It counts as in
 * use until muster_instance_release. MUSTER_OK, MUSTER_NOT_FOUND.
 */
MUSTER_API int muster_service_select(struct muster_service *service, enum muster_policy policy,
                                     const struct muster_instance **ret_instance);

/* Any thread, also after the service was freed. */
MUSTER_API void muster_instance_release(const struct muster_instance *instance);

/* ------------------------------------------------------------------------------------------------ calling */

/*
 * JSON-RPC 2.0: by HTTP POST to instances whose address is http@, https@ or just HOST:PORT, and line by line, a request
 * and its reply each on one line, to tcp@ and unix@. Each call has a connection of its own.
 */
struct muster_call_options {
    unsigned version;          /* MUSTER_CALL_VERSION, set by MUSTER_CALL_INIT */
    enum muster_policy policy; /* muster_call: who is asked */
    unsigned timeout_ms;       /* for the whole, whoever is asked; 0: that of the client */
    const char *path;          /* HTTP; NULL: "/rpc" */
    size_t reply_bytes;        /* the longest reply that is taken; 0: 1 MB */
    /*
     * 1: the method may be carried out twice, so another instance is asked also when one was lost in the middle. 0:
     * only when surely nothing was sent, which is when no connection was made.
     */
    int repeatable;
    int all_replies; /* muster_broadcast: 1: wait for all, whatever they are. 0: the first error ends it */
};

#define MUSTER_CALL_VERSION 1
#define MUSTER_CALL_INIT                                                                                               \
    {                                                                                                                  \
        MUSTER_CALL_VERSION, MUSTER_ROUND_ROBIN, 0, NULL, 0, 0, 0                                                      \
    }

struct muster_reply {
    int result;                             /* MUSTER_OK, MUSTER_REMOTE_ERROR, or why there is no reply */
    const char *json;                       /* MUSTER_OK: the result, JSON on one line; else "" */
    int64_t error_code;                     /* MUSTER_REMOTE_ERROR: of JSON-RPC, or the method's own; else 0 */
    const char *error;                      /* the same in words; "" when it went well */
    const struct muster_instance *instance; /* the last that was asked; as long as the reply */
};

/*
 * Calls a method of one instance and waits for its reply. `params`: a JSON object or array; NULL: none. options may be
 * NULL. An instance that does not take the connection is passed over, up to 16. MUSTER_OK; MUSTER_REMOTE_ERROR: there
 * is a reply too; MUSTER_NOT_FOUND: there is no instance; MUSTER_UNREACHABLE: none took the connection, or none speaks
 * JSON-RPC; MUSTER_TIMED_OUT; MUSTER_BAD_ANSWER; MUSTER_BAD_OPTIONS; MUSTER_IN_CALLBACK; MUSTER_OUT_OF_MEMORY. Free
 * the reply with muster_reply_free.
 */
MUSTER_API int muster_call(struct muster_service *service, const char *method, const char *params,
                           const struct muster_call_options *options, struct muster_reply **ret_reply);
/* Any thread, also after the service was freed. */
MUSTER_API void muster_reply_free(struct muster_reply *reply);

/* A call that goes on while the client turns: for programs with a loop of their own, and for callbacks. */
struct muster_pending;

/* The call is over: muster_pending_reply has what came of it. It may free the pending call. */
typedef void (*muster_pending_fn)(void *ctx, struct muster_pending *pending);

/*
 * Starts the same call, and does not wait. When it cannot be started the result says why, as that of muster_call does,
 * and fn is never called. Free the pending call with muster_pending_free, which cancels it when it is not over.
 */
MUSTER_API int muster_call_start(struct muster_service *service, const char *method, const char *params,
                                 const struct muster_call_options *options, muster_pending_fn fn, void *ctx,
                                 struct muster_pending **ret_pending);

/* As long as the pending call; NULL: it is not over. */
MUSTER_API const struct muster_reply *muster_pending_reply(const struct muster_pending *pending);
MUSTER_API void muster_pending_free(struct muster_pending *pending);

/* In the order of the instances' ids. */
struct muster_replies {
    size_t n;
    const struct muster_reply *items;
};

/*
 * Calls a method of all instances that are offered (where there is none, of those of last resort) at the same time, and
 * waits for the replies. The first error cancels the rest, and is what is returned, with the instance named by
 * muster_error. With options.all_replies it gives MUSTER_OK and one reply for each instance, whatever came of it. At
 * most 16384 instances, of which 1024 at a time. Results as above. Free the result with muster_replies_free.
 */
MUSTER_API int muster_broadcast(struct muster_service *service, const char *method, const char *params,
                                const struct muster_call_options *options, struct muster_replies **ret_replies);
/* Any thread, also after the service was freed. */
MUSTER_API void muster_replies_free(struct muster_replies *replies);

/* ------------------------------------------------------------------------------------------------ asking once */

/*
 * These ask the registry and wait for its answer. Results besides those named at each: MUSTER_UNREACHABLE,
 * MUSTER_TIMED_OUT, MUSTER_BAD_ANSWER, MUSTER_REFUSED, MUSTER_IN_CALLBACK, MUSTER_OUT_OF_MEMORY.
 */

struct muster_service_summary {
    const char *name;
    uint64_t n_instances, n_offered;
    int64_t revision; /* of its last change */
};

/* Services, by their names. */
struct muster_services {
    size_t n;
    const struct muster_service_summary *items;
};

/* All services whose names begin with prefix, which may be NULL. */
MUSTER_API int muster_list_services(struct muster_client *client, const char *prefix,
                                    struct muster_services **ret_services);
MUSTER_API void muster_services_free(struct muster_services *services);

/*
 * The instances of a service; NULL: as they are now. Else as they were `at` a time: "2026-11-21T10:00:00Z",
 * milliseconds since 1970, or "r" and a revision. MUSTER_NOT_FOUND.
 */
MUSTER_API int muster_show(struct muster_client *client, const char *service, const char *at,
                           struct muster_instances **ret_instances);

/* A change of an instance. */
struct muster_event {
    int64_t wall_ms, revision;
    const char *kind; /* "registered", "expired", "draining", …; muster_watch: "reset": some changes were missed */
    const char *service, *instance;
    const char *actor;    /* who did it; "" when that is not known */
    const char *evidence; /* how it was seen; often "" */
    int64_t silence_ms;   /* how long the instance had been silent */
};

/* Gives 0 to go on. */
typedef int (*muster_event_fn)(void *ctx, const struct muster_event *event);

/*
 * Tells all changes from now on of the services named (a list that ends with NULL; NULL: all), through any loss of the
 * connection once it was there. Returns MUSTER_STOPPED after fn gave something else than 0, or MUSTER_UNREACHABLE and
 * others before the first answer.
 */
MUSTER_API int muster_watch(struct muster_client *client, const char *const *services, muster_event_fn fn, void *ctx);

struct muster_history {
    size_t n;
    const struct muster_event *items; /* newest first */
};

/*
 * What became of the instances of a service (NULL: of all), or of one of them (NULL: all); since when (0: as far as is
 * known); at most `limit` (0: the server's default).
 */
MUSTER_API int muster_get_history(struct muster_client *client, const char *service, const char *instance,
                                  int64_t since_ms, unsigned limit, struct muster_history **ret_history);
MUSTER_API void muster_history_free(struct muster_history *history);

struct muster_graph_service {
    const char *name;
    uint64_t n_instances, n_offered;
    int known; /* 0: it is needed, but nobody has registered it */
};

struct muster_graph_edge {
    const char *from, *to; /* `from` needs `to` */
};

/* What was seen at the server's gateway. */
struct muster_graph_call {
    const char *from;
    const char *kind; /* of `from`: "service", "certificate", "address", "local", "private" or "other" */
    const char *to;
    uint64_t n_requests, n_errors;
    uint64_t per_minute; /* lately */
};

struct muster_graph {
    size_t n_services, n_edges, n_cycles, n_calls;
    const struct muster_graph_service *services;
    const struct muster_graph_edge *edges;
    const char *const *const *cycles; /* each a list of names that ends with NULL */
    const struct muster_graph_call *calls;
};

/* Who needs whom, and who calls whom. */
MUSTER_API int muster_get_graph(struct muster_client *client, struct muster_graph **ret_graph);
MUSTER_API void muster_graph_free(struct muster_graph *graph);

struct muster_explain_step {
    const char *step, *verdict, *why;
};

struct muster_explanation {
    int in_answer; /* 1: clients are given the instance */
    size_t n_steps;
    const struct muster_explain_step *steps;
    struct muster_history history;
};

/* Why an instance is, or is not, given to clients; also of one that is gone. */
MUSTER_API int muster_explain(struct muster_client *client, const char *service, const char *instance,
                              struct muster_explanation **ret_explanation);
MUSTER_API void muster_explanation_free(struct muster_explanation *explanation);

/* Which of the requests that went through the server's gateway lately. All may be NULL or 0: any. */
struct muster_gateway_query {
    const char *id; /* its X-Request-ID */
    const char *service;
    const char *status; /* "502", "5xx", or "none": the client got no answer */
    int64_t since_ms;
    unsigned limit;
};

/* One of them. Texts are "" where there is nothing to say. */
struct muster_gateway_request {
    const char *id, *client, *certificate, *method, *target, *service;
    const char *instance; /* to which it went last */
    const char *cause;    /* why the answer is not an instance's */
    unsigned status;      /* 0: the client got no answer */
    int64_t began_ms;     /* since 1970 */
    uint64_t received_bytes, sent_bytes, first_byte_us, took_us;
    size_t n_attempts, n_steps;
    const struct muster_explain_step *steps; /* what was decided, and why, in order */
};

struct muster_gateway_requests {
    size_t n;
    const struct muster_gateway_request *items; /* newest first */
};

MUSTER_API int muster_get_gateway_requests(struct muster_client *client, const struct muster_gateway_query *query,
                                           struct muster_gateway_requests **ret_requests);
MUSTER_API void muster_gateway_requests_free(struct muster_gateway_requests *requests);

/* What a service or an instance has had to do; all but in_flight only grow. */
struct muster_traffic_row {
    const char *name;
    const char *state; /* of an instance: "well", "stalled", "ejected" or "gone"; of a service "" */
    uint64_t requests, errors, in_flight, retries, hedges, ejections, connects, reused, connect_failures;
    const uint64_t *latency; /* requests by the time to the first byte: n_bounds + 1 numbers */
};

struct muster_traffic_service {
    struct muster_traffic_row all;
    size_t n_instances;
    const struct muster_traffic_row *instances;
};

struct muster_traffic {
    int64_t at_us; /* of a clock that only runs on, for differences */
    size_t n_bounds, n_services;
    const uint64_t *bounds_us; /* upper bounds of latencies, rising */
    const struct muster_traffic_service *services;
};

/* What the server's gateway has to do; service NULL: for all. */
MUSTER_API int muster_get_traffic(struct muster_client *client, const char *service,
                                  struct muster_traffic **ret_traffic);
MUSTER_API void muster_traffic_free(struct muster_traffic *traffic);

/* A request that is under way at an instance, through the server's gateway. */
struct muster_holder {
    const char *instance, *client, *request; /* "10.0.0.9:51234", "GET /orders/42" */
    const char *request_id;                  /* "": none */
    const char *state;                       /* "connecting", "sending", "waiting", "answering" or "tunnel" */
    int64_t age_ms;
};

struct muster_holders {
    int picked;         /* 1: requests still go there */
    uint64_t in_flight; /* all of them */
    size_t n;           /* a thousand of them at most */
    const struct muster_holder *items;
};

/*
 * Who holds an instance, or with NULL any of the service: once it is drained, nothing is under way there when `picked`
 * is false and `in_flight` 0.
 */
MUSTER_API int muster_get_holders(struct muster_client *client, const char *service, const char *instance,
                                  struct muster_holders **ret_holders);
MUSTER_API void muster_holders_free(struct muster_holders *holders);

/*
 * Waits until each of the services (a list that ends with NULL) has at least `min` instances that are offered.
 * MUSTER_TIMED_OUT: muster_error names those that have not.
 */
MUSTER_API int muster_wait_ready(struct muster_client *client, const char *const *services, unsigned min,
                                 unsigned timeout_ms);

/* Registers an instance once, without heartbeats: it goes when its ttl_ms is over. options.hold must be 0. */
MUSTER_API int muster_register_once(struct muster_client *client, const char *service,
                                    const struct muster_register_options *options);

/* MUSTER_NOT_FOUND: it was not there. */
MUSTER_API int muster_deregister(struct muster_client *client, const char *service, const char *instance);

enum muster_order_kind {
    MUSTER_DRAIN = 0,      /* no new work */
    MUSTER_MAINTENANCE = 1 /* no work */
};

/*
 * Orders that an instance (NULL: the whole service) is not offered, for so long (0: until it is ended). The reason,
 * which may be NULL, is shown to whoever asks. MUSTER_NOT_FOUND.
 */
MUSTER_API int muster_order(struct muster_client *client, enum muster_order_kind kind, const char *service,
                            const char *instance, const char *reason, int64_t for_ms);
/* MUSTER_NOT_FOUND also: there is no such order. */
MUSTER_API int muster_order_end(struct muster_client *client, enum muster_order_kind kind, const char *service,
                                const char *instance);

/* ------------------------------------------------------------------------------------------------ serving */

struct muster_server;
struct muster_request;

/*
 * Carries out a request, which it answers with muster_request_reply or muster_request_fail, now or later. Called by the
 * thread that is in muster_serve, one after the other. It may block, and may call every function but those that free or
 * stop the client: the client's thread goes on meanwhile with heartbeats and connections.
 */
typedef void (*muster_method_fn)(void *ctx, struct muster_request *request);

struct muster_method {
    const char *name;
    muster_method_fn fn;
};

struct muster_serve_options {
    unsigned version;         /* MUSTER_SERVE_VERSION, set by MUSTER_SERVE_INIT */
    const char *service;      /* its name at the registry; NULL: it is not registered */
    const char *listen;       /* HTTP: "HOST:PORT", "[::]:PORT", port 0: any that is free. NULL: "127.0.0.1:0" */
    const char *listen_lines; /* line by line: the same, or "unix:/PATH". NULL: not */
    const char *path;         /* where requests are posted. NULL: "/rpc" */
    const struct muster_method *methods; /* must stay until the end */
    size_t n_methods;
    /*
     * How it is registered; NULL: held by its connection. Its address may be NULL: http@ and the address of `listen`,
     * whose host must then be one that others can reach. Its needs are followed.
     */
    const struct muster_register_options *registration;
    int wait_for_needs; /* 1: it is registered when each needed service has an instance that may be used */
    /* It is registered, and ready for requests. NULL: nobody is told. */
    void (*on_ready)(void *ctx, struct muster_server *server);
    void *ctx;                /* of all functions here */
    unsigned drain_ms;        /* how long it goes on at its end with what it has begun; 0: 8 s */
    unsigned max_connections; /* 0: 256; more wait to be accepted */
    size_t max_bytes;         /* of a request or of its result; 0: 1 MB */
    unsigned slow_ms;         /* how long a request may take to come, and an answer to go; 0: 10 s */
};

#define MUSTER_SERVE_VERSION 1
#define MUSTER_SERVE_INIT                                                                                              \
    {                                                                                                                  \
        MUSTER_SERVE_VERSION, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL, NULL, 0, 0, 0, 0                         \
    }

/*
 * Runs a service: listens; asks the registry for what it needs; registers; answers GET /heart-beat with 200, takes what
 * a hub tells (POST and DELETE /services) and does nothing with it; has requests carried out; until SIGTERM, SIGINT or
 * muster_server_stop. Then it leaves the registry, listens no more, finishes what it has begun, and returns; a second
 * signal ends that too.
 *
 * Signals: this is the one function of the library that touches them. It blocks SIGTERM and SIGINT (not one that is
 * ignored) in the calling thread and takes them from there; before it returns, the mask is as it was. Threads that the
 * program has besides must have them blocked too. The client's thread is started if need be, and stopped again.
 *
 * MUSTER_OK after a stop; MUSTER_BAD_OPTIONS (an address that cannot be listened on, too); MUSTER_REFUSED: the registry
 * does not want it; MUSTER_OUT_OF_MEMORY; MUSTER_IN_CALLBACK. A registry that cannot be reached is waited for.
 */
MUSTER_API int muster_serve(struct muster_client *client, const struct muster_serve_options *options);

/* Begins the end, like SIGTERM. Any thread. The server lives until muster_serve returns. */
MUSTER_API void muster_server_stop(struct muster_server *server);

/* Where it listens: "127.0.0.1:4711", "unix:/PATH"; lines: NULL if it does not. As long as the server. */
MUSTER_API const char *muster_server_address(const struct muster_server *server);
MUSTER_API const char *muster_server_lines_address(const struct muster_server *server);

/* A service of the needs, followed; as long as the server. NULL: it is not among them. */
MUSTER_API struct muster_service *muster_server_need(const struct muster_server *server, const char *service);

/* The server of a request that a method was called with, while the method runs. */
MUSTER_API struct muster_server *muster_request_server(const struct muster_request *request);
/* As long as the request. */
MUSTER_API const char *muster_request_method(const struct muster_request *request);
/* JSON on one line: an object, an array, or "null" when there were none. */
MUSTER_API const char *muster_request_params(const struct muster_request *request);

/*
 * Answers a request, once. It is freed when it is answered and its method has returned. Any thread, before the client
 * is freed; harmless when the caller has gone. `result`: any JSON value. MUSTER_OK; MUSTER_BAD_OPTIONS: it is none, or
 * too long, and the caller was told of an internal error, or the request is answered already; MUSTER_OUT_OF_MEMORY: the
 * connection is closed.
 */
MUSTER_API int muster_request_reply(struct muster_request *request, const char *result);
/* The same with an error. -32602 stands for wrong params. */
MUSTER_API int muster_request_fail(struct muster_request *request, int64_t code, const char *message);

/* ------------------------------------------------------------------------------------------------ the server itself */

struct muster_listener {
    const char *role;      /* "registry" or "gateway" */
    const char *address;   /* "127.0.0.1:2379", "unix:/run/muster.sock" */
    const char *protocols; /* "HTTP/1.1, HTTP/2" */
};

struct muster_worker {
    uint64_t n_connections;
};

/* What makes instances by itself, such as an engine whose containers become instances. */
struct muster_source {
    const char *name;        /* "docker" */
    const char *place;       /* what it follows: "unix:///var/run/docker.sock" */
    const char *state;       /* "following", "waiting", … */
    const char *trouble;     /* why it cannot do its work now; "": nothing is wrong */
    int64_t last_success_ms; /* wall clock, since 1970; 0: never yet */
    int64_t next_try_ms;     /* 0: none is due */
    int64_t n_instances;
    int64_t n_drifts; /* what it had to mend that it had not been told of */
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
    size_t n_sources;
    const struct muster_source *sources;
};

/* How the server is. */
MUSTER_API int muster_get_status(struct muster_client *client, struct muster_status **ret_status);
MUSTER_API void muster_status_free(struct muster_status *status);

/* Who asks the server much. */
struct muster_caller {
    const char *address;                            /* without a port; "unix" */
    uint64_t requests_per_minute, bytes_per_minute; /* answered, sent */
    uint64_t n_requests, n_bytes;                   /* since the server knows it */
};

struct muster_callers {
    size_t n;
    const struct muster_caller *items; /* who asked most in the last minute first; not all */
};

MUSTER_API int muster_get_callers(struct muster_client *client, struct muster_callers **ret_callers);
MUSTER_API void muster_callers_free(struct muster_callers *callers);

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
MUSTER_API void muster_why_free(struct muster_why *why);

#ifdef __cplusplus
}
#endif

#endif
