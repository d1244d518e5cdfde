/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version of etcd that muster answers as. Clients and tools choose what they call by it; it is told by etcd's
 * Maintenance service and by /version.
 */
#pragma once

#define ETCD_VERSION         "3.6.0"
#define ETCD_STORAGE_VERSION "3.6.0"
