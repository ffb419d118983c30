/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/addr.h"

#include <stdbool.h>

static const char digits[] = "0123456789abcdef";

static char *put_byte(char *at, uint8_t value)
{
    if (value >= 100) {
        *at++ = digits[value / 100];
    }
    if (value >= 10) {
        *at++ = digits[value / 10 % 10];
    }
    *at++ = digits[value % 10];
    return at;
}

static char *put_dotted(char *at, const uint8_t addr[4])
{
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0) {
            *at++ = '.';
        }
        at = put_byte(at, addr[i]);
    }
    return at;
}

static char *put_group(char *at, unsigned value)
{
    bool started = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = value >> shift & 0xf;
        if (started || digit != 0 || shift == 0) {
            *at++ = digits[digit];
            started = true;
        }
    }
    return at;
}

size_t addr_ipv4_text(const uint8_t addr[4], char out[ADDR_TEXT_MAX])
{
    char *at = put_dotted(out, addr);
    *at = '\0';
    return (size_t)(at - out);
}

struct zero_run {
    unsigned at;
    unsigned n;
};

static struct zero_run longest_zero_run(const unsigned groups[8])
{
    struct zero_run best = {8, 1};
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = 0;
        while (i + n < 8 && groups[i + n] == 0) {
            n++;
        }
        if (n > best.n) {
            best = (struct zero_run){i, n};
        }
        i += n;
    }
    return best;
}

size_t addr_ipv6_text(const uint8_t addr[16], char out[ADDR_TEXT_MAX])
{
    unsigned groups[8];
    for (unsigned i = 0; i < 8; i++) {
        groups[i] = (unsigned)addr[2 * i] << 8 | addr[2 * i + 1];
    }
    struct zero_run zeros = longest_zero_run(groups);
    bool dotted = zeros.at == 0 && (zeros.n == 6 || (zeros.n == 5 && groups[5] == 0xffff));
    unsigned n = dotted ? 6 : 8;
    char *at = out;
    for (unsigned i = 0; i < n; i++) {
        if (i == zeros.at) {
            *at++ = ':';
            i += zeros.n - 1;
            if (i == 7) {
                *at++ = ':';
            }
            continue;
        }
        if (i > 0) {
            *at++ = ':';
        }
        at = put_group(at, groups[i]);
    }
    if (dotted) {
        *at++ = ':';
        at = put_dotted(at, addr + 12);
    }
    *at = '\0';
    return (size_t)(at - out);
}

size_t addr_mac_text(const uint8_t addr[6], char out[ADDR_TEXT_MAX])
{
    char *at = out;
    for (unsigned i = 0; i < 6; i++) {
        if (i > 0) {
            *at++ = ':';
        }
        *at++ = digits[addr[i] >> 4];
        *at++ = digits[addr[i] & 0xf];
    }
    *at = '\0';
    return (size_t)(at - out);
}
