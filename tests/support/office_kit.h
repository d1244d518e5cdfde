/* SPDX-License-Identifier: Apache-2.0 */
/* An office for errands (errand.h) whose connections lead where the test says, and that knows no name. */
#pragma once

#include "http/errand.h"

void office_kit_open(struct errand_office *office, struct loop *loop, pool_connect_fn connect);
/* Its errands have ended. */
void office_kit_close(struct errand_office *office);
