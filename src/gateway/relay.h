/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a request on its way through the gateway: relay_take.c begins it, relay.c moves it, attempt.c is one
 * try at one instance, relay_answer.c passes the answer on. Others see relay_take only.
 */
#pragma once

#include "gateway/account.h"
#include "gateway/cause.h"
#include "gateway/forward.h"
#include "gateway/gateway_worker.h"
#include "gateway/pick.h"
#include "gateway/retry.h"

/*
 * The life of a request; relay.c moves it:
 *
 *     GATHER -> SEEK           the first of its body has come, or the turn is over
 *     SEEK -> QUEUED -> SEEK   the service is full
 *     SEEK -> PARKED -> SEEK   nobody is there at the moment
 *     SEEK -> ASK -> SEEK      an attempt, and another one if it failed and may be repeated
 *     ASK -> ANSWER -> OVER    an instance answers
 *     ASK -> TUNNEL            it switches to another protocol
 *     TUNNEL -> OVER           its instance was removed
 *     any -> OVER              the gateway answers by itself, or the client has gone
 */
enum relay_state {
    RELAY_GATHER,
    RELAY_SEEK,
    RELAY_QUEUED,
    RELAY_PARKED,
    RELAY_ASK,
    RELAY_ANSWER,
    RELAY_TUNNEL,
    RELAY_OVER, /* nothing more is done for it; on_close comes */
};

/*
 *     REST -> CONNECT -> WAIT -> ANSWER -> REST
 *             CONNECT, WAIT -> FAILED -> REST     relay.c has looked at why
 */
enum attempt_state {
    ATTEMPT_REST,
    ATTEMPT_CONNECT, /* for a connection */
    ATTEMPT_WAIT,    /* the request leaves or has left; for the first byte of the answer */
    ATTEMPT_ANSWER,
    ATTEMPT_FAILED,
};

struct attempt {
    struct relay *relay;
    enum attempt_state state;
    enum cause cause;              /* ATTEMPT_FAILED */
    bool timed_out;                /* the same: the connection did not break */
    bool is_hedge;                 /* it was sent although another one is on its way */
    bool is_writing;               /* the instance still takes the request's body */
    bool is_full;                  /* the same, but no more of it now */
    uint16_t trail_at;             /* account.h */
    enum pick_tier tier;           /* that it was picked from */
    struct runtime_slot *slot;     /* not in ATTEMPT_REST */
    const struct runtime *runtime; /* of the last one; among those tried */
    nsec_t begin_ns;
    nsec_t sent_ns;   /* when the last of the request was sent; 0: it was not yet */
    struct list link; /* in the slot's list of those connecting, writing, waiting (sent whole) or answering */
    struct client_call call;
    struct pool_wait wait;
};

/* The first attempt, and the one that overtakes it when it hangs. */
#define RELAY_ATTEMPTS 2

/* How often a request is sent at all, whatever the reason. */
#define RELAY_TRIES_MAX PICK_TRIED_MAX

/* Of a request's body, for another try. */
#define RELAY_KEEP_MAX ((size_t)64 * 1024)

/* A longer head for instances has memory of its own. */
#define RELAY_HEAD_BYTES 1024

/*
 * What a request under way touches lies together, and what it does not is not set before it is used: at a thousand of
 * them it is lines of the cache that count.
 */
struct relay {
    /* all zero at first */
    struct exchange *exchange;
    struct gateway_worker *worker;
    struct plan_cell *cell; /* held (plan_hold) */
    enum relay_state state;
    enum cause cause; /* why it ended otherwise than by an answer */
    nsec_t begin_ns;
    nsec_t timeout_ns;    /* for an answer to begin, once all of the request is there */
    nsec_t deadline_ns;   /* the moment; NSEC_NEVER while the client still sends */
    nsec_t first_byte_ns; /* of the answer */
    enum http_method method;
    enum http_framing framing;
    enum retry_contract contract;
    enum balance balance;
    uint64_t content_length;
    uint64_t body_bytes_max;
    nsec_t slow_start_ns;
    uint64_t key; /* of BALANCE_HASH */
    unsigned n_in_flight_max, n_queued_max;
    uint64_t n_received; /* bytes of its body */
    uint64_t n_sent;     /* and of the answer's, once its attempt is over */
    unsigned status;     /* of the answer; 0: none has begun */
    uint8_t n_tries;     /* attempts, RELAY_TRIES_MAX at most */
    uint8_t n_tried;     /* instances that are not picked again */
    bool has_key : 1;    /* key is set */
    bool has_idempotency_key : 1;
    bool may_hedge : 1;
    bool may_switch : 1;       /* the client asks for an upgrade */
    bool counts_in_flight : 1; /* it has taken a place of n_in_flight_max */
    bool is_kept : 1;          /* its body */
    bool is_whole : 1;         /* all of it has come */
    bool is_paused : 1;
    bool wants_fresh : 1; /* the next attempt needs a new connection */
    bool was_hedged : 1;
    bool was_parked : 1;
    bool was_queued : 1;
    bool has_failed : 1; /* `failed` is set */
    bool is_ended : 1;   /* exchange_end was called, or the exchange answered whole */
    struct attempt *answering;
    struct slice head; /* as it is sent to instances: in head_room, or in memory of its own */
    char *sticky;      /* the cookie's name, NUL, the instance that the client was with; NULL: none */
    struct buf kept;   /* what came of its body, while is_kept */
    struct tunnel_result tunnelled;

    /* set when there is something to say */
    struct list link;                             /* in worker->parked or ->queued */
    struct loop_task gathered;                    /* RELAY_GATHER */
    const struct runtime *tried[RELAY_TRIES_MAX]; /* kept by n_held of their slots */
    struct attempt attempts[RELAY_ATTEMPTS];
    struct account account;
    struct forward_id id;
    char head_room[RELAY_HEAD_BYTES];
    nsec_t wait_until_ns; /* RELAY_QUEUED, RELAY_PARKED */
    struct {
        bool was_sent, was_sent_whole;
        char id[64]; /* the instance's, shown as far as it fits */
    } failed;        /* the last attempt that did */
};

/* A request that has just come: on_request of the gateway's listeners. */
void relay_take(struct gateway_worker *worker, struct exchange *exchange, bool is_local);

/* What the exchange calls: relay.c. */
extern const struct exchange_app relay_app;

/* Something has happened to it. */
void relay_move(struct relay *relay);

/* The gateway answers by itself, if no answer has begun; else the answer breaks off. */
void relay_fail(struct relay *relay, enum cause cause);

/* Its instance was removed: if it is a tunnel, it is ended. */
void relay_cut(struct relay *relay);

/* What is known of an attempt, for retry.h. */
struct retry_facts relay_facts(const struct relay *relay, const struct attempt *attempt);

/* The body is not sent again: an answer has begun. */
void relay_forget_body(struct relay *relay);

/* Stops the client where no instance takes more of the body, or lets him go on. */
void relay_hold_client(struct relay *relay);

/*
 * What is beyond the limits is not kept any longer than until it has been passed on; more of it than that is not even
 * taken.
 */
void relay_keep_within_limits(struct relay *relay);

/*
 * Sends it to a second instance as well, once, if it may be sent twice and there is one. False: the budget of its
 * service is spent.
 */
bool relay_hedge(struct relay *relay);

/* -- attempt.c -- */

/* At rest. */
void attempt_init(struct attempt *attempt, struct relay *relay);

/* To pick->target, with what there is of the body. Ends in ATTEMPT_CONNECT, _WAIT or _FAILED. */
void attempt_start(struct attempt *attempt, const struct pick_result *pick, const struct gateway_settings *settings);

/* A piece of the body, or its end. */
void attempt_write(struct attempt *attempt, struct slice bytes);
void attempt_write_end(struct attempt *attempt, const struct header *trailers, unsigned n_trailers);

/* Ends it: as failed, held against the instance or not, or without a word. All give its place in the counts back. */
void attempt_fail(struct attempt *attempt, enum cause cause, bool timed_out);
void attempt_abandon(struct attempt *attempt, enum cause cause, bool timed_out);
void attempt_cancel(struct attempt *attempt);
/* Its answer begins: it waits no more. */
void attempt_answered(struct attempt *attempt, unsigned status);
/* The answer has been passed on. */
void attempt_end(struct attempt *attempt);

/* -- relay_answer.c -- */

extern const struct client_events relay_answer_events;

/* What the gateway says of itself, to OPTIONS that were to come no further. */
void relay_answer_options(struct relay *relay);

/* The gateway's own answer. */
void relay_answer_cause(struct relay *relay, enum cause cause);
