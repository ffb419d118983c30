/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/session_text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"

/* JSON integers are signed here; counters and times are unsigned, and LEDGER_UNKNOWN is null. */
static json_t *counter(uint64_t v)
{
    return v == LEDGER_UNKNOWN ? json_null() : json_integer((json_int_t)v);
}

static uint64_t read_counter(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    return json_is_integer(v) ? (uint64_t)json_integer_value(v) : LEDGER_UNKNOWN;
}

static uint64_t read_number(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static void read_text(const json_t *object, const char *key, char *out, size_t n)
{
    const char *text = json_string_value(json_object_get(object, key));

    snprintf(out, n, "%s", text == NULL ? "" : text);
}

static json_t *iface_json(const struct iface *f, bool brief)
{
    char mac[16] = "";

    if (brief) {
        return json_pack("{s:I, s:I, s:i}", "link_type", (json_int_t)f->link_type, "snaplen",
                         (json_int_t)f->snaplen, "digits", f->ts_digits);
    }

    for (size_t i = 0; f->has_mac && i < sizeof f->mac; i++) {
        snprintf(mac + i * 2, 3, "%02x", f->mac[i]);
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:i}", "name", f->name,
                     "description", f->description, "filter", f->filter, "os", f->os, "mac", mac,
                     "link_type", (json_int_t)f->link_type, "snaplen", (json_int_t)f->snaplen,
                     "speed", (json_int_t)f->speed_bps, "digits", f->ts_digits);
}

/* Names out of capture files may be any bytes; JSON wants UTF-8, so what is not becomes '?'. */
static void make_utf8(char *text)
{
    json_t *probe = json_string(text);

    if (probe == NULL) {
        for (char *p = text; *p != '\0'; p++) {
            *p = (unsigned char)*p < 0x80 ? *p : '?';
        }
    }
    json_decref(probe);
}

static struct iface clean_iface(const struct iface *f)
{
    struct iface clean = *f;

    make_utf8(clean.name);
    make_utf8(clean.description);
    make_utf8(clean.filter);
    make_utf8(clean.os);
    return clean;
}

static char *write_text(const struct store_session *s, bool brief)
{
    json_t *ifaces = json_array();
    struct store_session clean = *s;

    make_utf8(clean.name);
    make_utf8(clean.node);
    make_utf8(clean.filter);
    make_utf8(clean.tags);
    for (uint32_t i = 0; i < s->n_ifaces; i++) {
        struct iface f = clean_iface(&s->ifaces[i]);
        json_array_append_new(ifaces, iface_json(&f, brief));
    }
    make_utf8(clean.excluded);
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", s->id,
        "name", clean.name, "node", clean.node, "filter", clean.filter, "tags", clean.tags, "state",
        (int)s->state, "started", (json_int_t)s->started_ns, "ended", (json_int_t)s->ended_ns,
        "captured", counter(s->loss.captured), "received", counter(s->loss.received), "kernel",
        counter(s->loss.kernel), "interface", counter(s->loss.interface), "limit",
        counter(s->loss.limit), "store", counter(s->loss.store), "interfaces", ifaces);
    REQUIRE(root != NULL);
    if (clean.excluded[0] != '\0') {
        json_object_set_new(root, "excluded", json_string(clean.excluded));
    }
    if (s->clock.n > 0) {
        json_object_set_new(root, s->clock_is_more ? "clock_more" : "clock",
                            clock_samples_pack(&s->clock));
    }
    char *text = json_dumps(root, JSON_COMPACT);
    REQUIRE(text != NULL);
    json_decref(root);
    return text;
}

char *session_text_write(const struct store_session *s)
{
    char *text = write_text(s, false);

    if (strlen(text) > SESSION_TEXT_MAX) {
        mem_free(text);
        text = write_text(s, true);
    }
    return text;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void read_iface(const json_t *in, struct iface *f)
{
    char mac[16];

    *f = (struct iface){
        .link_type = (uint32_t)read_number(in, "link_type"),
        .snaplen = (uint32_t)read_number(in, "snaplen"),
        .speed_bps = read_number(in, "speed"),
        .ts_digits = read_number(in, "digits") > 9 ? 9 : (uint8_t)read_number(in, "digits"),
    };
    read_text(in, "name", f->name, sizeof f->name);
    read_text(in, "description", f->description, sizeof f->description);
    read_text(in, "filter", f->filter, sizeof f->filter);
    read_text(in, "os", f->os, sizeof f->os);
    read_text(in, "mac", mac, sizeof mac);
    f->has_mac =
        strlen(mac) == 2 * sizeof f->mac && strspn(mac, "0123456789abcdef") == 2 * sizeof f->mac;
    for (size_t i = 0; f->has_mac && i < sizeof f->mac; i++) {
        int high = hex_digit(mac[2 * i]);
        int low = hex_digit(mac[2 * i + 1]);
        f->has_mac = high >= 0 && low >= 0;
        f->mac[i] = f->has_mac ? (uint8_t)(high * 16 + low) : 0;
    }
}

static bool read_all(const json_t *root, struct store_session *s)
{
    const json_t *ifaces = json_object_get(root, "interfaces");
    const char *id = json_string_value(json_object_get(root, "id"));
    size_t n = json_array_size(ifaces);
    int64_t state = (int64_t)read_number(root, "state");

    if (id == NULL || strlen(id) != STORE_ID_TEXT - 1 || n > IFACES_MAX || state < STORE_RUNNING ||
        state > STORE_DISK_FULL) {
        return false;
    }
    *s = (struct store_session){
        .state = (enum store_state)state,
        .started_ns = read_number(root, "started"),
        .ended_ns = read_number(root, "ended"),
        .loss = {.captured = read_counter(root, "captured"),
                 .received = read_counter(root, "received"),
                 .kernel = read_counter(root, "kernel"),
                 .interface = read_counter(root, "interface"),
                 .limit = read_counter(root, "limit"),
                 .store = read_counter(root, "store")},
        .n_ifaces = (uint32_t)n,
        .ifaces = x_alloc(n * sizeof *s->ifaces),
    };
    read_text(root, "id", s->id, sizeof s->id);
    read_text(root, "name", s->name, sizeof s->name);
    read_text(root, "node", s->node, sizeof s->node);
    read_text(root, "filter", s->filter, sizeof s->filter);
    read_text(root, "tags", s->tags, sizeof s->tags);
    read_text(root, "excluded", s->excluded, sizeof s->excluded);
    for (size_t i = 0; i < n; i++) {
        read_iface(json_array_get(ifaces, i), &s->ifaces[i]);
    }
    clock_samples_unpack(json_object_get(root, "clock"), &s->clock);
    if (s->clock.n == 0) {
        clock_samples_unpack(json_object_get(root, "clock_more"), &s->clock);
        s->clock_is_more = s->clock.n > 0;
    }
    return true;
}

int session_text_read(const char *text, size_t n, struct store_session *out)
{
    json_t *root = json_loadb(text, n, 0, NULL);
    bool ok = root != NULL && read_all(root, out);

    json_decref(root);
    return ok ? 0 : ERR_DAMAGED;
}
