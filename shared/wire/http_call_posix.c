/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/dial.h"
#include "shared/wire/ws_client.h"

static void put_request(const struct http_call *call, struct buf *out)
{
    struct buf host = {0};

    url_format_endpoint(call->endpoint, true, &host);
    http_put_request(out, call->method, call->target);
    http_put_header(out, "Host", "%.*s", (int)host.len, (const char *)host.data);
    http_put_header(out, "User-Agent", "packetrecorder");
    http_put_header(out, "Accept", "application/json, application/problem+json, */*");
    http_put_header(out, "Connection", "close");
    if (call->api_key != NULL) {
        http_put_header(out, "Authorization", "Bearer %s", call->api_key);
    }
    if (call->body != NULL) {
        http_put_header(out, "Content-Type", "application/json");
        http_put_header(out, "Content-Length", "%zu", strlen(call->body));
    }
    http_put_end(out);
    if (call->body != NULL) {
        buf_put_str(out, call->body);
    }
    buf_deinit(&host);
}

/* What came of the response so far. */
struct answer {
    struct http_parser *parser;
    unsigned status; /* 0: its head has not come */
    bool complete;
    bool began; /* a byte came */
    size_t max_body;
    struct buf *body;
};

static int take_event(struct answer *answer, int event, const struct http_piece *piece,
                      struct err *err)
{
    bool interim = piece->head != NULL && piece->head->status < 200;

    if (event == HTTP_HEAD && piece->head != NULL && !interim) {
        answer->status = piece->head->status;
    } else if (event == HTTP_BODY) {
        if (piece->n > answer->max_body - answer->body->len) {
            return err_set(err, ERR_LIMIT, "the answer is larger than %zu bytes", answer->max_body);
        }
        buf_append(answer->body, piece->data, piece->n);
    } else if (event == HTTP_END && !interim) {
        answer->complete = true;
    }
    return 0;
}

static int take_bytes(struct answer *answer, const struct buf *in, struct err *err)
{
    struct bytes_reader reader = bytes_reader(in->data, in->len);
    struct http_piece piece;
    int event = HTTP_MORE;

    while (!answer->complete &&
           (event = http_parser_next(answer->parser, &reader, &piece, err)) > HTTP_MORE) {
        int rc = take_event(answer, event, &piece, err);
        if (rc < 0) {
            return rc;
        }
    }
    return event < 0 ? event : 0;
}

static int take_end(struct answer *answer, int rc, struct err *err)
{
    struct http_piece piece;
    int event = http_parser_finish(answer->parser, &piece, err);

    if (event == HTTP_END) {
        return take_event(answer, event, &piece, err);
    }
    return event < 0 ? event : rc; /* ended before it began */
}

static int read_answer(struct dial *dial, struct answer *answer, uint64_t deadline_ns,
                       struct err *err)
{
    struct buf in = {0};
    int rc = 0;

    while (rc >= 0 && !answer->complete) {
        buf_reset(&in);
        buf_reserve(&in, DIAL_READ_BYTES);
        rc = dial_receive(dial, &in, err);
        answer->began = answer->began || rc > 0;
        if (rc > 0) {
            rc = take_bytes(answer, &in, err);
        } else if (rc == 0) {
            rc = dial_wait(dial, true, deadline_ns, err);
        } else if (dial_is_at_end(dial)) {
            rc = take_end(answer, rc, err);
        }
    }
    buf_deinit(&in);
    return rc < 0 ? rc : 0;
}

int http_call(const struct http_call *call, uint64_t deadline_ns, unsigned *status,
              struct buf *body, struct err *err)
{
    const struct dial_opts opts = {.endpoint = call->endpoint, .ca_file = call->ca_file};
    struct dial *dial = NULL;
    struct buf request = {0};

    *status = 0;
    buf_reset(body);
    REQUIRE(strcmp(call->method, "HEAD") != 0); /* its answer announces content that never comes */
    int rc = dial_open(&opts, deadline_ns, &dial, err);
    if (rc < 0) {
        return rc;
    }
    put_request(call, &request);
    rc = dial_queue(dial, request.data, request.len, err);
    explicit_bzero(request.data, request.cap); /* the API key */
    buf_deinit(&request);
    rc = rc == 0 ? dial_flush_all(dial, deadline_ns, err) : rc;
    dial_forget(dial);
    struct answer answer = {
        .parser = http_parser_new(HTTP_RESPONSES), .max_body = call->max_body, .body = body};
    rc = rc == 0 ? read_answer(dial, &answer, deadline_ns, err) : rc;
    if (rc == -ECONNRESET && !answer.began) {
        rc = dial_no_answer(call->endpoint, err);
    }
    *status = answer.status;
    http_parser_free(answer.parser);
    dial_close(dial);
    return rc;
}
