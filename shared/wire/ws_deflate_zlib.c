/* SPDX-License-Identifier: Apache-2.0
 *
 * permessage-deflate (RFC 7692) without context takeover: raw DEFLATE, each message on its own,
 * sync-flushed, without the four bytes 00 00 FF FF that every such flush ends with.
 */
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "shared/base/mem.h"
#include "shared/wire/ws_internal.h"

#define LEVEL       1 /* packets come fast; a higher level costs more than the wire */
#define MEMORY      8
#define STEP_BYTES  (16u * 1024u)
#define TAIL_BYTES  4
#define WINDOW_BITS (-15) /* raw, 32 KiB */

static const uint8_t tail[TAIL_BYTES] = {0x00, 0x00, 0xff, 0xff};

struct ws_deflater {
    z_stream z;
};

struct ws_inflater {
    z_stream z;
};

struct ws_deflater *ws_deflater_new(void)
{
    struct ws_deflater *deflater = x_alloc(sizeof *deflater);

    REQUIRE(deflateInit2(&deflater->z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY,
                         Z_DEFAULT_STRATEGY) == Z_OK);
    return deflater;
}

void ws_deflater_free(struct ws_deflater *deflater)
{
    if (deflater != NULL) {
        deflateEnd(&deflater->z);
        mem_free(deflater);
    }
}

void ws_deflate(struct ws_deflater *deflater, const void *data, size_t n, struct buf *out)
{
    z_stream *z = &deflater->z;
    uint8_t none = 0;

    REQUIRE(n <= UINT32_MAX);
    deflateReset(z);
    memcpy(&z->next_in, n > 0 ? &data : &(const void *){&none}, sizeof z->next_in);
    z->avail_in = (uInt)n;
    do {
        buf_reserve(out, STEP_BYTES);
        z->next_out = out->data + out->len;
        z->avail_out = STEP_BYTES;
        int rc = deflate(z, Z_SYNC_FLUSH);
        REQUIRE(rc == Z_OK || rc == Z_BUF_ERROR);
        out->len += STEP_BYTES - z->avail_out;
    } while (z->avail_out == 0);
    REQUIRE(out->len >= TAIL_BYTES);
    out->len -= TAIL_BYTES; /* of an empty message one byte stays (§7.2.3.6) */
}

struct ws_inflater *ws_inflater_new(void)
{
    struct ws_inflater *inflater = x_alloc(sizeof *inflater);

    REQUIRE(inflateInit2(&inflater->z, WINDOW_BITS) == Z_OK);
    return inflater;
}

void ws_inflater_free(struct ws_inflater *inflater)
{
    if (inflater != NULL) {
        inflateEnd(&inflater->z);
        mem_free(inflater);
    }
}

/* Inflates what is in z to the end of that input; *ended when the last block was final. */
static int inflate_some(z_stream *z, size_t max, struct buf *out, bool *ended)
{
    do {
        if (!buf_try_reserve(out, STEP_BYTES)) {
            return ERR_NO_MEMORY;
        }
        z->next_out = out->data + out->len;
        z->avail_out = STEP_BYTES;
        int rc = inflate(z, Z_SYNC_FLUSH);
        out->len += STEP_BYTES - z->avail_out;
        if (out->len > max) {
            return ERR_LIMIT;
        }
        if (rc == Z_STREAM_END) {
            /* A final block may stand in the middle (§7.2.3.5): the rest goes on without a past. */
            *ended = true;
            inflateReset(z);
            continue;
        }
        bool stuck = rc == Z_BUF_ERROR && z->avail_in > 0 && z->avail_out > 0;
        if (stuck || (rc != Z_OK && rc != Z_BUF_ERROR)) {
            return ERR_DAMAGED;
        }
        *ended = *ended && z->avail_in == 0;
    } while (z->avail_in > 0 || z->avail_out == 0);
    return 0;
}

int ws_inflate(struct ws_inflater *inflater, const uint8_t *data, size_t n, size_t max,
               struct buf *out)
{
    z_stream *z = &inflater->z;
    bool ended = false;

    if (n > UINT32_MAX) {
        return ERR_LIMIT;
    }
    inflateReset(z);
    memcpy(&z->next_in, &data, sizeof z->next_in);
    z->avail_in = (uInt)n;
    int rc = n > 0 ? inflate_some(z, max, out, &ended) : 0;
    if (rc < 0 || ended) {
        return rc;
    }
    const void *end = tail;
    memcpy(&z->next_in, &end, sizeof z->next_in);
    z->avail_in = TAIL_BYTES;
    return inflate_some(z, max, out, &ended);
}

/* One offer "permessage-deflate; a; b=c" of n bytes: true when we can do all of it. */
static bool can_do(const char *offer, size_t n)
{
    static const char name[] = "permessage-deflate";
    size_t at = strspn(offer, " \t");

    if (n < at + sizeof name - 1 || strncasecmp(offer + at, name, sizeof name - 1) != 0) {
        return false;
    }
    at += sizeof name - 1;
    while (at < n) {
        at += strspn(offer + at, " \t");
        if (at >= n) {
            break;
        }
        if (offer[at] != ';') {
            return false;
        }
        at++;
        at += strspn(offer + at, " \t");
        size_t length = strcspn(offer + at, ";,= \t");
        /* A smaller window for us to write in would need a deflater of its own. */
        if (length == strlen("server_max_window_bits") &&
            strncasecmp(offer + at, "server_max_window_bits", length) == 0) {
            return false;
        }
        at += length;
        at += strcspn(offer + at, ";,");
    }
    return true;
}

bool ws_deflate_is_offered(const char *extensions)
{
    while (extensions != NULL && *extensions != '\0') {
        size_t n = strcspn(extensions, ",");
        if (can_do(extensions, n)) {
            return true;
        }
        extensions += n + (extensions[n] == ',' ? 1 : 0);
    }
    return false;
}
