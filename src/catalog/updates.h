/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adding to what a step gives (struct catalog_updates in catalog.h). In two moves, since a step has its whole effect or
 * none: _prepare makes room and copies the texts and may fail, _commit counts it and cannot. What is prepared and not
 * committed is as if it were not there.
 */
#pragma once

#include "catalog/catalog.h"

/* Of an actor or evidence no more is kept. */
#define UPDATES_TEXT_MAX ((size_t)255)

/* At most UPDATES_TEXT_MAX bytes of a text, and no half character at its end. */
struct slice updates_cut(struct slice text);

/* 0 or -ENOMEM. One note, and one write, may be prepared at a time. */
int updates_prepare_note(struct catalog_updates *updates, const struct catalog_change *change);
void updates_commit_note(struct catalog_updates *updates);

/* One that no change of this catalogue made. 0 or -ENOMEM. */
int updates_add_note(struct catalog_updates *updates, const struct store_note *note);

int updates_prepare_write(struct catalog_updates *updates, const struct catalog_write *write);
void updates_commit_write(struct catalog_updates *updates);
