/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4): finds bytes that were altered by accident. Against
 * those who alter on purpose there are seals.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Goes on from the sum of what came before; 0 at the beginning. */
uint32_t crc32c(uint32_t sum, const void *bytes, size_t n);

/* The same without the processor's instruction: tests compare the two. */
uint32_t crc32c_portable(uint32_t sum, const void *bytes, size_t n);
