/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may see and change a service: whoever may read or write the keys below /muster/services/SERVICE/, whichever
 * protocol asks (fronts/access.h). An instance that stands for a key elsewhere counts as its service.
 */
#pragma once

#include "fronts/access.h"

/*
 * 0, or the status to answer with, 503 when out of memory. `service` "": all services. In on_request only.
 */
unsigned service_access_check(const struct access *access, const struct exchange *exchange, enum access_touch touch,
                              struct slice service);
