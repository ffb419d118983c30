/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/retention.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/base/mem.h"
#include "shared/store/segment_file.h"

static uint64_t file_bytes(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512u : 0;
}

uint64_t store_path_disk_bytes(const char *path)
{
    static const char *const beside[] = {"", "-wal", "-shm"};
    char *folder = x_sprintf("%s.d", path);
    uint64_t total = 0;
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
        char *file = x_sprintf("%s%s", path, beside[i]);
        total += file_bytes(file);
        mem_free(file);
    }
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            char *file = x_sprintf("%s/%s", folder, entry->d_name);
            total += file_bytes(file);
            mem_free(file);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    mem_free(folder);
    return total;
}

uint64_t store_disk_bytes(const struct store *store)
{
    return store_path_disk_bytes(store->path);
}

static int drop_session_row(struct store *store, int64_t session, struct err *err)
{
    struct catalogue *c = &store->catalogue;
    int r = catalogue_run(c, err, "DELETE FROM interface WHERE session=?", "i", session);

    return r < 0 ? r : catalogue_run(c, err, "DELETE FROM session WHERE row=?", "i", session);
}

static int doom_segment(struct store *store, const struct catalogue_segment *g, struct err *err)
{
    struct catalogue *c = &store->catalogue;
    int r = catalogue_run(c, err, "INSERT OR REPLACE INTO doomed VALUES(?)", "s", g->file);

    return r < 0 ? r : catalogue_delete_segment(c, g->row, err);
}

/* But for one that is still written, unless it is to go: its next segment would be nobody's. */
static int drop_empty_session(struct store *store, int64_t session, bool running_too,
                              struct err *err)
{
    struct catalogue *c = &store->catalogue;
    sqlite3_stmt *stmt = NULL;
    int r = catalogue_query(c, &stmt, err,
                            "SELECT 1 FROM segment WHERE session=?1 UNION ALL SELECT 1 FROM session"
                            " WHERE row=?1 AND ?5=0 AND (state=?2 OR (state=?3 AND ended=?4))"
                            " LIMIT 1",
                            "iiiti", session, (int64_t)STORE_RUNNING, (int64_t)STORE_DISK_FULL,
                            (uint64_t)0, (int64_t)running_too);

    if (r == 0) {
        r = catalogue_step(c, stmt, err);
        sqlite3_finalize(stmt);
    }
    return r == 0 ? drop_session_row(store, session, err) : r < 0 ? r : 0;
}

/* One transaction: these segments, and the sessions that have none left but for `keep`. 0: they are
 * all of one session that is deleted. */
static int doom_all(struct store *store, const struct catalogue_segment *list, size_t n,
                    int64_t keep, struct err *err)
{
    struct catalogue *c = &store->catalogue;
    int r = catalogue_begin(c, err);

    for (size_t i = 0; i < n && r == 0; i++) {
        r = doom_segment(store, &list[i], err);
        if (r == 0 && list[i].session != keep) {
            r = drop_empty_session(store, list[i].session, keep == 0, err);
        }
    }
    r = r < 0 ? r : catalogue_commit(c, err);
    if (r < 0) {
        catalogue_rollback(c);
    }
    return r;
}

/* On a full disk even deleting needs room, in the catalogue's log. What is on its way out anyway
 * gives it, the oldest first. */
static int doom(struct store *store, const struct catalogue_segment *list, size_t n, int64_t keep,
                struct err *err)
{
    int r = doom_all(store, list, n, keep, err);

    if (r == ERR_FULL) {
        store_reserve_drop(store);
        r = doom_all(store, list, n, keep, err);
    }
    for (size_t i = 0; i < n && r == ERR_FULL; i++) {
        r = segment_file_destroy(store, list[i].file, err);
        r = r < 0 ? r : doom_all(store, list, n, keep, err);
    }
    return r;
}

static int next_doomed(struct store *store, char *file, size_t n, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int r =
        catalogue_query(&store->catalogue, &stmt, err,
                        "SELECT file FROM doomed WHERE file > ? ORDER BY file LIMIT 1", "s", file);

    if (r < 0) {
        return r;
    }
    r = catalogue_step(&store->catalogue, stmt, err);
    if (r > 0) {
        snprintf(file, n, "%s", (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    return r;
}

int retention_finish(struct store *store, struct err *err)
{
    char file[SEGMENT_FILE_MAX] = "";
    bool any = false;
    int r;

    while ((r = next_doomed(store, file, sizeof file, err)) > 0) {
        any = true;
        r = catalogue_is_file_name(file) ? segment_file_destroy(store, file, err) : 0;
        if (r < 0) {
            return r;
        }
    }
    if (!any) {
        return r;
    }
    store_sync_dir(store->dir);
    return r < 0 ? r : catalogue_run(&store->catalogue, err, "DELETE FROM doomed", "");
}

/* The oldest closed segments first in the list; returns how many have to go. */
static size_t choose(struct catalogue_segment *list, size_t n, uint64_t total, uint64_t wanted,
                     bool *enough)
{
    size_t chosen = 0;

    *enough = total <= wanted;
    for (size_t i = 0; i < n && !*enough; i++) {
        if (list[i].closed) {
            total -= list[i].bytes < total ? list[i].bytes : total;
            list[chosen++] = list[i];
            *enough = total <= wanted;
        }
    }
    return chosen;
}

static int make_room(struct store *store, uint64_t quota_bytes, uint64_t bytes, int64_t keep,
                     struct err *err)
{
    struct catalogue_segment *list = NULL;
    size_t n = 0;
    bool enough = false;
    int r = catalogue_segments(&store->catalogue, 0, &list, &n, err);

    if (r < 0) {
        return r;
    }
    uint64_t total = store_disk_bytes(store);
    uint64_t goal = quota_bytes > 0 ? quota_bytes : total;
    if (bytes > goal) {
        bytes = goal;
    }
    n = choose(list, n, total, goal - bytes, &enough);
    r = n == 0 ? 0 : doom(store, list, n, keep, err);
    mem_free(list);
    r = r < 0 || n == 0 ? r : retention_finish(store, err);
    if (r < 0) {
        return r;
    }
    return enough ? 0
                  : err_set(err, ERR_FULL, "nothing older is left to delete in '%s'", store->path);
}

int retention_make_room(struct store *store, uint64_t quota_bytes, uint64_t bytes, int64_t keep,
                        struct err *err)
{
    store_group_lock(store);
    int r = make_room(store, quota_bytes, bytes, keep, err);
    store_group_unlock(store);
    return r;
}

static int delete_session(struct store *store, const struct store_session *session, struct err *err)
{
    struct catalogue_segment *list = NULL;
    size_t n = 0;
    int r = catalogue_segments(&store->catalogue, session->row, &list, &n, err);

    if (r == 0) {
        r = n > 0 ? doom(store, list, n, 0, err) : drop_session_row(store, session->row, err);
    }
    mem_free(list);
    return r < 0 ? r : retention_finish(store, err);
}

int store_delete_session(struct store *store, const struct store_session *session, struct err *err)
{
    store_group_lock(store);
    int r = delete_session(store, session, err);
    r = r < 0 ? r : catalogue_shrink(&store->catalogue, err);
    store_group_unlock(store);
    return r;
}

/* "K=V" wants that value, "K" any. */
static bool has_tag(const struct store_session *s, const char *want)
{
    json_t *tags = json_loads(s->tags, 0, NULL);
    const char *eq = strchr(want, '=');
    char *key = x_sprintf("%.*s", eq == NULL ? (int)strlen(want) : (int)(eq - want), want);
    const json_t *v = json_object_get(tags, key);
    bool has = v != NULL &&
               (eq == NULL || (json_is_string(v) && strcmp(json_string_value(v), eq + 1) == 0));

    mem_free(key);
    json_decref(tags);
    return has;
}

static bool is_kept(const struct store_session *s, const struct store_prune *rule)
{
    for (size_t i = 0; i < rule->n_keep_tags; i++) {
        if (has_tag(s, rule->keep_tags[i])) {
            return true;
        }
    }
    return false;
}

/* Its writer would go on with a session that there is no more. */
static bool is_written(const struct store_session *s)
{
    return s->state == STORE_RUNNING || (s->state == STORE_DISK_FULL && s->ended_ns == 0);
}

static int shrink(struct store *store, struct err *err)
{
    store_group_lock(store);
    int r = catalogue_shrink(&store->catalogue, err);
    store_group_unlock(store);
    return r;
}

static int prune_one(struct store *store, const struct store_session *session,
                     struct store_pruned *out, struct err *err)
{
    store_group_lock(store);
    int r = delete_session(store, session, err);
    store_group_unlock(store);
    out->sessions += r == 0;
    out->packets += r == 0 ? session->packets : 0;
    out->bytes += r == 0 ? session->stored_bytes : 0;
    return r;
}

int store_prune(struct store *store, const struct store_prune *rule,
                void (*gone)(const struct store_session *session, void *arg), void *arg,
                struct store_pruned *out, struct err *err)
{
    struct store_session *list = NULL;
    size_t n = 0;
    bool measured = true;
    int r = store_sessions(store, &list, &n, err);
    uint64_t total = store_disk_bytes(store);

    *out = (struct store_pruned){0};
    for (size_t i = 0; i < n && r == 0; i++) {
        uint64_t age_at = list[i].ended_ns > 0 ? list[i].ended_ns : list[i].started_ns;
        bool old = rule->before_ns > 0 && age_at < rule->before_ns;
        if (total <= rule->max_bytes && !measured) {
            r = shrink(store, err);
            total = store_disk_bytes(store);
            measured = true;
        }
        bool large = rule->max_bytes > 0 && total > rule->max_bytes;
        if (r < 0 || (!old && !large) || is_written(&list[i]) || is_kept(&list[i], rule)) {
            continue;
        }
        r = prune_one(store, &list[i], out, err);
        if (r == 0 && gone != NULL) {
            gone(&list[i], arg);
        }
        total -= list[i].stored_bytes < total ? list[i].stored_bytes : total;
        measured = false;
    }
    store_sessions_free(list, n);
    return r < 0 ? r : shrink(store, err);
}
