/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that the catalogue remembers by name: of a service its orders and what it lost lately; of an instance's name who
 * stands under it, its orders, deadlines and penalty. It is the catalogue's working memory; readers see the directory.
 *
 * An entry is there while anything is remembered under its name, a service while it has entries or orders.
 */
#pragma once

#include "base/hash.h"
#include "base/htab.h"
#include "catalog/flap.h"
#include "catalog/loss.h"
#include "catalog/order.h"
#include "catalog/timeline.h"

/* What is under a name. */
enum roster_state {
    ROSTER_ABSENT,  /* nobody: orders, or a penalty, wait for him */
    ROSTER_PRESENT, /* a key stands for it */
    ROSTER_LOST,    /* the key went in silence, within the window of losses: it may yet be held */
    ROSTER_HELD,    /* the key went in a mass loss; it is still shown */
};

/* What happens by itself, each at its own time. */
enum roster_deadline {
    ROSTER_GRACE,   /* its connection has not come back, DISCONNECTED: its key is to be deleted; else it is that now */
    ROSTER_REPORT,  /* its TTL check has not been reported to pass */
    ROSTER_REMOVAL, /* its check has failed for too long: its key is to be deleted */
    ROSTER_SUSPICION, /* nobody has renewed the suspicion: it ends */
    ROSTER_HOLD,      /* nobody could look at it: it is let go */
    ROSTER_FLAP,      /* the penalty has crossed a threshold */
    ROSTER_REFUSAL,   /* from then on it is told again when somebody is turned away */
    ROSTER_DEADLINES
};

struct roster;

struct roster_service {
    struct htab_node by_name;
    struct roster *roster;
    struct list shown;  /* entries that are PRESENT or HELD */
    struct list unseen; /* those of them that have not heard of a new order of the service yet */
    struct list work;   /* in roster->work: entries are unseen, or lost ones are to be brought back */
    struct order *orders[ORDER_TYPES];
    struct loss_window losses;
    struct timer loss_timer; /* when the oldest loss leaves the window */
    unsigned n_entries;
    unsigned n_present;
    bool is_mass_loss; /* what is lost is to be brought back, as HELD */
    unsigned name_len;
    char name[];
};

struct roster_entry {
    struct htab_node by_name;
    struct htab_node by_key; /* PRESENT: by the key of its instance */
    struct roster_service *service;
    struct list link; /* PRESENT, HELD: in shown or unseen; ABSENT: in roster->penalised when it has a penalty */
    const struct instance *instance; /* a reference; NULL: ABSENT */
    struct roster_care *care;        /* NULL: all is well, and has been for a while */
    uint32_t writers[2];             /* of its key: the last one, and the one before him */
    unsigned id_len;
    enum roster_state state : 8;
    bool is_keyed; /* by_key is in the table */
    char id[];     /* one of these for each instance: no byte is lost before it */
};

/* What is remembered of an entry that has seen trouble, or is under orders. All zero: nothing. */
struct roster_care {
    struct roster_entry *entry;
    struct roster_claim *claims; /* other keys that would stand for it, in no order */
    struct order *orders[ORDER_TYPES];
    enum timeline_kind removal; /* which kind its coming removal will be, that we asked for; 0: none */
    bool is_proved_dead;        /* a probe found nobody there */
    bool is_mute;               /* while suspect: it takes connections and answers nothing */
    bool is_flapping;           /* its penalty has crossed the upper threshold and not yet the lower one */
    char *trouble;              /* evidence of its last failure, for the day it is removed; may be NULL */
    struct loss loss;
    struct flap flap;
    nsec_t heard_ns;                    /* when its TTL check passed last, or began */
    nsec_t deadlines[ROSTER_DEADLINES]; /* 0: none */
    struct timer timer;                 /* for the next of them */
};

/* A key that stands for an instance whose name another key had before. */
struct roster_claim {
    struct htab_node by_key;
    struct roster_claim *next; /* of its entry */
    struct roster_entry *entry;
    const struct instance *instance; /* as it would be; a reference */
};

struct roster {
    struct hash_key hash_key;
    struct htab services, entries, keys, claims;
    struct wheel wheel;
    struct list work;      /* of roster_service */
    struct list penalised; /* entries that are there for their penalty only, the oldest departure first */
    size_t n_penalised;
    timer_fn on_entry, on_order, on_losses; /* what timers call */
};

/* 0, or the negative errno of getrandom(2). */
int roster_init(struct roster *roster, timer_fn on_entry, timer_fn on_order, timer_fn on_losses);
void roster_deinit(struct roster *roster);

static inline struct slice roster_service_name(const struct roster_service *service)
{
    return slice_from(service->name, service->name_len);
}

static inline struct slice roster_id(const struct roster_entry *entry)
{
    return slice_from(entry->id, entry->id_len);
}

/* For reading; never NULL: of an entry without, one that is all zero. */
const struct roster_care *roster_care(const struct roster_entry *entry);
/* For writing: made when there is none. Goes with roster_tidy when it is all zero again. NULL: out of memory. */
struct roster_care *roster_need_care(struct roster *roster, struct roster_entry *entry);

/* NULL: none. */
struct roster_service *roster_find_service(const struct roster *roster, struct slice name);
struct roster_entry *roster_find(const struct roster *roster, struct slice service, struct slice id);
struct roster_entry *roster_find_key(const struct roster *roster, struct slice key);
struct roster_claim *roster_find_claim(const struct roster *roster, struct slice key);

/* The one there is, or a new one. NULL: out of memory. */
struct roster_service *roster_service(struct roster *roster, struct slice name);
struct roster_entry *roster_entry(struct roster *roster, struct slice service, struct slice id);

/*
 * Forgets the entry's care, the entry and its service, as far as nothing is remembered in them any more; they are not
 * to be used after that.
 */
void roster_tidy(struct roster *roster, struct roster_entry *entry);
void roster_tidy_service(struct roster *roster, struct roster_service *service);

/*
 * Has the entry found by that key, which is the key of the instance that is set next. 0 or -ENOMEM. Harmless on one
 * that is found by a key already: it is the same.
 */
int roster_link_key(struct roster *roster, struct roster_entry *entry, struct slice key);
void roster_unlink_key(struct roster *roster, struct roster_entry *entry);

/*
 * What is under the name from now on; the entry takes the reference to the instance over, and drops that to the former
 * one. PRESENT: its key was linked. All others are found by no key. ABSENT: the instance is NULL.
 */
void roster_set(struct roster *roster, struct roster_entry *entry, enum roster_state state,
                const struct instance *instance);

/* Sets one deadline (0: none) and the timer. The entry has care, unless there is none to set. */
void roster_set_deadline(struct roster *roster, struct roster_entry *entry, enum roster_deadline which, nsec_t at_ns);

/*
 * Puts the order in the place of the one that was there, which is freed; takes it over. NULL: none. The entry (NULL:
 * for the service) has care.
 */
void roster_set_order(struct roster *roster, struct roster_service *service, struct roster_entry *entry,
                      enum order_type type, struct order *order);

/* A claim of that instance's key; takes the reference over when it returns 0. -ENOMEM: nothing has changed. */
int roster_add_claim(struct roster *roster, struct roster_entry *entry, const struct instance *instance);
void roster_drop_claim(struct roster *roster, struct roster_claim *claim);
