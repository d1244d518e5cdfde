/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What HTTP/1.1 and HTTP/2 messages have in common: methods, field names that somebody here cares about, status
 * reasons, and a parsed message head. Pure.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_METHODS(X)                                                                                                \
    X(GET, "GET")                                                                                                      \
    X(HEAD, "HEAD")                                                                                                    \
    X(POST, "POST")                                                                                                    \
    X(PUT, "PUT")                                                                                                      \
    X(DELETE, "DELETE")                                                                                                \
    X(PATCH, "PATCH")                                                                                                  \
    X(OPTIONS, "OPTIONS")                                                                                              \
    X(TRACE, "TRACE")                                                                                                  \
    X(CONNECT, "CONNECT")

enum http_method {
    HTTP_METHOD_OTHER, /* a valid token that is none of the below; see http_head.method_text */
#define X(name, text) HTTP_METHOD_##name,
    HTTP_METHODS(X)
#undef X
};

#define HTTP_STATUSES(X)                                                                                               \
    X(100, "Continue")                                                                                                 \
    X(101, "Switching Protocols")                                                                                      \
    X(103, "Early Hints")                                                                                              \
    X(200, "OK")                                                                                                       \
    X(201, "Created")                                                                                                  \
    X(202, "Accepted")                                                                                                 \
    X(204, "No Content")                                                                                               \
    X(205, "Reset Content")                                                                                            \
    X(206, "Partial Content")                                                                                          \
    X(301, "Moved Permanently")                                                                                        \
    X(302, "Found")                                                                                                    \
    X(303, "See Other")                                                                                                \
    X(304, "Not Modified")                                                                                             \
    X(307, "Temporary Redirect")                                                                                       \
    X(308, "Permanent Redirect")                                                                                       \
    X(400, "Bad Request")                                                                                              \
    X(401, "Unauthorized")                                                                                             \
    X(403, "Forbidden")                                                                                                \
    X(404, "Not Found")                                                                                                \
    X(405, "Method Not Allowed")                                                                                       \
    X(406, "Not Acceptable")                                                                                           \
    X(408, "Request Timeout")                                                                                          \
    X(409, "Conflict")                                                                                                 \
    X(410, "Gone")                                                                                                     \
    X(411, "Length Required")                                                                                          \
    X(412, "Precondition Failed")                                                                                      \
    X(413, "Content Too Large")                                                                                        \
    X(414, "URI Too Long")                                                                                             \
    X(415, "Unsupported Media Type")                                                                                   \
    X(416, "Range Not Satisfiable")                                                                                    \
    X(417, "Expectation Failed")                                                                                       \
    X(421, "Misdirected Request")                                                                                      \
    X(422, "Unprocessable Content")                                                                                    \
    X(425, "Too Early")                                                                                                \
    X(426, "Upgrade Required")                                                                                         \
    X(428, "Precondition Required")                                                                                    \
    X(429, "Too Many Requests")                                                                                        \
    X(431, "Request Header Fields Too Large")                                                                          \
    X(500, "Internal Server Error")                                                                                    \
    X(501, "Not Implemented")                                                                                          \
    X(502, "Bad Gateway")                                                                                              \
    X(503, "Service Unavailable")                                                                                      \
    X(504, "Gateway Timeout")                                                                                          \
    X(505, "HTTP Version Not Supported")                                                                               \
    X(507, "Insufficient Storage")                                                                                     \
    X(508, "Loop Detected")

/* Field names that are looked at, lower case. A field with another name has HTTP_FIELD_OTHER. */
#define HTTP_FIELDS(X)                                                                                                 \
    X(AUTHORITY, ":authority")                                                                                         \
    X(METHOD, ":method")                                                                                               \
    X(PATH, ":path")                                                                                                   \
    X(SCHEME, ":scheme")                                                                                               \
    X(STATUS, ":status")                                                                                               \
    X(PROTOCOL, ":protocol")                                                                                           \
    X(ACCEPT, "accept")                                                                                                \
    X(AUTHORIZATION, "authorization")                                                                                  \
    X(CONNECTION, "connection")                                                                                        \
    X(CONTENT_LENGTH, "content-length")                                                                                \
    X(CONTENT_TYPE, "content-type")                                                                                    \
    X(COOKIE, "cookie")                                                                                                \
    X(DATE, "date")                                                                                                    \
    X(EXPECT, "expect")                                                                                                \
    X(FORWARDED, "forwarded")                                                                                          \
    X(GRPC_ENCODING, "grpc-encoding")                                                                                  \
    X(GRPC_TIMEOUT, "grpc-timeout")                                                                                    \
    X(HOST, "host")                                                                                                    \
    X(HTTP2_SETTINGS, "http2-settings")                                                                                \
    X(IDEMPOTENCY_KEY, "idempotency-key")                                                                              \
    X(KEEP_ALIVE, "keep-alive")                                                                                        \
    X(MAX_FORWARDS, "max-forwards")                                                                                    \
    X(PROXY_CONNECTION, "proxy-connection")                                                                            \
    X(PROXY_STATUS, "proxy-status")                                                                                    \
    X(REFERER, "referer")                                                                                              \
    X(RETRY_AFTER, "retry-after")                                                                                      \
    X(SERVER, "server")                                                                                                \
    X(SET_COOKIE, "set-cookie")                                                                                        \
    X(TE, "te")                                                                                                        \
    X(TRACEPARENT, "traceparent")                                                                                      \
    X(TRACESTATE, "tracestate")                                                                                        \
    X(TRAILER, "trailer")                                                                                              \
    X(TRANSFER_ENCODING, "transfer-encoding")                                                                          \
    X(UPGRADE, "upgrade")                                                                                              \
    X(USER_AGENT, "user-agent")                                                                                        \
    X(VIA, "via")                                                                                                      \
    X(X_FORWARDED_FOR, "x-forwarded-for")                                                                              \
    X(X_FORWARDED_HOST, "x-forwarded-host")                                                                            \
    X(X_FORWARDED_PORT, "x-forwarded-port")                                                                            \
    X(X_FORWARDED_PREFIX, "x-forwarded-prefix")                                                                        \
    X(X_FORWARDED_PROTO, "x-forwarded-proto")                                                                          \
    X(X_REAL_IP, "x-real-ip")                                                                                          \
    X(X_REQUEST_ID, "x-request-id")

enum http_field_id {
    HTTP_FIELD_OTHER,
#define X(name, text) HTTP_FIELD_##name,
    HTTP_FIELDS(X)
#undef X
        HTTP_FIELD_IDS_
};

struct http_field {
    struct slice name;  /* as received */
    struct slice value; /* trimmed */
    enum http_field_id id;
};

/* More fields than this in one head are refused with 431. */
#define HTTP_FIELDS_MAX 128

struct http_fields {
    unsigned n;
    /*
     * HTTP/1: the lines as they came, without the empty one that ends them, so that what is passed on as it is can be
     * copied in runs: a line begins with its field's name and ends where the next one begins. Empty when there are
     * none.
     */
    struct slice lines;
    struct http_field items[HTTP_FIELDS_MAX];
};

enum http_framing {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,  /* content_length bytes, perhaps 0 */
    HTTP_BODY_CHUNKED, /* HTTP/1.1 chunks */
    HTTP_BODY_STREAM,  /* until the end of the stream: HTTP/2 without content-length, HTTP/1 responses until close */
};

/*
 * A request's head, whichever protocol brought it. All slices point into the bytes that were parsed (or into the HTTP/2
 * stream's copy) and are valid as long as those are.
 */
struct http_request {
    enum http_method method;
    uint8_t version_major, version_minor; /* 1.0, 1.1, 2.0 */
    enum http_framing framing;
    bool keep_alive;      /* HTTP/1: what version and Connection say together */
    bool expect_continue; /* the client waits for 100 before it sends the body; never set without a body */
    bool upgrade;         /* HTTP/1.1 Upgrade is asked for (listed in Connection too), to something else than h2c */
    uint64_t content_length;
    struct slice method_text;
    struct slice target;    /* as received */
    struct slice path;      /* "/" or "*" at least; without query; still percent-encoded; empty only for CONNECT */
    struct slice query;     /* after '?', may be empty */
    struct slice authority; /* host[:port], from an absolute target, else Host or :authority; empty only for HTTP/1.0 */
    struct http_fields *fields; /* in order of arrival, pseudo-fields left out */
};

struct http_response {
    uint16_t status;
    uint8_t version_major, version_minor;
    enum http_framing framing;
    bool keep_alive;
    bool has_length;         /* content_length was told … */
    uint64_t content_length; /* … also by a HEAD or 304 response, of a body that it does not have; else 0 */
    uint32_t idle_timeout_s; /* how long the server keeps the connection (Keep-Alive: timeout=N); 0: it does not say */
    struct slice reason;     /* may be empty */
    struct http_fields *fields;
};

enum http_method http_method_find(struct slice text);
const char *http_method_name(enum http_method method);
bool http_method_is_idempotent(enum http_method method);

/* Any case. The name must be a token, or that of a pseudo-field. */
enum http_field_id http_field_find(struct slice name);
const char *http_field_name(enum http_field_id id);

/* "Not Found"; "" for a status nobody knows. */
const char *http_status_reason(unsigned status);

/* "HTTP/1.1 404 Not Found\r\n"; empty for a status nobody knows. */
struct slice http_status_line(unsigned status);

/* The first field with that id; NULL when there is none. */
const struct http_field *http_fields_get(const struct http_fields *fields, enum http_field_id id);
/* The first field with that name (any case), for names that have no id. */
const struct http_field *http_fields_get_name(const struct http_fields *fields, struct slice name);

/*
 * Leaves out of a trailer section what must not come behind a body (RFC 9110 6.5.1): what could change how the message
 * is delimited, routed, authorised or read, and what tells where it came from.
 */
void http_trailers_clean(struct http_fields *trailers);

/* RFC 9110 token and field value characters. */
bool http_is_token(struct slice text);
bool http_is_field_value(struct slice text);
/* A valid Host value: name, IPv4 or [IPv6], with an optional port; never empty, no comma, no blank, no user part. */
bool http_is_authority(struct slice text);
/* True when the comma-separated list has the token (any case). */
bool http_list_has(struct slice list, struct slice token);
