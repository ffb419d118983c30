/* SPDX-License-Identifier: Apache-2.0 */
#include "node/openapi.h"

#include <jansson.h>
#include <string.h>

#include "node/auth.h"
#include "shared/base/buf.h"
#include "shared/base/mem.h"

static json_t *parameter(const char *name, const char *in, const char *type, const char *help)
{
    json_t *p = json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", name, "in", in, "required",
                          strcmp(in, "path") == 0, "schema", "type", type);

    if (help != NULL) {
        json_object_set_new(p, "description", json_string(help));
    }
    return p;
}

/* The {names} of a path. */
static void add_path_parameters(json_t *list, const char *path)
{
    for (const char *open = strchr(path, '{'); open != NULL; open = strchr(open + 1, '{')) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(open + 1, "}"), open + 1);
        json_array_append_new(list, parameter(name, "path", "string", NULL));
    }
}

static json_t *parameters(const struct route *route)
{
    json_t *list = json_array();

    add_path_parameters(list, route->path);
    for (const struct route_param *p = route->params; p != NULL && p->name != NULL; p++) {
        json_array_append_new(list, parameter(p->name, "query", p->type, p->help));
    }
    if (route->is_websocket) {
        json_array_append_new(list, parameter("ticket", "query", "string",
                                              "A ticket of POST /api/v1/ticket in place of "
                                              "Authorization."));
    }
    return list;
}

static json_t *responses(const struct route *route)
{
    json_t *all = json_object();

    if (route->is_websocket) {
        json_object_set_new(all, "101",
                            json_pack("{s:s}", "description", "Upgraded to a WebSocket."));
    } else if (route->answer != NULL) {
        json_object_set_new(
            all, "2XX",
            json_pack("{s:s, s:{s:{}}}", "description", "Done.", "content", route->answer));
    } else {
        json_object_set_new(all, "2XX", json_pack("{s:s}", "description", "Done."));
    }
    json_object_set_new(all, "default",
                        json_pack("{s:s}", "$ref", "#/components/responses/Problem"));
    return all;
}

/* "GET /api/v1/sessions/{id}" → "get_api_v1_sessions_id", unique in the table. */
static json_t *operation_id(const struct route *route)
{
    struct buf id = {0};
    bool gap = false;

    for (const char *c = route->method; *c != '\0'; c++) {
        buf_put_u8(&id, (uint8_t)(*c | 0x20));
    }
    for (const char *c = route->path; *c != '\0'; c++) {
        bool is_word = strchr("/{}.-", *c) == NULL;
        if (is_word && gap) {
            buf_put_u8(&id, '_');
        }
        if (is_word) {
            buf_put_u8(&id, (uint8_t)*c);
        }
        gap = !is_word;
    }
    json_t *text = json_stringn((const char *)id.data, id.len);
    buf_deinit(&id);
    return text;
}

static json_t *operation(const struct route *route)
{
    json_t *op =
        json_pack("{s:o, s:s, s:o, s:o}", "operationId", operation_id(route), "summary",
                  route->summary, "parameters", parameters(route), "responses", responses(route));

    if (route->body != NULL) {
        json_t *content = json_object();
        if (route->schema != NULL) {
            json_object_set_new(content, "schema", route->schema());
        }
        json_object_set_new(op, "requestBody",
                            json_pack("{s:s, s:b, s:{s:o}}", "description", route->body, "required",
                                      1, "content", "application/json", content));
    }
    if (route->right == RIGHT_NONE) {
        json_object_set_new(op, "security", json_array());
    } else {
        json_object_set_new(op, "x-right", json_string(api_right_name(route->right)));
    }
    return op;
}

static json_t *paths(const struct route_table *table)
{
    json_t *all = json_object();

    for (size_t g = 0; g < table->n_groups; g++) {
        for (size_t i = 0; i < table->groups[g]->n; i++) {
            const struct route *route = &table->groups[g]->routes[i];
            char method[16] = "";
            json_t *path = json_object_get(all, route->path);
            if (path == NULL) {
                path = json_object();
                json_object_set_new(all, route->path, path);
            }
            for (size_t c = 0; route->method[c] != '\0' && c + 1 < sizeof method; c++) {
                method[c] = (char)(route->method[c] | 0x20);
            }
            json_object_set_new(path, method, operation(route));
        }
    }
    return all;
}

static json_t *problem_schema(void)
{
    return json_pack("{s:s, s:[s,s,s], s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s,s:s}}}",
                     "type", "object", "required", "type", "title", "status", "properties", "type",
                     "type", "string", "title", "type", "string", "status", "type", "integer",
                     "detail", "type", "string", "node", "type", "string", "description",
                     "The node that failed, when it is another one.");
}

static json_t *components(void)
{
    return json_pack("{s:{s:o}, s:{s:{s:s, s:{s:{s:{s:s}}}}}, s:{s:{s:s, s:s, s:s}}}", "schemas",
                     "Problem", problem_schema(), "responses", "Problem", "description",
                     "What went wrong (RFC 9457).", "content", "application/problem+json", "schema",
                     "$ref", "#/components/schemas/Problem", "securitySchemes", "apiKey", "type",
                     "http", "scheme", "bearer", "description",
                     "An API key: pr_ID_SECRET. Not needed on loopback while no key exists.");
}

struct json_t *openapi_document(const struct route_table *table)
{
    return json_pack("{s:s, s:{s:s, s:s}, s:[{s:[]}], s:o, s:o}", "openapi", "3.1.0", "info",
                     "title", "packetrecorder", "version", PR_VERSION, "security", "apiKey",
                     "paths", paths(table), "components", components());
}
