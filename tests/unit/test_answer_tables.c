/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node answered, as a user sees it: tables and lines, whatever the node puts into them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/answer_fields.h"
#include "cli/interface_table.h"
#include "cli/job_table.h"
#include "cli/key_table.h"
#include "cli/output.h"
#include "cli/packet_print.h"
#include "cli/session_table.h"

#define NOW_NS 1700000010000000000ULL

static char *printed;
static size_t n_printed;

static FILE *open_output(void)
{
    free(printed);
    printed = NULL;
    return open_memstream(&printed, &n_printed);
}

static json_t *parse(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(value);
    return value;
}

static void fields_of_another_type_are_unknown(void **state)
{
    json_t *object = parse("{\"a\":\"\",\"b\":-1,\"c\":1.5e10,\"d\":\"2023-11-14T22:13:20Z\","
                           "\"e\":\"-10m\",\"f\":7,\"g\":1e300,\"h\":null,\"i\":true}");
    char cell[TEXT_NUMBER_MAX];

    (void)state;
    assert_null(field_text(object, "a"));
    assert_null(field_text(object, "f"));
    assert_null(field_text(object, "none"));
    assert_null(field_text(NULL, "a"));
    assert_true(field_count(object, "b") == UINT64_MAX);
    assert_true(field_count(object, "c") == 15000000000ULL);
    assert_true(field_count(object, "g") == UINT64_MAX);
    assert_true(field_count(object, "a") == UINT64_MAX);
    assert_true(field_count(object, "h") == UINT64_MAX);
    assert_true(field_time_ns(object, "d") == 1700000000000000000ULL);
    assert_true(field_time_ns(object, "e") == 0);
    assert_true(field_time_ns(object, "f") == 0);
    assert_true(field_is_true(object, "i"));
    assert_false(field_is_true(object, "f"));
    assert_string_equal(field_count_cell(object, "f", cell), "7");
    assert_null(field_count_cell(object, "b", cell));
    json_decref(object);
}

static void sessions_are_shown_as_those_of_a_store(void **state)
{
    json_t *sessions = parse(
        "[{\"id\":\"01\",\"name\":null,\"state\":\"running\",\"started\":\"2023-11-14T22:13:20Z\","
        "\"ended\":null,\"packets\":5,\"bytes\":1000,\"stored_bytes\":null,\"interfaces\":["
        "{\"name\":\"eth0\"},{\"name\":\"a-very-long-interface-name-0123456789\"},{}],"
        "\"loss\":{\"kernel\":1,\"interface\":null,\"store\":2}},"
        "{\"id\":\"02\",\"name\":\"n\",\"state\":\"complete\",\"error\":\"gone\","
        "\"started\":\"2023-11-14T22:13:20Z\",\"ended\":\"2023-11-14T22:13:21Z\",\"packets\":0,"
        "\"loss\":{\"kernel\":0,\"interface\":0,\"store\":0}}]");
    FILE *out = open_output();

    (void)state;
    session_table_print(sessions, false, NOW_NS, out);
    fclose(out);
    json_decref(sessions);
    assert_non_null(strstr(printed,
                           "\n01  -     running    2023-11-14T22:13:20.000000000Z       10s"
                           "        5   1 kB"));
    assert_non_null(strstr(printed, ">=3  eth0 +2\n"));
    assert_non_null(strstr(printed,
                           "\n02  n     cut short  2023-11-14T22:13:20.000000000Z        1s"
                           "        0      -       -     0"));
}

/* Nothing that a node writes may steer the terminal. */
static void nothing_steers_the_terminal(void **state)
{
    static const char nasty[] = "\x1b[31mred\x07\xC2\x9B"
                                "2J\xE2\x80\xAEgnp\xE2\x81\xA6";
    json_t *one = json_object();
    json_t *list = json_array();
    static const char *const names[] = {"id",   "name", "state",     "started", "role",
                                        "info", "time", "interface", "mac",     "description"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_object_set_new(one, names[i], json_string(nasty));
    }
    json_array_append(list, one);
    FILE *out = open_output();
    struct packet_print print = {.out = out, .with_interface = true};
    session_table_print(list, false, NOW_NS, out);
    interface_table_print(list, false, out);
    key_table_print(list, false, out);
    assert_int_equal(packet_print_object(&print, one, NULL), 0);
    assert_int_equal(output_json(out, json_incref(list), NULL), 0);
    packet_print_deinit(&print);
    fclose(out);
    for (size_t i = 0; i < n_printed; i++) {
        uint8_t c = (uint8_t)printed[i];
        assert_true((c >= 0x20 && c != 0x7F) || c == '\n');
        assert_false(c == 0xC2 && (uint8_t)printed[i + 1] >= 0x80 &&
                     (uint8_t)printed[i + 1] < 0xA0);
        assert_false(c == 0xE2 && ((uint8_t)printed[i + 1] == 0x80 || printed[i + 1] == '\x81'));
    }
    assert_non_null(strstr(printed, "\\u009b2J\\u202egnp\\u2066"));
    assert_non_null(strstr(printed, "?[31mred???2J???gnp???"));
    json_decref(one);
    json_decref(list);
}

static void what_is_harmless_stays_as_it_is(void **state)
{
    char text[] = "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xE2\x80\x93 \xF0\x9F\x90\x99 \xC2\xA0";
    char cut[] = "\xE2\x80";

    (void)state;
    output_clean(text);
    assert_string_equal(text,
                        "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xE2\x80\x93 \xF0\x9F\x90\x99 \xC2\xA0");
    output_clean(cut);
    assert_string_equal(cut, "\xE2\x80");
    FILE *out = open_output();
    assert_int_equal(output_json_line(out, json_string(text), NULL), 0);
    fclose(out);
    assert_non_null(strstr(printed, text));
}

static void a_packet_reads_as_that_of_a_store(void **state)
{
    json_t *packet =
        parse("{\"time\":\"2023-11-14T22:13:20.000000001Z\",\"interface\":\"eth0\",\"caplen\":42,"
              "\"len\":42,\"link_type\":\"EN10MB\",\"info\":\"lies\",\"data\":"
              "\"0200000000020200000000010800450000200001000040110000"
              "0a0000010a00000204d20035000c0000abcdef01\"}");
    FILE *out = open_output();
    struct packet_print print = {.out = out, .with_interface = true};

    (void)state;
    assert_int_equal(packet_print_object(&print, packet, NULL), 0);
    json_object_del(packet, "data");
    assert_int_equal(packet_print_object(&print, packet, NULL), 0);
    json_object_set_new(packet, "data", json_string("0x"));
    assert_int_equal(packet_print_object(&print, packet, NULL), 0);
    fclose(out);
    packet_print_deinit(&print);
    json_decref(packet);
    assert_string_equal(printed, "2023-11-14T22:13:20.000000001Z eth0 IP 10.0.0.1.1234 > "
                                 "10.0.0.2.53: UDP, length 4\n"
                                 "2023-11-14T22:13:20.000000001Z eth0 lies\n"
                                 "2023-11-14T22:13:20.000000001Z eth0 lies\n");
}

static const char job_text[] =
    "{\"id\":\"J\",\"name\":\"dns\",\"state\":\"running\",\"start_at\":\"2023-11-14T22:13:20Z\","
    "\"end_at\":\"2023-11-14T22:13:25Z\",\"interface\":\"eth*\",\"nodes\":["
    "{\"node\":\"n1\",\"state\":\"done\",\"session\":\"S\",\"late_ns\":1500000,\"packets\":7,"
    "\"bytes\":100,\"loss\":{\"kernel\":1,\"interface\":null,\"store\":2,\"limit\":9}},"
    "{\"node\":\"n2\",\"state\":\"unreached\",\"session\":null,\"reason\":\"was\\u001b[2J armed\","
    "\"late_ns\":null,\"packets\":null,\"bytes\":null,\"loss\":{}}]}";

static void a_job_has_a_row_a_node(void **state)
{
    json_t *job = parse(job_text);
    FILE *out = open_output();

    (void)state;
    job_table_print(job, out);
    fclose(out);
    assert_string_equal(printed,
                        "NODE  STATE      SESSION  PACKETS       SIZE  LOST  NOTE\n"
                        "n1    done       S              7  100 bytes     3  1.5ms late\n"
                        "n2    unreached  -              -          -     -  was?[2J armed\n");
    json_decref(job);
}

static void a_job_has_ended_when_all_have_or_nobody_can_say(void **state)
{
    json_t *job = parse(job_text);
    json_t *second = json_array_get(json_object_get(job, "nodes"), 1);
    struct err err = {0};

    (void)state;
    assert_false(job_has_ended(job, 1700000005000000000ULL));
    assert_true(job_has_ended(job, 1700000009000000000ULL)); /* its end is over */
    assert_int_equal(job_outcome(job, &err), ERR_PARTLY);
    assert_string_equal(err.text, "1 of 2 nodes do or have done it");
    json_object_set_new(job, "stopped", json_true());
    assert_true(job_has_ended(job, 1700000005000000000ULL)); /* nobody waits for who is gone */
    json_object_del(job, "stopped");
    json_object_set_new(second, "state", json_string("missed"));
    assert_true(job_has_ended(job, 1700000005000000000ULL));
    json_object_set_new(second, "state", json_string("armed"));
    assert_int_equal(job_outcome(job, NULL), 0);
    json_array_clear(json_object_get(job, "nodes"));
    assert_int_equal(job_outcome(job, NULL), ERR_CAPTURE);
    json_decref(job);
}

static void a_capture_of_one_node_has_the_shape_of_a_job(void **state)
{
    json_t *session = parse("{\"id\":\"S\",\"name\":null,\"node\":\"n1\",\"state\":\"complete\","
                            "\"error\":null,\"started\":\"2023-11-14T22:13:20Z\",\"packets\":7,"
                            "\"bytes\":8,\"loss\":{\"kernel\":0}}");
    json_t *job = job_of_session(session);
    const json_t *node = json_array_get(json_object_get(job, "nodes"), 0);

    (void)state;
    assert_string_equal(field_text(job, "id"), "S");
    assert_string_equal(field_text(job, "start_at"), "2023-11-14T22:13:20Z");
    assert_string_equal(field_text(node, "state"), "done");
    assert_string_equal(field_text(node, "session"), "S");
    assert_int_equal(field_count(node, "packets"), 7);
    json_decref(job);
    json_object_set_new(session, "error", json_string("the interface went down"));
    job = job_of_session(session);
    assert_string_equal(field_text(job, "state"), "failed");
    json_decref(job);
    json_decref(session);
}

static int tear_down(void **state)
{
    (void)state;
    free(printed);
    printed = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_another_type_are_unknown),
        cmocka_unit_test(sessions_are_shown_as_those_of_a_store),
        cmocka_unit_test(nothing_steers_the_terminal),
        cmocka_unit_test(what_is_harmless_stays_as_it_is),
        cmocka_unit_test(a_packet_reads_as_that_of_a_store),
        cmocka_unit_test(a_job_has_a_row_a_node),
        cmocka_unit_test(a_job_has_ended_when_all_have_or_nobody_can_say),
        cmocka_unit_test(a_capture_of_one_node_has_the_shape_of_a_job),
    };

    return cmocka_run_group_tests(tests, NULL, tear_down);
}
