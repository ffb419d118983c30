/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/pcapng_interface.h"

#include <inttypes.h>
#include <string.h>

#include "shared/packet/pcap_read.h"
#include "shared/packet/pcapng.h"
#include "shared/packet/pcapng_options.h"

#define NS_PER_SECOND       1000000000u
#define TSRESOL_DEFAULT     6u
#define TSRESOL_IS_BINARY   0x80u
#define NS_DIGITS           9u
#define U64_DIGITS          19u /* 10^19 still fits 64 bits */
#define MICROSECONDS_BINARY 20u /* 2^-20 s is about a microsecond */

static uint64_t power_of_10(unsigned n)
{
    uint64_t v = 1;

    for (unsigned i = 0; i < n; i++) {
        v *= 10;
    }
    return v;
}

struct pcapng_clock pcapng_clock(uint8_t tsresol, int64_t offset_s)
{
    struct pcapng_clock clock = {.multiply = 1, .divide = 1, .offset_s = offset_s};
    unsigned n = tsresol & 0x7fu;

    if ((tsresol & TSRESOL_IS_BINARY) != 0) {
        clock.multiply = NS_PER_SECOND;
        clock.shift = (uint8_t)n;
    } else if (n <= NS_DIGITS) {
        clock.multiply = power_of_10(NS_DIGITS - n);
        clock.is_ns = n == NS_DIGITS && offset_s == 0;
    } else {
        clock.divide = n - NS_DIGITS <= U64_DIGITS ? power_of_10(n - NS_DIGITS) : 0;
    }
    return clock;
}

uint64_t pcapng_clock_ns(const struct pcapng_clock *clock, uint64_t ticks)
{
    if (clock->is_ns) {
        return ticks;
    }
    /* ticks * multiply is below 2^94, the offset in nanoseconds below 2^93: no overflow. */
    __int128 ns = (__int128)ticks * clock->multiply;
    if (clock->divide != 1) {
        ns = clock->divide == 0 ? 0 : (__int128)(ticks / clock->divide);
    }
    ns = (ns >> clock->shift) + (__int128)clock->offset_s * NS_PER_SECOND;
    if (ns < 0) {
        return 0;
    }
    return ns > (__int128)UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

/* The text of an option, cut so that it fits out and does not end inside a UTF-8 character. */
static void copy_text(const struct pcapng_option_view *option, size_t skip, char *out, size_t size)
{
    const char *text = (const char *)option->value + skip;
    size_t n = strnlen(text, option->len - skip);

    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((uint8_t)text[n] & 0xC0u) == 0x80u) {
            n--;
        }
    }
    memcpy(out, text, n);
    out[n] = '\0';
}

struct interface_times {
    uint8_t tsresol;
    int64_t offset_s;
};

static int read_option(const struct pcapng_option_view *option, bool swapped, struct iface *iface,
                       struct interface_times *times, struct err *err)
{
    switch (option->code) {
    case IF_NAME:
        copy_text(option, 0, iface->name, sizeof iface->name);
        break;
    case IF_DESCRIPTION:
        copy_text(option, 0, iface->description, sizeof iface->description);
        break;
    case IF_OS:
        copy_text(option, 0, iface->os, sizeof iface->os);
        break;
    case IF_FILTER:
        /* The first byte is the kind; only expressions (0) are text. */
        if (option->len > 1 && option->value[0] == 0) {
            copy_text(option, 1, iface->filter, sizeof iface->filter);
        }
        break;
    case IF_MACADDR:
        if (option->len == sizeof iface->mac) {
            memcpy(iface->mac, option->value, sizeof iface->mac);
            iface->has_mac = true;
        }
        break;
    case IF_SPEED:
        if (option->len == 8) {
            iface->speed_bps = swapped ? get_be64(option->value) : get_le64(option->value);
        }
        break;
    case IF_TSRESOL:
        if (option->len != 1) {
            return err_set(err, ERR_DAMAGED, "if_tsresol of %u bytes in place of 1", option->len);
        }
        times->tsresol = option->value[0];
        break;
    case IF_TSOFFSET:
        if (option->len != 8) {
            return err_set(err, ERR_DAMAGED, "if_tsoffset of %u bytes in place of 8", option->len);
        }
        times->offset_s = (int64_t)(swapped ? get_be64(option->value) : get_le64(option->value));
        break;
    default:
        break;
    }
    return 0;
}

static uint8_t digits_of(uint8_t tsresol)
{
    unsigned n = tsresol & 0x7fu;
    unsigned micro = (tsresol & TSRESOL_IS_BINARY) != 0 ? MICROSECONDS_BINARY : 6;

    return n > micro ? 9 : 6;
}

int pcapng_read_interface(struct bytes_reader body, bool swapped, struct iface *iface,
                          struct pcapng_clock *clock, struct err *err)
{
    struct interface_times times = {.tsresol = TSRESOL_DEFAULT};
    struct iface made = {0};
    struct pcapng_option_view option;

    made.link_type = pcap_link_type(swapped ? bytes_be16(&body) : bytes_le16(&body));
    bytes_take(&body, 2);
    made.snaplen = swapped ? bytes_be32(&body) : bytes_le32(&body);
    if (body.failed) {
        return err_set(err, ERR_DAMAGED, "the interface description is too short");
    }
    if (made.snaplen > INT32_MAX) {
        made.snaplen = 0; /* nonsense: as libpcap, no limit */
    }
    int rc;
    while ((rc = pcapng_option_next(&body, swapped, &option)) == 1) {
        rc = read_option(&option, swapped, &made, &times, err);
        if (rc < 0) {
            return rc;
        }
    }
    if (rc < 0) {
        return err_set(err, ERR_DAMAGED, "an option of an interface is longer than its block");
    }
    made.ts_digits = digits_of(times.tsresol);
    *iface = made;
    *clock = pcapng_clock(times.tsresol, times.offset_s);
    return 0;
}
