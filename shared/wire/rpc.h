/* SPDX-License-Identifier: Apache-2.0
 *
 * The envelope of msgpack-RPC (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md) as a
 * codec without I/O, for both sides:
 *
 *   request       [0, id, "method", [args]] or [0, id, "method", [args, options]]
 *   response      [1, id, error, result]           one of the two is nil
 *   notification  [2, "method", [params]]
 *
 * args is a map from parameter to value; options is a map: deadline_ms is what is left of the
 * caller's time; node, nodes and select say whose answer is wanted; forwarded is a node's word for
 * whom it asks. An error is a map {code, message, node}. Cancelling is the notification rpc.cancel
 * [id]. Events come as notifications events.event [{…}], and before the node ends a connection of
 * its own accord it says rpc.closing [{code, message}].
 *
 * A message is scanned before anything of it is read: bytes are looked at once, however they come
 * in pieces, nothing is allocated for what is only announced, and depth and size are bounded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

#define RPC_REQUEST_MAX     (64u * 1024u)        /* what a node takes as one message */
#define RPC_RESPONSE_MAX    (8u * 1024u * 1024u) /* what a client takes as one message */
#define RPC_READ_MAX        (4u * 1024u * 1024u) /* packets in one answer of session.read */
#define RPC_LIVE_MAX        (1024u * 1024u)      /* and of live.read */
#define RPC_LIVE_WAIT_MAX   30000                /* ms, of one live.read */
#define RPC_DEPTH_MAX       16
#define RPC_METHOD_MAX      64
#define RPC_VALUES_MAX      4096 /* values in one call */
#define RPC_TEXT_KEY_MAX    256  /* bytes of a key of a map */
#define RPC_DEADLINE_MAX_MS (24u * 3600u * 1000u)

#define RPC_CANCEL  "rpc.cancel"
#define RPC_CLOSING "rpc.closing"
#define RPC_EVENT   "events.event"

enum rpc_scan_state {
    RPC_SCAN_MORE,  /* the message is not whole yet */
    RPC_SCAN_WHOLE, /* scan->at is its length */
    RPC_SCAN_BAD,   /* no msgpack, no array, too deep, or more than `max` bytes */
};

/* Where a scan is. All zero: at the start of a message. */
struct rpc_scan {
    size_t at; /* bytes looked at */
    unsigned level;
    bool is_begun;
    uint32_t left[RPC_DEPTH_MAX + 1]; /* values to come on each level */
};

/* message: the n bytes that are there of a message, from its start, so the same and more than the
 * last time. What it announces must fit in `max` bytes. Goes on where it stopped. */
enum rpc_scan_state rpc_scan(struct rpc_scan *scan, const uint8_t *message, size_t n, size_t max);

/* Msgpack inside a message, borrowed. */
struct rpc_span {
    const uint8_t *bytes; /* NULL: there is none, or nil */
    size_t n;
};

enum rpc_kind { RPC_REQUEST = 0, RPC_RESPONSE = 1, RPC_NOTIFICATION = 2 };

struct rpc_message {
    enum rpc_kind kind;
    uint32_t id;                 /* not of a notification */
    char method[RPC_METHOD_MAX]; /* not of a response */
    struct rpc_span params;      /* an array; not of a response */
    struct rpc_span error;       /* of a response; bytes NULL: nil */
    struct rpc_span result;      /* of a response */
};

/* A whole message, as rpc_scan found it. ERR_USAGE: it is none of the three; out->id is what was
 * read before, *has_id says whether that is one to answer to (may be NULL). */
int rpc_decode(const uint8_t *message, size_t n, struct rpc_message *out, bool *has_id,
               struct err *err);

#define RPC_WHO_MAX 96 /* "key pr_ID via NODE" */

/* The options of a call. node, nodes and select say whom it is for (docs/protocol-rpc.md); none of
 * them: the node asked. */
struct rpc_call_options {
    uint64_t deadline_ms;   /* 0: the caller did not say */
    struct rpc_span node;   /* a text: one member, whose answer is given as it is */
    struct rpc_span nodes;  /* "all" or an array of texts: the answers of several, in one */
    struct rpc_span select; /* an array of "tag=value": the same, of those that have all of them */
    bool is_forwarded;      /* by a node, on behalf of `who`, who has `rights` there */
    unsigned rights;        /* api_right bits */
    char who[RPC_WHO_MAX];
};

/* Whether a sound value, such as a result, has at most so many arrays and maps in each other: what
 * it is put into must not become deeper than RPC_DEPTH_MAX by what somebody else has answered. */
bool rpc_fits_depth(struct rpc_span value, unsigned depth);

/* The params of a request: args.bytes is NULL for none (`[]`). ERR_USAGE. Unknown options are read
 * over, so that later ones do no harm. */
int rpc_decode_params(struct rpc_span params, struct rpc_span *args,
                      struct rpc_call_options *options, struct err *err);
/* The id of rpc.cancel's params. */
int rpc_decode_cancel(struct rpc_span params, uint32_t *id, struct err *err);

/* Codes beside those of err_name(). */
#define RPC_CODE_BAD_REQUEST     "bad_request" /* no call: the message is not as it should be */
#define RPC_CODE_UNKNOWN_METHOD  "unknown_method"
#define RPC_CODE_NOT_IMPLEMENTED "not_implemented" /* this node was built without it */
#define RPC_CODE_DEADLINE        "deadline"        /* the caller's time is over */
#define RPC_CODE_CANCELLED       "cancelled"
#define RPC_CODE_BUSY            "busy"   /* too much at the moment: try again */
#define RPC_CODE_ENDING          "ending" /* the node stops */

struct rpc_error {
    char code[32];
    char message[1024];
    char node[256]; /* "" = not said */
};

/* The error of a response, or what rpc.closing says. What is missing stays empty; bytes that would
 * steer a terminal become '?'. ERR_USAGE when it is no map. */
int rpc_decode_error(struct rpc_span error, struct rpc_error *out, struct err *err);
/* The member of enum err_code for a code, for exit codes; ERR_IO for those of RPC alone. */
int rpc_code_to_err(const char *code);

/* Encoding, appended to out. args: a msgpack map, or none (bytes NULL) for {}. */
void rpc_put_request(struct buf *out, uint32_t id, const char *method, struct rpc_span args,
                     uint64_t deadline_ms);
/* The same with options; those that are zero are left out. */
void rpc_put_request_with(struct buf *out, uint32_t id, const char *method, struct rpc_span args,
                          const struct rpc_call_options *options);
void rpc_put_cancel(struct buf *out, uint32_t id);
/* result: bytes NULL is nil. */
void rpc_put_response(struct buf *out, uint32_t id, struct rpc_span result);
/* All of it but the result, which follows. */
void rpc_put_response_head(struct buf *out, uint32_t id);
void rpc_put_error(struct buf *out, uint32_t id, const char *code, const char *message,
                   const char *node);
/* value: the one element of the params. */
void rpc_put_notification(struct buf *out, const char *method, struct rpc_span value);

/* Single values, for results that are packed by hand: as pack_*, appended. */
void rpc_put_map(struct buf *out, uint32_t n_pairs);
void rpc_put_array(struct buf *out, uint32_t n);
void rpc_put_nil(struct buf *out);
void rpc_put_bool(struct buf *out, bool v);
void rpc_put_u64(struct buf *out, uint64_t v);
void rpc_put_i64(struct buf *out, int64_t v);
void rpc_put_real(struct buf *out, double v);
void rpc_put_text(struct buf *out, const char *text); /* nil for NULL */
void rpc_put_text_n(struct buf *out, const char *text, size_t n);
void rpc_put_bin(struct buf *out, const void *bytes, size_t n);

/* JSON to msgpack, appended. */
struct json_t;
void rpc_put_json(struct buf *out, const struct json_t *value);
/* One msgpack value as JSON: *out is a new reference. At most max_values values in it; map keys are
 * texts, each once. ERR_USAGE: not JSON's (bin, extensions, a number that is none, text that is not
 * UTF-8); ERR_LIMIT: more values or depth. */
int rpc_to_json(struct rpc_span value, size_t max_values, struct json_t **out, struct err *err);
