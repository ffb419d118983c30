/* SPDX-License-Identifier: Apache-2.0
 *
 * What node options must be together: the rules of failing closed that need no look at the host.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/options/listen_addr.h"
#include "shared/options/node_check.h"
#include "tests/support/node_command_line.h"

struct found {
    char text[1024];
};

static void note_problem(void *arg, const char *option, const char *text)
{
    struct found *found = arg;
    size_t n = strlen(found->text);

    snprintf(found->text + n, sizeof found->text - n, "%s: %s\n", option, text);
}

/* The first words of what is wrong; "" when nothing may be. */
static void check_rules(const char *flags, size_t n, const char *part)
{
    struct command_context ctx;
    struct found found = {0};

    assert_int_equal(parse(&ctx, flags), 0);
    assert_int_equal(node_options_check(ctx.args, note_problem, &found), n);
    if (strstr(found.text, part) == NULL) {
        fail_msg("'%s': no '%s' in '%s'", flags, part, found.text);
    }
    options_free(&ctx);
}

static void what_listens_for_other_hosts_needs_tls_or_a_word(void **state)
{
    (void)state;
    check_rules("", 0, "");
    check_rules("--http-addr localhost:1 --http-addr [::1]:1 --http-addr 127.9.9.9:1", 0, "");
    check_rules("--http-addr 0.0.0.0:1", 1, "give --tls-cert and --tls-key, or --insecure");
    check_rules("--http-addr [::]:1", 1, "no TLS");
    check_rules("--http-addr :1", 1, "no TLS");
    check_rules("--http-addr node.example:1", 1, "no TLS");
    check_rules("--http-addr [::ffff:10.0.0.1]:1", 1, "no TLS");
    check_rules("--http-addr 127.0.0.1.evil.example:1", 1, "no TLS");
    check_rules("--http-addr 0.0.0.0:1 --insecure", 0, "");
    check_rules("--http-addr 0.0.0.0:1 --tls-cert c --tls-key k", 0, "");
    check_rules("--http-addr 0.0.0.0:1 --tls-cert c", 2, "give --tls-key too");
    check_rules("--tls-key k", 1, "give --tls-cert too");
    check_rules("--pcapng-listen 127.0.0.1:1=eth0", 0, "");
    check_rules("--pcapng-listen 0.0.0.0:1=eth0", 1, "every host that connects");
    check_rules("--pcapng-listen 0.0.0.0:1=eth0 --tls-cert c --tls-key k", 1, "every host");
    check_rules("--pcapng-listen 0.0.0.0:1=eth0 --insecure", 0, "");
}

static void the_other_rules_are_told_too(void **state)
{
    (void)state;
    check_rules("--http-addr 8080", 1, "has no port");
    check_rules("--http-addr ::1:8080", 1, "in brackets");
    check_rules("--http-addr [fd77::1%eth0]:8080", 1, "is no address");
    check_rules("--http-addr [fe80::1%]:8080", 1, "is no address");
    check_rules("--http-addr 127.0.0.1:65536", 1, "up to 65535");
    check_rules("--http-addr 127.0.0:1", 1, "is no address");
    check_rules("--http-addr 256.0.0.1:1", 1, "is no address");
    check_rules("--http-addr [::zz]:1", 1, "is no address");
    check_rules("--http-addr 127.0.0.1:", 1, "a port is a number");
    check_rules("--http-addr 127.0.0.1:-1", 1, "a port is a number");
    check_rules("--pcapng-listen 127.0.0.1:1", 1, "names no interface");
    check_rules("--pcapng-listen 127.0.0.1:1=", 1, "names no interface");
    check_rules("--pcapng-listen 127.0.0.1:8080=eth0", 1, "are the same place");
    check_rules("--http-addr 127.0.0.1:0 --http-addr 127.0.0.1:0", 0, "");
    check_rules("--viewer-queue 2MiB --backlog 1MiB", 1, "larger than the backlog");
    check_rules("--node-name a/b", 1, "is no name for a node");
    check_rules("--node-name a:b", 1, "is no name for a node");
}

static void a_pcapng_listener_may_have_a_filter_with_commas(void **state)
{
    struct pcapng_listen listen;
    struct err err;

    (void)state;
    assert_int_equal(pcapng_listen_parse("[::1]:19000=eth0,tcp[13] = 2, x", &listen, &err), 0);
    assert_string_equal(listen.addr.host, "::1");
    assert_int_equal(listen.addr.port, 19000);
    assert_true(listen.addr.is_loopback);
    assert_string_equal(listen.interface, "eth0");
    assert_string_equal(listen.filter, "tcp[13] = 2, x");
    pcapng_listen_deinit(&listen);
    assert_int_equal(pcapng_listen_parse("[fe80::1%eth0]:19000=eth0", &listen, &err), 0);
    assert_string_equal(listen.addr.host, "fe80::1%eth0");
    assert_false(listen.addr.is_loopback);
    pcapng_listen_deinit(&listen);
    assert_int_equal(pcapng_listen_parse("127.0.0.1:1=lo", &listen, &err), 0);
    assert_null(listen.filter);
    pcapng_listen_deinit(&listen);
}

static void a_swarm_needs_a_key_and_addresses(void **state)
{
    (void)state;
    check_rules("--cluster-key-file k --join a --join 10.0.0.1:1 --join [::1]:2", 0, "");
    check_rules("--join a", 1, "keys cluster-new");
    check_rules("--cluster-key-file k --join a:b:c", 1, "join: 'a:b:c'");
    check_rules("--cluster-key-file k --advertise-addr a", 1, "'a' is a name");
    check_rules("--cluster-key-file k --advertise-addr 10.0.0.1 --advertise-addr [::1]:1", 0, "");
    check_rules("--cluster-key-file k --gossip-addr 10.0.0.1", 1, "gossip-addr");
    check_rules("--cluster-key-file k --gossip-addr 127.0.0.1:8080", 1, "the same place");
    check_rules("--gossip-addr 127.0.0.1:8080", 0, ""); /* not listened on */
    check_rules("--site 0123456789abcdef", 0, "");
    check_rules("--site 0123456789abcdefg", 1, "1 to 16");
    check_rules("--site r\xc3\xa4um", 1, "1 to 16");
    check_rules("--site=", 1, "1 to 16");
}

static void where_rpc_is_answered_is_checked(void **state)
{
    (void)state;
    check_rules("--rpc-addr none --rpc-socket none", 0, "");
    check_rules("--rpc-addr 0.0.0.0:1 --rpc-addr [::]:1", 0, ""); /* the channel needs no TLS */
    check_rules("--rpc-addr none --rpc-addr 127.0.0.1:1", 1, "'none' stands alone");
    check_rules("--rpc-addr 127.0.0.1", 1, "has no port");
    check_rules("--rpc-addr 127.0.0.1:8080", 1, "are the same place");
    check_rules("--rpc-socket /run/x.sock", 0, "");
    check_rules("--rpc-socket x.sock", 1, "begins with '/'");
    check_rules("--rpc-socket /23456789012345678901234567890123456789012345678901234567890123456789"
                "0123456789012345678901234567890123456",
                0, "");
    check_rules(
        "--rpc-socket /234567890123456789012345678901234567890123456789012345678901234567890"
        "123456789012345678901234567890123456789",
        1, "at most 107 bytes");
}

static void who_needs_an_api_key_is_known(void **state)
{
    struct command_context ctx;
    const char *which = NULL;

    (void)state;
    assert_int_equal(parse(&ctx, "--http-addr 127.0.0.1:1"), 0);
    assert_false(node_options_reach_out(ctx.args, &which));
    options_free(&ctx);
    assert_int_equal(parse(&ctx, "--http-addr 127.0.0.1:1 --http-addr 10.0.0.1:2"), 0);
    assert_true(node_options_reach_out(ctx.args, &which));
    assert_string_equal(which, "10.0.0.1:2");
    options_free(&ctx);
    assert_int_equal(parse(&ctx, "--rpc-addr 127.0.0.1:1 --rpc-addr 10.0.0.1:3"), 0);
    assert_true(node_options_reach_out(ctx.args, &which));
    assert_string_equal(which, "10.0.0.1:3");
    options_free(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_listens_for_other_hosts_needs_tls_or_a_word),
        cmocka_unit_test(the_other_rules_are_told_too),
        cmocka_unit_test(a_pcapng_listener_may_have_a_filter_with_commas),
        cmocka_unit_test(a_swarm_needs_a_key_and_addresses),
        cmocka_unit_test(where_rpc_is_answered_is_checked),
        cmocka_unit_test(who_needs_an_api_key_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
