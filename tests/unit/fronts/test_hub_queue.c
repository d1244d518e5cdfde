/* SPDX-License-Identifier: Apache-2.0 */
/* Notices over simulated streams to a dependant that does what the test says. */
#include "fronts/hub/hub_queue.h"

#include "http/server.h"
#include "support/office_kit.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

struct kit {
    struct sim *sim;
    struct loop *loop;
    struct http_server *server;
    struct errand_office office;
    struct hub_queue queue;
    struct exchange *waiting; /* asked, and not answered because is_slow */
    struct buf seen;          /* "POST a, DELETE a, " */
    int connect_error;
    int n_to_break; /* so many requests are read, and their connections broken */
    bool is_slow, is_closed;
};

/* connect has no context of its own: a case has one kit, and a process of its own. */
static struct kit *the_kit;

static int connect_sim(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event,
                       void *owner, struct stream **ret_stream)
{
    (void)loop, (void)deadline_ns, (void)addr;
    struct kit *kit = the_kit;
    struct stream *end;
    const struct sim_options network = {.connect_ns = 1, .connect_error = kit->connect_error};
    int r = sim_connect(kit->sim, &network, on_event, owner, ret_stream, &end);
    if (r < 0)
        return r;
    if (kit->connect_error)
        stream_close(end);
    else
        http_server_adopt(kit->server, end, &(struct peer){.family = AF_INET});
    return 0;
}

static void on_close(struct exchange *exchange, enum exchange_end end)
{
    (void)exchange, (void)end;
    the_kit->waiting = NULL;
}

static void on_whole(struct exchange *exchange, struct slice body)
{
    static const struct exchange_app app = {.on_close = on_close};
    struct kit *kit = the_kit;
    buf_printf(&kit->seen, "%.*s, ", SLICE_ARG(body));
    if (kit->n_to_break > 0) {
        kit->n_to_break--;
        exchange_abort(exchange);
    } else if (kit->is_slow) {
        exchange->app = &app;
        kit->waiting = exchange;
    } else {
        exchange_respond(exchange, 404, NULL, 0, (struct slice){0}); /* any answer will do */
    }
}

static void on_request(void *ctx, struct exchange *exchange)
{
    struct kit *kit = ctx;
    expect_slice(exchange->request->target, "/services");
    buf_printf(&kit->seen, "%.*s ", SLICE_ARG(exchange->request->method_text));
    exchange_collect(exchange, 1000, on_whole);
}

static void on_closed(struct hub_queue *queue)
{
    (void)queue;
    the_kit->is_closed = true;
}

static struct kit *kit_new(void)
{
    struct http_server_options server_options;
    struct kit *kit = calloc(1, sizeof(*kit));
    expect_true(kit);
    the_kit = kit;
    http_server_options_init(&server_options);
    expect_int(sim_new(NULL, &kit->sim, &kit->loop), 0);
    expect_int(
        http_server_new(kit->loop, &server_options, &(struct exchange_handler){on_request, kit}, NULL, 0, &kit->server),
        0);
    office_kit_open(&kit->office, kit->loop, connect_sim);
    hub_queue_init(&kit->queue, &kit->office, SLICE_LIT("10.0.0.1"), 81, on_closed);
    return kit;
}

static void kit_free(struct kit *kit)
{
    if (!kit->queue.is_closing)
        hub_queue_close(&kit->queue);
    sim_run_for(kit->sim, NSEC_PER_SEC);
    expect_true(kit->is_closed);
    office_kit_close(&kit->office);
    http_server_free(kit->server);
    buf_deinit(&kit->seen);
    loop_free(kit->loop);
    free(kit);
}

static void add(struct kit *kit, bool is_arrival, struct hub_text *text)
{
    expect_int(hub_queue_add(&kit->queue, is_arrival, text), 0);
}

static void add_both(struct kit *kit, const char *name)
{
    struct hub_text *text = hub_text_new(slice_from_str(name));
    add(kit, true, text);
    add(kit, false, text);
    hub_text_unref(text);
}

static void expect_seen(struct kit *kit, nsec_t duration_ns, const char *expected)
{
    sim_run_for(kit->sim, duration_ns);
    expect_slice(buf_slice(&kit->seen), expected);
    buf_reset(&kit->seen);
}

static void notices_come_in_order(void)
{
    struct kit *kit = kit_new();
    add_both(kit, "a");
    expect_seen(kit, NSEC_PER_SEC, ""); /* held */
    hub_queue_release(&kit->queue);
    add_both(kit, "b");
    expect_seen(kit, NSEC_PER_SEC, "POST a, DELETE a, POST b, DELETE b, ");
    kit_free(kit);
}

static void one_at_a_time(void)
{
    struct kit *kit = kit_new();
    kit->is_slow = true;
    hub_queue_release(&kit->queue);
    add_both(kit, "a");
    expect_seen(kit, NSEC_PER_SEC, "POST a, ");
    exchange_respond(kit->waiting, 200, NULL, 0, (struct slice){0});
    expect_seen(kit, NSEC_PER_SEC, "DELETE a, ");
    kit_free(kit);
}

static void what_was_not_sent_is_sent_again(void)
{
    struct kit *kit = kit_new();
    kit->connect_error = -ECONNREFUSED;
    hub_queue_release(&kit->queue);
    add_both(kit, "a");
    expect_seen(kit, 10 * NSEC_PER_SEC, "");
    kit->connect_error = 0;
    expect_seen(kit, 6 * NSEC_PER_SEC, "POST a, DELETE a, ");
    kit_free(kit);
}

static void what_is_unsure_is_taken_back(void)
{
    struct kit *kit = kit_new();
    kit->n_to_break = 1;
    hub_queue_release(&kit->queue);
    add_both(kit, "a");
    expect_seen(kit, NSEC_PER_SEC, "POST a, DELETE a, DELETE a, POST a, DELETE a, ");
    kit->n_to_break = 3; /* POST, and the first DELETE twice */
    add_both(kit, "b");
    expect_seen(kit, 2 * NSEC_PER_SEC, "POST b, DELETE b, DELETE b, DELETE b, DELETE b, POST b, DELETE b, ");
    kit_free(kit);
}

static void an_answer_without_end_is_unsure_too(void)
{
    struct kit *kit = kit_new();
    kit->is_slow = true;
    hub_queue_release(&kit->queue);
    struct hub_text *text = hub_text_new(SLICE_LIT("a"));
    add(kit, true, text);
    hub_text_unref(text);
    expect_seen(kit, 4 * NSEC_PER_SEC, "POST a, ");
    kit->is_slow = false;
    expect_seen(kit, 2 * NSEC_PER_SEC, "DELETE a, DELETE a, POST a, ");
    kit_free(kit);
}

static void a_new_answer_makes_old_notices_needless(void)
{
    struct kit *kit = kit_new();
    kit->is_slow = true;
    hub_queue_release(&kit->queue);
    add_both(kit, "a");
    add_both(kit, "b");
    sim_run_for(kit->sim, NSEC_PER_SEC);
    hub_queue_hold(&kit->queue);
    add_both(kit, "c");
    exchange_respond(kit->waiting, 200, NULL, 0, (struct slice){0});
    kit->is_slow = false;
    expect_seen(kit, NSEC_PER_SEC, "POST a, ");
    hub_queue_release(&kit->queue);
    expect_seen(kit, NSEC_PER_SEC, "POST c, DELETE c, ");
    kit_free(kit);
}

static void a_long_queue_is_bounded_by_what_there_is(void)
{
    struct kit *kit = kit_new();
    for (int i = 0; i < 10000; i++)
        add_both(kit, "a");
    expect_true(kit->queue.n_notices <= 1002);
    kit_free(kit);
}

static void it_can_be_closed_at_any_time(void)
{
    for (nsec_t when = 0; when < 7 * NSEC_PER_SEC; when += NSEC_PER_SEC / 2) {
        struct kit *kit = kit_new();
        kit->is_slow = true;
        hub_queue_release(&kit->queue);
        add_both(kit, "a");
        sim_run_for(kit->sim, when);
        hub_queue_close(&kit->queue);
        kit_free(kit);
    }
}

static const struct test_case cases[] = {
    {"notices come in order", notices_come_in_order},
    {"one at a time", one_at_a_time},
    {"what was not sent is sent again", what_was_not_sent_is_sent_again},
    {"what is unsure is taken back", what_is_unsure_is_taken_back},
    {"an answer without end is unsure too", an_answer_without_end_is_unsure_too},
    {"a new answer makes old notices needless", a_new_answer_makes_old_notices_needless},
    {"a long queue is bounded by what there is", a_long_queue_is_bounded_by_what_there_is},
    {"it can be closed at any time", it_can_be_closed_at_any_time},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
