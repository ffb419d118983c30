/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/wire/url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "shared/base/mem.h"
#include "shared/wire/utf8.h"

#define DEFAULT_PORT     8080
#define DEFAULT_TLS_PORT 443

static const char way_out[] = "write HOST:PORT, [IPV6]:PORT, http://HOST:PORT or https://HOST:PORT";

static const struct {
    const char *prefix;
    bool tls;
} schemes[] = {{"http://", false}, {"https://", true}, {"ws://", false}, {"wss://", true}};

static int bad_endpoint(struct err *err, const char *text, const char *why)
{
    return err_set(err, ERR_USAGE, "the endpoint '%.200s' %s: %s", text, why, way_out);
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_host(const char *host, size_t n, bool bracketed)
{
    if (n == 0 || n >= URL_HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        /* An address in brackets may name its zone: fe80::1%eth0 (RFC 6874). */
        bool fits = is_alnum(host[i]) || strchr(bracketed ? ":.%-_" : ".-_", host[i]) != NULL;
        if (host[i] == '\0' || !fits) {
            return false;
        }
    }
    return !bracketed || memchr(host, ':', n) != NULL;
}

static bool read_port(const char *text, size_t n, uint16_t *out)
{
    unsigned long port = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || port > UINT16_MAX) {
            return false;
        }
        port = port * 10 + (unsigned long)(text[i] - '0');
    }
    if (n == 0 || port == 0 || port > UINT16_MAX) {
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

static bool read_path(const char *text, char *out)
{
    size_t n = strlen(text);

    if (n >= URL_PATH_MAX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] >= 0x7f || text[i] == '?' || text[i] == '#') {
            return false;
        }
    }
    while (n > 0 && text[n - 1] == '/') {
        n--;
    }
    memcpy(out, text, n);
    out[n] = '\0';
    return true;
}

/* Splits "HOST:PORT" or "[V6]:PORT" of n bytes. */
static int read_authority(const char *text, const char *at, size_t n, struct url_endpoint *out,
                          struct err *err)
{
    const char *host = at;
    const char *end = at + n;
    const char *behind;
    bool bracketed = n > 0 && *at == '[';

    if (memchr(at, '@', n) != NULL) {
        return bad_endpoint(err, text, "must not hold a user or password (keys go into a file)");
    }
    if (bracketed) {
        host++;
        behind = memchr(host, ']', n - 1);
        if (behind == NULL) {
            return bad_endpoint(err, text, "has no closing bracket");
        }
    } else {
        behind = memchr(at, ':', n);
        behind = behind == NULL ? end : behind;
        if (behind < end && memchr(behind + 1, ':', (size_t)(end - behind - 1)) != NULL) {
            return bad_endpoint(err, text, "holds an IPv6 address without brackets");
        }
    }
    size_t host_n = (size_t)(behind - host);
    if (!is_host(host, host_n, bracketed)) {
        return bad_endpoint(err, text, "has no host that could be");
    }
    memcpy(out->host, host, host_n);
    out->host[host_n] = '\0';
    behind += bracketed ? 1 : 0;
    if (behind < end &&
        (*behind != ':' || !read_port(behind + 1, (size_t)(end - behind - 1), &out->port))) {
        return bad_endpoint(err, text, "has no port between 1 and 65535");
    }
    return 0;
}

int url_parse_endpoint(const char *text, struct url_endpoint *out, struct err *err)
{
    struct url_endpoint made = {0};
    const char *at = text;

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t n = strlen(schemes[i].prefix);
        if (strncasecmp(text, schemes[i].prefix, n) == 0) {
            at = text + n;
            made.tls = schemes[i].tls;
        }
    }
    if (at == text && strstr(text, "://") != NULL) {
        return bad_endpoint(err, text, "has a scheme that is not http, https, ws or wss");
    }
    made.port = made.tls ? DEFAULT_TLS_PORT : DEFAULT_PORT;
    size_t n = strcspn(at, "/?#");
    int rc = read_authority(text, at, n, &made, err);
    if (rc < 0) {
        return rc;
    }
    if (!read_path(at + n, made.path)) {
        return bad_endpoint(err, text, "has a path that cannot be used");
    }
    *out = made;
    return 0;
}

void url_format_endpoint(const struct url_endpoint *endpoint, bool host_only, struct buf *out)
{
    bool v6 = strchr(endpoint->host, ':') != NULL;
    /* The zone of an address means something on this host only (RFC 6874 §4). */
    size_t n = host_only ? strcspn(endpoint->host, "%") : strlen(endpoint->host);

    if (!host_only) {
        buf_put_str(out, endpoint->tls ? "https://" : "http://");
    }
    buf_printf(out, v6 ? "[%.*s]:%u" : "%.*s:%u", (int)n, endpoint->host, (unsigned)endpoint->port);
    if (!host_only) {
        buf_printf(out, "%s", endpoint->path);
    }
}

void url_put_encoded(struct buf *out, const char *text, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";

    for (const char *p = text; *p != '\0'; p++) {
        uint8_t byte = (uint8_t)*p;
        if (is_alnum(*p) || strchr("-._~", *p) != NULL || (keep_slash && *p == '/')) {
            buf_put_u8(out, byte);
        } else {
            buf_put_u8(out, '%');
            buf_put_u8(out, (uint8_t)digits[byte >> 4]);
            buf_put_u8(out, (uint8_t)digits[byte & 15]);
        }
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes into `out`, which has room for n + 1 bytes; the number of bytes, or -1. */
static ptrdiff_t decode(const char *text, size_t n, bool plus_is_blank, char *out)
{
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '%') {
            int high = n - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0) {
                return -1;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (c == '\0') {
            return -1;
        }
        out[used++] = c;
    }
    out[used] = '\0';
    return utf8_is_valid(out, used) ? (ptrdiff_t)used : -1;
}

char *url_decode(const char *text, size_t n, bool plus_is_blank)
{
    char *out = x_alloc(n + 1);

    if (decode(text, n, plus_is_blank, out) < 0) {
        mem_free(out);
        return NULL;
    }
    return out;
}

/* One "name=value" of n bytes, decoded to *at, which moves behind it. */
static bool read_param(const char *text, size_t n, char **at, struct url_param *out)
{
    const char *equals = memchr(text, '=', n);
    size_t name_n = equals == NULL ? n : (size_t)(equals - text);
    ptrdiff_t used = decode(text, name_n, true, *at);

    if (used < 0) {
        return false;
    }
    out->name = *at;
    *at += used + 1;
    size_t value_n = equals == NULL ? 0 : n - name_n - 1;
    used = decode(equals == NULL ? text : equals + 1, value_n, true, *at);
    if (used < 0) {
        return false;
    }
    out->value = *at;
    *at += used + 1;
    return true;
}

int url_parse_target(const char *target, struct url_target *out, struct err *err)
{
    struct url_target made = {0};
    size_t n = strcspn(target, "#");
    size_t path_n = strcspn(target, "?#");

    if (target[0] != '/') {
        return err_set(err, ERR_USAGE, "the request target must begin with '/'");
    }
    /* Decoding shrinks; each of the two parts of a parameter gets a terminator. */
    made.storage = x_alloc(n + 2 * URL_PARAMS_MAX + 2);
    memcpy(made.storage, target, path_n);
    made.path = made.storage;
    char *at = made.storage + path_n + 1;
    const char *p = target + path_n;
    while (p < target + n) {
        p++; /* '?' or '&' */
        size_t length = strcspn(p, "&#");
        if (length > 0 && made.n_params == URL_PARAMS_MAX) {
            url_target_deinit(&made);
            return err_set(err, ERR_LIMIT, "the query has more than %d parameters", URL_PARAMS_MAX);
        }
        if (length > 0 && !read_param(p, length, &at, &made.params[made.n_params++])) {
            url_target_deinit(&made);
            return err_set(err, ERR_USAGE,
                           "the query holds a broken %%-escape or text that is not UTF-8");
        }
        p += length;
    }
    *out = made;
    return 0;
}

void url_target_deinit(struct url_target *target)
{
    mem_free(target->storage);
    *target = (struct url_target){0};
}

const char *url_param(const struct url_target *target, const char *name)
{
    for (size_t i = 0; i < target->n_params; i++) {
        if (strcmp(target->params[i].name, name) == 0) {
            return target->params[i].value;
        }
    }
    return NULL;
}
