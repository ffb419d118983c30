/* SPDX-License-Identifier: Apache-2.0
 *
 * Pure but for the clock of the Date header: it makes heads and pieces of answers and gives them to
 * the connection through struct exchange_link.
 */
#include "node/exchange.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "node/exchange_internal.h"
#include "node/ws_conn.h"
#include "shared/base/mem.h"

/* ---- life ---- */

static const char *keep(struct buf *storage, const char *text)
{
    const char *at = (const char *)storage->data + storage->len;

    buf_append(storage, text, strlen(text) + 1);
    return at;
}

static void copy_head(struct exchange *ex, const struct http_head *head)
{
    size_t n = strlen(head->method) + strlen(head->target) + 2;

    for (size_t i = 0; i < head->n_headers; i++) {
        n += strlen(head->headers[i].name) + strlen(head->headers[i].value) + 2;
    }
    buf_reserve(&ex->storage, n); /* once: what is kept does not move */
    ex->head = *head;
    ex->head.method = keep(&ex->storage, head->method);
    ex->head.target = keep(&ex->storage, head->target);
    for (size_t i = 0; i < head->n_headers; i++) {
        ex->head.headers[i].name = keep(&ex->storage, head->headers[i].name);
        ex->head.headers[i].value = keep(&ex->storage, head->headers[i].value);
    }
}

struct exchange *exchange_new(struct node *node, const struct http_head *head, const char *peer,
                              const struct exchange_link *link, void *conn)
{
    struct exchange *ex = x_alloc(sizeof *ex);

    ex->refs = 1;
    ex->node = node;
    ex->link = link;
    ex->conn = conn;
    ex->keep_alive = head->keep_alive;
    ex->grant.expires_ns = API_KEY_NEVER;
    snprintf(ex->peer, sizeof ex->peer, "%s", peer);
    copy_head(ex, head);
    return ex;
}

struct exchange *exchange_ref(struct exchange *ex)
{
    ex->refs++;
    return ex;
}

void exchange_unref(struct exchange *ex)
{
    if (--ex->refs > 0) {
        return;
    }
    buf_deinit(&ex->storage);
    buf_deinit(&ex->body);
    buf_deinit(&ex->headers);
    route_match_deinit(&ex->match);
    url_target_deinit(&ex->target);
    mem_free(ex);
}

bool exchange_is_gone(const struct exchange *ex)
{
    return ex->is_gone;
}

void exchange_lost(struct exchange *ex)
{
    const struct exchange_stream_ops *ops = ex->ops;

    ex->is_gone = true;
    ex->link = NULL;
    ex->ops = NULL;
    if (ex->is_streaming && ops != NULL && ops->gone != NULL) {
        ops->gone(ex, ex->ops_arg);
    }
}

void exchange_drained(struct exchange *ex)
{
    if (ex->is_streaming && ex->ops != NULL && ex->ops->drained != NULL) {
        ex->ops->drained(ex, ex->ops_arg);
    }
}

/* ---- the request ---- */

struct node *exchange_node(const struct exchange *ex)
{
    return ex->node;
}

const struct http_head *exchange_head(const struct exchange *ex)
{
    return &ex->head;
}

const struct route *exchange_route(const struct exchange *ex)
{
    return ex->match.route;
}

const char *exchange_path(const struct exchange *ex, const char *name)
{
    return route_match_param(&ex->match, name);
}

const char *exchange_query(const struct exchange *ex, const char *name)
{
    return url_param(&ex->target, name);
}

const char *exchange_header(const struct exchange *ex, const char *name)
{
    return http_header(&ex->head, name);
}

const uint8_t *exchange_body(const struct exchange *ex, size_t *n)
{
    *n = ex->body.len;
    return ex->body.data;
}

const char *exchange_key_id(const struct exchange *ex)
{
    return ex->grant.key_id;
}

unsigned exchange_rights(const struct exchange *ex)
{
    return ex->grant.rights;
}

const char *exchange_peer(const struct exchange *ex)
{
    return ex->peer;
}

/* ---- the answer's head ---- */

void exchange_add_header(struct exchange *ex, const char *name, const char *fmt, ...)
{
    va_list ap;
    struct buf value = {0};

    va_start(ap, fmt);
    buf_vprintf(&value, fmt, ap);
    va_end(ap);
    http_put_header(&ex->headers, name, "%s", (const char *)value.data);
    buf_deinit(&value);
}

static void put_date(struct buf *out)
{
    time_t now = time(NULL);
    struct tm parts;
    char text[64];

    gmtime_r(&now, &parts);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    http_put_header(out, "Date", "%s", text);
}

static bool is_head_request(const struct exchange *ex)
{
    return strcmp(ex->head.method, "HEAD") == 0;
}

static bool has_content(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* Start line and headers, but for the length and the end. */
static void put_head(struct exchange *ex, struct buf *out, unsigned status, const char *type)
{
    ex->status = status;
    http_put_status(out, status);
    put_date(out);
    if (has_content(status) && type != NULL) {
        http_put_header(out, "Content-Type", "%s", type);
    }
    http_put_header(out, "X-Content-Type-Options", "nosniff");
    if (ex->headers.len == 0 ||
        memmem(ex->headers.data, ex->headers.len, "Cache-Control:", 14) == NULL) {
        http_put_header(out, "Cache-Control", "no-store");
    }
    if (!ex->keep_alive) {
        http_put_header(out, "Connection", "close");
    }
    buf_append(out, ex->headers.data, ex->headers.len);
}

/* The answer is complete: the connection goes on without this exchange. */
static void finish(struct exchange *ex)
{
    const struct exchange_link *link = ex->link;

    ex->link = NULL;
    ex->ops = NULL;
    ex->is_streaming = false;
    link->finished(ex->conn, ex->keep_alive);
}

/* ---- whole answers ---- */

void exchange_reply(struct exchange *ex, unsigned status, const char *type, const void *data,
                    size_t n)
{
    struct buf out = {0};

    if (ex->is_gone) {
        return;
    }
    REQUIRE(!ex->is_answered);
    ex->is_answered = true;
    put_head(ex, &out, status, type);
    if (has_content(status)) {
        http_put_header(&out, "Content-Length", "%zu", n);
    }
    http_put_end(&out);
    if (has_content(status) && !is_head_request(ex)) {
        buf_append(&out, data, n);
    }
    ex->link->send(ex->conn, &out);
    buf_deinit(&out);
    finish(ex);
}

void exchange_reply_text(struct exchange *ex, unsigned status, const char *text)
{
    exchange_reply(ex, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void reply_json(struct exchange *ex, unsigned status, const char *type, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    json_decref(value);
    REQUIRE(text != NULL);
    exchange_reply(ex, status, type, text, strlen(text));
    free(text);
}

void exchange_reply_json(struct exchange *ex, unsigned status, struct json_t *value)
{
    reply_json(ex, status, "application/json", value);
}

/* A detail may quote what a peer sent: what is no UTF-8 becomes '?'. */
static json_t *detail_json(struct buf *detail)
{
    json_t *text = json_stringn((const char *)detail->data, detail->len);

    if (text == NULL) {
        for (size_t i = 0; i < detail->len; i++) {
            if (detail->data[i] >= 0x80) {
                detail->data[i] = '?';
            }
        }
        text = json_stringn((const char *)detail->data, detail->len);
    }
    return text;
}

void exchange_problem(struct exchange *ex, unsigned status, const char *fmt, ...)
{
    struct buf detail = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&detail, fmt, ap);
    va_end(ap);
    json_t *problem =
        json_pack("{s:s, s:s, s:i, s:o}", "type", "about:blank", "title", http_status_text(status),
                  "status", (int)status, "detail", detail_json(&detail));
    buf_deinit(&detail);
    reply_json(ex, status, "application/problem+json", problem);
}

void exchange_fail(struct exchange *ex, const struct err *err)
{
    static const struct {
        int code;
        unsigned status;
    } known[] = {
        {ERR_NOT_FOUND, 404}, {ERR_AMBIGUOUS, 409},   {ERR_FILTER, 400}, {ERR_USAGE, 400},
        {ERR_IN_USE, 409},    {ERR_EXISTS, 409},      {ERR_FULL, 507},   {ERR_LIMIT, 413},
        {ERR_KEY, 401},       {ERR_UNSUPPORTED, 501},
    };
    unsigned status = 500;

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].code == err->code) {
            status = known[i].status;
        }
    }
    exchange_problem(ex, status, "%s", err->text);
}

/* ---- streams ---- */

void exchange_begin(struct exchange *ex, unsigned status, const char *type, uint64_t length,
                    const struct exchange_stream_ops *ops, void *arg)
{
    struct buf out = {0};

    if (ex->is_gone) {
        return;
    }
    REQUIRE(!ex->is_answered);
    ex->is_answered = true;
    ex->is_streaming = true;
    ex->ops = ops;
    ex->ops_arg = arg;
    ex->left = length;
    if (length == HTTP_LENGTH_UNKNOWN && ex->head.is_http10) {
        ex->keep_alive = false; /* the end of the connection is the end of the content */
    } else if (length == HTTP_LENGTH_UNKNOWN) {
        ex->is_chunked = true;
    }
    put_head(ex, &out, status, type);
    if (ex->is_chunked) {
        http_put_header(&out, "Transfer-Encoding", "chunked");
    } else if (length != HTTP_LENGTH_UNKNOWN) {
        http_put_header(&out, "Content-Length", "%llu", (unsigned long long)length);
    }
    http_put_end(&out);
    ex->link->send(ex->conn, &out);
    buf_deinit(&out);
}

bool exchange_write(struct exchange *ex, const void *data, size_t n)
{
    struct buf out = {0};

    if (ex->is_gone || n == 0) {
        return true;
    }
    REQUIRE(ex->is_streaming);
    if (ex->left != HTTP_LENGTH_UNKNOWN) {
        REQUIRE(n <= ex->left);
        ex->left -= n;
    }
    if (is_head_request(ex)) {
        return true;
    }
    if (ex->is_chunked) {
        http_put_chunk(&out, data, n);
    } else {
        buf_append(&out, data, n);
    }
    bool has_room = ex->link->send(ex->conn, &out);
    buf_deinit(&out);
    return has_room;
}

void exchange_end(struct exchange *ex)
{
    struct buf out = {0};

    if (ex->is_gone) {
        return;
    }
    REQUIRE(ex->is_streaming);
    if (ex->left != HTTP_LENGTH_UNKNOWN && ex->left > 0 && !is_head_request(ex)) {
        exchange_abort(ex);
        return;
    }
    if (ex->is_chunked && !is_head_request(ex)) {
        http_put_last_chunk(&out);
        ex->link->send(ex->conn, &out);
        buf_deinit(&out);
    }
    finish(ex);
}

void exchange_abort(struct exchange *ex)
{
    const struct exchange_link *link = ex->link;

    if (ex->is_gone || link == NULL) {
        return;
    }
    ex->ops = NULL;
    ex->is_streaming = false;
    link->broken(ex->conn);
}

/* ---- WebSocket ---- */

static bool has_handshake(const struct http_head *head)
{
    const char *version = http_header(head, "sec-websocket-version");

    return strcmp(head->method, "GET") == 0 && !head->is_http10 &&
           http_header_has(head, "upgrade", "websocket") &&
           http_header_has(head, "connection", "upgrade") && version != NULL &&
           strcmp(version, "13") == 0;
}

static bool has_key(const struct http_head *head)
{
    const char *key = http_header(head, "sec-websocket-key");

    return key != NULL && ws_key_is_valid(key);
}

bool exchange_is_upgrade(const struct exchange *ex)
{
    return has_handshake(&ex->head) && has_key(&ex->head);
}

static bool check_handshake(struct exchange *ex)
{
    if (!has_handshake(&ex->head)) {
        exchange_add_header(ex, "Upgrade", "websocket");
        exchange_add_header(ex, "Sec-WebSocket-Version", "13");
        exchange_problem(ex, 426,
                         "'%s' is a WebSocket: ask with Upgrade: websocket and "
                         "Sec-WebSocket-Version: 13",
                         ex->target.path);
        return false;
    }
    if (!has_key(&ex->head)) {
        exchange_problem(ex, 400, "Sec-WebSocket-Key must be 16 bytes in base64");
        return false;
    }
    return true;
}

struct ws_conn *exchange_upgrade(struct exchange *ex, const struct ws_conn_opts *opts)
{
    struct ws_conn_opts settled = *opts;
    char accept[WS_ACCEPT_MAX];
    struct buf out = {0};

    if (ex->is_gone || !check_handshake(ex)) {
        return NULL;
    }
    REQUIRE(!ex->is_answered);
    ex->is_answered = true;
    const char *extensions = exchange_header(ex, "sec-websocket-extensions");
    settled.deflate = opts->deflate && extensions != NULL && ws_deflate_is_offered(extensions);
    ws_accept(exchange_header(ex, "sec-websocket-key"), accept);
    ex->status = 101;
    http_put_status(&out, 101);
    http_put_header(&out, "Upgrade", "websocket");
    http_put_header(&out, "Connection", "Upgrade");
    http_put_header(&out, "Sec-WebSocket-Accept", "%s", accept);
    if (settled.deflate) {
        http_put_header(&out, "Sec-WebSocket-Extensions", "%s", WS_DEFLATE_ANSWER);
    }
    buf_append(&out, ex->headers.data, ex->headers.len);
    http_put_end(&out);
    const struct exchange_link *link = ex->link;
    ex->link = NULL;
    struct ws_conn *conn = link->upgrade(ex->conn, ex, &out, &settled);
    buf_deinit(&out);
    return conn;
}
