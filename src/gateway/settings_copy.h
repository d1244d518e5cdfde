/* SPDX-License-Identifier: Apache-2.0 */
/* Settings with all that they point to, shared by the plans and services that are made by them. */
#pragma once

#include "base/arena.h"
#include "gateway/settings.h"

#include <stdatomic.h>

struct settings_copy {
    _Atomic uint32_t refs;
    struct arena arena;
    struct gateway_settings settings;
};

/* 0 or -ENOMEM. */
int settings_copy_new(const struct gateway_settings *settings, struct settings_copy **ret_copy);
struct settings_copy *settings_copy_ref(struct settings_copy *copy);
/* Any thread; accepts NULL. */
void settings_copy_unref(struct settings_copy *copy);
