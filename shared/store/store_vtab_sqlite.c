/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/store_vtab_sqlite.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/store/store_handle.h"

/* A module argument as SQLite gives it: with its quotes, if it had any. Owned by the caller. */
static char *unquoted(const char *text)
{
    size_t n = strlen(text);
    char quote = text[0];
    char *out = x_alloc(n + 1);
    size_t len = 0;

    if (n < 2 || (quote != '\'' && quote != '"') || text[n - 1] != quote) {
        memcpy(out, text, n + 1);
        return out;
    }
    for (size_t i = 1; i < n - 1; i++) {
        out[len++] = text[i];
        if (text[i] == quote && text[i + 1] == quote && i + 1 < n - 1) {
            i++;
        }
    }
    return out;
}

static bool is_encrypted(const char *path)
{
    char *file = x_sprintf("%s.d/store", path);
    struct store_descriptor d;
    bool encrypted = store_descriptor_read(file, &d, NULL) == 0 && d.encrypted;

    mem_free(file);
    return encrypted;
}

static int open_store(struct store_vtab *vtab, const char *path, struct err *err)
{
    const struct store_options options = {.path = path, .mode = STORE_READ};

    if (is_encrypted(path)) {
        return err_set(err, ERR_KEY,
                       "the store '%s' is encrypted, and this program cannot open it: use "
                       "packetrecorder sql -d '%s', or make a plain file with packetrecorder "
                       "export --format sqlite",
                       path, path);
    }
    vtab->owns_store = true;
    return store_open(&options, &vtab->store, err);
}

static int read_arguments(struct store_vtab *vtab, int argc, const char *const *argv,
                          struct err *err)
{
    if (argc < 4) {
        return err_set(err, ERR_USAGE,
                       "name the store: CREATE VIRTUAL TABLE temp.p USING %s('packets.db')",
                       argv[0]);
    }
    for (int i = 4; i < argc; i++) {
        if (strcmp(argv[i], "skip-damaged") != 0) {
            return err_set(err, ERR_USAGE,
                           "unknown argument '%s'; the only one behind the store is skip-damaged",
                           argv[i]);
        }
        vtab->skips_damage = true;
    }
    char *path = unquoted(argv[3]);
    int r = open_store(vtab, path, err);
    mem_free(path);
    return r;
}

int store_vtab_connect(sqlite3 *db, const struct store_module *module, int argc,
                       const char *const *argv, const char *schema, sqlite3_vtab **out,
                       char **error)
{
    struct store_vtab *vtab = x_alloc(sizeof *vtab);
    struct err err = {0};
    int r = 0;

    vtab->store = module->store;
    vtab->stats = module->stats;
    if (vtab->store == NULL) {
        r = read_arguments(vtab, argc, argv, &err);
    }
    if (r == 0 && sqlite3_declare_vtab(db, schema) != SQLITE_OK) {
        r = err_set(&err, ERR_DATABASE, "%s", sqlite3_errmsg(db));
    }
    if (r < 0) {
        *error = sqlite3_mprintf("%s", err.text);
        store_vtab_disconnect(&vtab->base);
        return SQLITE_ERROR;
    }
    *out = &vtab->base;
    return SQLITE_OK;
}

int store_vtab_disconnect(sqlite3_vtab *base)
{
    struct store_vtab *vtab = (struct store_vtab *)base;

    if (vtab->owns_store) {
        store_close(vtab->store);
    }
    sqlite3_free(base->zErrMsg);
    mem_free(vtab);
    return SQLITE_OK;
}

int store_vtab_fail(sqlite3_vtab *vtab, const struct err *err)
{
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = sqlite3_mprintf("%s", err->text);
    return SQLITE_ERROR;
}

static const struct {
    const char *table;  /* of an open store */
    const char *module; /* elsewhere, where "sessions" might be a table of the user's */
    const sqlite3_module *methods;
} modules[] = {
    {"packets", "packets", &packets_module},
    {"sessions", "packet_sessions", &sessions_module},
    {"interfaces", "packet_interfaces", &interfaces_module},
};

static int register_all(sqlite3 *db, const struct store_module *from)
{
    int code = SQLITE_OK;

    for (size_t i = 0; i < ARRAY_LEN(modules) && code == SQLITE_OK; i++) {
        struct store_module *module = x_alloc(sizeof *module);
        *module = *from;
        code =
            sqlite3_create_module_v2(db, from->store != NULL ? modules[i].table : modules[i].module,
                                     modules[i].methods, module, mem_free);
    }
    return code;
}

int packets_vtab_register(sqlite3 *db, struct store *store, struct packets_vtab_stats *stats,
                          struct err *err)
{
    const struct store_module module = {.store = store, .stats = stats};

    REQUIRE(store != NULL);
    if (register_all(db, &module) != SQLITE_OK) {
        return err_set(err, ERR_DATABASE, "%s", sqlite3_errmsg(db));
    }
    return 0;
}

int packets_vtab_register_modules(sqlite3 *db)
{
    return register_all(db, &(struct store_module){0});
}
