/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "shared/base/mem.h"
#include "shared/packet/iface.h"
#include "shared/packet/link_type.h"

#define LINK_TYPES_TRIED 300

/* libpcap says DLT_; the numbers in files differ in these (pcap-common.c). */
static int dlt_of(uint32_t link_type)
{
    static const int map[][2] = {{100, DLT_ATM_RFC1483},
                                 {101, DLT_RAW},
                                 {102, DLT_SLIP_BSDOS},
                                 {103, DLT_PPP_BSDOS},
                                 {106, DLT_ATM_CLIP}};

    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        if (map[i][0] == (int)link_type) {
            return map[i][1];
        }
    }
    return (int)link_type;
}

static void names_are_those_of_libpcap(void **state)
{
    int n = 0;

    (void)state;
    for (uint32_t link_type = 0; link_type < LINK_TYPES_TRIED; link_type++) {
        const char *theirs = pcap_datalink_val_to_name(dlt_of(link_type));
        char ours[LINK_TYPE_TEXT_MAX];
        link_type_text(link_type, ours);
        if (strncmp(ours, "LINKTYPE_", 9) != 0) {
            assert_non_null(theirs);
            assert_string_equal(ours, theirs);
            n++;
        }
    }
    assert_in_range(n, 150, LINK_TYPES_TRIED);
}

static void a_number_without_a_name_is_written_as_number(void **state)
{
    char text[LINK_TYPE_TEXT_MAX];

    (void)state;
    link_type_text(147, text);
    assert_string_equal(text, "LINKTYPE_147");
    link_type_text(UINT32_MAX, text);
    assert_string_equal(text, "LINKTYPE_4294967295");
    link_type_text(LINK_ETHERNET, text);
    assert_string_equal(text, "EN10MB");
}

static void a_name_is_read_back(void **state)
{
    static const char *const wrong[] = {"",
                                        "EN10M",
                                        "en10mb",
                                        "LINKTYPE_",
                                        "LINKTYPE_-1",
                                        "LINKTYPE_ 1",
                                        "LINKTYPE_1x",
                                        "LINKTYPE_4294967296",
                                        "1"};
    uint32_t back = 0;

    (void)state;
    for (uint32_t link_type = 0; link_type < LINK_TYPES_TRIED; link_type++) {
        char text[LINK_TYPE_TEXT_MAX];
        link_type_text(link_type, text);
        assert_true(link_type_parse(text, &back));
        assert_int_equal(back, link_type);
    }
    assert_true(link_type_parse("LINKTYPE_4294967295", &back));
    assert_int_equal(back, UINT32_MAX);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(link_type_parse(wrong[i], &back));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_read_back),
        cmocka_unit_test(names_are_those_of_libpcap),
        cmocka_unit_test(a_number_without_a_name_is_written_as_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
