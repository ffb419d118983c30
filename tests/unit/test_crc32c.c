/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/crc32c.h"

/* RFC 3720 appendix B.4, and the check value of the catalogues of CRCs. */
static void the_published_values_come_out(void **state)
{
    uint8_t bytes[32];

    (void)state;
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8A9136AAu);
    memset(bytes, 0xFF, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62A8AB43u);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46DD794Eu);
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283u);
    assert_int_equal(crc32c(0, "", 0), 0);
}

static void pieces_give_the_sum_of_the_whole(void **state)
{
    uint8_t bytes[300];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 3);
    }
    uint32_t whole = crc32c(0, bytes, sizeof bytes);
    for (size_t at = 0; at <= sizeof bytes; at++) {
        uint32_t sum = crc32c(0, bytes, at);
        assert_int_equal(crc32c(sum, bytes + at, sizeof bytes - at), whole);
    }
}

static void with_and_without_the_instruction_it_is_the_same(void **state)
{
    uint8_t bytes[257];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 31 + 5);
    }
    for (size_t n = 0; n < sizeof bytes; n++) {
        assert_int_equal(crc32c(0x12345678, bytes + n % 8, n - (n > 249 ? 8 : 0)),
                         crc32c_portable(0x12345678, bytes + n % 8, n - (n > 249 ? 8 : 0)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_values_come_out),
        cmocka_unit_test(pieces_give_the_sum_of_the_whole),
        cmocka_unit_test(with_and_without_the_instruction_it_is_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
