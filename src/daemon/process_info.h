/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of this process. Any thread; what cannot be read is 0.
 */
#pragma once

#include "base/metrics.h"

#include <stdint.h>

uint64_t process_resident_bytes(void);

/* Registers the process_* metrics that Prometheus' own libraries give. 0 or what registering returned. */
int process_register_metrics(struct metrics *metrics);

/* The limit of open descriptors is raised as far as the system allows. Gives the limit that holds now. */
uint64_t process_raise_descriptor_limit(void);
