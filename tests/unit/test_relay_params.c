/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/history_plan.h"
#include "shared/packet/filter_bound.h"
#include "node/relay_params.h"
#include "shared/base/mem.h"

static void nothing_asked_is_every_packet_raw(void **state)
{
    struct relay_params params = {.zstd = true};

    (void)state;
    assert_int_equal(relay_params_parse(&(struct relay_query){0}, &params, NULL), 0);
    assert_string_equal(params.filter, "");
    assert_false(params.pcapng || params.zstd || params.deflate);
    assert_int_equal(params.snaplen, 0);
    assert_int_equal(params.history_ns, 0);
    assert_null(params.resume);
}

static void all_of_it_is_understood(void **state)
{
    struct relay_params params = {0};
    const struct relay_query query = {.filter = "tcp",
                                      .format = "pcapng",
                                      .compress = "zstd",
                                      .snaplen = "96",
                                      .history = "30s",
                                      .resume = "x:1",
                                      .deflate = "0"};

    (void)state;
    assert_int_equal(relay_params_parse(&query, &params, NULL), 0);
    assert_string_equal(params.filter, "tcp");
    assert_true(params.pcapng && params.zstd && !params.deflate);
    assert_int_equal(params.snaplen, 96);
    assert_true(params.history_ns == 30000000000u);
    assert_string_equal(params.resume, "x:1");
}

static void history_may_begin_at_a_time_of_the_packets(void **state)
{
    struct relay_params params = {0};
    const struct relay_query query = {.history = "@1795000000.000000042"};

    (void)state;
    assert_int_equal(relay_params_parse(&query, &params, NULL), 0);
    assert_true(params.history_from_ns == 1795000000000000042u);
    assert_int_equal(params.history_ns, 0);
}

static void what_makes_no_sense_is_refused_by_name(void **state)
{
    static const struct {
        struct relay_query query;
        const char *word;
    } cases[] = {
        {{.format = "pcap"}, "format"},
        {{.compress = "gzip"}, "compress"},
        {{.deflate = "yes"}, "deflate"},
        {{.compress = "zstd"}, "format=pcapng"},
        {{.format = "pcapng", .compress = "zstd", .deflate = "1"}, "deflate=1"},
        {{.snaplen = "0"}, "snaplen"},
        {{.snaplen = "262145"}, "snaplen"},
        {{.snaplen = "x"}, "snaplen"},
        {{.history = "25h"}, "history"},
        {{.history = "soon"}, "history"},
        {{.history = "@soon"}, "history"},
        {{.resume = "x"}, "STREAM:POSITION"},
        {{.resume = ""}, "STREAM:POSITION"},
        {{.resume = ":5"}, "STREAM:POSITION"},
        {{.resume = "x:"}, "STREAM:POSITION"},
        {{.resume = "x:-1"}, "STREAM:POSITION"},
        {{.resume = "x:5 "}, "STREAM:POSITION"},
        {{.resume = "x:123456789012345678901"}, "STREAM:POSITION"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct relay_params params = {.snaplen = 7};
        struct err err = {0};

        assert_int_equal(relay_params_parse(&cases[i].query, &params, &err), ERR_USAGE);
        assert_non_null(strstr(err.text, cases[i].word));
        assert_int_equal(params.snaplen, 7);
    }
}

static void a_filter_has_its_bounds(void **state)
{
    char filter[FILTER_ASKED_BYTES + 2];
    const struct relay_query query = {.filter = filter};
    struct relay_params params;
    struct err err = {0};

    (void)state;
    memset(filter, ' ', sizeof filter);
    filter[sizeof filter - 1] = '\0';
    assert_int_equal(relay_params_parse(&query, &params, &err), ERR_FILTER);
    filter[sizeof filter - 2] = '\0';
    assert_int_equal(relay_params_parse(&query, &params, &err), 0);
}

static void a_listener_is_cut_into_its_parts(void **state)
{
    struct relay_listen listen = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(relay_listen_parse("[::1]:19000=eth0,tcp port 80 or udp", &listen, &err), 0);
    assert_string_equal(listen.address, "[::1]:19000");
    assert_string_equal(listen.interface, "eth0");
    assert_string_equal(listen.filter, "tcp port 80 or udp");
    relay_listen_free(&listen);
    assert_int_equal(relay_listen_parse("127.0.0.1:0=any", &listen, &err), 0);
    assert_string_equal(listen.filter, "");
    relay_listen_free(&listen);
    /* a '=' in the filter belongs to the filter */
    assert_int_equal(relay_listen_parse("127.0.0.1:0=lo,ip[0] = 1", &listen, &err), 0);
    assert_string_equal(listen.filter, "ip[0] = 1");
    relay_listen_free(&listen);
    assert_int_equal(relay_listen_parse("127.0.0.1:19000", &listen, &err), ERR_USAGE);
    assert_int_equal(relay_listen_parse("127.0.0.1:19000=", &listen, &err), ERR_USAGE);
    assert_int_equal(relay_listen_parse("=eth0", &listen, &err), ERR_USAGE);
    assert_int_equal(relay_listen_parse("127.0.0.1:19000=,tcp", &listen, &err), ERR_USAGE);
}

/* ---- the plan of a history ---------------------------------------------------------------- */

static struct iface eth0 = {.name = "eth0", .link_type = LINK_ETHERNET};
static struct iface eth1 = {.name = "eth1", .link_type = LINK_ETHERNET};

static struct store_session session(uint64_t from, uint64_t to, const char *filter)
{
    struct store_session s = {.state = to == 0 ? STORE_RUNNING : STORE_COMPLETE,
                              .started_ns = from,
                              .ended_ns = to,
                              .packets = 1,
                              .first_ns = from,
                              .last_ns = to,
                              .ifaces = &eth0,
                              .n_ifaces = 1};

    strncpy(s.filter, filter, sizeof s.filter - 1);
    return s;
}

static const struct history_wish wish = {
    .interface = "eth0", .link_type = LINK_ETHERNET, .from_ns = 100, .to_ns = 200};

static void check_piece(const struct history_piece *piece, size_t s, uint64_t from, uint64_t to)
{
    assert_int_equal(piece->session, s);
    assert_int_equal(piece->from_ns, from);
    assert_int_equal(piece->to_ns, to);
}

static void each_moment_is_read_from_one_recording(void **state)
{
    struct history_piece pieces[HISTORY_PIECES_MAX];
    const struct store_session sessions[] = {
        session(50, 120, ""),  session(110, 150, ""), session(90, 0, "tcp"),
        session(160, 170, ""), session(300, 0, ""),   session(10, 90, ""),
    };

    (void)state;
    size_t n = history_plan(sessions, ARRAY_LEN(sessions), &wish, pieces);
    assert_int_equal(n, 5);
    check_piece(&pieces[0], 0, 100, 109);
    check_piece(&pieces[1], 1, 110, 150);
    check_piece(&pieces[2], 2, 151, 159);
    check_piece(&pieces[3], 3, 160, 170);
    check_piece(&pieces[4], 2, 171, 200);
}

static void what_an_uplink_had_waiting_is_read_too(void **state)
{
    struct history_piece pieces[HISTORY_PIECES_MAX];
    struct store_session sessions[] = {session(50, 140, ""), session(180, 0, "")};

    (void)state;
    sessions[0].last_ns = 119; /* the node ended at 140; the rest came when it was back */
    sessions[1].first_ns = 120;
    assert_int_equal(history_plan(sessions, 2, &wish, pieces), 2);
    check_piece(&pieces[0], 0, 100, 119);
    check_piece(&pieces[1], 1, 120, 200);
}

static void other_interfaces_and_link_types_are_left_out(void **state)
{
    struct history_piece pieces[HISTORY_PIECES_MAX];
    struct store_session sessions[] = {session(50, 0, ""), session(50, 0, ""), session(50, 0, "")};
    struct iface raw = eth0;

    (void)state;
    raw.link_type = LINK_RAW;
    sessions[0].ifaces = &eth1;
    sessions[1].ifaces = &raw;
    sessions[2].packets = 0;
    assert_int_equal(history_plan(sessions, 3, &wish, pieces), 0);
}

static void never_more_pieces_than_there_is_room(void **state)
{
    static struct store_session sessions[HISTORY_PIECES_MAX * 2];
    static struct history_piece pieces[HISTORY_PIECES_MAX];
    const struct history_wish wide = {
        .interface = "eth0", .link_type = LINK_ETHERNET, .from_ns = 0, .to_ns = 1000000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sessions); i++) {
        sessions[i] = session(i * 10, i * 10 + 5, "");
    }
    size_t n = history_plan(sessions, ARRAY_LEN(sessions), &wide, pieces);
    assert_int_equal(n, HISTORY_PIECES_MAX);
    assert_int_equal(pieces[n - 1].session, ARRAY_LEN(sessions) - 1); /* the newest are kept */
    for (size_t i = 1; i < n; i++) {
        assert_true(pieces[i - 1].to_ns < pieces[i].from_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asked_is_every_packet_raw),
        cmocka_unit_test(all_of_it_is_understood),
        cmocka_unit_test(history_may_begin_at_a_time_of_the_packets),
        cmocka_unit_test(what_makes_no_sense_is_refused_by_name),
        cmocka_unit_test(a_filter_has_its_bounds),
        cmocka_unit_test(a_listener_is_cut_into_its_parts),
        cmocka_unit_test(each_moment_is_read_from_one_recording),
        cmocka_unit_test(what_an_uplink_had_waiting_is_read_too),
        cmocka_unit_test(other_interfaces_and_link_types_are_left_out),
        cmocka_unit_test(never_more_pieces_than_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
