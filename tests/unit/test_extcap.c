/* SPDX-License-Identifier: Apache-2.0
 *
 * What packetrecorder-extcap understands and says, without Wireshark.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/extcap_control.h"
#include "cli/extcap_folders.h"
#include "cli/extcap_text.h"
#include "shared/base/mem.h"
#include "shared/options/options.h"

static const char *text_of(struct buf *out)
{
    buf_put_u8(out, 0);
    return (const char *)out->data;
}

static const struct extcap_args *parse(struct command_context *ctx, int argc,
                                       const char *const *argv)
{
    char *words[16];

    for (int i = 0; i < argc; i++) {
        words[i] = x_strdup(argv[i]);
    }
    assert_int_equal(options_parse(ctx, &extcap_program, argc, words, 0), 0);
    for (int i = 0; i < argc; i++) {
        options_keep(ctx, words[i]);
    }
    return ctx->args;
}

static void wiresharks_arguments_are_understood(void **state)
{
    static const char *const words[] = {"x",
                                        "--capture",
                                        "--extcap-interface",
                                        "packetrecorder:siteA:eth0",
                                        "--fifo",
                                        "/tmp/f",
                                        "--extcap-capture-filter",
                                        "",
                                        "--snaplen",
                                        "96",
                                        "--compress",
                                        "--extcap-version=4.0"};
    struct command_context ctx;
    const struct extcap_args *args = parse(&ctx, ARRAY_LEN(words), words);

    (void)state;
    assert_true(args->capture && args->compress && !args->list);
    assert_string_equal(args->fifo, "/tmp/f");
    assert_string_equal(args->filter, "");
    assert_int_equal(args->snaplen, 96);
    assert_string_equal(extcap_remote_interface(args), "siteA:eth0");
    assert_false(extcap_is_generic(args));
    options_free(&ctx);
}

static void the_dialog_names_the_interface_of_another_node(void **state)
{
    static const char *const words[] = {"x",         "--extcap-interface", "packetrecorder",
                                        "--capture", "--remote-interface", "eth7"};
    struct command_context ctx;
    const struct extcap_args *args = parse(&ctx, ARRAY_LEN(words), words);

    (void)state;
    assert_true(extcap_is_generic(args));
    assert_string_equal(extcap_remote_interface(args), "eth7");
    options_free(&ctx);
    args = parse(&ctx, 4, words);
    assert_null(extcap_remote_interface(args));
    options_free(&ctx);
}

static void interfaces_are_listed_with_their_node(void **state)
{
    static const struct extcap_iface ifaces[] = {
        {.name = "eth0", .description = "uplink {1}"},
        {.name = "bad name"},
        {.name = "bad}name"},
    };
    struct buf out = {0};

    (void)state;
    extcap_put_interfaces(&out, "no{de", ifaces, ARRAY_LEN(ifaces));
    const char *text = text_of(&out);
    assert_non_null(strstr(text, "interface {value=packetrecorder}{display="));
    assert_non_null(strstr(text, "interface {value=packetrecorder:eth0}{display=eth0 on no?de, "
                                 "uplink ?1?}\n"));
    assert_null(strstr(text, "bad"));
    assert_non_null(strstr(text, "control {number=1}{type=string}{display=Lost}"));
    assert_non_null(strstr(text, "control {number=2}{type=button}{role=logger}"));
    buf_deinit(&out);
}

static void link_types_have_their_numbers(void **state)
{
    static const struct {
        const char *name;
        const char *wanted;
    } cases[] = {
        {"EN10MB", "dlt {number=1}{name=EN10MB}{display=EN10MB}\n"},
        {"LINUX_SLL2", "dlt {number=276}{name=LINUX_SLL2}{display=LINUX_SLL2}\n"},
        {"", "dlt {number=1}{name=EN10MB}{display=EN10MB}\n"},
        {"NO SUCH", "dlt {number=1}{name=EN10MB}{display=EN10MB}\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = {0};
        extcap_put_dlts(&out, cases[i].name);
        assert_string_equal(text_of(&out), cases[i].wanted);
        buf_deinit(&out);
    }
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;

    for (const char *p = text; (p = strstr(p, word)) != NULL; p++) {
        n++;
    }
    return n;
}

static void the_dialog_asks_for_a_node_only_where_none_is_set(void **state)
{
    struct extcap_args args = {
        .interface = "packetrecorder", .endpoint = "a:1", .history_ns = 30000000000};
    struct buf generic = {0};
    struct buf named = {0};

    (void)state;
    extcap_put_config(&generic, &args);
    const char *text = text_of(&generic);
    assert_int_equal(count(text, "arg {number="), 7);
    assert_non_null(strstr(text, "arg {number=0}{call=--endpoint}{display=Node}{type=string}"
                                 "{required=true}"));
    assert_non_null(strstr(text, "{default=a:1}"));
    assert_non_null(strstr(text, "arg {number=1}{call=--remote-interface}"));
    assert_non_null(strstr(text, "{call=--history}{display=History}{type=string}"));
    assert_non_null(strstr(text, "{default=30}"));
    args.interface = "packetrecorder:eth0";
    extcap_put_config(&named, &args);
    text = text_of(&named);
    assert_int_equal(count(text, "arg {number="), 5);
    assert_non_null(strstr(text, "arg {number=0}{call=--api-key-file}"));
    assert_null(strstr(text, "--endpoint"));
    buf_deinit(&generic);
    buf_deinit(&named);
}

static void the_interfaces_of_a_node_are_values_of_the_dialog(void **state)
{
    static const struct extcap_iface ifaces[] = {{.name = "eth0"}, {.name = "x y"}};
    struct buf out = {0};

    (void)state;
    extcap_put_reloaded(&out, ifaces, ARRAY_LEN(ifaces));
    assert_string_equal(text_of(&out), "value {arg=1}{value=eth0}{display=eth0}\n");
    buf_deinit(&out);
}

static void control_messages_go_there_and_back(void **state)
{
    struct buf out = {0};
    struct extcap_control_message message;

    (void)state;
    extcap_control_put(&out, 2, EXTCAP_ADD, "hello");
    extcap_control_put(&out, 0, EXTCAP_SET, "");
    assert_memory_equal(out.data, "T\0\0\x07\x02\x02hello", 11);
    for (size_t n = 0; n < 11; n++) {
        struct bytes_reader cut = bytes_reader(out.data, n);
        assert_int_equal(extcap_control_next(&cut, &message, NULL), 0);
        assert_int_equal(bytes_left(&cut), n);
    }
    struct bytes_reader in = bytes_reader(out.data, out.len);
    assert_int_equal(extcap_control_next(&in, &message, NULL), 1);
    assert_int_equal(message.control, 2);
    assert_int_equal(message.command, EXTCAP_ADD);
    assert_int_equal(message.n, 5);
    assert_memory_equal(message.payload, "hello", 5);
    assert_int_equal(extcap_control_next(&in, &message, NULL), 1);
    assert_int_equal(message.n, 0);
    assert_int_equal(extcap_control_next(&in, &message, NULL), 0);
    buf_deinit(&out);
}

static void control_messages_that_lie_are_refused(void **state)
{
    static const char *const lies[] = {"X\0\0\x02\0\0", "T\0\0\x01\0\0", "T\xff\0\0\0\0"};
    struct extcap_control_message message;
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct bytes_reader in = bytes_reader(lies[i], 6);
        assert_int_equal(extcap_control_next(&in, &message, &err), ERR_DAMAGED);
    }
}

static void check_folder(const char *told, bool global, const char *wanted)
{
    char *found = extcap_folder_of(told, global);

    if (wanted == NULL) {
        assert_null(found);
    } else {
        assert_non_null(found);
        assert_string_equal(found, wanted);
    }
    mem_free(found);
}

static void the_folder_follows_wiresharks_version(void **state)
{
    static const char old[] = "Temp:\t/tmp\nPersonal configuration:\t/root/.config/wireshark\n"
                              "Extcap path:         \t/usr/lib/wireshark/extcap\n";
    static const char new[] = "Personal configuration:\t/root/.config/wireshark\n"
                              "Personal Extcap path:\t/root/.local/lib/wireshark/extcap\n"
                              "Global Extcap path:\t/usr/lib/x86_64-linux-gnu/wireshark/extcap\n";

    (void)state;
    check_folder(old, false, "/root/.config/wireshark/extcap");
    check_folder(old, true, "/usr/lib/wireshark/extcap");
    check_folder(new, false, "/root/.local/lib/wireshark/extcap");
    check_folder(new, true, "/usr/lib/x86_64-linux-gnu/wireshark/extcap");
    check_folder("", false, NULL);
    check_folder("", true, NULL);
}

static void our_interfaces_are_seen_in_the_list(void **state)
{
    (void)state;
    assert_true(extcap_is_listed("1. eth0\n12. packetrecorder (another node)\n"));
    assert_false(extcap_is_listed("1. eth0\n2. any (not packetrecorder)\n"));
    assert_false(extcap_is_listed(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wiresharks_arguments_are_understood),
        cmocka_unit_test(the_dialog_names_the_interface_of_another_node),
        cmocka_unit_test(interfaces_are_listed_with_their_node),
        cmocka_unit_test(link_types_have_their_numbers),
        cmocka_unit_test(the_dialog_asks_for_a_node_only_where_none_is_set),
        cmocka_unit_test(the_interfaces_of_a_node_are_values_of_the_dialog),
        cmocka_unit_test(control_messages_go_there_and_back),
        cmocka_unit_test(control_messages_that_lie_are_refused),
        cmocka_unit_test(the_folder_follows_wiresharks_version),
        cmocka_unit_test(our_interfaces_are_seen_in_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
