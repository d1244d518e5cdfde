/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hub and its clients say to each other of an instance: {"Name":…,"Addr":…,"RequiredServices":[…]}.
 * Pure. Members are found in any case, as the Go programs that made this protocol find them; others are passed over.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/host_port.h"
#include "catalog/instance.h"
#include "wire/json_writer.h"

#define HUB_OBJECT_MAX   ((size_t)64 * 1024)
#define HUB_REQUIRED_MAX 256

struct hub_object {
    struct slice name, addr;
    const struct slice *required;
    unsigned n_required;
};

/* 0, -EINVAL with words, -ENOMEM. Slices live in the arena. */
int hub_object_parse(struct slice json, struct arena *arena, struct hub_object *ret_object, struct err *err);

/* Room for any address that is not the record's own text. */
#define HUB_ADDR_ROOM (CATALOG_NAME_MAX + HOST_PORT_EXTRA)

/* The address in this form: verbatim what was posted; of another protocol's the one that it can be reached at. */
struct slice hub_object_addr(const struct instance *instance, char room[HUB_ADDR_ROOM]);

/* An instance of any origin in this form. */
void hub_object_write(struct json_writer *json, const struct instance *instance);
