/* SPDX-License-Identifier: Apache-2.0
 *
 * API keys: who may do what on a node. A key is `pr_ID_SECRET` (ID: 8 characters of base32; SECRET:
 * 32 random bytes in base64url). A node keeps id, name, role, times and the BLAKE2b-256 of the
 * secret, which is also the pre-shared key of the RPC channel, so the file is as good as the keys:
 * it lies in the store's directory (NAME.db.d/api-keys), mode 0600, a JSON array. Pure but for
 * api_keys_posix.c, which reads, locks and replaces the file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/err.h"

/* Rights are bits; a role is a set of them. */
enum api_right {
    RIGHT_NONE = 0,    /* open to everybody: GET / and /health */
    RIGHT_VIEW = 1,    /* reads: interfaces, sessions, packets, live streams, metrics */
    RIGHT_CAPTURE = 2, /* starts and stops captures, pulls sessions */
    RIGHT_INJECT = 4,  /* transmits */
    RIGHT_INGEST = 8,  /* feeds an uplink */
    RIGHT_ADMIN = 16,  /* keys, configuration */
};

enum api_role { ROLE_VIEW, ROLE_CAPTURE, ROLE_INJECT, ROLE_INGEST, ROLE_ADMIN, API_ROLES };

/* view: VIEW. capture: VIEW|CAPTURE. inject: VIEW|INJECT. ingest: INGEST. admin: all. */
unsigned api_role_rights(enum api_role role);
const char *api_role_name(enum api_role role);
/* "view", "capture", … of one api_right. */
const char *api_right_name(unsigned right);
/* NULL-terminated, for option tables. */
extern const char *const api_role_names[];
bool api_role_parse(const char *text, enum api_role *out);

#define API_KEY_ID_CHARS   8
#define API_KEY_NAME_MAX   64
#define API_KEY_TEXT_MAX   64 /* "pr_", id, "_", 43 characters, terminator */
#define API_KEY_HASH_BYTES 32
#define API_KEYS_MAX       1024
#define API_KEY_NEVER      UINT64_MAX

struct api_key {
    char id[API_KEY_ID_CHARS + 1];
    char name[API_KEY_NAME_MAX]; /* "" = none */
    enum api_role role;
    uint64_t created_ns;
    uint64_t expires_ns; /* API_KEY_NEVER */
    uint8_t hash[API_KEY_HASH_BYTES];
};

/* A new key: fills *out but for name, role and times, which the caller has set; the text is for the
 * user alone: sodium_memzero it after use. */
void api_key_make(struct api_key *key, char text[API_KEY_TEXT_MAX]);

/* Splits `pr_ID_SECRET` and hashes the secret. ERR_KEY when it is no API key (the text is not
 * quoted). */
int api_key_parse(const char *text, char id[API_KEY_ID_CHARS + 1], uint8_t hash[API_KEY_HASH_BYTES],
                  struct err *err);

/* "30d" from now, or a time; NULL: API_KEY_NEVER. ERR_USAGE: neither, or past already. */
int api_key_parse_expiry(const char *text, uint64_t now_ns, uint64_t *out, struct err *err);
/* As `keys list --json` shows it, without the hash. New reference. */
struct json_t;
struct json_t *api_key_json(const struct api_key *key, uint64_t now_ns);
const char *api_key_state(const struct api_key *key, uint64_t now_ns); /* "active", "expired" */

struct api_keys {
    struct api_key *items; /* owned */
    size_t n;
};

void api_keys_free(struct api_keys *keys);

bool api_key_id_is_good(const char *id);     /* eight of a-z and 2-7 */
bool api_key_name_is_good(const char *name); /* UTF-8, short enough, nothing that steers */

/* Appends a copy. ERR_LIMIT at API_KEYS_MAX, ERR_EXISTS when there is one of that id. */
int api_keys_add(struct api_keys *keys, const struct api_key *key, struct err *err);
void api_keys_remove(struct api_keys *keys, size_t index);
/* The one key that a user means: its id, a start of it, either behind "pr_" (also a whole key), or
 * its name. ERR_NOT_FOUND, ERR_AMBIGUOUS. */
int api_keys_find(const struct api_keys *keys, const char *word, size_t *index, struct err *err);

/* JSON text of the file and back. ERR_DAMAGED with the line. */
int api_keys_decode(const char *text, size_t n, struct api_keys *out, struct err *err);
char *api_keys_encode(const struct api_keys *keys); /* mem_free */

/* Finds the key that this text is, in constant time over the secret. ERR_KEY: unknown, wrong or
 * expired ("the API key pr_ID_… has expired", the secret is never quoted). *out borrowed. */
int api_keys_check(const struct api_keys *keys, const char *text, uint64_t now_ns,
                   const struct api_key **out, struct err *err);

/* The file beside a store: "NAME.db.d/api-keys" of the store's path; mem_free. */
char *api_keys_path(const char *database);
/* Reads it; no file gives none. ERR_KEY with the chmod line when others can read it. */
int api_keys_load(const char *path, struct api_keys *out, struct err *err);
/* Replaces it under a lock, durable, 0600; makes the directory where it is missing. The callback
 * changes the list that was read; negative undoes. */
int api_keys_change(const char *path,
                    int (*change)(struct api_keys *keys, void *arg, struct err *err), void *arg,
                    struct err *err);

/* The text of a key for clients: a 0600 file, or the environment (PACKETRECORDER_API_KEY, then
 * PACKETRECORDER_API_KEY_FILE) where path is NULL. *out is sodium memory (sodium_free) or NULL when
 * there is none. */
int api_key_text(const char *path, char **out, struct err *err);
