/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of auth_model share. */
#pragma once

#include "fronts/etcd/auth_model.h"

/* The user that must be there, and the role that may everything. */
#define AUTH_ROOT SLICE_LIT("root")

/* Where the name is, or belongs, among items of `size` bytes that begin with their name. */
size_t auth_model_search(const void *items, size_t n, size_t size, struct slice name);

/* 0 or negative. */
int auth_permission_copy(struct arena *arena, const struct auth_permission *permission,
                         struct auth_permission *ret_permission);
