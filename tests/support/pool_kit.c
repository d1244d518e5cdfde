/* SPDX-License-Identifier: Apache-2.0 */
/* See pool_kit.h. */
#include "support/pool_kit.h"

#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

/* connect has no context of its own. */
static struct pool_kit *the_kit;

static int connect_sim(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event,
                       void *owner, struct stream **ret_stream)
{
    struct pool_kit *kit = the_kit;
    const struct sim_options network = {
        .connect_ns = kit->connect_ns ? kit->connect_ns : 1,
        .connect_error = kit->connect_error,
    };
    struct stream *end;
    expect_true(loop == kit->loop && deadline_ns == NSEC_NEVER && addr->len > 0);
    if (kit->n_open_max > 0 && pool_kit_stats(kit).n_open >= kit->n_open_max)
        return -EMFILE;
    int r = sim_connect(kit->sim, &network, on_event, owner, ret_stream, &end);
    if (r < 0)
        return r;
    if (kit->server_is_silent || kit->connect_error || kit->connect_ns)
        kit->silent[kit->n_connects % ARRAY_LEN(kit->silent)] = end;
    else
        http_server_adopt(kit->server, end, &(struct peer){.family = AF_INET});
    kit->n_connects++;
    return 0;
}

static void later_close(struct exchange *exchange, enum exchange_end end)
{
    struct pool_kit *kit = exchange->state;
    (void)end;
    kit->later = NULL;
}

static void on_request(void *ctx, struct exchange *exchange)
{
    static const struct exchange_app app = {.on_close = later_close};
    struct pool_kit *kit = ctx;
    if (!slice_equal_str(exchange->request->path, "/later")) {
        exchange_respond(exchange, 200, NULL, 0, SLICE_LIT("hello\n"));
        return;
    }
    exchange->app = &app;
    exchange->state = kit;
    kit->later = exchange;
}

static void on_head(struct client_call *call, const struct http_response *response)
{
    container_of(call, struct pool_user, call)->status = response->status;
}

static void on_body(struct client_call *call, struct slice bytes)
{
    container_of(call, struct pool_user, call)->n_body += bytes.len;
}

static void on_done(struct client_call *call, int result)
{
    struct pool_user *user = container_of(call, struct pool_user, call);
    user->n_done++;
    user->n_reused += call->reused;
    user->result = result;
}

static const struct client_events events = {.on_head = on_head, .on_body = on_body, .on_done = on_done};

void pool_user_start(struct pool_user *user, struct client_connection *connection)
{
    user->call.events = &events;
    client_call_start(connection, &user->call,
                      &(struct client_request){
                          .method = SLICE_LIT("GET"),
                          .target = slice_from_str(user->is_patient ? "/later" : "/hello"),
                          .authority = SLICE_LIT("x"),
                      });
    user->is_patient = false;
}

static void on_ready(struct pool_wait *wait, int result, struct client_connection *connection)
{
    struct pool_user *user = container_of(wait, struct pool_user, wait);
    if (connection) {
        pool_user_start(user, connection);
    } else {
        user->n_done++;
        user->result = result;
    }
}

int pool_kit_try_new(const struct pool_options *options, struct pool_kit **ret_kit)
{
    struct pool_options pool_options;
    struct http_server_options server_options;
    pool_options_init(&pool_options);
    if (options)
        pool_options = *options;
    pool_options.connect = connect_sim;
    http_server_options_init(&server_options);
    struct pool_kit *kit = the_kit = *ret_kit = calloc(1, sizeof(*kit));
    if (!kit)
        return -ENOMEM;
    int r = sim_new(NULL, &kit->sim, &kit->loop);
    if (r == 0)
        r = http_server_new(kit->loop, &server_options, &(struct exchange_handler){on_request, kit}, NULL, 0,
                            &kit->server);
    if (r == 0)
        r = pool_new(kit->loop, &pool_options, &kit->pool);
    for (int i = 0; i < POOL_KIT_USERS; i++)
        kit->users[i] = (struct pool_user){.kit = kit, .wait = {.on_ready = on_ready}};
    return r;
}

struct pool_kit *pool_kit_new(const struct pool_options *options)
{
    struct pool_kit *kit;
    expect_int(pool_kit_try_new(options, &kit), 0);
    return kit;
}

void pool_kit_free(struct pool_kit *kit)
{
    if (!kit)
        return;
    pool_free(kit->pool);
    http_server_free(kit->server);
    for (size_t i = 0; i < ARRAY_LEN(kit->silent); i++)
        stream_close(kit->silent[i]);
    if (kit->loop)
        loop_free(kit->loop);
    free(kit);
}

struct pool_key pool_kit_key(unsigned port)
{
    struct pool_key key = {0};
    addr_from_ip(&(struct peer){.family = AF_INET, .port = (uint16_t)port, .ip = {10, 0, 0, 1}}, &key.addr);
    return key;
}

int pool_user_call(struct pool_user *user, unsigned port)
{
    struct pool_key key = pool_kit_key(port);
    struct client_connection *connection;
    int r = pool_get(user->kit->pool, &key, &user->wait, &connection);
    if (r == 0)
        pool_user_start(user, connection);
    return r;
}

struct pool_stats pool_kit_stats(const struct pool_kit *kit)
{
    struct pool_stats stats;
    pool_get_stats(kit->pool, &stats);
    return stats;
}

void pool_kit_settle(struct pool_kit *kit)
{
    sim_run_for(kit->sim, NSEC_PER_MSEC);
}
