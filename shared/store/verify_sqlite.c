/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/verify_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/store/session_text.h"

void verify_find(struct verify *v, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (v->cb != NULL) {
        v->cb(text, 0, v->arg);
    }
}

void verify_progress(const struct verify *v)
{
    if (v->cb != NULL && v->total_bytes > 0) {
        v->cb(NULL, (double)v->report->bytes / (double)v->total_bytes, v->arg);
    }
}

static uint64_t damages(const struct verify *v)
{
    return v->report->damaged_frames + v->report->missing_segments;
}

/* What the segments say of their session and the catalogue does not change afterwards. The ledger
 * stands in the last description only, and a session that was recovered or damaged has a state of
 * its own. */
static bool fits_description(const struct store_session *s, const struct store_session *described)
{
    struct store_session known = *s;

    if (described->id[0] == '\0') {
        return true; /* none was intact */
    }
    if (s->n_ifaces < described->n_ifaces) {
        return false;
    }
    known.n_ifaces = described->n_ifaces;
    known.clock = described->clock; /* where frames are lost the catalogue has more of them */
    if (described->ended_ns == 0 || s->state == STORE_DAMAGED) {
        known.state = described->state;
        known.ended_ns = described->ended_ns;
        known.loss = described->loss;
    }
    char *one = session_text_write(&known);
    char *two = session_text_write(described);
    bool same = strcmp(one, two) == 0;
    mem_free(one);
    mem_free(two);
    return same;
}

static int check_session(struct verify *v, struct store_session *s, struct err *err)
{
    struct catalogue *c = &v->store->catalogue;
    struct catalogue_segment *list = NULL;
    struct adopt a;
    size_t n = 0;
    uint64_t before = damages(v);
    int r = catalogue_segments(c, s->row, &list, &n, err);

    adopt_init(&a, v->store);
    v->report->sessions++;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = verify_segment(v, &a, s, &list[i], err);
    }
    mem_free(list);
    if (r == 0 && !fits_description(s, &a.session)) {
        r = err_set(err, ERR_DAMAGED,
                    "the catalogue is damaged: what it says of session %s is not what its segments "
                    "say",
                    s->id);
    }
    adopt_deinit(&a);
    if (r == 0 && damages(v) > before && s->state != STORE_DAMAGED) {
        s->state = STORE_DAMAGED;
        r = catalogue_update_session(c, s, err);
    }
    return r;
}

/* Rows that no session or segment has. */
static int check_strays(struct verify *v, struct err *err)
{
    struct catalogue *c = &v->store->catalogue;
    sqlite3_stmt *stmt = NULL;
    int r = catalogue_query(
        c, &stmt, err,
        "SELECT 1 FROM segment WHERE session NOT IN (SELECT row FROM session) LIMIT 1", "");

    if (r == 0) {
        r = catalogue_step(c, stmt, err);
        sqlite3_finalize(stmt);
    }
    if (r > 0) {
        return err_set(err, ERR_DAMAGED, "the catalogue is damaged: it has segments of no session");
    }
    return r < 0
               ? r
               : catalogue_run(c, err,
                               "DELETE FROM frame WHERE id >> 32 NOT IN (SELECT row FROM segment)",
                               "");
}

static int check_orphans(struct verify *v, struct err *err)
{
    struct adopt a;
    uint64_t adopted = 0;

    adopt_init(&a, v->store);
    int r = adopt_orphans(&a, &adopted, err);
    v->report->repaired_segments += adopted;
    v->report->repaired_frames += a.frames;
    v->report->packets += a.packets;
    v->report->damaged_frames += a.damaged_frames;
    v->report->damaged_packets += a.damaged_packets;
    if (adopted > 0) {
        verify_find(v, "%llu segments with %llu packets were not in the catalogue and are now",
                    (unsigned long long)adopted, (unsigned long long)a.packets);
    }
    if (a.damaged_frames > 0) {
        verify_find(v, "%llu frames or segments outside the catalogue are damaged",
                    (unsigned long long)a.damaged_frames);
    }
    adopt_deinit(&a);
    return r;
}

int store_verify(struct store *store, verify_cb cb, void *arg, struct verify_report *out,
                 struct err *err)
{
    struct verify v = {.store = store, .report = out, .cb = cb, .arg = arg};
    struct store_session *list = NULL;
    size_t n = 0;
    int r = catalogue_check(&store->catalogue, err);

    *out = (struct verify_report){0};
    r = r < 0 ? r : store_sessions(store, &list, &n, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < n; i++) {
        v.total_bytes += list[i].stored_bytes;
    }
    r = catalogue_begin(&store->catalogue, err);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = check_session(&v, &list[i], err);
    }
    r = r < 0 ? r : check_strays(&v, err);
    r = r < 0 ? r : check_orphans(&v, err);
    r = r < 0 ? r : catalogue_commit(&store->catalogue, err);
    if (r < 0) {
        catalogue_rollback(&store->catalogue);
    }
    store_sessions_free(list, n);
    return r;
}
