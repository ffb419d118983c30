/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/catalogue_sqlite.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"

static uint64_t column_counter(sqlite3_stmt *stmt, int i)
{
    return sqlite3_column_type(stmt, i) == SQLITE_NULL ? LEDGER_UNKNOWN
                                                       : (uint64_t)sqlite3_column_int64(stmt, i);
}

static uint64_t column_u64(sqlite3_stmt *stmt, int i)
{
    return (uint64_t)sqlite3_column_int64(stmt, i);
}

static uint32_t column_u32(sqlite3_stmt *stmt, int i)
{
    return (uint32_t)sqlite3_column_int64(stmt, i);
}

static uint64_t column_time(sqlite3_stmt *stmt, int i)
{
    return CATALOGUE_UNTIME(sqlite3_column_int64(stmt, i));
}

static void column_text(sqlite3_stmt *stmt, int i, char *out, size_t n)
{
    const char *text = (const char *)sqlite3_column_text(stmt, i);
    snprintf(out, n, "%s", text == NULL ? "" : text);
}

void catalogue_count_frame(struct catalogue_segment *row, const struct catalogue_frame *f)
{
    row->bytes = f->offset + f->stored_len;
    row->packets += f->n_packets;
    row->packet_bytes += f->packet_bytes;
    row->min_ns = f->min_ns < row->min_ns ? f->min_ns : row->min_ns;
    row->max_ns = f->max_ns > row->max_ns ? f->max_ns : row->max_ns;
}

int catalogue_put_excluded(struct catalogue *c, const struct store_session *s, struct err *err)
{
    return s->excluded[0] == '\0' || !c->has_excluded
               ? 0
               : catalogue_run(c, err, "UPDATE session SET excluded=? WHERE row=?", "si",
                               s->excluded, s->row);
}

int catalogue_put_error(struct catalogue *c, const char *id, const char *why, struct err *err)
{
    return !c->has_error
               ? 0
               : catalogue_run(c, err, "UPDATE session SET error=? WHERE id=?", "ss", why, id);
}

int catalogue_put_clock(struct catalogue *c, int64_t session, const struct clock_samples *clock,
                        struct err *err)
{
    if (!c->has_clock || clock->n == 0) {
        return 0;
    }
    char *text = clock_samples_text(clock);
    int r = catalogue_run(c, err, "UPDATE session SET clock=? WHERE row=?", "si", text, session);
    mem_free(text);
    return r;
}

int catalogue_get_clock(struct catalogue *c, int64_t session, struct clock_samples *out,
                        struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int r = !c->has_clock ? 0
                          : catalogue_query(c, &stmt, err, "SELECT clock FROM session WHERE row=?",
                                            "i", session);

    if (stmt == NULL) {
        return r;
    }
    r = catalogue_step(c, stmt, err);
    const char *text = r > 0 ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    if (text != NULL) {
        clock_samples_read(text, out);
    }
    sqlite3_finalize(stmt);
    return r < 0 ? r : 0;
}

int catalogue_put_session(struct catalogue *c, struct store_session *s, struct err *err)
{
    int r = catalogue_run(c, err,
                          "INSERT INTO session(id, name, node, filter, tags, state, started, ended,"
                          " captured, received, kernel, interface, over_limit, store)"
                          " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                          "sssssittuuuuuu", s->id, s->name, s->node, s->filter, s->tags,
                          (int64_t)s->state, s->started_ns, s->ended_ns, s->loss.captured,
                          s->loss.received, s->loss.kernel, s->loss.interface, s->loss.limit,
                          s->loss.store);

    if (r == 0) {
        s->row = sqlite3_last_insert_rowid(c->db);
        r = catalogue_put_excluded(c, s, err);
    }
    return r;
}

int catalogue_update_session(struct catalogue *c, const struct store_session *s, struct err *err)
{
    return catalogue_run(c, err,
                         "UPDATE session SET state=?, ended=?, captured=?, received=?, kernel=?,"
                         " interface=?, over_limit=?, store=? WHERE row=?",
                         "ituuuuuui", (int64_t)s->state, s->ended_ns, s->loss.captured,
                         s->loss.received, s->loss.kernel, s->loss.interface, s->loss.limit,
                         s->loss.store, s->row);
}

int catalogue_put_ifaces(struct catalogue *c, int64_t session, const struct iface *ifaces,
                         uint32_t first, uint32_t n, struct err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct iface *f = &ifaces[i];
        int r =
            catalogue_run(c, err, "INSERT OR REPLACE INTO interface VALUES(?,?,?,?,?,?,?,?,?,?,?)",
                          "iissssbiiii", session, (int64_t)first + i, f->name, f->description,
                          f->filter, f->os, f->has_mac ? f->mac : NULL,
                          f->has_mac ? sizeof f->mac : (size_t)0, (int64_t)f->link_type,
                          (int64_t)f->snaplen, (int64_t)f->speed_bps, (int64_t)f->ts_digits);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void iface_of_row(sqlite3_stmt *stmt, struct iface *f)
{
    *f = (struct iface){
        .link_type = column_u32(stmt, 5),
        .snaplen = column_u32(stmt, 6),
        .speed_bps = column_u64(stmt, 7),
        .ts_digits = column_u32(stmt, 8) > 9 ? 9 : (uint8_t)column_u32(stmt, 8),
        .has_mac = sqlite3_column_bytes(stmt, 4) == (int)sizeof f->mac,
    };
    column_text(stmt, 0, f->name, sizeof f->name);
    column_text(stmt, 1, f->description, sizeof f->description);
    column_text(stmt, 2, f->filter, sizeof f->filter);
    column_text(stmt, 3, f->os, sizeof f->os);
    if (f->has_mac) {
        memcpy(f->mac, sqlite3_column_blob(stmt, 4), sizeof f->mac);
    }
}

static int read_ifaces(struct catalogue *c, struct store_session *s, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int r = catalogue_query(c, &stmt, err,
                            "SELECT name, description, filter, os, mac, link_type, snaplen, speed,"
                            " digits FROM interface WHERE session=? ORDER BY number",
                            "i", s->row);
    uint32_t cap = 0;

    if (r < 0) {
        return r;
    }
    while ((r = catalogue_step(c, stmt, err)) > 0 && s->n_ifaces < IFACES_MAX) {
        if (s->n_ifaces == cap) {
            cap = cap == 0 ? 1 : cap * 2;
            s->ifaces = x_realloc(s->ifaces, cap * sizeof *s->ifaces);
        }
        iface_of_row(stmt, &s->ifaces[s->n_ifaces++]);
    }
    sqlite3_finalize(stmt);
    return r < 0 ? r : 0;
}

static void session_of_row(sqlite3_stmt *stmt, struct store_session *s)
{
    *s = (struct store_session){
        .row = sqlite3_column_int64(stmt, 0),
        .state = (enum store_state)column_u32(stmt, 6),
        .started_ns = column_time(stmt, 7),
        .ended_ns = column_time(stmt, 8),
        .loss = {.captured = column_counter(stmt, 9),
                 .received = column_counter(stmt, 10),
                 .kernel = column_counter(stmt, 11),
                 .interface = column_counter(stmt, 12),
                 .limit = column_counter(stmt, 13),
                 .store = column_counter(stmt, 14)},
        .packets = column_u64(stmt, 15),
        .bytes = column_u64(stmt, 16),
        .stored_bytes = column_u64(stmt, 17),
    };
    bool empty = sqlite3_column_type(stmt, 18) == SQLITE_NULL;
    s->first_ns = empty ? UINT64_MAX : column_time(stmt, 18);
    s->last_ns = empty ? 0 : column_time(stmt, 19);
    s->loss.bytes = s->bytes;
    column_text(stmt, 1, s->id, sizeof s->id);
    column_text(stmt, 2, s->name, sizeof s->name);
    column_text(stmt, 3, s->node, sizeof s->node);
    column_text(stmt, 4, s->filter, sizeof s->filter);
    column_text(stmt, 5, s->tags, sizeof s->tags);
    column_text(stmt, 20, s->excluded, sizeof s->excluded);
    column_text(stmt, 21, s->error, sizeof s->error);
}

int catalogue_sessions(struct catalogue *c, int64_t row, struct store_session **out, size_t *n,
                       struct err *err)
{
    static const char form[] =
        "SELECT s.row, s.id, s.name, s.node, s.filter, s.tags, s.state, s.started, s.ended,"
        " s.captured, s.received, s.kernel, s.interface, s.over_limit, s.store,"
        " total(g.packets), total(g.packet_bytes), total(g.bytes),"
        " min(CASE WHEN g.packets > 0 THEN g.min_time END),"
        " max(CASE WHEN g.packets > 0 THEN g.max_time END), %s, %s"
        " FROM session s LEFT JOIN segment g ON g.session = s.row"
        " WHERE ?1 = 0 OR s.row = ?1 GROUP BY s.row ORDER BY s.started, s.row";
    struct store_session *list = NULL;
    sqlite3_stmt *stmt = NULL;
    char sql[sizeof form + 32];
    size_t count = 0;
    size_t cap = 0;

    snprintf(sql, sizeof sql, form, c->has_excluded ? "s.excluded" : "NULL",
             c->has_error ? "s.error" : "NULL");
    int r = catalogue_query(c, &stmt, err, sql, "i", row);

    if (r < 0) {
        return r;
    }
    while ((r = catalogue_step(c, stmt, err)) > 0) {
        if (count == cap) {
            cap = cap == 0 ? 4 : cap * 2;
            list = x_realloc(list, cap * sizeof *list);
        }
        session_of_row(stmt, &list[count++]);
    }
    sqlite3_finalize(stmt);
    for (size_t i = 0; i < count && r == 0; i++) {
        r = read_ifaces(c, &list[i], err);
        r = r < 0 ? r : catalogue_get_clock(c, list[i].row, &list[i].clock, err);
    }
    if (r < 0) {
        store_sessions_free(list, count);
        return r;
    }
    *out = list;
    *n = count;
    return 0;
}

int catalogue_put_segment(struct catalogue *c, struct catalogue_segment *g, struct err *err)
{
    int r = catalogue_run(c, err,
                          "INSERT INTO segment(session, sequence, id, file, bytes, closed,"
                          " first_number, packets, packet_bytes, min_time, max_time)"
                          " VALUES(?,?,?,?,?,?,?,?,?,?,?)",
                          "iibsiiiiitt", g->session, (int64_t)g->sequence, g->id, sizeof g->id,
                          g->file, (int64_t)g->bytes, (int64_t)g->closed, (int64_t)g->first_number,
                          (int64_t)g->packets, (int64_t)g->packet_bytes, g->min_ns, g->max_ns);

    if (r == 0) {
        g->row = sqlite3_last_insert_rowid(c->db);
    }
    return r;
}

int catalogue_update_segment(struct catalogue *c, const struct catalogue_segment *g,
                             struct err *err)
{
    return catalogue_run(c, err,
                         "UPDATE segment SET bytes=?, closed=?, packets=?, packet_bytes=?,"
                         " min_time=?, max_time=? WHERE row=?",
                         "iiiitti", (int64_t)g->bytes, (int64_t)g->closed, (int64_t)g->packets,
                         (int64_t)g->packet_bytes, g->min_ns, g->max_ns, g->row);
}

bool catalogue_is_file_name(const char *file)
{
    size_t n = strlen(file);

    return n > 4 && n < SEGMENT_FILE_MAX && file[0] != '.' && strchr(file, '/') == NULL &&
           strcmp(file + n - 4, ".seg") == 0;
}

static void segment_of_row(sqlite3_stmt *stmt, struct catalogue_segment *g)
{
    *g = (struct catalogue_segment){
        .row = sqlite3_column_int64(stmt, 0),
        .session = sqlite3_column_int64(stmt, 1),
        .sequence = column_u32(stmt, 2),
        .bytes = column_u64(stmt, 5),
        .closed = sqlite3_column_int(stmt, 6) != 0,
        .first_number = column_u64(stmt, 7),
        .packets = column_u64(stmt, 8),
        .packet_bytes = column_u64(stmt, 9),
        .min_ns = column_time(stmt, 10),
        .max_ns = column_time(stmt, 11),
    };
    if (sqlite3_column_bytes(stmt, 3) == (int)sizeof g->id) {
        memcpy(g->id, sqlite3_column_blob(stmt, 3), sizeof g->id);
    }
    column_text(stmt, 4, g->file, sizeof g->file);
    if (!catalogue_is_file_name(g->file)) {
        snprintf(g->file, sizeof g->file, "?");
    }
}

int catalogue_segments(struct catalogue *c, int64_t session, struct catalogue_segment **out,
                       size_t *n, struct err *err)
{
    static const char sql[] =
        "SELECT row, session, sequence, id, file, bytes, closed, first_number, packets,"
        " packet_bytes, min_time, max_time FROM segment WHERE ?1 = 0 OR session = ?1"
        " ORDER BY CASE WHEN ?1 = 0 THEN row ELSE sequence END";
    struct catalogue_segment *list = NULL;
    sqlite3_stmt *stmt = NULL;
    size_t count = 0;
    size_t cap = 0;
    int r = catalogue_query(c, &stmt, err, sql, "i", session);

    if (r < 0) {
        return r;
    }
    while ((r = catalogue_step(c, stmt, err)) > 0) {
        if (count == cap) {
            cap = cap == 0 ? 8 : cap * 2;
            list = x_realloc(list, cap * sizeof *list);
        }
        segment_of_row(stmt, &list[count++]);
    }
    sqlite3_finalize(stmt);
    if (r < 0) {
        mem_free(list);
        return r;
    }
    *out = list;
    *n = count;
    return 0;
}

static int64_t frame_id(int64_t segment, uint32_t number)
{
    return (int64_t)((uint64_t)segment << 32 | number);
}

int catalogue_delete_segment(struct catalogue *c, int64_t segment, struct err *err)
{
    int r = catalogue_run(c, err, "DELETE FROM frame WHERE id BETWEEN ? AND ?", "ii",
                          frame_id(segment, 0), frame_id(segment, UINT32_MAX));

    return r < 0 ? r : catalogue_run(c, err, "DELETE FROM segment WHERE row=?", "i", segment);
}

int catalogue_put_frame(struct catalogue *c, int64_t segment, const struct catalogue_frame *f,
                        struct err *err)
{
    return catalogue_run(c, err, "INSERT OR REPLACE INTO frame VALUES(?,?,?,?,?,?,?,?,?,?)",
                         "iiiiiiittb", frame_id(segment, f->number), (int64_t)f->offset,
                         (int64_t)f->stored_len, (int64_t)f->raw_len, (int64_t)f->n_packets,
                         (int64_t)f->first_number, (int64_t)f->packet_bytes, f->min_ns, f->max_ns,
                         f->bloom, f->bloom_n);
}

int catalogue_delete_frame(struct catalogue *c, int64_t segment, uint32_t number, struct err *err)
{
    return catalogue_run(c, err, "DELETE FROM frame WHERE id=?", "i", frame_id(segment, number));
}

int catalogue_frames(struct catalogue *c, int64_t segment, bool with_bloom, sqlite3_stmt **out,
                     struct err *err)
{
    return catalogue_query(c, out, err,
                           with_bloom ? "SELECT id, offset, stored, raw, packets, first_number,"
                                        " packet_bytes, min_time, max_time, bloom FROM frame"
                                        " WHERE id BETWEEN ? AND ? ORDER BY id"
                                      : "SELECT id, offset, stored, raw, packets, first_number,"
                                        " packet_bytes, min_time, max_time FROM frame"
                                        " WHERE id BETWEEN ? AND ? ORDER BY id",
                           "ii", frame_id(segment, 0), frame_id(segment, UINT32_MAX));
}

int catalogue_next_frame(struct catalogue *c, sqlite3_stmt *stmt, struct catalogue_frame *f,
                         struct err *err)
{
    int r = catalogue_step(c, stmt, err);

    if (r <= 0) {
        return r;
    }
    *f = (struct catalogue_frame){
        .number = (uint32_t)sqlite3_column_int64(stmt, 0),
        .offset = column_u64(stmt, 1),
        .stored_len = column_u32(stmt, 2),
        .raw_len = column_u32(stmt, 3),
        .n_packets = column_u32(stmt, 4),
        .first_number = column_u64(stmt, 5),
        .packet_bytes = column_u64(stmt, 6),
        .min_ns = column_time(stmt, 7),
        .max_ns = column_time(stmt, 8),
    };
    if (sqlite3_column_count(stmt) > 9) {
        f->bloom = sqlite3_column_blob(stmt, 9);
        f->bloom_n = (size_t)sqlite3_column_bytes(stmt, 9);
    }
    return 1;
}
