/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/database.h"

#include <stdlib.h>

#include "shared/base/log.h"
#include "shared/store/store_key.h"

/* An empty variable counts as unset. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

int database_key(const struct store_args *args, struct store_key **out, struct err *err)
{
    const char *text = environment("PACKETRECORDER_DB_KEY");
    const char *file = environment("PACKETRECORDER_DB_KEY_FILE");

    if (args->key != NULL && args->key_file != NULL) {
        return err_set(err, ERR_USAGE,
                       "--encryption-key and --encryption-key-file exclude each other");
    }
    if (args->key != NULL) {
        return store_key_from_text(args->key, out, err);
    }
    if (args->key_file != NULL) {
        return store_key_from_file(args->key_file, out, err);
    }
    if (text != NULL) {
        int code = store_key_from_text(text, out, err);
        return code < 0 ? err_wrap(err, "PACKETRECORDER_DB_KEY") : code;
    }
    if (file != NULL) {
        int code = store_key_from_file(file, out, err);
        return code < 0 ? err_wrap(err, "PACKETRECORDER_DB_KEY_FILE") : code;
    }
    return 0;
}

int database_open(const struct store_args *args, enum store_mode mode, struct store **out,
                  struct err *err)
{
    struct store_key *key = NULL;
    int code = database_key(args, &key, err);

    if (code < 0) {
        return code;
    }
    const struct store_options options = {.path = args->database, .mode = mode, .key = key};
    code = store_open(&options, out, err);
    store_key_free(key);
    if (code == 0 && store_repairs(*out)[0] != '\0') {
        log_warn("store '%s': %s", args->database, store_repairs(*out));
    }
    return code;
}
