/* SPDX-License-Identifier: Apache-2.0
 *
 * A store with one session, and the file that export_run makes of it: what the tests of exports
 * that are read piece by piece compare with.
 */
#pragma once

#include "tests/support/store_place.h"

#include "shared/base/buf.h"
#include "shared/base/mem.h"
#include "shared/store/export.h"

#define WORLD_PACKETS 30000u

struct world {
    struct place place;
    char id[STORE_ID_TEXT];
    struct store *store;
    struct store_session *session;
};

static inline int set_up(void **state)
{
    struct world *w = x_alloc(sizeof *w);
    struct err err = {0};

    place_init(&w->place, NULL);
    write_session(&w->place, "s", 0, WORLD_PACKETS, w->id);
    w->store = open_store(&w->place, STORE_READ);
    assert_int_equal(store_session_find(w->store, w->id, &w->session, &err), 0);
    *state = w;
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *w = *state;

    store_sessions_free(w->session, 1);
    store_close(w->store);
    place_deinit(&w->place);
    mem_free(w);
    return 0;
}

static inline struct export_spec spec_of(const struct world *w, const char *filter)
{
    return (struct export_spec){.sessions = w->session,
                                .n = 1,
                                .to_ns = UINT64_MAX,
                                .filter = filter,
                                .format = EXPORT_PCAPNG,
                                .application = "test"};
}

static inline struct buf file_of(const struct world *w, struct export_spec spec)
{
    struct export_result result;
    struct err err = {0};
    struct buf bytes = {0};
    char path[128];

    snprintf(path, sizeof path, "%s/out", w->place.dir);
    spec.path = path;
    spec.force = true;
    assert_int_equal(export_run(w->store, &spec, &result, &err), 0);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    buf_reserve(&bytes, result.file_bytes + 1);
    bytes.len = fread(bytes.data, 1, result.file_bytes, f);
    assert_int_equal(bytes.len, result.file_bytes);
    fclose(f);
    return bytes;
}
