/* SPDX-License-Identifier: Apache-2.0
 *
 * Both ends of a channel under somebody who changes what goes between them: an input is a script of
 * steps (carry, cut, turn, put, send, swap). Keys and ephemerals are fixed, so the same input does
 * the same. However it goes, plaintext comes out only as it was sent, in order, and nobody opens
 * towards a side that did not.
 *
 *   byte 0  kind of key, and what the lookup says    then steps: op u8, a u8, [n bytes]
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shared/base/mem.h"
#include "tests/support/channel_pair.h"

#define STEPS_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What a side has sent in the clear, to compare with what comes out on the other. */
struct told {
    struct buf bytes;
};

static void check(const struct channel_end *end, const struct told *by_other)
{
    REQUIRE(end->seen.len <= by_other->bytes.len);
    REQUIRE(end->seen.len == 0 || memcmp(end->seen.data, by_other->bytes.data, end->seen.len) == 0);
    REQUIRE(end->opened <= 1);
    REQUIRE(end->seen.len == 0 || end->opened == 1);
}

static void tell(struct channel_end *end, struct told *told, size_t n)
{
    static const uint8_t text[300] = "what is said here comes out there";

    if (channel_state(end->channel) == CHANNEL_OPEN) {
        channel_seal(end->channel, text, n, &end->out);
        buf_append(&told->bytes, text, n);
    }
}

/* Gives bytes to an end that has not failed. */
static void give(struct channel_end *end, const void *bytes, size_t n, size_t step)
{
    if (n > 0 && end->rc >= 0) {
        (void)end_feed(end, bytes, n, step == 0 ? 1 : step);
    }
}

static void step(struct channel_pair *p, struct told told[2], uint8_t op, uint8_t a,
                 struct bytes_reader *in)
{
    unsigned who = op & 1;
    struct channel_end *from = who == 0 ? &p->client : &p->server;
    struct channel_end *to = who == 0 ? &p->server : &p->client;
    size_t n = from->out.len;

    switch (op >> 1 & 7) {
    case 0: /* all of it, in pieces */
        give(to, from->out.data, n, a);
        buf_reset(&from->out);
        break;
    case 1: /* a part */
        n = n < a ? n : a;
        give(to, from->out.data, n, SIZE_MAX);
        buf_consume(&from->out, n);
        break;
    case 2: /* one bit is turned */
        if (n > 0) {
            from->out.data[a % n] ^= (uint8_t)(1u << (a & 7));
        }
        break;
    case 3: /* bytes of the script */
        n = bytes_left(in) < a ? bytes_left(in) : a;
        give(to, bytes_take(in, n), n, SIZE_MAX);
        break;
    case 4:
        tell(from, &told[who], a);
        break;
    case 5: /* it hears itself */
        give(from, from->out.data, n < a ? n : a, SIZE_MAX);
        break;
    case 6: /* all of it, and stays for a second time */
        give(to, from->out.data, n, SIZE_MAX);
        break;
    default: /* lost */
        buf_consume(&from->out, n < a ? n : a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct bytes_reader in = bytes_reader(data, n);
    struct told told[2] = {{.bytes = {0}}, {.bytes = {0}}};
    struct channel_pair p;
    uint8_t first = bytes_u8(&in);

    pair_init(&p, (enum channel_kind)(CHANNEL_API_KEY + first % 3));
    p.psk[0] ^= (first & 0x10) != 0;
    p.refusal = (first & 0x20) != 0 ? CHANNEL_BUSY : CHANNEL_NOT_REFUSED;
    p.refusal_later = (first & 0x40) != 0 ? CHANNEL_KEY_EXPIRED : CHANNEL_NOT_REFUSED;
    for (int i = 0; i < STEPS_MAX && bytes_left(&in) > 1; i++) {
        uint8_t op = bytes_u8(&in);
        step(&p, told, op, bytes_u8(&in), &in);
        check(&p.client, &told[1]);
        check(&p.server, &told[0]);
        REQUIRE(p.server.opened == 0 || p.client.opened == 1);
        REQUIRE((first & 0x70) == 0 || (p.server.opened == 0 && p.client.opened == 0));
    }
    buf_deinit(&told[0].bytes);
    buf_deinit(&told[1].bytes);
    pair_deinit(&p);
    return 0;
}
