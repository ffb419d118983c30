/* SPDX-License-Identifier: Apache-2.0
 *
 * May this request be handled? In this order: the target can be read, Host and Origin are ours,
 * the route exists, whoever asks has the right, the content is allowed, the query makes sense.
 * Whatever fails is answered here.
 */
#include <string.h>
#include <strings.h>

#include "node/http_server_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"

static int refuse(struct http_server *server, struct exchange *ex, enum rejected reason)
{
    server->counters.rejected[reason]++;
    /* The content that may follow is not worth reading. */
    ex->keep_alive = ex->keep_alive && !ex->head.has_body;
    return -1;
}

static int check_origin(struct http_server *server, struct exchange *ex,
                        const struct stream *stream)
{
    char local[STREAM_PEER_MAX];
    struct err err = {0};

    stream_local_address(stream, local);
    int rc = auth_check_origin(server->node->auth, &ex->head, local, stream_is_tls(stream), &err);
    if (rc < 0) {
        refuse(server, ex, REJECTED_HOST);
        exchange_problem(ex, rc == ERR_PERMISSION ? 403 : 400, "%s", err.text);
    }
    return rc;
}

static int answer_options(struct http_server *server, struct exchange *ex, const char *path)
{
    struct buf allow = {0};

    ex->keep_alive = ex->keep_alive && !ex->head.has_body;
    route_put_allow(&server->routes, path, &allow);
    exchange_add_header(ex, "Allow", "%.*s", (int)allow.len, (const char *)allow.data);
    buf_deinit(&allow);
    exchange_reply(ex, 204, NULL, NULL, 0);
    return -1;
}

static int check_route(struct http_server *server, struct exchange *ex)
{
    struct buf allow = {0};
    bool is_options = strcmp(ex->head.method, "OPTIONS") == 0;

    if (is_options && strcmp(ex->head.target, "*") == 0) {
        return answer_options(server, ex, "*");
    }
    route_find(&server->routes, ex->head.method, ex->target.path, &ex->match);
    if (ex->match.route != NULL) {
        return 0;
    }
    ex->keep_alive = ex->keep_alive && !ex->head.has_body;
    if (!ex->match.is_path_known) {
        exchange_problem(ex, 404, "there is no '%s' here; /openapi.json lists what there is",
                         ex->target.path);
        return -1;
    }
    if (is_options) {
        return answer_options(server, ex, ex->target.path);
    }
    route_put_allow(&server->routes, ex->target.path, &allow);
    exchange_add_header(ex, "Allow", "%.*s", (int)allow.len, (const char *)allow.data);
    exchange_problem(ex, 405, "'%s' does not take %s but %.*s", ex->target.path, ex->head.method,
                     (int)allow.len, (const char *)allow.data);
    buf_deinit(&allow);
    return -1;
}

static bool is_repeated(const struct url_target *target, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(target->params[k].name, target->params[i].name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_listed(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The same parameter twice: which one counts? One that the route does not know: a filter that is
 * misspelt would be none. Routes without any take what comes: there is nothing to misspell. */
static int check_query(struct exchange *ex)
{
    const struct route_param *known = ex->match.route->params;
    const char *names[URL_PARAMS_MAX];
    size_t n = 0;

    for (; known != NULL && known[n].name != NULL && n < URL_PARAMS_MAX; n++) {
        names[n] = known[n].name;
    }
    for (size_t i = 0; n > 0 && i < ex->target.n_params; i++) {
        const char *name = ex->target.params[i].name;

        if (!is_listed(name, names, n)) {
            const char *near = text_nearest(name, names, n);
            exchange_problem(ex, 400, "there is no parameter '%.64s'%s%s%s", name,
                             near == NULL ? "; /openapi.json lists what there is" : ": is '",
                             near == NULL ? "" : near, near == NULL ? "" : "' meant?");
            return -1;
        }
        if (is_repeated(&ex->target, i)) {
            exchange_problem(ex, 400, "the parameter '%s' is there twice: leave one out", name);
            return -1;
        }
    }
    return 0;
}

/* A proxy on this host asks for somebody who may be anywhere. */
static bool came_through_a_proxy(const struct exchange *ex)
{
    return exchange_header(ex, "forwarded") != NULL ||
           exchange_header(ex, "x-forwarded-for") != NULL || exchange_header(ex, "via") != NULL;
}

static int check_rights(struct http_server *server, struct exchange *ex,
                        const struct stream *stream)
{
    const struct route *route = ex->match.route;
    struct err err = {0};
    struct auth_request request = {
        .authorization = exchange_header(ex, "authorization"),
        .ticket = route->is_websocket ? exchange_query(ex, "ticket") : NULL,
        .is_loopback =
            address_is_loopback(stream_peer_address(stream)) && !came_through_a_proxy(ex),
    };

    if (route->right == RIGHT_NONE) {
        return 0;
    }
    int rc = auth_check(server->node->auth, &request, clock_wall_ns(), &ex->grant, &err);
    if (rc < 0 || (ex->grant.rights == 0 && ex->grant.key_id[0] == '\0')) {
        refuse(server, ex, REJECTED_KEY);
        exchange_add_header(ex, "WWW-Authenticate", "Bearer realm=\"packetrecorder\"%s",
                            rc < 0 ? ", error=\"invalid_token\"" : "");
        exchange_problem(ex, 401, "%s",
                         rc < 0 ? err.text
                                : "an API key is needed: send Authorization: Bearer pr_…; "
                                  "'packetrecorder keys add' on the node makes one");
        return -1;
    }
    if ((ex->grant.rights & route->right) != route->right) {
        refuse(server, ex, REJECTED_RIGHT);
        exchange_problem(ex, 403, "%s may not do this: it needs the right '%s'",
                         ex->grant.key_id[0] == '\0' ? "who has no API key" : "this API key",
                         api_right_name(route->right));
        return -1;
    }
    return 0;
}

static int check_content(struct http_server *server, struct exchange *ex)
{
    size_t max = ex->match.route->max_body;

    if (!ex->head.has_body || (max > 0 && (ex->head.content_length == HTTP_LENGTH_UNKNOWN ||
                                           ex->head.content_length <= max))) {
        return 0;
    }
    refuse(server, ex, REJECTED_TOO_LARGE);
    if (max == 0) {
        exchange_problem(ex, 413, "%s %s takes no content", ex->head.method, ex->target.path);
    } else {
        exchange_problem(ex, 413, "the content is larger than %zu bytes", max);
    }
    return -1;
}

/* Of "http://" or "https://" in front of the target; 0: there is neither. */
static size_t scheme_length(const char *target)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (strncasecmp(target, schemes[i], strlen(schemes[i])) == 0) {
            return strlen(schemes[i]);
        }
    }
    return 0;
}

/* "http://HOST/path", as proxies are asked (RFC 9112 §3.2.2), is "/path" when HOST is what the Host
 * header says, which is checked later. "*" is for OPTIONS. */
static int parse_target(struct exchange *ex, struct err *err)
{
    const char *target = ex->head.target;
    const char *host = exchange_header(ex, "host");

    if (strcmp(target, "*") == 0 && strcmp(ex->head.method, "OPTIONS") == 0) {
        return url_parse_target("/", &ex->target, err);
    }
    size_t scheme = scheme_length(target);
    if (scheme == 0) {
        return url_parse_target(target, &ex->target, err);
    }
    const char *authority = target + scheme;
    size_t n = strcspn(authority, "/?");
    if (host == NULL || strlen(host) != n || strncasecmp(host, authority, n) != 0) {
        return err_set(err, ERR_USAGE, "the request target names another host than Host does");
    }
    if (authority[n] == '/') {
        return url_parse_target(authority + n, &ex->target, err);
    }
    struct buf rooted = {0}; /* "http://HOST?query" has the path "/" */
    buf_printf(&rooted, "/%s", authority + n);
    buf_put_u8(&rooted, 0);
    int rc = url_parse_target((const char *)rooted.data, &ex->target, err);
    buf_deinit(&rooted);
    return rc;
}

int request_check(struct http_server *server, struct exchange *ex, const struct stream *stream)
{
    struct err err = {0};

    if (parse_target(ex, &err) < 0) {
        refuse(server, ex, REJECTED_MALFORMED);
        exchange_problem(ex, 400, "%s", err.text);
        return -1;
    }
    if (check_origin(server, ex, stream) < 0 || check_route(server, ex) < 0 ||
        check_rights(server, ex, stream) < 0 || check_content(server, ex) < 0) {
        return -1;
    }
    return check_query(ex);
}
