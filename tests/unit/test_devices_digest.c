/* SPDX-License-Identifier: Apache-2.0
 *
 * The number that the others are told instead of a list of interfaces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/devices_digest.h"

static char addresses[2][INTERFACE_ADDRESS_MAX];
static struct interface items[3];
static const struct interface_list list = {.items = items, .n = 3};

static int set_up(void **state)
{
    (void)state;
    memset(items, 0, sizeof items);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(items[i].name, sizeof items[i].name, "eth%u", i);
        items[i].mtu = 1500;
        items[i].up = true;
    }
    snprintf(addresses[0], sizeof addresses[0], "10.0.0.1/24");
    snprintf(addresses[1], sizeof addresses[1], "fe80::1/64");
    items[1].addresses = addresses;
    items[1].n_addresses = 2;
    return 0;
}

static void the_order_of_devices_does_not_count(void **state)
{
    uint64_t before = devices_digest(&list);
    struct interface first = items[0];

    (void)state;
    items[0] = items[2];
    items[2] = first;
    assert_true(devices_digest(&list) == before);
    assert_true(before != 0);
}

static void what_is_shown_of_a_device_counts(void **state)
{
    uint64_t seen[8];

    (void)state;
    seen[0] = devices_digest(&list);
    items[0].up = false;
    seen[1] = devices_digest(&list);
    items[0].mtu = 9000;
    seen[2] = devices_digest(&list);
    items[1].n_addresses = 1;
    seen[3] = devices_digest(&list);
    items[1].addresses[0][0] = '2';
    seen[4] = devices_digest(&list);
    items[2].mac[5] = 1;
    seen[5] = devices_digest(&list);
    snprintf(items[2].description, sizeof items[2].description, "the one in the cellar");
    seen[6] = devices_digest(&list);
    seen[7] = devices_digest(&(struct interface_list){.items = items, .n = 2});
    for (unsigned i = 0; i < 8; i++) {
        for (unsigned j = 0; j < i; j++) {
            assert_true(seen[i] != seen[j]);
        }
    }
}

static void link_types_that_come_to_be_known_do_not_count(void **state)
{
    uint64_t before = devices_digest(&list);

    (void)state;
    items[0].link_types[0] = "EN10MB";
    items[0].n_link_types = 1;
    assert_true(devices_digest(&list) == before);
}

static void no_devices_are_told_from_not_known(void **state)
{
    (void)state;
    assert_true(devices_digest(&(struct interface_list){0}) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_order_of_devices_does_not_count, set_up),
        cmocka_unit_test_setup(what_is_shown_of_a_device_counts, set_up),
        cmocka_unit_test_setup(link_types_that_come_to_be_known_do_not_count, set_up),
        cmocka_unit_test_setup(no_devices_are_told_from_not_known, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
