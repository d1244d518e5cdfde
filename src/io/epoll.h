/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real system under a loop: epoll, an eventfd to be woken by, CLOCK_MONOTONIC. See struct loop_system.
 */
#pragma once

#include "io/loop.h"

struct epoll_system;

extern const struct loop_system epoll_system_ops; /* its ctx is a struct epoll_system */

/* 0, -ENOMEM, or the -errno of epoll_create or eventfd. */
int epoll_system_new(struct epoll_system **ret_system);
