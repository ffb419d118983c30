/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/extcap_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/packet/link_type.h"

/* What --remote-interface is in the dialog of EXTCAP_NAME. */
#define ARG_INTERFACE 1
#define LINK_TYPES    300

/* Braces end a value, and a new line the sentence. */
static void put_value(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        buf_put_u8(out, c < 0x20 || c == 0x7f || c == '{' || c == '}' ? '?' : c);
    }
}

static void put_pair(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, "{%s=", key);
    put_value(out, value);
    buf_put_u8(out, '}');
}

/* A name that comes back to us on a command line: only as it is. */
static bool is_plain(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x21 || *p == 0x7f || *p == '{' || *p == '}') {
            return false;
        }
    }
    return name[0] != '\0';
}

static void put_controls(struct buf *out)
{
    static const struct {
        const char *type;
        const char *display;
        const char *tooltip;
    } controls[] = {
        [EXTCAP_CONTROL_RECEIVED] = {"{type=string}", "Received", "Packets received"},
        [EXTCAP_CONTROL_LOST] = {"{type=string}", "Lost",
                                 "Packets lost: on the way to this viewer + in the node's kernel"},
        [EXTCAP_CONTROL_LOG] = {"{type=button}{role=logger}", "Log", "What happened so far"},
    };

    for (size_t i = 0; i < ARRAY_LEN(controls); i++) {
        buf_printf(out, "control {number=%zu}%s{display=%s}{tooltip=%s}\n", i, controls[i].type,
                   controls[i].display, controls[i].tooltip);
    }
}

/* There are others: then all of them can be had at once. */
static bool is_swarm(const struct extcap_iface *ifaces, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strchr(ifaces[i].name, '/') != NULL) {
            return true;
        }
    }
    return false;
}

void extcap_put_interfaces(struct buf *out, const char *node, const struct extcap_iface *ifaces,
                           size_t n)
{
    buf_put_str(out, "extcap {version=" PR_VERSION "}{display=packetrecorder}\n");
    buf_put_str(out, "interface {value=" EXTCAP_NAME "}{display=packetrecorder: another node}\n");
    if (is_swarm(ifaces, n)) {
        buf_put_str(out, "interface {value=" EXTCAP_NAME ":swarm:all}{display=swarm:all on ");
        put_value(out, node);
        buf_put_str(out, ", all interfaces of all nodes in order of time}\n");
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_plain(ifaces[i].name)) {
            continue;
        }
        const char *swarm = strchr(ifaces[i].name, '/') == NULL ? "" : "swarm:";
        buf_printf(out, "interface {value=" EXTCAP_NAME ":%s%s}{display=%s", swarm, ifaces[i].name,
                   swarm);
        put_value(out, ifaces[i].name);
        buf_put_str(out, " on ");
        put_value(out, node);
        if (ifaces[i].description[0] != '\0') {
            buf_put_str(out, ", ");
            put_value(out, ifaces[i].description);
        }
        buf_put_str(out, "}\n");
    }
    put_controls(out);
}

void extcap_put_dlts(struct buf *out, const char *link_type)
{
    char name[LINK_TYPE_TEXT_MAX];
    uint32_t number = 0;

    for (; number < LINK_TYPES; number++) {
        link_type_text(number, name);
        if (strcmp(name, link_type) == 0) {
            break;
        }
    }
    number = number == LINK_TYPES ? 1 : number;
    link_type_text(number, name);
    buf_printf(out, "dlt {number=%" PRIu32 "}{name=%s}{display=%s}\n", number, name, name);
}

static const char *or_nothing(const char *text)
{
    return text == NULL ? "" : text;
}

/* The help of the option, so that dialog and man page say the same. */
static void put_arg(struct buf *out, unsigned number, const char *name, const char *display,
                    const char *more, const char *value)
{
    const struct command_option *option = NULL;

    for (size_t i = 0; i < extcap_command.n_options; i++) {
        if (strcmp(extcap_command.options[i].name, name) == 0) {
            option = &extcap_command.options[i];
        }
    }
    REQUIRE(option != NULL);
    buf_printf(out, "arg {number=%u}{call=--%s}{display=%s}%s", number, name, display, more);
    put_pair(out, "tooltip", option->help);
    if (value[0] != '\0') {
        put_pair(out, "default", value);
    }
    buf_put_u8(out, '\n');
}

void extcap_put_config(struct buf *out, const struct extcap_args *args)
{
    char snaplen[TEXT_NUMBER_MAX];
    char history[TEXT_NUMBER_MAX];
    unsigned number = 0;
    snprintf(snaplen, sizeof snaplen, "%" PRIu64, args->snaplen);
    text_format_seconds(args->history_ns, history);
    if (extcap_is_generic(args)) {
        put_arg(out, number++, "endpoint", "Node", "{type=string}{required=true}",
                or_nothing(args->endpoint));
        put_arg(out, number++, "remote-interface", "Interface of the node",
                "{type=selector}{reload=true}{placeholder=Ask the node}",
                or_nothing(args->remote_interface));
    }
    put_arg(out, number++, "api-key-file", "API key file", "{type=fileselect}{mustexist=true}",
            or_nothing(args->api_key_file));
    put_arg(out, number++, "ca-file", "Certificate authorities",
            "{type=fileselect}{mustexist=true}", or_nothing(args->ca_file));
    put_arg(out, number++, "snaplen", "Bytes of each packet", "{type=unsigned}{range=0,262144}",
            snaplen);
    put_arg(out, number++, "history", "History", "{type=string}", history);
    put_arg(out, number, "compress", "Compress on the wire", "{type=boolflag}",
            args->compress ? "true" : "false");
}

static void put_choice(struct buf *out, const char *name)
{
    buf_printf(out, "value {arg=%d}", ARG_INTERFACE);
    put_pair(out, "value", name);
    put_pair(out, "display", name);
    buf_put_u8(out, '\n');
}

void extcap_put_reloaded(struct buf *out, const struct extcap_iface *ifaces, size_t n)
{
    if (is_swarm(ifaces, n)) {
        put_choice(out, "swarm:all");
    }
    for (size_t i = 0; i < n; i++) {
        if (is_plain(ifaces[i].name)) {
            put_choice(out, ifaces[i].name);
        }
    }
}
