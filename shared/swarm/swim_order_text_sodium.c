/* SPDX-License-Identifier: Apache-2.0
 *
 * Orders as text, for calls and for files.
 */
#include <sodium.h>
#include <string.h>

#include "shared/swarm/swim_order.h"

#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

_Static_assert(sodium_base64_ENCODED_LEN(SWIM_ORDER_CARRIED_BYTES, VARIANT) == SWIM_ORDER_TEXT,
               "an order fits its text");

void swim_order_print(const uint8_t carried[SWIM_ORDER_CARRIED_BYTES], char text[SWIM_ORDER_TEXT])
{
    sodium_bin2base64(text, SWIM_ORDER_TEXT, carried, SWIM_ORDER_CARRIED_BYTES, VARIANT);
}

bool swim_order_parse(const char *text, size_t n, uint8_t carried[SWIM_ORDER_CARRIED_BYTES])
{
    size_t got = 0;

    return sodium_base642bin(carried, SWIM_ORDER_CARRIED_BYTES, text, n, NULL, &got, NULL,
                             VARIANT) == 0 &&
           got == SWIM_ORDER_CARRIED_BYTES;
}
