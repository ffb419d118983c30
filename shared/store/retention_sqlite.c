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

uint64_t store_disk_bytes(const struct store *store)
{
    static const char *const beside[] = {"", "-wal", "-shm"};
    uint64_t total = 0;
    DIR *dir = opendir(store->dir);
    const struct dirent *entry;

    for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
        char *path = x_sprintf("%s%s", store->path, beside[i]);
        total += file_bytes(path);
        mem_free(path);
    }
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            char *path = store_file(store, entry->d_name);
            total += file_bytes(path);
            mem_free(path);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return total;
}

static int drop_session_row(struct store *store, int64_t session, struct err *err)
{
    struct catalogue *c = &store->catalogue;
    int r = catalogue_run(c, err, "DELETE FROM interface WHERE session=?", "i", session);

    return r < 0 ? r : catalogue_run(c, err, "DELETE FROM session WHERE row=?", "i", session);
}

static int drop_segment(struct store *store, const struct catalogue_segment *g, int64_t keep,
                        struct err *err)
{
    struct catalogue *c = &store->catalogue;
    sqlite3_stmt *stmt = NULL;
    int r = segment_file_destroy(store, g->file, err);

    r = r < 0 ? r : catalogue_delete_segment(c, g->row, err);
    if (r < 0 || g->session == keep) {
        return r;
    }
    r = catalogue_query(c, &stmt, err, "SELECT 1 FROM segment WHERE session=? LIMIT 1", "i",
                        g->session);
    if (r == 0) {
        r = catalogue_step(c, stmt, err);
        sqlite3_finalize(stmt);
        r = r == 0 ? drop_session_row(store, g->session, err) : r < 0 ? r : 0;
    }
    return r;
}

int retention_make_room(struct store *store, uint64_t quota_bytes, uint64_t bytes, int64_t keep,
                        struct err *err)
{
    struct catalogue_segment *list = NULL;
    size_t n = 0;
    int r = catalogue_segments(&store->catalogue, 0, &list, &n, err);
    uint64_t total = store_disk_bytes(store);
    uint64_t goal = quota_bytes > 0 ? quota_bytes : total;
    bool enough = quota_bytes > 0 && total + bytes <= goal;

    if (r < 0) {
        return r;
    }
    r = enough ? 0 : catalogue_begin(&store->catalogue, err);
    for (size_t i = 0; i < n && r == 0 && !enough; i++) {
        if (list[i].closed) {
            r = drop_segment(store, &list[i], keep, err);
            total -= list[i].bytes < total ? list[i].bytes : total;
            enough = total + bytes <= goal;
        }
    }
    if (!sqlite3_get_autocommit(store->catalogue.db)) {
        int done = catalogue_commit(&store->catalogue, err);
        r = r < 0 ? r : done;
    }
    mem_free(list);
    catalogue_checkpoint(&store->catalogue, NULL);
    if (r < 0) {
        catalogue_rollback(&store->catalogue);
        return r;
    }
    return enough ? 0
                  : err_set(err, ERR_FULL, "nothing older is left to delete in '%s'", store->path);
}

int store_delete_session(struct store *store, const struct store_session *session, struct err *err)
{
    struct catalogue *c = &store->catalogue;
    struct catalogue_segment *list = NULL;
    size_t n = 0;
    /* Marked first: from here on it is gone for every reader, and a crash is finished at the next
     * opening. */
    int r = catalogue_run(c, err, "UPDATE session SET state=? WHERE row=?", "ii",
                          (int64_t)STORE_DELETING, session->row);

    r = r < 0 ? r : catalogue_segments(c, session->row, &list, &n, err);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = segment_file_destroy(store, list[i].file, err);
    }
    r = r < 0 ? r : catalogue_begin(c, err);
    for (size_t i = 0; i < n && r == 0; i++) {
        r = catalogue_delete_segment(c, list[i].row, err);
    }
    r = r < 0 ? r : drop_session_row(store, session->row, err);
    r = r < 0 ? r : catalogue_commit(c, err);
    mem_free(list);
    if (r < 0) {
        catalogue_rollback(c);
        return r;
    }
    store_sync_dir(store->dir);
    return catalogue_checkpoint(c, err);
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

int store_prune(struct store *store, const struct store_prune *rule, struct store_pruned *out,
                struct err *err)
{
    struct store_session *list = NULL;
    size_t n = 0;
    int r = store_sessions(store, &list, &n, err);

    *out = (struct store_pruned){0};
    for (size_t i = 0; i < n && r == 0; i++) {
        uint64_t age_at = list[i].ended_ns > 0 ? list[i].ended_ns : list[i].started_ns;
        bool old = rule->before_ns > 0 && age_at < rule->before_ns;
        bool large = rule->max_bytes > 0 && store_disk_bytes(store) > rule->max_bytes;
        if ((old || large) && !is_kept(&list[i], rule)) {
            r = store_delete_session(store, &list[i], err);
            out->sessions += r == 0;
            out->packets += r == 0 ? list[i].packets : 0;
            out->bytes += r == 0 ? list[i].stored_bytes : 0;
        }
    }
    store_sessions_free(list, n);
    return r;
}
