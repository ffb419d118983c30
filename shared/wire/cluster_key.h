/* SPDX-License-Identifier: Apache-2.0
 *
 * The key of a cluster as operators carry it: one line `prc_CLUSTERID_KEY` (16 and 32 random bytes,
 * base64url without padding) in a file of mode 0600, made by 'packetrecorder keys cluster-new' and
 * given to each node with --cluster-key-file. Who has it is a member. Pure but for
 * cluster_key_posix.c, which reads the file.
 *
 * Beside it, for a swarm whose orders (forget, ban) one person gives: `pra_CLUSTERID_SEED`, of
 * which an Ed25519 key pair is made. The line stays with that person; the nodes are told the public
 * half, `prv_PUBLIC`, which is no secret (--swarm-admin).
 */
#pragma once

#include <stdint.h>

#include "shared/base/err.h"

#define CLUSTER_ID_BYTES     16
#define CLUSTER_KEY_BYTES    32
#define CLUSTER_KEY_TEXT_MAX 72 /* "prc_", 22 characters, "_", 43 characters, terminator */

struct cluster_key {
    uint8_t cluster[CLUSTER_ID_BYTES]; /* no secret: names the cluster */
    uint8_t key[CLUSTER_KEY_BYTES];
};

/* In sodium memory, zeros. */
struct cluster_key *cluster_key_new(void);
void cluster_key_free(struct cluster_key *key); /* wipes; takes NULL */

void cluster_key_make(struct cluster_key *key); /* a new cluster with a new key */
/* Another key for the same cluster, for a rotation. */
void cluster_key_make_next(const struct cluster_key *of, struct cluster_key *key);

/* One line without its end. ERR_KEY when it is none (the text is not quoted). */
int cluster_key_parse(const char *text, struct cluster_key *out, struct err *err);
/* Erase the text after use. */
void cluster_key_print(const struct cluster_key *key, char text[CLUSTER_KEY_TEXT_MAX]);

/* ---- the admin's; `key` is the seed ---- */

#define ADMIN_PUBLIC_BYTES    32
#define ADMIN_SECRET_BYTES    64 /* the seed, then the public half */
#define ADMIN_PUBLIC_TEXT_MAX 48 /* "prv_", 43 characters, terminator */

int admin_key_parse(const char *text, struct cluster_key *out, struct err *err);
void admin_key_print(const struct cluster_key *key, char text[CLUSTER_KEY_TEXT_MAX]);
int admin_key_load(const char *path, struct cluster_key **out, struct err *err);
/* Wipe it after use. */
void admin_key_secret(const struct cluster_key *key, uint8_t secret[ADMIN_SECRET_BYTES]);
void admin_key_public(const struct cluster_key *key, uint8_t out[ADMIN_PUBLIC_BYTES]);
int admin_public_parse(const char *text, uint8_t out[ADMIN_PUBLIC_BYTES], struct err *err);
void admin_public_print(const uint8_t key[ADMIN_PUBLIC_BYTES], char text[ADMIN_PUBLIC_TEXT_MAX]);

/* ---- files ---- */

/* The first line of a file that only its owner can read; more lines are refused, so that nobody
 * thinks that they count. *out: cluster_key_free. ERR_KEY, ERR_PERMISSION, with the way out. */
int cluster_key_load(const char *path, struct cluster_key **out, struct err *err);
