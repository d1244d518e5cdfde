/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a snapshot (docs/store-format.md): a head, frames, an end frame, perhaps padding. Pure. Names are
 * segment_name with the suffix "snapshot" and the number of the first record that is not covered.
 */
#pragma once

#include "base/slice.h"
#include "store/local/snapshot.h"

#define SNAPSHOT_VERSION          2
#define SNAPSHOT_VERSION_OLDEST   1 /* that can be read */
#define SNAPSHOT_HEAD_BYTES       64
#define SNAPSHOT_FRAME_HEAD_BYTES 24
#define SNAPSHOT_END_BYTES        16
#define SNAPSHOT_PADDING_MAX      511
/* A frame is closed when it has so many bytes of entries; with the last one it must not have more than the maximum. */
#define SNAPSHOT_FRAME_BYTES     (256 * 1024)
#define SNAPSHOT_FRAME_BYTES_MAX (16 * 1024 * 1024)

enum snapshot_frame_kind { SNAPSHOT_ENTRIES = 1, SNAPSHOT_END = 2 };

struct snapshot_frame {
    enum snapshot_frame_kind kind;
    uint32_t length;    /* of what follows its head */
    uint32_t n_entries; /* END: 0 */
    uint64_t index;     /* from 0: frames that changed places are found out */
    uint32_t crc;       /* of the rest of its head and what follows */
};

/* Gives the salt of the frames' checksums. */
uint32_t snapshot_head_write(const struct snapshot_head *head, uint64_t random, char ret_bytes[SNAPSHOT_HEAD_BYTES]);
/* 0; -EBADMSG: damaged; -ENOTSUP: of a version that this program does not know. */
int snapshot_head_read(const char bytes[SNAPSHOT_HEAD_BYTES], struct snapshot_head *ret_head, uint32_t *ret_salt);

/* Fills in the head in front of the payload, checksum included. */
void snapshot_frame_write(uint32_t salt, const struct snapshot_frame *frame, struct slice payload,
                          char ret_bytes[SNAPSHOT_FRAME_HEAD_BYTES]);
/* False when it is none that was ever written; its checksum is still to be compared. */
bool snapshot_frame_read(const char bytes[SNAPSHOT_FRAME_HEAD_BYTES], struct snapshot_frame *ret_frame);
/* Of a head as it was read and its payload. */
uint32_t snapshot_frame_crc(uint32_t salt, const char bytes[SNAPSHOT_FRAME_HEAD_BYTES], struct slice payload);

/* The payload of the end frame. */
void snapshot_end_write(uint64_t n_entries, uint64_t n_frames, char ret_bytes[SNAPSHOT_END_BYTES]);
void snapshot_end_read(const char bytes[SNAPSHOT_END_BYTES], uint64_t *ret_entries, uint64_t *ret_frames);
