/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer's side of the directory: one thread (that which steps the catalogue) makes and changes drafts of services,
 * which readers see when they are published. However many instances of a service change before that, each chunk is
 * copied once, and readers get one new service.
 */
#pragma once

#include "catalog/directory.h"

/* When a change is made: stamped upon the service. */
struct directory_stamp {
    int64_t revision; /* the catalogue's */
    int64_t wall_ms;
};

/* 0, -ENOMEM, or the -errno of getrandom(2). */
int directory_new(struct rcu_domain *rcu, struct directory **ret_directory);
/* No reader may be left. Accepts NULL. */
void directory_free(struct directory *directory);

/*
 * Puts the instance in, in place of the one with its id; takes a reference. The service comes to be if it was not
 * known. 0, or -ENOMEM: then nothing has changed.
 */
int directory_put(struct directory *directory, const struct instance *instance, const struct directory_stamp *stamp);

/*
 * Takes an instance out; it must be there. 0, or -ENOMEM: then nothing has changed. Cannot fail for what was put since
 * the last publishing, so that a put can be taken back.
 */
int directory_remove(struct directory *directory, const struct instance *instance, const struct directory_stamp *stamp);

/* Readers see all changes so far. */
void directory_publish(struct directory *directory);

/* Services without an instance that are known at the same time: who makes up names does not fill our memory. */
#define DIRECTORY_EMPTY_MAX 10000

/*
 * Forgets the published services that have no instance and had offered none since before that time (wall clock), and of
 * those beyond DIRECTORY_EMPTY_MAX the ones that were emptied first. Looks at no others.
 */
void directory_forget(struct directory *directory, int64_t before_ms);
