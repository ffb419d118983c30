/* SPDX-License-Identifier: Apache-2.0
 *
 * After a crash. The segments hold more than the catalogue knows: up to a second of frames, perhaps
 * a torn one at the end. Each session that was running is read on from where the catalogue stops,
 * its torn tail is cut, its segments are closed for good, and it becomes "recovered". Deletions
 * that were under way are finished.
 */
#include "shared/store/store_handle.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/store/adopt.h"
#include "shared/store/retention.h"

static bool any_row(struct store *store, const char *sql)
{
    sqlite3_stmt *stmt = NULL;

    if (catalogue_query(&store->catalogue, &stmt, NULL, sql, "") < 0) {
        return false;
    }
    bool any = catalogue_step(&store->catalogue, stmt, NULL) > 0;
    sqlite3_finalize(stmt);
    return any;
}

bool store_needs_recovery(struct store *store)
{
    char sql[200];

    snprintf(sql, sizeof sql,
             "SELECT 1 FROM session WHERE state = %d OR (state = %d AND ended = %lld) LIMIT 1",
             STORE_RUNNING, STORE_DISK_FULL, (long long)CATALOGUE_TIME(0));
    return any_row(store, sql) || any_row(store, "SELECT 1 FROM doomed LIMIT 1");
}

bool store_has_segments(const struct store *store)
{
    char **files = NULL;
    size_t n = 0;

    if (adopt_list_files(store, &files, &n, NULL) < 0) {
        return false;
    }
    adopt_free_files(files, n);
    return n > 0;
}

bool store_lost_sessions(struct store *store)
{
    return !any_row(store, "SELECT 1 FROM session LIMIT 1") && store_has_segments(store);
}

/* The segments that the catalogue has as open, from their known end. */
static int read_on(struct adopt *a, struct store_session *s, struct err *err)
{
    struct catalogue *c = &a->store->catalogue;
    struct catalogue_segment *list = NULL;
    size_t n = 0;
    int r = catalogue_segments(c, s->row, &list, &n, err);

    for (size_t i = 0; i < n && r == 0; i++) {
        if (list[i].closed) {
            continue;
        }
        struct err why = {0};
        uint64_t at = adopt_modified_ns(a->store, list[i].file);
        s->ended_ns = at > s->ended_ns ? at : s->ended_ns;
        r = adopt_segment(a, &list[i], list[i].bytes, true, &why);
        if (r == ERR_NOT_FOUND || r == ERR_DAMAGED || r == ERR_IO) {
            s->state = STORE_DAMAGED;
            r = 0;
        }
        list[i].closed = true;
        r = r < 0 ? err_set(err, r, "%s", why.text) : catalogue_update_segment(c, &list[i], err);
    }
    mem_free(list);
    return r;
}

/* A session whose last words are in its segment had ended before the crash. For the others, what
 * the crash did not let anybody write down is unknown, not 0. */
static void take_end(const struct adopt *a, struct store_session *s)
{
    if (strcmp(a->session.id, s->id) == 0 && a->session.ended_ns > 0) {
        s->state = s->state == STORE_DAMAGED ? s->state : a->session.state;
        s->ended_ns = a->session.ended_ns;
        s->loss = a->session.loss;
        return;
    }
    s->loss = (struct ledger){
        LEDGER_UNKNOWN, 0, LEDGER_UNKNOWN, LEDGER_UNKNOWN, LEDGER_UNKNOWN, LEDGER_UNKNOWN,
        LEDGER_UNKNOWN};
}

static int recover_session(struct adopt *a, struct store_session *s, struct err *err)
{
    struct catalogue *c = &a->store->catalogue;
    int r = catalogue_begin(c, err);

    s->state = STORE_RECOVERED;
    r = r < 0 ? r : read_on(a, s, err);
    if (r == 0 && strcmp(a->session.id, s->id) == 0 && a->session.n_ifaces > 0) {
        r = catalogue_put_ifaces(c, s->row, a->session.ifaces, 0, a->session.n_ifaces, err);
    }
    if (strcmp(a->session.id, s->id) == 0) {
        clock_samples_join(&s->clock, &a->session.clock);
        r = r < 0 ? r : catalogue_put_clock(c, s->row, &s->clock, err);
    }
    take_end(a, s);
    if (a->damaged_frames > 0) {
        s->state = STORE_DAMAGED;
    }
    r = r < 0 ? r : catalogue_update_session(c, s, err);
    r = r < 0 ? r : catalogue_commit(c, err);
    if (r < 0) {
        catalogue_rollback(c);
    }
    return r;
}

static void report(struct store *store, const struct adopt *a, const char *id)
{
    size_t used = strlen(store->repairs);

    snprintf(store->repairs + used, sizeof store->repairs - used,
             "%ssession %s recovered after a crash: %llu packets read back, %llu bytes of a torn "
             "frame cut",
             used > 0 ? "; " : "", id, (unsigned long long)a->packets,
             (unsigned long long)a->cut_bytes);
}

static bool unfinished(const struct store_session *s)
{
    return s->state == STORE_RUNNING || (s->state == STORE_DISK_FULL && s->ended_ns == 0);
}

/* Segments begun in the last moment, which the catalogue has not heard of. */
static int recover_orphans(struct store *store, bool after_crash, struct err *err)
{
    struct adopt a;
    uint64_t adopted = 0;

    adopt_init(&a, store);
    a.after_crash = after_crash;
    int r = catalogue_begin(&store->catalogue, err);
    r = r < 0 ? r : adopt_orphans(&a, &adopted, err);
    r = r < 0 ? r : catalogue_commit(&store->catalogue, err);
    if (r < 0) {
        catalogue_rollback(&store->catalogue);
    }
    adopt_deinit(&a);
    return r;
}

int store_recover(struct store *store, struct err *err)
{
    struct store_session *list = NULL;
    size_t n = 0;

    if (!store_needs_recovery(store)) {
        return 0;
    }
    int r = retention_finish(store, err);
    r = r < 0 ? r : store_sessions(store, &list, &n, err);
    bool any = false;
    for (size_t i = 0; i < n && r == 0; i++) {
        if (!unfinished(&list[i])) {
            continue;
        }
        struct adopt a;
        adopt_init(&a, store);
        r = recover_session(&a, &list[i], err);
        if (r == 0) {
            report(store, &a, list[i].id);
        }
        adopt_deinit(&a);
        any = true;
    }
    store_sessions_free(list, n);
    if (r == 0 && any) {
        r = recover_orphans(store, true, err);
        store_reserve_drop(store);
    }
    return r;
}

int store_rebuild(struct store *store, struct err *err)
{
    int r = retention_finish(store, err); /* those are not lost but deleted */

    r = r < 0 ? r : recover_orphans(store, false, err);

    if (r == 0 && any_row(store, "SELECT 1 FROM session LIMIT 1")) {
        snprintf(store->repairs, sizeof store->repairs,
                 "the catalogue was missing and was made anew from the segments");
    }
    return r;
}
