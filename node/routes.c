/* SPDX-License-Identifier: Apache-2.0 */
#include "node/routes.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/wire/url.h"

/* The next segment of "/a/b": its start and length; false at the end. */
static bool next_segment(const char **at, const char **segment, size_t *n)
{
    if (**at != '/') {
        return false;
    }
    *segment = *at + 1;
    *n = strcspn(*segment, "/");
    *at = *segment + *n;
    return true;
}

static bool is_param(const char *segment, size_t n)
{
    return n > 2 && segment[0] == '{' && segment[n - 1] == '}';
}

/* One segment; a parameter's value is kept in *match. */
static bool segment_fits(const char *pattern, size_t pattern_n, const char *text, size_t n,
                         struct route_match *match)
{
    char *value = url_decode(text, n, false);

    if (value == NULL) {
        return false;
    }
    if (is_param(pattern, pattern_n) && value[0] != '\0') {
        REQUIRE(match->n_params < ROUTE_PARAMS_MAX);
        match->params[match->n_params++] = (struct route_param_value){
            .name = pattern + 1, .name_len = pattern_n - 2, .value = value};
        return true;
    }
    bool fits = strlen(value) == pattern_n && memcmp(value, pattern, pattern_n) == 0;
    mem_free(value);
    return fits;
}

static void forget_params(struct route_match *match)
{
    for (size_t i = 0; i < match->n_params; i++) {
        mem_free(match->params[i].value);
    }
    match->n_params = 0;
}

static bool path_fits(const char *pattern, const char *path, struct route_match *match)
{
    const char *want;
    const char *got;
    size_t want_n;
    size_t got_n;

    forget_params(match);
    while (next_segment(&pattern, &want, &want_n)) {
        if (!next_segment(&path, &got, &got_n) || !segment_fits(want, want_n, got, got_n, match)) {
            return false;
        }
    }
    return *path == '\0';
}

static bool method_fits(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0 &&
            !route->is_websocket);
}

void route_find(const struct route_table *table, const char *method, const char *path,
                struct route_match *out)
{
    *out = (struct route_match){0};
    for (size_t g = 0; g < table->n_groups; g++) {
        for (size_t i = 0; i < table->groups[g]->n; i++) {
            const struct route *route = &table->groups[g]->routes[i];
            if (!path_fits(route->path, path, out)) {
                continue;
            }
            out->is_path_known = true;
            if (method_fits(route, method)) {
                out->route = route;
                return;
            }
        }
    }
    forget_params(out);
}

void route_match_deinit(struct route_match *match)
{
    forget_params(match);
}

const char *route_match_param(const struct route_match *match, const char *name)
{
    for (size_t i = 0; i < match->n_params; i++) {
        const struct route_param_value *param = &match->params[i];
        if (strlen(name) == param->name_len && memcmp(name, param->name, param->name_len) == 0) {
            return param->value;
        }
    }
    return NULL;
}

static void allow_once(struct buf *out, const char *method)
{
    char word[32];

    snprintf(word, sizeof word, "%s, ", method);
    if (out->len == 0 || memmem(out->data, out->len, word, strlen(word)) == NULL) {
        buf_put_str(out, word);
    }
}

void route_put_allow(const struct route_table *table, const char *path, struct buf *out)
{
    struct buf list = {0};
    struct route_match match = {0};

    for (size_t g = 0; g < table->n_groups; g++) {
        for (size_t i = 0; i < table->groups[g]->n; i++) {
            const struct route *route = &table->groups[g]->routes[i];
            if (strcmp(path, "*") != 0 && !path_fits(route->path, path, &match)) {
                continue;
            }
            allow_once(&list, route->method);
            if (method_fits(route, "HEAD")) {
                allow_once(&list, "HEAD");
            }
        }
    }
    forget_params(&match);
    buf_append(out, list.data, list.len);
    buf_put_str(out, "OPTIONS");
    buf_deinit(&list);
}
