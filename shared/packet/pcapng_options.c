/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/pcapng_options.h"

#include "shared/base/err.h"
#include "shared/packet/block.h"
#include "shared/packet/pcapng.h"

#define OPTION_HEADER_BYTES 4u

/* Custom options (§3.5.1): a private enterprise number, then what its owner likes. */
enum custom_option {
    CUSTOM_TEXT = 2988,
    CUSTOM_BYTES = 2989,
    CUSTOM_TEXT_NOT_COPIED = 19372,
    CUSTOM_BYTES_NOT_COPIED = 19373,
};

int pcapng_option_next(struct bytes_reader *in, bool swapped, struct pcapng_option_view *out)
{
    if (bytes_left(in) == 0) {
        return 0;
    }
    uint16_t code = swapped ? bytes_be16(in) : bytes_le16(in);
    uint16_t len = swapped ? bytes_be16(in) : bytes_le16(in);
    const uint8_t *value = bytes_take(in, (len + 3u) & ~3u);
    if (in->failed) {
        return ERR_DAMAGED;
    }
    if (code == OPT_ENDOFOPT) {
        return 0;
    }
    *out = (struct pcapng_option_view){.code = code, .len = len, .value = value};
    return 1;
}

/* Bytes of a little-endian run that can be used as it stands, up to and with its opt_endofopt; 0
 * when it has to be rebuilt. */
static size_t usable_as_is(const uint8_t *p, size_t n)
{
    size_t at = 0;

    while (n - at >= OPTION_HEADER_BYTES && at < PACKET_MAX_OPTIONS) {
        uint16_t code = get_le16(p + at);
        uint16_t len = get_le16(p + at + 2);
        size_t padded = (len + 3u) & ~(size_t)3u;
        if (code == OPT_ENDOFOPT) {
            return len == 0 ? at + OPTION_HEADER_BYTES : 0;
        }
        if (padded > n - at - OPTION_HEADER_BYTES) {
            return 0;
        }
        at += OPTION_HEADER_BYTES + padded;
    }
    return 0;
}

/* How the value of an option of a packet is laid out, so that its bytes can be put in our order. */
enum layout { LAYOUT_BYTES, LAYOUT_U32, LAYOUT_U64, LAYOUT_CUSTOM, LAYOUT_VERDICT, LAYOUT_UNKNOWN };

static enum layout layout_of(uint16_t code)
{
    switch (code) {
    case OPT_COMMENT:
    case EPB_HASH:
        return LAYOUT_BYTES;
    case EPB_FLAGS:
    case EPB_QUEUE:
        return LAYOUT_U32;
    case EPB_DROPCOUNT:
    case EPB_PACKETID:
        return LAYOUT_U64;
    case EPB_VERDICT:
        return LAYOUT_VERDICT;
    case CUSTOM_TEXT:
    case CUSTOM_BYTES:
    case CUSTOM_TEXT_NOT_COPIED:
    case CUSTOM_BYTES_NOT_COPIED:
        return LAYOUT_CUSTOM;
    default:
        return LAYOUT_UNKNOWN;
    }
}

/* Turns the value, already copied to `value`, from big-endian to ours. False when it is not laid
 * out as its code says, or the code is not known. */
static bool swap_value(const struct pcapng_option_view *option, uint8_t *value)
{
    switch (layout_of(option->code)) {
    case LAYOUT_BYTES:
        return true;
    case LAYOUT_U32:
        if (option->len != 4) {
            return false;
        }
        put_le32(value, get_be32(option->value));
        return true;
    case LAYOUT_U64:
        if (option->len != 8) {
            return false;
        }
        put_le64(value, get_be64(option->value));
        return true;
    case LAYOUT_CUSTOM:
        if (option->len < 4) {
            return false;
        }
        put_le32(value, get_be32(option->value));
        return true;
    case LAYOUT_VERDICT:
        /* §4.3: one octet of type; types 1 and 2 (Linux eBPF) carry a 64-bit return code. */
        if (option->len == 9 && (option->value[0] == 1 || option->value[0] == 2)) {
            put_le64(value + 1, get_be64(option->value + 1));
            return true;
        }
        return option->len >= 1 && option->value[0] == 0;
    default:
        return false;
    }
}

static bool copy_option(const struct pcapng_option_view *option, bool swapped, struct buf *scratch)
{
    size_t padded = (option->len + 3u) & ~(size_t)3u;

    /* opt_endofopt has to fit behind it. */
    if (scratch->len + 2 * OPTION_HEADER_BYTES + padded > PACKET_MAX_OPTIONS) {
        return false;
    }
    size_t at = scratch->len;
    buf_put_le16(scratch, option->code);
    buf_put_le16(scratch, option->len);
    buf_append(scratch, option->value, option->len);
    buf_put_zeros(scratch, padded - option->len);
    if (swapped && !swap_value(option, scratch->data + at + OPTION_HEADER_BYTES)) {
        scratch->len = at;
        return false;
    }
    return true;
}

static void rebuild(const uint8_t *p, size_t n, bool swapped, uint16_t drops, struct buf *scratch,
                    struct pcapng_packet_options *out)
{
    struct bytes_reader in = bytes_reader(p, n);
    struct pcapng_option_view option;
    int rc;

    while ((rc = pcapng_option_next(&in, swapped, &option)) == 1) {
        out->n_dropped += copy_option(&option, swapped, scratch) ? 0 : 1;
    }
    out->n_dropped += rc < 0 ? 1 : 0;
    if (drops > 0) {
        uint8_t count[8];
        put_le64(count, drops);
        option = (struct pcapng_option_view){EPB_DROPCOUNT, sizeof count, count};
        out->n_dropped += copy_option(&option, false, scratch) ? 0 : 1;
    }
    if (scratch->len > 0) {
        buf_put_le32(scratch, OPT_ENDOFOPT);
        out->options = scratch->data;
        out->len = (uint32_t)scratch->len;
    }
}

bool pcapng_packet_options(const uint8_t *p, size_t n, bool swapped, uint16_t drops,
                           struct buf *scratch, struct pcapng_packet_options *out)
{
    *out = (struct pcapng_packet_options){0};
    if (n == 0 && drops == 0) {
        return true;
    }
    size_t usable = swapped || drops > 0 ? 0 : usable_as_is(p, n);
    if (usable > OPTION_HEADER_BYTES) {
        out->options = p;
        out->len = (uint32_t)usable;
    }
    if (usable > 0) {
        return true;
    }
    buf_reset(scratch);
    if (!buf_try_reserve(scratch, PACKET_MAX_OPTIONS)) {
        return false;
    }
    rebuild(p, n, swapped, drops, scratch, out);
    return true;
}
