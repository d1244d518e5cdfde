/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an instance can be asked: "http@HOST:PORT", "https@…", "tcp@HOST:PORT", "unix@/PATH", the same with "://", or
 * "HOST:PORT", which is tcp.
 */
#pragma once

#include "client/address.h"

#define TARGET_PROTOCOL_MAX 32

struct target {
    char protocol[TARGET_PROTOCOL_MAX + 1]; /* lower case */
    char host[ADDRESS_HOST_MAX];            /* "" for unix */
    unsigned port;
    struct address address; /* to connect to */
};

/* 0, or -EINVAL with words. */
int target_parse(struct slice text, struct target *ret_target, struct err *err);
