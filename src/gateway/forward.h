/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a head is passed on, and what the gateway adds to it.
 *
 * Fields between two neighbours (Connection and what it lists, Keep-Alive, TE, Upgrade, …) stay there. From a client
 * who is not trusted no field survives that tells who he is or how he came (X-Forwarded-*, Forwarded, X-Real-IP,
 * X-Request-ID), nor one that a careless reader takes for such (X_Forwarded_For); afterwards our own are added. So
 * nobody can name our own fields in Connection to have them taken away.
 */
#pragma once

#include "base/buf.h"
#include "gateway/settings.h"
#include "http/exchange.h"

/* A list that a trusted peer began goes on in its line up to this length, beyond it in another one. */
#define FORWARD_JOINED_MAX 2048

#define FORWARD_HEADERS_MAX 2
#define FORWARD_TEXT_BYTES  1024

/* The id of a request, in X-Request-ID: of a trusted peer, or 16 digits of ours. */
#define FORWARD_ID_MAX 63
struct forward_id {
    uint8_t len;
    char text[FORWARD_ID_MAX];
};

/* Of a response; what its slices point to is the head that was parsed, the relay, or its own room. */
struct forward {
    struct header_carry carry;
    struct header headers[FORWARD_HEADERS_MAX];
    unsigned n_headers;
    size_t n_text;
    char text[FORWARD_TEXT_BYTES];
};

/* How the request came. */
struct forward_terms {
    const struct gateway_settings *settings;
    struct slice name; /* of this gateway in Via, unlike that of any other */
    const struct peer *peer;
    bool is_tls;
    struct slice stripped_prefix; /* what was taken off its path; "": nothing */
    uint64_t random[3];           /* for ids that are begun here */
};

/* Whether that peer is one of the proxies in front of us. */
bool forward_is_trusted(const struct gateway_settings *settings, const struct peer *peer);

/* The request has been here before. */
bool forward_is_loop(const struct http_request *request, struct slice name);

/* It says that nobody behind us is meant: Max-Forwards (RFC 9110 7.6.2). */
bool forward_ends_here(const struct http_request *request);

/*
 * For the instance: what is carried, and our own fields, which are appended to `lines` as such. An id that a trusted
 * peer gave is kept if it is no longer than FORWARD_ID_MAX. 0 or -ENOMEM.
 */
int forward_request(const struct http_request *request, const struct forward_terms *terms,
                    struct header_carry *ret_carry, struct buf *lines, struct forward_id *ret_id);

/* For the client, of an answer or a 1xx. id: added; may be "". */
void forward_response(const struct http_response *response, struct slice id, struct forward *ret_forward);

/* Of a request or an answer, to be passed on as they came; NULL: none. How many. */
unsigned forward_trailers(const struct http_fields *trailers, struct header ret_headers[HTTP_FIELDS_MAX]);

/* Adds a field; the value must outlive the forward, or lie in its room. */
void forward_add(struct forward *forward, struct slice name, struct slice value);
