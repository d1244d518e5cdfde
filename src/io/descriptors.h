/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may have the last of the descriptors that the process may have. Clients have all but an eighth, so that those
 * that are there can be served; what serves them (connections to instances) and whoever keeps the registry alive have
 * half of that eighth; the rest is for files.
 *
 * The system gives the lowest number that is free, so the number of a new descriptor says how many are in use at least:
 * nobody counts.
 */
#pragma once

#include <stdbool.h>

enum descriptor_use { DESCRIPTOR_OF_CLIENT, DESCRIPTOR_OF_SERVICE };

/* Whether a new descriptor may be kept for that, by the limit of the moment. */
bool descriptor_may_be(int fd, enum descriptor_use use);
