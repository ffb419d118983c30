/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of the channel: refusals and ids of keys. What moves bytes is in channel_sodium.c.
 */
#include "shared/wire/channel.h"

#include <stdio.h>

#include "shared/base/mem.h"

struct refusal_text {
    const char *name;
    int code;
    const char *api;     /* %s: the key id */
    const char *cluster; /* the same for keys of clusters; NULL: as `api` */
};

static const struct refusal_text refusals[CHANNEL_REFUSALS] = {
    [CHANNEL_NOT_REFUSED] = {"none", ERR_DAMAGED, "key %s was not refused", NULL},
    [CHANNEL_NO_SUCH_KEY] =
        {"no_such_key", ERR_KEY,
         "the node does not know the API key pr_%s_…: it was revoked, or made for another store "
         "('packetrecorder keys list' beside the node shows those that it knows)",
         "the node does not know the cluster key %s: it belongs to another cluster, or the key was "
         "retired there"},
    [CHANNEL_WRONG_KEY] = {"wrong_key", ERR_KEY,
                           "the secret of the API key pr_%s_… is wrong: take the whole line that "
                           "'packetrecorder keys add' printed",
                           "the cluster key %s is not the one that the node has under this id"},
    [CHANNEL_KEY_EXPIRED] = {"key_expired", ERR_KEY,
                             "the API key pr_%s_… has expired: 'packetrecorder keys add' beside "
                             "the node makes a new one",
                             "the cluster key %s has been retired on the node"},
    [CHANNEL_BAD_VERSION] = {"bad_version", ERR_VERSION,
                             "the node speaks another version of the channel (key %s): update the "
                             "older side",
                             NULL},
    [CHANNEL_BAD_KIND] =
        {"bad_kind", ERR_UNSUPPORTED,
         "this port does not serve API keys (pr_%s_… was sent): take the port of --rpc-addr",
         "this port does not serve cluster keys (%s was sent)"},
    [CHANNEL_BUSY] = {"busy", ERR_LIMIT,
                      "the node has too many connections in their handshake (key %s): try again in "
                      "a few seconds",
                      NULL},
    [CHANNEL_NO_KEYS] = {"no_keys", ERR_KEY,
                         "the node has no API keys (pr_%s_… was sent), so that it answers on its "
                         "UNIX socket alone: 'packetrecorder keys add' beside the node makes one",
                         "the node has no cluster key (%s was sent): start it with "
                         "--cluster-key-file"},
};

const char *channel_refusal_name(enum channel_refusal refusal)
{
    return (unsigned)refusal < CHANNEL_REFUSALS ? refusals[refusal].name : "other";
}

int channel_refusal_error(enum channel_refusal refusal, enum channel_kind kind, const char *key_id,
                          struct err *err)
{
    if (refusal == CHANNEL_NOT_REFUSED || (unsigned)refusal >= CHANNEL_REFUSALS) {
        return err_set(err, ERR_DAMAGED,
                       "it is no packetrecorder that answers there (first byte 0x%02x): is it "
                       "another port?",
                       (unsigned)refusal);
    }
    const struct refusal_text *r = &refusals[refusal];
    const char *text = kind != CHANNEL_API_KEY && r->cluster != NULL ? r->cluster : r->api;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return err_set(err, r->code, text, key_id); /* one of the table above, each with one %s */
#pragma GCC diagnostic pop
}

void channel_cluster_key_id(uint32_t id, char out[CHANNEL_KEY_ID_CHARS + 1])
{
    (void)snprintf(out, CHANNEL_KEY_ID_CHARS + 1, "%08x", id);
}

bool channel_cluster_key_id_parse(const char *text, uint32_t *id)
{
    uint32_t value = 0;
    size_t n = 0;

    for (; n < CHANNEL_KEY_ID_CHARS && text[n] != '\0'; n++) {
        char c = text[n];
        bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f')) {
            return false;
        }
        value = value << 4 | (uint32_t)(digit ? c - '0' : c - 'a' + 10);
    }
    if (n != CHANNEL_KEY_ID_CHARS || text[n] != '\0') {
        return false;
    }
    *id = value;
    return true;
}

int channel_peek_kind(const uint8_t *bytes, size_t n)
{
    static const uint8_t begin[] = {0xd7, 'P', 'R', 'C', CHANNEL_VERSION};

    for (size_t i = 0; i < n && i < sizeof begin; i++) {
        if (bytes[i] != begin[i]) {
            return CHANNEL_CLUSTER_GOSSIP;
        }
    }
    if (n <= sizeof begin) {
        return 0;
    }
    return bytes[sizeof begin] == CHANNEL_CLUSTER_CALLS ? CHANNEL_CLUSTER_CALLS
                                                        : CHANNEL_CLUSTER_GOSSIP;
}
