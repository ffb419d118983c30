/* SPDX-License-Identifier: Apache-2.0
 *
 * The meta data of a member from anybody. What is read keeps to its bounds and is printable, and,
 * written again, fits and says the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/swarm/swim_meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_text(const char *text, size_t max)
{
    REQUIRE(strnlen(text, max + 1) <= max);
    for (; *text != '\0'; text++) {
        REQUIRE(*text >= ' ' && *text <= '~');
    }
}

static void check_same(const struct swim_meta *a, const struct swim_meta *b)
{
    REQUIRE(a->proto_min == b->proto_min && a->proto_max == b->proto_max);
    REQUIRE(a->rpc_port == b->rpc_port && a->http_port == b->http_port);
    REQUIRE(a->iface_count == b->iface_count && a->iface_digest == b->iface_digest);
    REQUIRE(a->flags == b->flags && a->tags_digest == b->tags_digest && a->n_keys == b->n_keys);
    REQUIRE(strcmp(a->version, b->version) == 0 && strcmp(a->name, b->name) == 0);
    REQUIRE(strcmp(a->site, b->site) == 0);
    REQUIRE(memcmp(a->key_ids, b->key_ids, sizeof a->key_ids) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t bytes[SWIM_META_MAX];
    struct swim_meta meta;
    struct swim_meta again;

    if (!swim_meta_read(data, n, &meta)) {
        return 0;
    }
    REQUIRE(n <= SWIM_META_MAX && meta.n_keys <= SWIM_KEYS_MAX);
    REQUIRE(meta.proto_min > 0 && meta.proto_min <= meta.proto_max);
    check_text(meta.version, SWIM_META_VERSION_MAX);
    check_text(meta.name, SWIM_META_NAME_MAX);
    check_text(meta.site, SWIM_META_SITE_MAX);
    size_t written = swim_meta_write(&meta, bytes);
    REQUIRE(written > 0 && written <= n);
    REQUIRE(swim_meta_read(bytes, written, &again));
    check_same(&meta, &again);
    return 0;
}
