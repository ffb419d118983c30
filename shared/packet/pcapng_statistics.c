/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/pcapng_statistics.h"

#include "shared/base/err.h"
#include "shared/packet/pcapng_options.h"

#define FIXED_BYTES 12u /* interface, time stamp high and low */

static uint64_t long_word(const struct pcapng_option_view *option, bool swapped)
{
    if (option->len != 8) {
        return UINT64_MAX;
    }
    return swapped ? get_be64(option->value) : get_le64(option->value);
}

/* Times are two 32-bit words, the high one first, in either byte order (§4.6). */
static uint64_t read_time(const uint8_t *p, bool swapped, const struct pcapng_clock *clock)
{
    uint32_t high = swapped ? get_be32(p) : get_le32(p);
    uint32_t low = swapped ? get_be32(p + 4) : get_le32(p + 4);

    return pcapng_clock_ns(clock, (uint64_t)high << 32 | low);
}

static uint64_t option_time(const struct pcapng_option_view *option, bool swapped,
                            const struct pcapng_clock *clock)
{
    return option->len == 8 ? read_time(option->value, swapped, clock) : UINT64_MAX;
}

static void take_comment(const struct pcapng_option_view *option, char *out)
{
    size_t n = option->len < PCAPNG_COMMENT_MAX - 1u ? option->len : PCAPNG_COMMENT_MAX - 1u;

    if (out[0] == '\0' && n > 0) {
        memcpy(out, option->value, n);
        out[n] = '\0';
    }
}

static void take_option(const struct pcapng_option_view *option, bool swapped,
                        const struct pcapng_clock *clock, struct pcapng_told_statistics *out)
{
    switch (option->code) {
    case OPT_COMMENT:
        take_comment(option, out->comment);
        break;
    case ISB_STARTTIME:
        out->numbers.start_ns = option_time(option, swapped, clock);
        break;
    case ISB_ENDTIME:
        out->numbers.end_ns = option_time(option, swapped, clock);
        break;
    case ISB_IFRECV:
        out->numbers.ifrecv = long_word(option, swapped);
        break;
    case ISB_IFDROP:
        out->numbers.ifdrop = long_word(option, swapped);
        break;
    case ISB_FILTERACCEPT:
        out->numbers.filteraccept = long_word(option, swapped);
        break;
    case ISB_OSDROP:
        out->numbers.osdrop = long_word(option, swapped);
        break;
    case ISB_USRDELIV:
        out->numbers.usrdeliv = long_word(option, swapped);
        break;
    default:
        break;
    }
}

int pcapng_read_statistics(struct bytes_reader body, bool swapped, const struct pcapng_clock *clock,
                           struct pcapng_told_statistics *out)
{
    struct pcapng_told_statistics told = {.numbers = PCAPNG_STATISTICS_UNKNOWN};
    const uint8_t *fixed = bytes_take(&body, FIXED_BYTES);
    struct pcapng_option_view option;
    int rc;

    if (fixed == NULL) {
        return ERR_DAMAGED;
    }
    told.numbers.time_ns = read_time(fixed + 4, swapped, clock);
    while ((rc = pcapng_option_next(&body, swapped, &option)) == 1) {
        take_option(&option, swapped, clock, &told);
    }
    if (rc == 0) {
        *out = told;
    }
    return rc;
}
