/* SPDX-License-Identifier: Apache-2.0
 *
 * Classic pcap, and all that is neither format (pcapng has a target of its own).
 */
#include "tests/support/fuzz_capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 4 || !pcapng_is_magic(data)) {
        check_capture(data, n);
    }
    return 0;
}
