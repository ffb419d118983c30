/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes through the decoder and the summary: two bytes of link type (big-endian), then the
 * packet. Each input is tried as a whole packet, as one cut by a snaplen, and with a length less
 * than the captured one, which only hostile files have.
 */
#include "tests/support/decode_invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static size_t n_hex_lines;

static void count_line(const char *text, void *arg)
{
    (void)arg;
    REQUIRE(text[0] == '\t' && strnlen(text, 100) < 100);
    require_text(text + 1, 100);
    n_hex_lines++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2) {
        return 0;
    }
    uint32_t link_type = (uint32_t)data[0] << 8 | data[1];
    uint32_t caplen = (uint32_t)n - 2;
    struct packet_view packet = {.data = data + 2, .caplen = caplen, .len = caplen};
    check_decoder(&packet, link_type);
    packet.len = caplen + 1000;
    check_decoder(&packet, link_type);
    packet.len = caplen / 2;
    check_decoder(&packet, link_type);
    packet.len = UINT32_MAX;
    check_decoder(&packet, link_type);

    n_hex_lines = 0;
    summary_hex(packet.data, caplen, count_line, NULL);
    REQUIRE(n_hex_lines == (caplen + 15) / 16);
    return 0;
}
