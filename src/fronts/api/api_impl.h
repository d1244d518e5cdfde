/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this front end share.
 *
 *     api.c             the table of paths, finding a request's row in it, the instance's life
 *     api_worker.c      what each worker has for itself
 *     api_query.c       parameters of the query, held against those of the row
 *     api_body.c        members of a body, held against those that are known
 *     api_problem.c     errors as RFC 9457 has them
 *     api_json.c        instances, services and changes as JSON
 *     api_page.c        the next services in the order of their names
 *     api_cache.c       services as text, made once for all who ask or watch
 *     api_services.c    services, now
 *     api_instances.c   looking at, renewing, checking and deregistering an instance
 *     api_register.c    registering one, by a request or by a connection that is held
 *     api_hold.c        a registration that lasts as long as its connection
 *     api_orders.c      drain and maintenance
 *     api_history.c     reading the timeline's notes
 *     api_timeline.c    the timeline
 *     api_past.c        who was there at a moment (api_moment.c)
 *     api_graph.c       who needs whom, and in which circles (api_cycles.c)
 *     api_explain.c     why an instance is, or is not, in an answer
 *     api_gateway.c     the gateway's last requests, and what it has to do
 *     api_prometheus.c  targets for Prometheus
 *     api_hub.c         a worker's followers of changes, by service
 *     api_stream.c      one answer as a stream of events
 *     api_watch.c       watches
 *     api_wait.c        waits for services
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "catalog/catalog.h"
#include "fronts/api/api_hub.h"
#include "fronts/change.h"
#include "fronts/front.h"

#include <pthread.h>

struct json_writer;

/* ------------------------------------------------------------------------------------------------ the front end */

/* Connections that hold a registration, of all workers: the youngest of a session is the one that counts. */
struct api_holders {
    pthread_mutex_t lock; /* short, and only when one comes or goes */
    struct list all[64];  /* by a hash of names and session */
};

struct api {
    struct curator *curator;
    struct store *store;
    const struct access *access;
    const struct gateway_view *gateway; /* NULL: none is known */
    struct api_holders holders;
    struct api_worker *_Atomic workers;
    _Atomic bool is_stopping; /* streams end, and what they held stays */
};

struct api_text;

#define API_CACHE_SLOTS 256

struct api_worker {
    struct api *api;
    struct loop *loop;
    struct api_worker *next;
    struct mail stop_mail;
    struct api_hub hub;
    struct api_text *cached[API_CACHE_SLOTS];
    struct api_text *cached_large; /* one, the last */
};

/* The calling thread's; NULL: out of memory. */
struct api_worker *api_worker_of(struct api *api, struct loop *loop);
void api_worker_free(struct api_worker *worker);

static inline const struct directory *api_directory(const struct api *api)
{
    return catalog_directory(curator_catalog(api->curator));
}

static inline int64_t api_revision(const struct api *api)
{
    return catalog_revision(curator_catalog(api->curator));
}

/* ------------------------------------------------------------------------------------------------ a request */

#define API_PARAMS_MAX 64 /* in one query */

struct api_param {
    struct slice name, value; /* decoded */
};

/* A request that has its row; lives during on_request. */
struct api_call {
    struct api *api;
    struct api_worker *worker;
    struct exchange *exchange;
    struct slice service, id; /* from the path; "" where it names none */
    struct api_param params[API_PARAMS_MAX];
    unsigned n_params;
    struct arena arena;
};

/*
 * Reads the query. `known` ends with NULL; a name that begins with '*' may come several times. False: answered, since
 * a parameter is unknown, is twice there, or is badly encoded.
 */
bool api_query_read(struct api_call *call, const char *const *known);
/* The value of the first one with this name; NULL: there is none. */
const struct slice *api_query_get(const struct api_call *call, const char *name);
/* Numbers and truths; `absent` when it is not there. False: answered, since it is none, or is out of bounds. */
bool api_query_u64(struct api_call *call, const char *name, uint64_t absent, uint64_t min, uint64_t max,
                   uint64_t *ret_number);
bool api_query_bool(struct api_call *call, const char *name, bool *ret_value);
/* The values of all with this name; none is no error. They live in the arena. False: answered (out of memory). */
bool api_query_all(struct api_call *call, const char *name, struct slice **ret_values, unsigned *ret_n);
/* The same for "service", sorted and without doubles: names, all of which may be read. None asked for: all may. */
bool api_query_services(struct api_call *call, struct slice **ret_services, unsigned *ret_n);

/* ------------------------------------------------------------------------------------------------ answers */

/* RFC 9457. The members that are empty are left out. */
struct api_problem {
    unsigned status;
    const char *name;            /* "/problems/NAME"; NULL: about:blank */
    struct slice service, id;    /* whom it is about */
    const char *const *expected; /* what there is instead; ends with NULL */
    struct slice *missing;       /* services that are not ready */
    unsigned n_missing;
    int64_t oldest_ms; /* the first moment that is known; 0: no such member */
    struct err detail;
};

void api_problem_respond(struct exchange *exchange, const struct api_problem *problem);
/* Without more than words. */
void api_refuse(struct exchange *exchange, unsigned status, const char *name, const char *fmt, ...) PRINTF_LIKE(4, 5);
void api_refuse_memory(struct exchange *exchange);
/* The service or instance of the call is not there. */
void api_refuse_unknown(struct api_call *call);
/* What became of a change, other than well. */
void api_refuse_change(struct change *change);

/* Answers 200 with the buf, or 503 when it has failed, and frees it. */
void api_respond_json(struct exchange *exchange, struct buf *body);
/* {"revision": …} and a status. */
void api_respond_revision(struct exchange *exchange, unsigned status, int64_t revision);

/* Whether the caller may (fronts/service_access.h); an empty service means all of them. False: answered. */
bool api_may(struct api_call *call, enum access_touch touch, struct slice service);

/* A change of what the path names; NULL: answered. */
struct change *api_change(struct api_call *call, change_answer_fn answer);
/* An answer of that kind: the revision, or what went wrong. */
void api_answer_change(struct change *change);

/* The instance of the call's path; NULL: answered with 404. */
const struct instance *api_find_instance(struct api_call *call);

/* ------------------------------------------------------------------------------------------------ JSON */

void api_json_instance(struct json_writer *json, const struct instance *instance);
/* {"name", "revision", "instances": […]}; `service` NULL: none is known. */
void api_json_service(struct buf *out, struct slice name, int64_t revision, const struct directory_service *service,
                      bool is_offered_only);
void api_json_change(struct buf *out, const struct catalog_change *change);

/* ------------------------------------------------------------------------------------------------ pages */

#define API_PAGE_MAX 1024

/* Services in the order of their names. */
struct api_page {
    unsigned n, limit;
    bool has_more;
    const struct directory_service *services[API_PAGE_MAX + 1];
};

/* The first `limit` ones with the prefix that come after the name. Good until the end of the turn. */
void api_page_read(const struct directory *directory, struct slice prefix, struct slice after, unsigned limit,
                   struct api_page *ret_page);

/* ------------------------------------------------------------------------------------------------ cached texts */

/* A service as api_json_service writes it. One thread's; counted. */
struct api_text {
    unsigned refs;
    uint64_t generation;
    bool is_offered_only;
    struct buf text;
};

/* NULL: out of memory, or above API_TEXT_MAX. */
#define API_TEXT_MAX ((size_t)64 * 1024 * 1024)
struct api_text *api_cache_service(struct api_worker *worker, const struct directory_service *service,
                                   bool is_offered_only);
void api_text_unref(struct api_text *text); /* accepts NULL */

/* ------------------------------------------------------------------------------------------------ handlers */

void api_list_services(struct api_call *call);
void api_show_service(struct api_call *call);
void api_show_service_at(struct api_call *call, struct slice moment); /* api_past.c */
void api_show_instance(struct api_call *call);
void api_put_instance(struct api_call *call);
void api_delete_instance(struct api_call *call);
void api_renew_instance(struct api_call *call);
void api_check_instance(struct api_call *call);
void api_put_drain(struct api_call *call);
void api_delete_drain(struct api_call *call);
void api_put_maintenance(struct api_call *call);
void api_delete_maintenance(struct api_call *call);
void api_watch(struct api_call *call);
void api_wait(struct api_call *call);
/* The server is stopping. */
void api_waits_stop(struct api_hub *hub);
void api_timeline(struct api_call *call);
void api_graph(struct api_call *call);
void api_explain(struct api_call *call);
void api_requests(struct api_call *call);
void api_traffic(struct api_call *call);
void api_holders(struct api_call *call);
void api_prometheus(struct api_call *call);
