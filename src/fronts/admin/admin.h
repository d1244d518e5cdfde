/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `muster store` asks of a running server, and whoever else keeps one:
 *
 *     GET  /api/v1/store/snapshot               a copy of the store, as `muster store restore` takes it
 *     POST /api/v1/store/compaction?revision=N  forgets the history before N; without it, before now
 *     GET  /api/v1/store/why?key=KEY            when and why the key went, and who changed it last: why.h
 *     GET  /api/v1/store/why?lease=ID           the same of a lease (hexadecimal) and of the keys that went with it
 *
 * While etcd's auth is on, this is for users with the role root (fronts/access.h).
 */
#pragma once

#include "fronts/front.h"

extern const struct front admin_front;
