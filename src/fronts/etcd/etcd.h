/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front end for clients of etcd v3: the gRPC services KV, Watch, Lease, Cluster, Maintenance, Auth, Lock and
 * Election on the store, and the same as JSON.
 * docs/etcd.md says what clients may rely on and where muster differs.
 */
#pragma once

#include "fronts/front.h"

extern const struct front etcd_front;
