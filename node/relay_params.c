/* SPDX-License-Identifier: Apache-2.0 */
#include "node/relay_params.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/packet/filter_bound.h"

/* libpcap's bound; longer packets cannot be captured anyway. */
#define SNAPLEN_MAX 262144u
/* Of a 64-bit number. */
#define POSITION_DIGITS_MAX 20

static bool is_one_of(const char *text, const char *first, const char *second)
{
    return text == NULL || strcmp(text, first) == 0 || strcmp(text, second) == 0;
}

static int parse_snaplen(const char *text, uint32_t *out, struct err *err)
{
    uint64_t bytes = 0;

    if (text == NULL) {
        *out = 0;
        return 0;
    }
    if (text_parse_size(text, &bytes, err) < 0) {
        return err_wrap(err, "snaplen");
    }
    if (bytes == 0 || bytes > SNAPLEN_MAX) {
        return err_set(err, ERR_USAGE, "snaplen is 1 to %u bytes, not '%s'", SNAPLEN_MAX, text);
    }
    *out = bytes == SNAPLEN_MAX ? 0 : (uint32_t)bytes;
    return 0;
}

/* "30s" before now, or "@SECONDS" since 1970, which is what a viewer knows that goes on where it
 * was: the times of its last packets. */
static int parse_history(const char *text, struct relay_params *out, struct err *err)
{
    uint64_t ns = 0;

    if (text != NULL && text[0] == '@') {
        return text_parse_time(text, 0, &out->history_from_ns, err) < 0 ? err_wrap(err, "history")
                                                                        : 0;
    }
    if (text != NULL && text_parse_duration(text, &ns, err) < 0) {
        return err_wrap(err, "history");
    }
    if (ns > RELAY_HISTORY_MAX_NS) {
        return err_set(err, ERR_USAGE,
                       "history is at most 24h, not '%s'; ask for what is older with "
                       "/api/v1/sessions",
                       text);
    }
    out->history_ns = ns;
    return 0;
}

/* "STREAM:POSITION" as the headers of an earlier upgrade said it. Whether this stream is known is
 * found out later: one that is not begins now. */
static int check_resume(const char *text, struct err *err)
{
    const char *colon = text == NULL ? NULL : strchr(text, ':');
    size_t n_digits = colon == NULL ? 0 : strspn(colon + 1, "0123456789");

    if (text == NULL || (colon > text && n_digits > 0 && n_digits <= POSITION_DIGITS_MAX &&
                         colon[1 + n_digits] == '\0')) {
        return 0;
    }
    return err_set(err, ERR_USAGE,
                   "resume is STREAM:POSITION, from the headers Packetrecorder-Stream and "
                   "Packetrecorder-Position of the connection that broke and the packets since; "
                   "not '%.80s'",
                   text);
}

int relay_params_parse(const struct relay_query *query, struct relay_params *out, struct err *err)
{
    struct relay_params params = {.filter = query->filter == NULL ? "" : query->filter,
                                  .resume = query->resume};

    if (!is_one_of(query->format, "raw", "pcapng")) {
        return err_set(err, ERR_USAGE, "format is raw or pcapng, not '%s'", query->format);
    }
    if (!is_one_of(query->compress, "none", "zstd")) {
        return err_set(err, ERR_USAGE, "compress is none or zstd, not '%s'", query->compress);
    }
    if (!is_one_of(query->deflate, "0", "1")) {
        return err_set(err, ERR_USAGE, "deflate is 0 or 1, not '%s'", query->deflate);
    }
    params.pcapng = query->format != NULL && strcmp(query->format, "pcapng") == 0;
    params.zstd = query->compress != NULL && strcmp(query->compress, "zstd") == 0;
    params.deflate = query->deflate != NULL && strcmp(query->deflate, "1") == 0;
    if (params.zstd && !params.pcapng) {
        return err_set(err, ERR_USAGE,
                       "compress=zstd goes with format=pcapng; raw frames can be "
                       "compressed with deflate=1");
    }
    if (params.zstd && params.deflate) {
        return err_set(err, ERR_USAGE, "either compress=zstd or deflate=1, not both");
    }
    int code = filter_bound_check(query->filter, err);
    code = code < 0 ? code : parse_snaplen(query->snaplen, &params.snaplen, err);
    code = code < 0 ? code : parse_history(query->history, &params, err);
    code = code < 0 ? code : check_resume(query->resume, err);
    if (code < 0) {
        return code;
    }
    *out = params;
    return 0;
}

int relay_listen_parse(const char *text, struct relay_listen *out, struct err *err)
{
    const char *equals = strchr(text, '=');
    const char *comma = equals == NULL ? NULL : strchr(equals, ',');
    size_t n = equals == NULL  ? 0
               : comma == NULL ? strlen(equals + 1)
                               : (size_t)(comma - equals - 1);

    if (equals == NULL || equals == text || n == 0) {
        return err_set(err, ERR_USAGE,
                       "--pcapng-listen takes ADDR:PORT=IFACE[,FILTER], for example "
                       "127.0.0.1:19000=eth0,tcp; not '%s'",
                       text);
    }
    *out = (struct relay_listen){
        .address = x_sprintf("%.*s", (int)(equals - text), text),
        .interface = x_sprintf("%.*s", (int)n, equals + 1),
        .filter = x_strdup(comma == NULL ? "" : comma + 1),
    };
    return 0;
}

void relay_listen_free(struct relay_listen *listen)
{
    mem_free(listen->address);
    mem_free(listen->interface);
    mem_free(listen->filter);
    *listen = (struct relay_listen){0};
}
