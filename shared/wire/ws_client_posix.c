/* SPDX-License-Identifier: Apache-2.0
 *
 * One buffer takes what the kernel gives, in large reads; messages are handed out from where they
 * lie in it. Only the frame at its front is fed to the reader, so that each call gives one message:
 *
 *    inbox  |  given  |  frame  |  frame  |  part of a frame  |  free  |
 *                      ^at                                    ^len
 *
 * A part waits until its frame is whole, unless that would take more than INBOX_BYTES: then the
 * reader gets it as it comes and puts the message together itself.
 */
#include "shared/wire/ws_client.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "shared/base/mem.h"
#include "shared/wire/dial.h"
#include "shared/wire/http_problem.h"

#define INBOX_BYTES   (1024u * 1024u)
#define KEPT_BYTES    (4u * 1024u * 1024u) /* what a send may leave in the inbox */
#define MESSAGE_BYTES (16u * 1024u * 1024u)
#define QUEUE_BYTES   (256u * 1024u) /* of what waits to be sent before a send waits itself */
#define REFUSAL_BYTES (64u * 1024u)  /* of a refusal that are read for the error */

struct ws_client {
    struct dial *dial;
    struct http_parser *parser; /* holds the response's headers */
    const struct http_head *head;
    struct ws_reader *reader;
    struct buf inbox;
    size_t at;
    uint64_t feeding;   /* bytes of a large frame that the reader still gets */
    uint64_t wanted;    /* bytes that make the frame at the front whole */
    struct buf answers; /* of the reader: pongs, close */
    struct buf kept;    /* a message that did not lie in the inbox */
    bool got;
    enum ws_opcode opcode;
    const uint8_t *data;
    size_t n;
    bool closing; /* our close frame was sent */
};

static bool lies_in(const struct buf *buf, const uint8_t *data)
{
    return data >= buf->data && data < buf->data + buf->len;
}

static void on_message(void *arg, enum ws_opcode opcode, const uint8_t *data, size_t n)
{
    struct ws_client *client = arg;

    client->got = true;
    client->opcode = opcode;
    client->data = data;
    client->n = n;
    if (n > 0 && !lies_in(&client->inbox, data)) {
        buf_reset(&client->kept);
        buf_append(&client->kept, data, n);
        client->data = client->kept.data;
    }
}

/* Room behind the others for a large read. */
static void make_room(struct ws_client *client)
{
    struct buf *inbox = &client->inbox;
    size_t left = inbox->len - client->at;
    size_t need = client->wanted > left ? (size_t)client->wanted - left : 0;

    if (left == 0) {
        buf_reset(inbox);
        client->at = 0;
    } else if (inbox->cap - inbox->len <
               (need > DIAL_READ_BYTES / 2 ? need : DIAL_READ_BYTES / 2)) {
        buf_consume(inbox, client->at);
        client->at = 0;
    }
    buf_reserve(inbox, need > DIAL_READ_BYTES ? need : DIAL_READ_BYTES);
}

/* ---- the opening handshake ---------------------------------------------------------------- */

static void put_request(const struct ws_client_opts *opts, const char *key, struct buf *out)
{
    struct buf host = {0};

    url_format_endpoint(opts->endpoint, true, &host);
    http_put_request(out, "GET", opts->target);
    http_put_header(out, "Host", "%.*s", (int)host.len, (const char *)host.data);
    http_put_header(out, "User-Agent", "packetrecorder");
    http_put_header(out, "Connection", "Upgrade");
    http_put_header(out, "Upgrade", "websocket");
    http_put_header(out, "Sec-WebSocket-Version", "13");
    http_put_header(out, "Sec-WebSocket-Key", "%s", key);
    if (opts->deflate) {
        http_put_header(out, "Sec-WebSocket-Extensions", "%s", WS_DEFLATE_ANSWER);
    }
    if (opts->api_key != NULL) {
        http_put_header(out, "Authorization", "Bearer %s", opts->api_key);
    }
    http_put_end(out);
    buf_deinit(&host);
}

static int send_request(struct ws_client *client, const struct ws_client_opts *opts,
                        const char *key, uint64_t deadline_ns, struct err *err)
{
    struct buf request = {0};

    put_request(opts, key, &request);
    int rc = dial_queue(client->dial, request.data, request.len, err);
    rc = rc == 0 ? dial_flush_all(client->dial, deadline_ns, err) : rc;
    dial_forget(client->dial);
    explicit_bzero(request.data, request.cap); /* the API key */
    buf_deinit(&request);
    return rc;
}

/* The next event of the response, waiting for it. */
static int next_event(struct ws_client *client, struct http_piece *piece, uint64_t deadline_ns,
                      struct err *err)
{
    for (;;) {
        struct bytes_reader in =
            bytes_reader(client->inbox.data + client->at, client->inbox.len - client->at);
        int event = http_parser_next(client->parser, &in, piece, err);
        client->at = client->inbox.len - bytes_left(&in);
        if (event != HTTP_MORE) {
            return event;
        }
        make_room(client);
        int rc = dial_receive(client->dial, &client->inbox, err);
        if (rc < 0 && dial_is_at_end(client->dial)) {
            event = http_parser_finish(client->parser, piece, err);
            return event == HTTP_MORE ? rc : event;
        }
        rc = rc == 0 ? dial_wait(client->dial, true, deadline_ns, err) : rc;
        if (rc < 0) {
            return rc;
        }
    }
}

/* Reads what a refusal says, as far as it comes. */
static int refused(struct ws_client *client, uint64_t deadline_ns, struct err *err)
{
    unsigned status = client->head->status;
    struct buf content = {0};
    struct http_piece piece;
    int event = HTTP_MORE;

    while (content.len < REFUSAL_BYTES && event != HTTP_END &&
           (event = next_event(client, &piece, deadline_ns, NULL)) > 0) {
        if (event == HTTP_BODY) {
            buf_append(&content, piece.data, piece.n);
        }
    }
    int rc = http_problem(status, content.data, content.len, err);
    buf_deinit(&content);
    return rc;
}

static int bad_upgrade(struct err *err, const char *why)
{
    return err_set(err, ERR_DAMAGED, "that is no WebSocket server: %s", why);
}

/* What §4.1 asks of the response, and of extensions that we can do it. */
static int check_upgrade(struct ws_client *client, const char *key, bool deflate, bool *agreed,
                         struct err *err)
{
    const struct http_head *head = client->head;
    const char *accept = http_header(head, "sec-websocket-accept");
    const char *extensions = http_header(head, "sec-websocket-extensions");
    char want[WS_ACCEPT_MAX];

    ws_accept(key, want);
    if (!head->upgrade || !http_header_has(head, "upgrade", "websocket")) {
        return bad_upgrade(err, "it switches to another protocol");
    }
    if (accept == NULL || strcmp(accept, want) != 0) {
        return bad_upgrade(err, "its answer is for somebody else's request");
    }
    if (http_header(head, "sec-websocket-protocol") != NULL) {
        return bad_upgrade(err, "it chose a subprotocol, and none was offered");
    }
    *agreed = extensions != NULL && extensions[0] != '\0';
    if (*agreed && (!deflate || strncasecmp(extensions, "permessage-deflate", 18) != 0 ||
                    strchr(extensions, ',') != NULL ||
                    strcasestr(extensions, "server_no_context_takeover") == NULL)) {
        return bad_upgrade(err, "it chose an extension that was not offered");
    }
    return 0;
}

static int shake_hands(struct ws_client *client, const struct ws_client_opts *opts,
                       uint64_t deadline_ns, unsigned *status, struct err *err)
{
    char key[WS_KEY_MAX];
    struct http_piece piece = {0};
    bool deflate = false;
    int rc;

    ws_make_key(key);
    rc = send_request(client, opts, key, deadline_ns, err);
    client->parser = http_parser_new(HTTP_RESPONSES);
    do { /* 100 Continue and its like come before the answer */
        rc = rc < 0 ? rc : next_event(client, &piece, deadline_ns, err);
    } while (rc >= 0 &&
             (rc != HTTP_HEAD || (piece.head->status < 200 && piece.head->status != 101)));
    if (rc < 0) {
        bool silent = rc == -ECONNRESET && piece.head == NULL && client->inbox.len == 0;
        return silent ? dial_no_answer(opts->endpoint, err) : rc;
    }
    client->head = piece.head;
    *status = piece.head->status;
    if (*status != 101) {
        return *status < 300 ? bad_upgrade(err, "it answers without an upgrade")
                             : refused(client, deadline_ns, err);
    }
    rc = check_upgrade(client, key, opts->deflate, &deflate, err);
    rc = rc < 0 ? rc : next_event(client, &piece, deadline_ns, err);
    if (rc < 0) {
        return rc;
    }
    const struct ws_reader_opts reader = {
        .client = true,
        .deflate = deflate,
        .max_message = opts->max_message > 0 ? opts->max_message : MESSAGE_BYTES,
        .message = on_message,
        .arg = client,
    };
    client->reader = ws_reader_new(&reader);
    *status = 0;
    return 0;
}

int ws_client_open(const struct ws_client_opts *opts, uint64_t deadline_ns, struct ws_client **out,
                   unsigned *status, struct err *err)
{
    const struct dial_opts dial = {
        .endpoint = opts->endpoint,
        .ca_file = opts->ca_file,
        .local_port_from = opts->local_port_from,
        .local_port_to = opts->local_port_to,
        .stop_fd = opts->stop_fd,
    };
    struct ws_client *client = x_alloc(sizeof *client);

    *status = 0;
    int rc = dial_open(&dial, deadline_ns, &client->dial, err);
    rc = rc < 0 ? rc : shake_hands(client, opts, deadline_ns, status, err);
    if (rc < 0) {
        ws_client_close(client);
        return rc;
    }
    dial_go_on(client->dial);
    *out = client;
    return 0;
}

void ws_client_close(struct ws_client *client)
{
    if (client != NULL) {
        dial_close(client->dial);
        http_parser_free(client->parser);
        ws_reader_free(client->reader);
        buf_deinit(&client->inbox);
        buf_deinit(&client->answers);
        buf_deinit(&client->kept);
        mem_free(client);
    }
}

const char *ws_client_header(const struct ws_client *client, const char *name)
{
    return http_header(client->head, name);
}

/* ---- messages ----------------------------------------------------------------------------- */

static int send_answers(struct ws_client *client, struct err *err)
{
    if (client->answers.len == 0 || client->closing) {
        buf_reset(&client->answers);
        return 0;
    }
    int rc = dial_queue(client->dial, client->answers.data, client->answers.len, err);
    buf_reset(&client->answers);
    return rc == 0 ? dial_flush(client->dial, err) : rc;
}

/* Feeds from the inbox until there is a message (1), or more bytes are needed (0). */
static int take_frames(struct ws_client *client, struct err *err)
{
    struct buf *inbox = &client->inbox;

    client->got = false;
    while (!client->got && client->at < inbox->len) {
        size_t have = inbox->len - client->at;
        if (client->feeding == 0) {
            uint64_t size = ws_frame_size(inbox->data + client->at, have);
            client->wanted = size <= INBOX_BYTES ? size : 0;
            if (size == 0 || (size > have && size <= INBOX_BYTES)) {
                return 0;
            }
            client->feeding = size;
        }
        size_t n = client->feeding < have ? (size_t)client->feeding : have;
        int rc = ws_reader_feed(client->reader, inbox->data + client->at, n, &client->answers, err);
        client->at += n;
        client->feeding -= n;
        int sent = send_answers(client, rc < 0 ? NULL : err);
        if (rc < 0 || (sent < 0 && !client->got)) {
            return rc < 0 ? rc : sent;
        }
    }
    client->wanted = client->got ? client->wanted : 0;
    return client->got ? 1 : 0;
}

/* The peer's close frame, as ws_client_receive tells it. */
static int tell_close(struct ws_client *client, const uint8_t **data, size_t *n,
                      uint16_t *close_code)
{
    bool coded = client->n >= 2;

    *close_code = coded ? get_be16(client->data) : WS_CLOSE_NONE;
    *data = coded ? client->data + 2 : (const uint8_t *)"";
    *n = coded ? client->n - 2 : 0;
    return 0;
}

int ws_client_receive(struct ws_client *client, uint64_t deadline_ns, enum ws_opcode *opcode,
                      const uint8_t **data, size_t *n, uint16_t *close_code, struct err *err)
{
    if (dial_was_interrupted(client->dial)) {
        return err_set(err, ERR_INTERRUPTED, "interrupted");
    }
    if (ws_reader_is_closed(client->reader)) {
        return err_set(err, -ECONNRESET, "the node has closed the connection");
    }
    int rc;
    while ((rc = take_frames(client, err)) == 0) {
        /* A peer that makes us answer and does not take the answers is not read on. */
        bool read = dial_queued(client->dial) < QUEUE_BYTES;
        make_room(client);
        rc = read ? dial_receive(client->dial, &client->inbox, err) : 0;
        rc = rc == 0 ? dial_wait(client->dial, read, deadline_ns, err) : rc;
        rc = rc < 0 ? rc : dial_flush(client->dial, err);
        if (rc < 0) {
            return rc;
        }
    }
    if (rc < 0) {
        return rc;
    }
    *opcode = client->opcode;
    if (client->opcode == WS_CLOSE) {
        return tell_close(client, data, n, close_code);
    }
    *data = client->data;
    *n = client->n;
    return 1;
}

/* Sends what waits until at most `most` bytes do, and keeps what comes meanwhile. An interrupt is
 * for who receives: it is told then. */
static int drain(struct ws_client *client, size_t most, uint64_t deadline_ns, struct err *err)
{
    bool interrupted = false;
    int rc = dial_flush(client->dial, err);

    while (rc >= 0 && dial_queued(client->dial) > most) {
        bool read = client->inbox.len - client->at < KEPT_BYTES;
        rc = dial_wait(client->dial, read, deadline_ns, err);
        if (rc == ERR_INTERRUPTED) {
            interrupted = true;
            rc = 0;
        } else if (rc == 0 && read) {
            make_room(client);
            rc = dial_receive(client->dial, &client->inbox, err);
        }
        rc = rc < 0 ? rc : dial_flush(client->dial, err);
    }
    if (interrupted) {
        dial_interrupt(client->dial);
    }
    return rc < 0 ? rc : 0;
}

int ws_client_send(struct ws_client *client, enum ws_opcode opcode, const void *data, size_t n,
                   uint64_t deadline_ns, struct err *err)
{
    struct buf frame = {0};
    uint8_t mask[4];
    int rc = drain(client, QUEUE_BYTES, deadline_ns, err);

    if (rc < 0) {
        return rc;
    }
    ws_make_mask(mask);
    ws_put_frame(&frame, opcode, data, n, mask);
    rc = dial_queue(client->dial, frame.data, frame.len, err);
    buf_deinit(&frame);
    if (rc < 0) {
        return rc;
    }
    client->closing = client->closing || opcode == WS_CLOSE;
    rc = drain(client, 0, deadline_ns, err);
    /* Taken it is; the rest goes out with the next calls. */
    return rc == -ETIMEDOUT ? 0 : rc;
}

void ws_client_finish(struct ws_client *client, uint16_t code, const char *reason,
                      uint64_t deadline_ns)
{
    uint8_t payload[2 + WS_REASON_MAX];
    enum ws_opcode opcode;
    const uint8_t *data;
    size_t n = ws_close_payload(code, reason, payload);
    uint16_t theirs;
    int rc = 0;

    if (client == NULL) {
        return;
    }
    if (!ws_reader_is_closed(client->reader)) {
        rc = ws_client_send(client, WS_CLOSE, payload, n, deadline_ns, NULL);
        rc = rc < 0 ? rc : 1;
        while (rc > 0 || rc == ERR_INTERRUPTED) {
            rc = ws_client_receive(client, deadline_ns, &opcode, &data, &n, &theirs, NULL);
        }
    }
    if (rc == 0) {
        dial_flush_all(client->dial, deadline_ns, NULL);
    }
    ws_client_close(client);
}

void ws_client_interrupt(struct ws_client *client)
{
    dial_interrupt(client->dial);
}
