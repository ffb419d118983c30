/* SPDX-License-Identifier: Apache-2.0
 *
 * A fresh folder under /tmp for each test of a cmocka group, removed with all that is in it:
 * cmocka_unit_test_setup_teardown(f, make_place, drop_place). Header only; include it after
 * cmocka.h.
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include "shared/base/mem.h"

static char *place; /* the folder's path */

static int make_place(void **state)
{
    char name[] = "/tmp/packetrecorder_test_XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(name));
    place = x_strdup(name);
    return 0;
}

static int drop_place(void **state)
{
    char *command = x_sprintf("rm -rf '%s'", place);
    int rc = system(command);

    (void)state;
    mem_free(command);
    mem_free(place);
    return rc;
}

/* The path of a file in it; owned by the caller. */
static inline char *in_place(const char *name)
{
    return x_sprintf("%s/%s", place, name);
}
