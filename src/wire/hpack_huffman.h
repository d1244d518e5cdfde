/* SPDX-License-Identifier: Apache-2.0 */
/* The Huffman code of HPACK (RFC 7541 5.2 and appendix B), reading only: what we send is short, or sent once. Pure. */
#pragma once

#include "base/slice.h"

/*
 * Writes at most `size` bytes. *ret_len: how many there are, perhaps more than were written. 0, or -EBADMSG: not
 * padded as it must be, or with the end-of-string symbol in it.
 */
int hpack_huffman_read(struct slice coded, char *room, size_t size, size_t *ret_len);
