/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of a store in SQL: that conditions mean what they say, and that those which can go
 * down into the index do. One store for all tests: "plain" holds 60,000 numbered packets in several
 * frames, "odd" one packet of each unusual shape.
 */
#include "shared/store/sql_sqlite.h"

#include "shared/base/buf.h"
#include "shared/base/mem.h"
#include "shared/store/packets_vtab_sqlite.h"
#include "tests/support/hex_packet.h"
#include "tests/support/store_place.h"

#define PLAIN_PACKETS 60000
#define ETH           "020000000002 020000000001 "

struct world {
    struct place place;
    char plain[STORE_ID_TEXT];
    char odd[STORE_ID_TEXT];
    struct store *store;
    sqlite3 *db;
    struct packets_vtab_stats stats;
};

static struct world world;

/* UDP 1000 > 53 where there are ports. */
static const char *const odd_packets[] = {
    /* 1: VLAN 5, 10.2.0.1 > 10.2.0.2 */
    ETH "8100 0005 0800 4500001c 00000000 40110000 0a020001 0a020002 03e8 0035 0008 0000",
    /* 2: MPLS, 10.2.0.3 > 10.2.0.4 */
    ETH "8847 00064140 4500001c 00000000 40110000 0a020003 0a020004 03e8 0035 0008 0000",
    /* 3: three VLAN tags, 10.2.0.5 > 10.2.0.6 */
    ETH "8100 0005 8100 0006 8100 0007 0800 4500001c 00000000 40110000 0a020005 0a020006"
        "03e8 0035 0008 0000",
    /* 4: IPv6 with a destination option, fe80::1 > fe80::2, UDP 1000 > 53 */
    ETH "86dd 60000000 0010 3c 40 fe80000000000000 0000000000000001 fe80000000000000"
        "0000000000000002 11 00 01 04 00000000 03e8 0035 0008 0000",
    /* 5: ARP, 10.2.0.7 asks for 10.2.0.8 */
    ETH "0806 0001 0800 06 04 0001 020000000001 0a020007 000000000000 0a020008",
    /* 6: TCP SYN, 10.2.0.1 > 10.2.0.2, 2000 > 443 */
    ETH "0800 45000028 00000000 40060000 0a020001 0a020002 07d0 01bb 00000000 00000000 5002 0400"
        "0000 0000",
    /* 7: nothing that is known */
    ETH "88b5 00",
};
#define ODD_PACKETS ((uint32_t)ARRAY_LEN(odd_packets))
/* The last one of these was recorded in the year 2300. */
#define YEAR_2300_NS UINT64_C(10413792000000000001)

static void put_odd(struct consumer *c)
{
    struct block *block = block_new(BLOCK_BYTES_DEFAULT);
    struct consumer_load load = {.limit = 8, .may_wait = true};
    struct err err = {0};
    uint8_t bytes[256];

    for (uint32_t i = 0; i < ODD_PACKETS; i++) {
        struct packet_view p = {.time_ns = time_of(1000000 + i), .data = bytes};
        p.caplen = p.len = hex_bytes(odd_packets[i], bytes, sizeof bytes);
        p.time_ns = i == ODD_PACKETS - 1 ? YEAR_2300_NS : p.time_ns;
        assert_true(block_append(block, &p));
    }
    assert_int_equal(c->ops->block(c, block, &load, &err), 0);
    block_unref(block);
}

static int make_world(void **state)
{
    struct err err;

    (void)state;
    place_init(&world.place, NULL);
    write_session(&world.place, "plain", 0, PLAIN_PACKETS, world.plain);
    struct store *store = open_store(&world.place, STORE_CREATE);
    struct consumer *c = begin(store, "odd", 0, world.odd);
    put_odd(c);
    finish(c, ODD_PACKETS);
    store_close(store);
    world.store = open_store(&world.place, STORE_READ);
    assert_int_equal(sqlite3_open(":memory:", &world.db), SQLITE_OK);
    assert_int_equal(packets_vtab_register(world.db, world.store, &world.stats, &err), 0);
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    sqlite3_close(world.db);
    store_close(world.store);
    place_deinit(&world.place);
    return 0;
}

/* All rows as text: cells joined by '|', rows by ' '; or the error. In one static place. */
static const char *ask(const char *sql)
{
    static char out[8192];
    size_t used = 0;
    sqlite3_stmt *stmt = NULL;
    int code;

    out[0] = '\0';
    world.stats = (struct packets_vtab_stats){0};
    if (sqlite3_prepare_v2(world.db, sql, -1, &stmt, NULL) != SQLITE_OK) {
        return sqlite3_errmsg(world.db);
    }
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW && used < sizeof out) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            const char *text = (const char *)sqlite3_column_text(stmt, i);
            const char *before = i > 0 ? "|" : used > 0 ? " " : "";
            used += (size_t)snprintf(out + used, sizeof out - used, "%s%s", before,
                                     text == NULL ? "-" : text);
        }
    }
    sqlite3_finalize(stmt);
    return code == SQLITE_DONE ? out : sqlite3_errmsg(world.db);
}

static void assert_answer(const char *sql, const char *wanted)
{
    assert_string_equal(ask(sql), wanted);
}

/* The numbers in "odd" of the rows for which the condition holds, and the same with the condition
 * hidden from the index by a unary plus, which only SQLite itself then tests. */
static void assert_numbers(const char *condition, const char *untouched, const char *wanted)
{
    char sql[512];

    snprintf(sql, sizeof sql,
             "SELECT group_concat(number, ' ') FROM packets WHERE session = '%s'"
             " AND %s",
             world.odd, condition);
    assert_answer(sql, wanted);
    if (untouched != NULL) {
        snprintf(sql, sizeof sql,
                 "SELECT group_concat(number, ' ') FROM packets WHERE session ="
                 " '%s' AND %s",
                 world.odd, untouched);
        assert_answer(sql, wanted);
    }
}

static void a_row_is_a_packet(void **state)
{
    (void)state;
    assert_answer("SELECT count(*) FROM packets", "60007");
    assert_answer("SELECT number, time, time_ns, iface, link_type, caplen, len, src, dst, sport,"
                  " dport, proto, flags, info FROM packets WHERE session = 'plain' AND number = 3",
                  "3|2023-11-14T22:13:20.000002000Z|1700000000000002000|eth0|EN10MB|84|84|10.1.0.1|"
                  "10.1.0.2|2|9999|udp|-|truncated-ip - 26 bytes missing! UDP, length 68");
    assert_answer("SELECT flags, length(data), hex(substr(data, 13, 2)) FROM packets"
                  " WHERE session = 'odd' AND number = 6",
                  "S|54|0800");
    assert_answer("SELECT src, sport, proto FROM packets WHERE session = 'odd' AND number = 7",
                  "02:00:00:00:00:01|-|0x88b5");
}

static void addresses_and_ports_are_those_of_the_outermost_ip(void **state)
{
    (void)state;
    assert_numbers("src = '10.2.0.1'", "+src = '10.2.0.1'", "1 6");
    assert_numbers("dst = '10.2.0.4'", "+dst = '10.2.0.4'", "2");
    assert_numbers("src = '10.2.0.5'", "+src = '10.2.0.5'", "3");
    assert_numbers("src = 'fe80::1'", "+src = 'fe80::1'", "4");
    assert_numbers("dst = '10.2.0.8'", "+dst = '10.2.0.8'", "5");
    assert_numbers("src = '02:00:00:00:00:01'", "+src = '02:00:00:00:00:01'", "7");
    assert_numbers("dport = 53", "+dport = 53", "1 2 3 4");
    assert_numbers("sport = 2000", "+sport = 2000", "6");
    assert_numbers("proto = 'udp'", "+proto = 'udp'", "1 2 3 4");
    assert_numbers("proto = 'arp'", "+proto = 'arp'", "5");
    assert_numbers("proto = 'tcp' AND src = '10.2.0.1' AND dport = 443", NULL, "6");
}

static void hidden_columns_mean_either_end(void **state)
{
    (void)state;
    assert_numbers("host = '10.2.0.2'", "'10.2.0.2' IN (src, dst)", "1 6");
    assert_numbers("host = 'FE80::2'", NULL, "4");
    assert_numbers("port = 53", "53 IN (sport, dport)", "1 2 3 4");
    assert_numbers("host = '10.2.0.1' AND '10.2.0.2' IN (src, dst) AND port = 443", NULL, "6");
    assert_numbers("filter = 'vlan and host 10.2.0.1'", NULL, "1");
    assert_numbers("filter = 'host 10.2.0.1' AND proto = 'tcp'", NULL, "6");
    assert_answer("SELECT group_concat(number, ' ') FROM packets('10.2.0.1', 443)", "6");
    assert_numbers("(host = '10.2.0.7' OR port = 443)", NULL, "5 6");
    assert_numbers("host IN ('10.2.0.7', '10.2.0.3')", NULL, "2 5");
}

static void hidden_columns_refuse_what_they_cannot_do(void **state)
{
    (void)state;
    assert_non_null(strstr(ask("SELECT count(*) FROM packets WHERE host > 'a'"), "compare them"));
    assert_non_null(strstr(ask("SELECT port FROM packets"), "compare them"));
    assert_non_null(strstr(ask("SELECT count(*) FROM packets WHERE host = 'a.example'"),
                           "not an IPv4 or IPv6 address"));
    assert_non_null(
        strstr(ask("SELECT count(*) FROM packets WHERE port = 'http'"), "not a number"));
    assert_non_null(
        strstr(ask("SELECT count(*) FROM packets WHERE filter = 'tcp prot 9'"), "'prot'"));
}

static void sessions_are_found_by_any_word_for_them(void **state)
{
    char sql[256];

    (void)state;
    assert_answer("SELECT count(*) FROM packets WHERE session = 'last'", "7");
    assert_answer("SELECT count(*) FROM packets WHERE session = 'odd'", "7");
    assert_answer("SELECT count(*) FROM packets WHERE session = 'none of these'", "0");
    snprintf(sql, sizeof sql, "SELECT count(*) FROM packets WHERE session = '%.30s'", world.plain);
    assert_answer(sql, "60000");
    assert_answer("SELECT count(*) FROM packets WHERE session = 'odd' AND session = 'plain'", "0");
    assert_answer("SELECT s.name, count(*) FROM sessions s JOIN packets p ON p.session = s.id"
                  " WHERE s.name = 'odd'",
                  "odd|7");
    assert_answer("SELECT count(*) FROM packets WHERE session IN ('odd', 'plain')", "60007");
}

static void times_are_times_however_they_are_written(void **state)
{
    (void)state;
    assert_answer("SELECT count(*) FROM packets WHERE time < '2023-11-14T22:13:20.00001Z'", "10");
    assert_answer("SELECT count(*) FROM packets WHERE time <= '2023-11-14T22:13:20.00001Z'", "11");
    assert_answer("SELECT count(*) FROM packets WHERE time = '2023-11-14T23:13:20.00001+01:00'",
                  "1");
    assert_answer("SELECT count(*) FROM packets WHERE time > '@1700000000.000009' AND"
                  " time < '@1700000000.00001001'",
                  "1");
    assert_answer("SELECT count(*) FROM packets WHERE time BETWEEN '@1700000000.00001' AND"
                  " '@1700000000.00002'",
                  "11");
    assert_answer("SELECT count(*) FROM packets WHERE time > '2023-11-15' AND time < '2024-01-01'",
                  "0");
    assert_answer("SELECT count(*) FROM packets WHERE time < '1970-01-01'", "0");
    assert_answer("SELECT count(*) FROM packets WHERE time LIKE '2023-11-14T22:13:20.00000000%'",
                  "1");
    assert_answer("SELECT count(*) FROM packets WHERE time = NULL", "0");
    assert_non_null(strstr(ask("SELECT 1 FROM packets WHERE time > 'noon'"), "not a time"));
}

static void nanoseconds_compare_as_numbers(void **state)
{
    (void)state;
    assert_answer("SELECT count(*) FROM packets WHERE time_ns < 1700000000000010000", "10");
    assert_answer("SELECT count(*) FROM packets WHERE time_ns BETWEEN 1700000000000010000 AND"
                  " 1700000000000020000",
                  "11");
    assert_answer("SELECT count(*) FROM packets WHERE time_ns = 1700000000000010000", "1");
    assert_answer("SELECT count(*) FROM packets WHERE time_ns > -1", "60007");
    assert_answer("SELECT count(*) FROM packets WHERE time_ns < 1.7e18", "0");
    assert_answer("SELECT count(*) FROM packets WHERE time_ns > 1e19", "1");
    assert_answer("SELECT count(*) FROM packets WHERE time_ns < 'text'", "60007");
    assert_answer("SELECT time, typeof(time_ns) FROM packets WHERE time > '2262-04-12'",
                  "2300-01-01T00:00:00.000000001Z|real");
}

static void rows_come_in_the_order_of_time_without_sorting(void **state)
{
    (void)state;
    assert_null(
        strstr(ask("EXPLAIN QUERY PLAN SELECT * FROM packets ORDER BY time_ns"), "TEMP B-TREE"));
    assert_answer("SELECT name, number FROM packets p JOIN sessions s ON s.id = p.session"
                  " WHERE p.session IN (SELECT id FROM sessions) ORDER BY time DESC LIMIT 2",
                  "odd|7 odd|6");
    assert_answer("SELECT number FROM packets ORDER BY time LIMIT 3", "1 2 3");
    assert_non_null(
        strstr(ask("EXPLAIN QUERY PLAN SELECT * FROM packets ORDER BY time DESC"), "TEMP B-TREE"));
}

/* Frames read for a statement, of how many. */
static uint64_t candidates(const char *sql, const char *wanted)
{
    assert_answer(sql, wanted);
    return world.stats.candidates;
}

static void conditions_narrow_what_is_read(void **state)
{
    uint64_t all = candidates("SELECT count(*) FROM packets WHERE session = 'plain'", "60000");

    (void)state;
    assert_true(all >= 5);
    assert_int_equal(world.stats.frames, all);
    assert_in_range(candidates("SELECT number FROM packets WHERE session = 'plain' AND"
                               " sport = 12345",
                               "12346"),
                    1, 2);
    assert_in_range(candidates("SELECT number FROM packets WHERE port = 12345", "12346"), 1, 2);
    assert_in_range(
        candidates("SELECT number FROM packets WHERE host = '10.2.0.1' AND port = 443", "6"), 1, 1);
    assert_in_range(candidates("SELECT number FROM packets WHERE src = '10.2.0.3'", "2"), 1, 1);
    assert_in_range(candidates("SELECT number FROM packets WHERE src = 'fe80::1'", "4"), 1, 1);
    assert_in_range(
        candidates("SELECT number FROM packets WHERE filter = 'udp port 12345'", "12346"), 1, 2);
    assert_in_range(
        candidates("SELECT number FROM packets WHERE time = '@1700000000.012345'", "12346"), 1, 1);
    assert_in_range(
        candidates("SELECT number FROM packets WHERE time_ns = 1700000000012345000", "12346"), 1,
        1);
    assert_int_equal(candidates("SELECT count(*) FROM packets WHERE proto = 'sctp'", "0"), 0);
    assert_int_equal(candidates("SELECT count(*) FROM packets WHERE port = 70000", "0"), 0);
    assert_int_equal(candidates("SELECT count(*) FROM packets WHERE session = 'odd'", "7"), 1);
}

static void the_catalogue_is_two_tables(void **state)
{
    (void)state;
    assert_answer("SELECT name, state, packets, loss_kernel, json_extract(tags, '$.k'), first_time,"
                  " node FROM sessions WHERE name = 'plain'",
                  "plain|complete|60000|-|v|2023-11-14T22:13:20.000000000Z|here");
    assert_answer("SELECT s.name, i.number, i.name, link_type, snaplen FROM interfaces i"
                  " JOIN sessions s ON s.id = i.session ORDER BY s.name",
                  "odd|0|eth0|EN10MB|262144 plain|0|eth0|EN10MB|262144");
}

static void nothing_can_be_written(void **state)
{
    (void)state;
    assert_non_null(strstr(ask("DELETE FROM packets"), "may not be modified"));
    assert_non_null(strstr(ask("UPDATE sessions SET name = 'x'"), "may not be modified"));
}

/* The other door: text in, values out. */
struct collected {
    struct sql_output output;
    struct buf text;
};

static int collect_begin(struct sql_output *output, const char *const *names, size_t n,
                         struct err *err)
{
    struct collected *c = container_of(output, struct collected, output);

    (void)err;
    for (size_t i = 0; i < n; i++) {
        buf_printf(&c->text, "%s,", names[i]);
    }
    return 0;
}

static int collect_row(struct sql_output *output, const struct sql_value *values, size_t n,
                       struct err *err)
{
    struct collected *c = container_of(output, struct collected, output);

    (void)err;
    for (size_t i = 0; i < n; i++) {
        switch (values[i].type) {
        case SQL_INTEGER:
            buf_printf(&c->text, "%lld;", (long long)values[i].integer);
            break;
        case SQL_REAL:
            buf_printf(&c->text, "%g;", values[i].real);
            break;
        case SQL_TEXT:
            buf_printf(&c->text, "'%s';", (const char *)values[i].bytes);
            break;
        case SQL_BLOB:
            buf_printf(&c->text, "%zu bytes;", values[i].n);
            break;
        default:
            buf_printf(&c->text, "null;");
        }
    }
    return 0;
}

static int collect_end(struct sql_output *output, struct err *err)
{
    struct collected *c = container_of(output, struct collected, output);

    (void)err;
    buf_printf(&c->text, ".");
    return 0;
}

static int run_sql(const char *sql, const char *wanted, struct err *err)
{
    struct collected c = {.output = {collect_begin, collect_row, collect_end}};
    struct scan_damage damage;
    int r = sql_run(world.store, sql, &c.output, &damage, err);

    buf_put_u8(&c.text, '\0');
    if (wanted != NULL) {
        assert_string_equal((const char *)c.text.data, wanted);
    }
    buf_deinit(&c.text);
    assert_int_equal(damage.frames, 0);
    return r;
}

static void statements_run_one_after_the_other(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(run_sql("SELECT 1 AS a, 2.5, 'x', x'0102', NULL; -- and\n"
                             "CREATE TABLE t(b); INSERT INTO t SELECT number FROM packets"
                             " WHERE session = 'odd'; SELECT max(b) m FROM t;",
                             "a,2.5,'x',x'0102',NULL,1;2.5;'x';2 bytes;null;.m,7;.", &err),
                     0);
    assert_int_equal(run_sql("", "", &err), 0);
}

static void errors_name_the_place(void **state)
{
    struct err err = {0};

    (void)state;
    assert_int_equal(run_sql("SELECT 1;\nSELECT numbr FROM packets", NULL, &err), ERR_USAGE);
    assert_string_equal(err.text, "no such column: numbr, at character 18: 'numbr FROM packets'");
    assert_int_equal(run_sql("SELECT", NULL, &err), ERR_USAGE);
    assert_int_equal(run_sql("SELECT 1 FROM packets WHERE time > 'noon'", NULL, &err),
                     ERR_DATABASE);
}

static void statements_reach_no_file(void **state)
{
    static const char *const refused[] = {
        "ATTACH '/tmp/test-sql-attached.db' AS x",   "VACUUM INTO '/tmp/test-sql-vacuum.db'",
        "PRAGMA cipher_log = '/tmp/test-sql-log'",   "PRAGMA temp_store_directory = '/tmp'",
        "SELECT load_extension('/tmp/test-sql.so')",
    };
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        assert_true(run_sql(refused[i], NULL, &err) < 0);
    }
    assert_int_equal(access("/tmp/test-sql-vacuum.db", F_OK), -1);
    assert_int_equal(
        run_sql("SELECT name FROM pragma_table_info('sessions') LIMIT 1", "name,'id';.", &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_a_packet),
        cmocka_unit_test(addresses_and_ports_are_those_of_the_outermost_ip),
        cmocka_unit_test(hidden_columns_mean_either_end),
        cmocka_unit_test(hidden_columns_refuse_what_they_cannot_do),
        cmocka_unit_test(sessions_are_found_by_any_word_for_them),
        cmocka_unit_test(times_are_times_however_they_are_written),
        cmocka_unit_test(nanoseconds_compare_as_numbers),
        cmocka_unit_test(rows_come_in_the_order_of_time_without_sorting),
        cmocka_unit_test(conditions_narrow_what_is_read),
        cmocka_unit_test(the_catalogue_is_two_tables),
        cmocka_unit_test(nothing_can_be_written),
        cmocka_unit_test(statements_run_one_after_the_other),
        cmocka_unit_test(errors_name_the_place),
        cmocka_unit_test(statements_reach_no_file),
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
