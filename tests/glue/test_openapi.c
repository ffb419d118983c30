/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "node/openapi.h"
#include "shared/base/mem.h"

static json_t *document;

static int open_document(void **state)
{
    const struct route_table table = {.groups = route_groups, .n_groups = n_route_groups};

    (void)state;
    document = openapi_document(&table);
    assert_non_null(document);
    return 0;
}

static int close_document(void **state)
{
    (void)state;
    json_decref(document);
    return 0;
}

static void lower(const char *method, char out[16])
{
    size_t i = 0;

    for (; method[i] != '\0' && i < 15; i++) {
        out[i] = (char)(method[i] | 0x20);
    }
    out[i] = '\0';
}

static json_t *operation_of(const struct route *route)
{
    char method[16];

    lower(route->method, method);
    return json_object_get(json_object_get(json_object_get(document, "paths"), route->path),
                           method);
}

static bool has_parameter(json_t *operation, const char *name, const char *in)
{
    json_t *p;
    size_t i;

    json_array_foreach(json_object_get(operation, "parameters"), i, p)
    {
        if (strcmp(json_string_value(json_object_get(p, "name")), name) == 0 &&
            strcmp(json_string_value(json_object_get(p, "in")), in) == 0) {
            return true;
        }
    }
    return false;
}

/* A JSON pointer without its first slash; ~1 is a slash. */
static json_t *resolve_in(json_t *at, const char *pointer)
{
    for (const char *p = pointer; *p != '\0'; p += strcspn(p, "/"), p += *p == '/') {
        char word[64] = "";
        for (size_t i = 0, n = 0; p[i] != '\0' && p[i] != '/' && n + 1 < sizeof word; i++) {
            bool is_slash = p[i] == '~' && p[i + 1] == '1';
            word[n++] = is_slash ? '/' : p[i];
            i += is_slash;
        }
        at = json_object_get(at, word);
    }
    return at;
}

static void check_route(const struct route *route)
{
    json_t *operation = operation_of(route);

    if (operation == NULL) {
        fail_msg("%s %s is not in the document", route->method, route->path);
    }
    assert_non_null(route->summary);
    assert_non_null(route->handle);
    assert_string_equal(json_string_value(json_object_get(operation, "summary")), route->summary);
    for (const struct route_param *p = route->params; p != NULL && p->name != NULL; p++) {
        assert_true(has_parameter(operation, p->name, "query"));
        assert_true(strcmp(p->type, "string") == 0 || strcmp(p->type, "integer") == 0 ||
                    strcmp(p->type, "boolean") == 0);
        assert_non_null(p->help);
    }
    for (const char *c = strchr(route->path, '{'); c != NULL; c = strchr(c + 1, '{')) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(c + 1, "}"), c + 1);
        assert_true(has_parameter(operation, name, "path"));
    }
    assert_int_equal(route->is_websocket, has_parameter(operation, "ticket", "query"));
    assert_int_equal(route->body != NULL, json_object_get(operation, "requestBody") != NULL);
    assert_true(route->body == NULL || route->max_body > 0);
    assert_int_equal(route->body != NULL, route->schema != NULL);
    if (route->schema != NULL) {
        json_t *schema = route->schema();
        assert_true(json_equal(
            resolve_in(operation, "requestBody/content/application~1json/schema"), schema));
        json_decref(schema);
    }
    /* Open to everybody only where the design says so. */
    bool is_open = json_array_size(json_object_get(operation, "security")) == 0 &&
                   json_object_get(operation, "security") != NULL;
    assert_int_equal(is_open, route->right == RIGHT_NONE);
    assert_int_equal(is_open, strcmp(route->path, "/") == 0 || strcmp(route->path, "/health") == 0);
}

static size_t count_routes(void)
{
    size_t n = 0;

    for (size_t g = 0; g < n_route_groups; g++) {
        n += route_groups[g]->n;
    }
    return n;
}

static void every_route_is_in_the_document(void **state)
{
    (void)state;
    for (size_t g = 0; g < n_route_groups; g++) {
        for (size_t i = 0; i < route_groups[g]->n; i++) {
            check_route(&route_groups[g]->routes[i]);
        }
    }
}

static void nothing_else_is_in_the_document(void **state)
{
    json_t *ids = json_object();
    const char *path;
    const char *method;
    json_t *item;
    json_t *operation;
    size_t n = 0;

    (void)state;
    json_object_foreach(json_object_get(document, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            const char *id = json_string_value(json_object_get(operation, "operationId"));
            n++;
            assert_null(json_object_get(ids, id));
            json_object_set_new(ids, id, json_true());
            assert_non_null(json_object_get(json_object_get(operation, "responses"), "default"));
        }
    }
    assert_int_equal(n, count_routes()); /* so no route is there twice either */
    json_decref(ids);
}

static json_t *resolve(const char *ref)
{
    assert_memory_equal(ref, "#/", 2);
    return resolve_in(document, ref + 2);
}

static void check_references(json_t *value)
{
    const char *name;
    json_t *item;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, item)
        {
            check_references(item);
        }
    }
    json_object_foreach(value, name, item)
    {
        if (strcmp(name, "$ref") == 0) {
            assert_non_null(resolve(json_string_value(item)));
        } else {
            check_references(item);
        }
    }
}

static void references_lead_somewhere(void **state)
{
    (void)state;
    check_references(document);
    assert_non_null(resolve("#/components/securitySchemes/apiKey"));
}

/* ---- finding routes ---- */

static void every_route_finds_itself(void **state)
{
    const struct route_table table = {.groups = route_groups, .n_groups = n_route_groups};
    struct route_match match;

    (void)state;
    for (size_t g = 0; g < n_route_groups; g++) {
        for (size_t i = 0; i < route_groups[g]->n; i++) {
            const struct route *route = &route_groups[g]->routes[i];
            route_find(&table, route->method, route->path, &match);
            assert_ptr_equal(match.route, route);
            route_match_deinit(&match);
        }
    }
}

static void odd_paths_find_nothing(void **state)
{
    static const char *const paths[] = {
        "",     "//",  "/api/v1/ticket/",  "/api//v1/ticket", "/%2F", "/%zz",
        "/%00", "/..", "/api/v1/ticket%00"};
    const struct route_table table = {.groups = route_groups, .n_groups = n_route_groups};
    struct route_match match;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        route_find(&table, "POST", paths[i], &match);
        assert_null(match.route);
        assert_false(match.is_path_known);
        route_match_deinit(&match);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_in_the_document),
        cmocka_unit_test(nothing_else_is_in_the_document),
        cmocka_unit_test(references_lead_somewhere),
        cmocka_unit_test(every_route_finds_itself),
        cmocka_unit_test(odd_paths_find_nothing),
    };
    return cmocka_run_group_tests(tests, open_document, close_document);
}
