/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/viewer_request.h"

#include <inttypes.h>

#include "shared/base/text.h"
#include "shared/wire/url.h"

#define SECOND_NS UINT64_C(1000000000)

/* Exactly: the node reads both as it reads them on a command line. */
static void put_history(struct buf *out, const struct viewer_request *request)
{
    char text[TEXT_NUMBER_MAX];

    if (request->history_from_ns != 0) {
        buf_printf(out, "&history=@%" PRIu64 ".%09" PRIu64, request->history_from_ns / SECOND_NS,
                   request->history_from_ns % SECOND_NS);
    } else if (request->history_ns != 0) {
        text_format_seconds(request->history_ns, text);
        buf_printf(out, "&history=%s", text);
    }
}

void viewer_request_target(struct buf *out, const struct viewer_request *request)
{
    buf_put_str(out, request->base);
    buf_put_str(out, "/connections/");
    url_put_encoded(out, request->interface, false);
    buf_put_str(out, "?format=pcapng");
    if (request->filter != NULL && request->filter[0] != '\0') {
        buf_put_str(out, "&filter=");
        url_put_encoded(out, request->filter, false);
    }
    if (request->snaplen != 0) {
        buf_printf(out, "&snaplen=%" PRIu32, request->snaplen);
    }
    if (request->compress) {
        buf_put_str(out, "&compress=zstd");
    }
    put_history(out, request);
    if (request->resume != NULL) {
        buf_put_str(out, "&resume=");
        url_put_encoded(out, request->resume, false);
    }
    buf_put_u8(out, 0);
}

bool viewer_refusal_is_final(unsigned status, bool known)
{
    if (status == 0) {
        return false;
    }
    if (status == 404) {
        return !known;
    }
    return status < 500 && status != 408 && status != 429;
}

const char *viewer_refusal_hint(unsigned status, const char *base)
{
    switch (status) {
    case 404:
        return base[0] == '\0'
                   ? ""
                   : "; an ENDPOINT is HOST:PORT or http(s)://HOST:PORT, with a path only "
                     "where a proxy puts the node under it; -i names the interface";
    case 401:
        return "; here a key is named with --api-key-file or PACKETRECORDER_API_KEY";
    case 403:
        return "; a key with the role view is needed ('packetrecorder keys add' on the node)";
    default:
        return "";
    }
}
