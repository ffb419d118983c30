/* SPDX-License-Identifier: Apache-2.0 */
#include "node/start_keys.h"

#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/options/node_check.h"
#include "shared/wire/api_key.h"

/* The rights of all keys in force together; *n is how many. */
static unsigned rights_in_force(const struct api_keys *keys, uint64_t now_ns, size_t *n)
{
    unsigned rights = RIGHT_NONE;

    *n = 0;
    for (size_t i = 0; i < keys->n; i++) {
        if (keys->items[i].expires_ns > now_ns) {
            rights |= api_role_rights(keys->items[i].role);
            *n += 1;
        }
    }
    return rights;
}

int start_keys_check(const struct node_options *options, uint64_t now_ns, struct err *err)
{
    char *path = api_keys_path(options->database);
    struct api_keys keys = {0};
    const char *which = NULL;
    size_t n = 0;

    int rc = api_keys_load(path, &keys, err);
    mem_free(path);
    if (rc < 0) {
        return rc;
    }
    unsigned rights = rights_in_force(&keys, now_ns, &n);
    bool had_some = keys.n > 0;
    api_keys_free(&keys);
    if (n == 0 && node_options_reach_out(options, &which)) {
        return err_set(err, ERR_KEY,
                       "'%s' is for other hosts, but there is no API key%s: make one with "
                       "'packetrecorder keys add -d %s --role view', or listen on 127.0.0.1",
                       which, had_some ? " in force" : "", options->database);
    }
    if (n == 0 && !had_some) {
        log_warn("there is no API key: every user of this host can watch its packets and record "
                 "them; 'packetrecorder keys add -d %s --role view' makes one, then all need one",
                 options->database);
    }
    if (options->allow_inject && (rights & RIGHT_INJECT) == 0) {
        log_warn("--allow-inject, but no API key may: 'packetrecorder keys add -d %s --role "
                 "inject' makes one",
                 options->database);
    }
    return 0;
}
