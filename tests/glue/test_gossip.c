/* SPDX-License-Identifier: Apache-2.0
 *
 * The swarm between real sockets on loopback: nodes find each other, notice who is gone, and tell
 * what an operator should know.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "node/gossip_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "tests/glue/swarm_fixture.h"

static struct swarm swarm;

static int set_up(void **state)
{
    (void)state;
    swarm_init(&swarm);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    swarm_deinit(&swarm);
    return 0;
}

/* Nodes 0 to n − 1, all of which join the first. */
static void start_some(unsigned n, const char *addr)
{
    for (unsigned i = 0; i < n; i++) {
        swarm_prepare(&swarm, i, addr, "a", i == 0 ? -1 : 0);
        swarm_start(&swarm, i);
    }
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < n; j++) {
            swarm_await(&swarm, i, j, GOSSIP_ALIVE);
        }
    }
}

static void nodes_with_one_key_find_each_other(void **state)
{
    struct gossip_member member;

    (void)state;
    start_some(3, "127.0.0.1:0");
    assert_int_equal(swarm_state(&swarm, 2, 1, &member), GOSSIP_ALIVE);
    assert_true(member.has_meta);
    assert_string_equal(member.meta.name, "n1");
    assert_string_equal(member.meta.version, PR_VERSION);
    assert_int_equal(member.meta.n_keys, 1);
    assert_false(member.is_self);
    assert_int_equal(swarm_events(&swarm, 2, "member.joined"), 2);
    assert_int_equal(swarm_metric(&swarm, 0, "packetrecorder_swarm_foreign_key_total"), 0);
}

static void they_do_so_over_ipv6(void **state)
{
    struct gossip_member member;

    (void)state;
    start_some(2, "[::1]:0");
    assert_int_equal(swarm_state(&swarm, 0, 1, &member), GOSSIP_ALIVE);
    assert_int_equal(member.addr.family, 6);
}

static void who_ends_is_left_and_who_is_killed_is_dead(void **state)
{
    (void)state;
    start_some(4, "127.0.0.1:0");
    swarm_stop(&swarm, 3, true);
    swarm_await(&swarm, 0, 3, GOSSIP_LEFT);
    swarm_await(&swarm, 1, 3, GOSSIP_LEFT);
    swarm_stop(&swarm, 2, false);
    swarm_await(&swarm, 0, 2, GOSSIP_DEAD);
    swarm_await(&swarm, 1, 2, GOSSIP_DEAD);
    assert_int_equal(swarm_events(&swarm, 0, "member.left"), 1);
    assert_int_equal(swarm_events(&swarm, 0, "member.dead"), 1);
    assert_int_equal(swarm_events(&swarm, 0, "member.suspect"), 1);
}

/* Others may still send to it while the rest of its node ends. */
static void who_has_left_does_not_spin_on_what_still_comes(void **state)
{
    struct gossip_member member;
    struct sockaddr_storage to;

    (void)state;
    start_some(2, "127.0.0.1:0");
    assert_int_equal(swarm_state(&swarm, 0, 1, &member), GOSSIP_ALIVE);
    swarm_leave(&swarm, 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t n = gossip_addr_to(&member.addr, &to);
    assert_int_equal(sendto(fd, "late", 4, 0, (const struct sockaddr *)&to, n), 4);
    close(fd);
    clock_t before = clock();
    swarm_turns(&swarm, 1000);
    assert_true(clock() - before < CLOCKS_PER_SEC / 8);
}

static void a_restart_is_the_same_member_with_its_state_and_another_without(void **state)
{
    struct gossip_member before;
    struct gossip_member after;
    char command[256];

    (void)state;
    start_some(2, "127.0.0.1:0");
    assert_int_equal(swarm_state(&swarm, 0, 1, &before), GOSSIP_ALIVE);
    swarm_stop(&swarm, 1, true);
    swarm_await(&swarm, 0, 1, GOSSIP_LEFT);
    swarm_start(&swarm, 1);
    swarm_await(&swarm, 0, 1, GOSSIP_ALIVE);
    swarm_await(&swarm, 1, 0, GOSSIP_ALIVE);
    assert_int_equal(swarm_state(&swarm, 0, 1, &after), GOSSIP_ALIVE);
    assert_string_equal(before.id, after.id);
    swarm_await(&swarm, 1, 0, GOSSIP_ALIVE); /* or it would know nobody to say farewell to */

    swarm_stop(&swarm, 1, true);
    swarm_await(&swarm, 0, 1, GOSSIP_LEFT);
    snprintf(command, sizeof command, "rm -r '%s'", swarm.nodes[1].state_dir);
    assert_int_equal(system(command), 0);
    swarm_start(&swarm, 1);
    swarm_await(&swarm, 1, 0, GOSSIP_ALIVE);
    assert_int_equal(swarm_state(&swarm, 1, 1, &after), GOSSIP_ALIVE);
    assert_string_not_equal(before.id, after.id);
}

static bool is_told_on_both_sides(struct swarm *s, void *arg)
{
    (void)arg;
    return swarm_events(s, 0, "swarm.foreign_key") > 0 &&
           swarm_events(s, 1, "swarm.key_refused") > 0;
}

static void a_key_that_does_not_fit_is_told_and_not_answered(void **state)
{
    (void)state;
    swarm_prepare(&swarm, 0, "127.0.0.1:0", "a", -1);
    swarm_start(&swarm, 0);
    swarm_prepare(&swarm, 1, "127.0.0.1:0", "b", 0);
    swarm_start(&swarm, 1);
    assert_true(swarm_pump(&swarm, is_told_on_both_sides, NULL));
    assert_int_not_equal(swarm_metric(&swarm, 0, "packetrecorder_swarm_foreign_key_total"), 0);
    assert_int_equal(swarm_metric(&swarm, 0, "packetrecorder_swarm_datagrams_sent_total"), 0);
    assert_int_equal(swarm_state(&swarm, 0, 1, NULL), N_GOSSIP_STATES);
    assert_int_equal(swarm_state(&swarm, 1, 0, NULL), N_GOSSIP_STATES);
}

static bool both_see_clone(struct swarm *s, void *arg)
{
    (void)arg;
    return swarm_events(s, 1, "swarm.clone") > 0 && swarm_events(s, 2, "swarm.clone") > 0;
}

static void a_copied_state_directory_is_noticed(void **state)
{
    char command[400];

    (void)state;
    start_some(2, "127.0.0.1:0");
    swarm_prepare(&swarm, 2, "127.0.0.1:0", "a", 0);
    snprintf(command, sizeof command, "cp -r '%s' '%s'", swarm.nodes[1].state_dir,
             swarm.nodes[2].state_dir);
    assert_int_equal(system(command), 0);
    swarm_start(&swarm, 2);
    assert_true(swarm_pump(&swarm, both_see_clone, NULL));
    assert_int_equal(swarm_metric(&swarm, 1, "packetrecorder_swarm_cloned"), 1);
    assert_int_equal(swarm_metric(&swarm, 2, "packetrecorder_swarm_cloned"), 1);
}

static void one_process_has_a_state_directory(void **state)
{
    struct err err = {0};

    (void)state;
    start_some(1, "127.0.0.1:0");
    swarm_prepare(&swarm, 1, "127.0.0.1:0", "a", -1);
    swarm.nodes[1].options.state_dir = swarm.nodes[0].state_dir;
    assert_int_equal(swarm_try_start(&swarm, 1, &err), ERR_IN_USE);
    assert_non_null(strstr(err.text, "its own --state-dir"));
}

static void a_key_file_that_others_read_is_refused(void **state)
{
    struct err err = {0};

    (void)state;
    swarm_prepare(&swarm, 0, "127.0.0.1:0", "a", -1);
    assert_int_equal(chmod(swarm.nodes[0].key_file, 0640), 0);
    assert_int_equal(swarm_try_start(&swarm, 0, &err), ERR_KEY);
    assert_non_null(strstr(err.text, "chmod 600"));
}

static void members_are_the_json_of_the_contract(void **state)
{
    static const char *const names[] = {
        "name",    "id",          "address", "http_address", "state",    "since",
        "version", "rpc_address", "load",    "offset_ns",    "bound_ns", "tags",
        "keys",    "banned",      "site",    "interfaces",   "label"};
    struct node lonely = {.name = "alone"};

    (void)state;
    start_some(2, "127.0.0.1:0");
    json_t *all = gossip_members_json(&swarm.nodes[0].node);
    assert_int_equal(json_array_size(all), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *one = json_array_get(all, i);
        for (size_t name = 0; name < ARRAY_LEN(names); name++) {
            assert_non_null(json_object_get(one, names[name]));
        }
        assert_int_equal(json_object_size(one), ARRAY_LEN(names));
        assert_string_equal(json_string_value(json_object_get(one, "state")), "alive");
        assert_int_equal(strlen(json_string_value(json_object_get(one, "id"))), 32);
    }
    json_decref(all);
    all = gossip_members_json(&lonely);
    assert_int_equal(json_array_size(all), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "name")),
                        "alone");
    assert_int_equal(json_object_size(json_array_get(all, 0)), ARRAY_LEN(names));
    json_decref(all);
}

static void a_member_is_found_by_name_id_or_its_beginning(void **state)
{
    struct gossip *gossip;
    struct gossip_member found;
    struct err err = {0};
    char text[40];

    (void)state;
    start_some(2, "127.0.0.1:0");
    gossip = swarm.nodes[0].node.gossip;
    assert_int_equal(gossip_find(gossip, "n1", &found, &err), 0);
    snprintf(text, sizeof text, "%.8s", found.id);
    assert_int_equal(gossip_find(gossip, text, &found, &err), 0);
    assert_string_equal(found.meta.name, "n1");
    text[7] = '\0';
    assert_int_equal(gossip_find(gossip, text, &found, &err), ERR_NOT_FOUND);
    assert_int_equal(gossip_find(gossip, found.id, &found, &err), 0);
}

static bool has_members(struct swarm *s, void *arg)
{
    struct gossip_roll *roll = gossip_roll_new(s->nodes[0].node.gossip);
    unsigned n = 0;

    for (unsigned i = 0; i < *(const unsigned *)arg; i++) {
        n += gossip_roll_label(roll, gossip_self(s->nodes[i].node.gossip)) != NULL;
    }
    gossip_roll_free(roll);
    return n == *(const unsigned *)arg;
}

static bool is_found(struct swarm *s, void *arg)
{
    struct gossip_member found;

    return gossip_find(s->nodes[0].node.gossip, arg, &found, NULL) == 0;
}

/* As node 0 has node i. */
static void member_at(unsigned i, struct gossip_member *out)
{
    char sid[17];

    snprintf(sid, sizeof sid, "%016" PRIx64, gossip_self(swarm.nodes[i].node.gossip));
    assert_int_equal(gossip_find(swarm.nodes[0].node.gossip, sid, out, NULL), 0);
}

/* Nodes 1 and 2 are both called "b". */
static void two_of_one_name_are_told_apart(void **state)
{
    struct gossip_member one, other, found;
    struct err err = {0};
    char text[64];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        swarm_prepare(&swarm, i, "127.0.0.1:0", "a", i == 0 ? -1 : 0);
        swarm.nodes[i].options.node_name = i == 0 ? "a" : "b";
        swarm_start(&swarm, i);
    }
    struct gossip *gossip = swarm.nodes[0].node.gossip;
    assert_true(swarm_pump(&swarm, has_members, &(unsigned){3}));
    assert_int_equal(gossip_find(gossip, "a", &found, &err), 0);
    assert_string_equal(found.label, "a");
    snprintf(text, sizeof text, "a@%.8s", found.id); /* good for a name of its own, too */
    assert_int_equal(gossip_find(gossip, text, &found, &err), 0);
    assert_int_equal(gossip_find(gossip, "b", &found, &err), ERR_AMBIGUOUS);
    assert_non_null(strstr(err.text, "say 'b@"));
    member_at(1, &one);
    member_at(2, &other);
    assert_string_not_equal(one.label, other.label);
    assert_int_equal(gossip_find(gossip, one.label, &found, &err), 0);
    assert_true(found.sid == one.sid);
    snprintf(text, sizeof text, "b@%s", other.id);
    assert_int_equal(gossip_find(gossip, text, &found, &err), 0);
    assert_true(found.sid == other.sid);
    snprintf(text, sizeof text, "a@%.8s", other.id);
    assert_int_equal(gossip_find(gossip, text, &found, &err), ERR_NOT_FOUND);

    swarm_stop(&swarm, 2, true); /* who alone lives of a name has it */
    assert_true(swarm_pump(&swarm, is_found, (char[]){"b"}));
    assert_int_equal(gossip_find(gossip, "b", &found, &err), 0);
    assert_true(found.sid == one.sid);
    assert_string_equal(found.label, "b");
    assert_int_equal(gossip_find(gossip, other.id, &found, &err), 0);
    snprintf(text, sizeof text, "b@%.8s", other.id);
    assert_string_equal(found.label, text);
}

static void a_node_joins_later_when_told_to(void **state)
{
    struct err err = {0};

    (void)state;
    start_some(1, "127.0.0.1:0");
    swarm_prepare(&swarm, 1, "127.0.0.1:0", "a", 0);
    swarm.nodes[1].options.join.n = 0;
    swarm_start(&swarm, 1);
    assert_int_equal(gossip_join(swarm.nodes[1].node.gossip, "no such host", &err), ERR_USAGE);
    assert_int_equal(gossip_join(swarm.nodes[1].node.gossip, swarm.nodes[1].join, &err), 0);
    swarm_await(&swarm, 0, 1, GOSSIP_ALIVE);
}

static bool shows_interfaces(struct swarm *s, void *arg)
{
    const struct devices_summary *wanted = arg;
    struct gossip_member member = {0};

    (void)swarm_state(s, 1, 0, &member);
    return member.meta.iface_digest == wanted->digest && member.meta.iface_count == wanted->n;
}

/* How often it has told anew what it is. */
static uint32_t record_seq(struct gossip *g)
{
    struct swim_view self;

    gossip_lock(g);
    assert_true(swim_member_get(g->swim, swim_self(g->swim), &self));
    gossip_unlock(g);
    return self.incarnation.seq;
}

static void a_change_of_interfaces_is_told_and_many_are_told_once(void **state)
{
    struct devices_summary last = {.n = 4, .digest = 7};

    (void)state;
    swarm_prepare(&swarm, 0, "127.0.0.1:0", "a", -1);
    swarm.nodes[0].options.site = "rack 4";
    swarm_start(&swarm, 0);
    swarm_prepare(&swarm, 1, "127.0.0.1:0", "a", 0);
    swarm_start(&swarm, 1);
    swarm_await(&swarm, 1, 0, GOSSIP_ALIVE);
    struct gossip *g = swarm.nodes[0].node.gossip;
    gossip_lock(g);
    g->ifaces_rest_ms = 300;
    gossip_unlock(g);
    gossip_tell_interfaces(g, &last);
    assert_true(swarm_pump(&swarm, shows_interfaces, &last));
    /* The first of these waits, the others with it. */
    uint32_t told = record_seq(g);
    for (unsigned i = 0; i < 50; i++) {
        last = (struct devices_summary){.n = 5, .digest = 100 + i};
        gossip_tell_interfaces(g, &last);
        swarm_turns(&swarm, 1);
    }
    assert_true(swarm_pump(&swarm, shows_interfaces, &last));
    assert_in_range(record_seq(g) - told, 1, 25);
    json_t *all = gossip_members_json(&swarm.nodes[1].node);
    bool has_site = false;
    for (size_t i = 0; i < 2; i++) {
        const json_t *one = json_array_get(all, i);
        const char *site = json_string_value(json_object_get(one, "site"));
        if (site != NULL && strcmp(site, "rack 4") == 0) {
            has_site = true;
            assert_int_equal(json_integer_value(json_object_get(one, "interfaces")), 5);
        }
    }
    assert_true(has_site);
    json_decref(all);
}

static void a_name_is_looked_up_off_the_thread(void **state)
{
    char name[64];

    (void)state;
    start_some(1, "127.0.0.1:0");
    swarm_prepare(&swarm, 1, "127.0.0.1:0", "a", 0);
    snprintf(name, sizeof name, "localhost%s", strrchr(swarm.nodes[1].join, ':'));
    swarm.nodes[1].joins[0] = name;
    swarm_start(&swarm, 1);
    swarm_await(&swarm, 0, 1, GOSSIP_ALIVE);
}

static void without_a_key_there_is_no_swarm(void **state)
{
    struct err err = {0};

    (void)state;
    swarm_prepare(&swarm, 0, "127.0.0.1:0", "a", -1);
    swarm.nodes[0].options.cluster_key_file = NULL;
    assert_int_equal(swarm_try_start(&swarm, 0, &err), 0);
    assert_null(swarm.nodes[0].node.gossip);
    assert_int_not_equal(access(swarm.nodes[0].state_dir, F_OK), 0);
}

/* ---- streams ---- */

static int dial(unsigned i)
{
    const struct gossip *g = swarm.nodes[i].node.gossip;
    struct sockaddr_storage at;
    socklen_t n = gossip_addr_to(&g->sockets[0].address, &at);
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_true(connect(fd, (const struct sockaddr *)&at, n) == 0 || errno == EINPROGRESS);
    return fd;
}

struct end {
    int fd;
    char bytes[256];
    ssize_t n;
};

static bool has_ended(struct swarm *s, void *arg)
{
    struct end *end = arg;

    (void)s;
    for (;;) {
        ssize_t n = read(end->fd, end->bytes + end->n, sizeof end->bytes - (size_t)end->n);
        if (n <= 0) {
            return n == 0 || errno != EAGAIN;
        }
        end->n += n;
    }
}

static void strangers_are_few_and_short_lived(void **state)
{
    struct end ends[12];

    (void)state;
    start_some(1, "127.0.0.1:0");
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        ends[i] = (struct end){.fd = dial(0)};
    }
    /* Eight of an address are listened to, for five seconds; the others are gone at once. */
    for (size_t i = ARRAY_LEN(ends); i-- > 0;) {
        assert_true(swarm_pump(&swarm, has_ended, &ends[i]));
        assert_int_equal(ends[i].n, 0);
        close(ends[i].fd);
        if (i == 8) {
            assert_int_equal(swarm_metric(&swarm, 0, "packetrecorder_swarm_streams_busy_total"), 4);
            assert_int_equal(swarm_metric(&swarm, 0, "packetrecorder_swarm_streams_slow_total"), 0);
        }
    }
    assert_int_equal(swarm_metric(&swarm, 0, "packetrecorder_swarm_streams_slow_total"), 8);
}

static void what_is_no_channel_is_ended(void **state)
{
    static const char words[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct end end;

    (void)state;
    start_some(1, "127.0.0.1:0");
    end = (struct end){.fd = dial(0)};
    swarm_turns(&swarm, 20);
    assert_int_equal(write(end.fd, words, sizeof words - 1), sizeof words - 1);
    assert_true(swarm_pump(&swarm, has_ended, &end));
    assert_true(end.n <= 1);
    close(end.fd);
    assert_int_equal(swarm_metric(&swarm, 0, "packetrecorder_swarm_streams_refused_total"), 1);
}

static bool has_synced(struct swarm *s, void *arg)
{
    (void)arg;
    return swarm_metric(s, 1, "packetrecorder_swarm_sync_bytes_total") > 0;
}

static void a_newcomer_is_told_all_on_a_stream(void **state)
{
    (void)state;
    start_some(2, "127.0.0.1:0");
    assert_true(swarm_pump(&swarm, has_synced, NULL));
}

static void a_port_that_tcp_does_not_get_ends_the_start(void **state)
{
    struct err err = {0};
    char text[64];

    (void)state;
    start_some(1, "127.0.0.1:0");
    swarm_prepare(&swarm, 1, "127.0.0.1:0", "a", -1);
    gossip_addr_text(&((const struct gossip *)swarm.nodes[0].node.gossip)->sockets[0].address,
                     text);
    snprintf(swarm.nodes[1].gossip_addr, sizeof swarm.nodes[1].gossip_addr, "%s", text);
    assert_int_equal(swarm_try_start(&swarm, 1, &err), ERR_IN_USE);
    assert_non_null(strstr(err.text, "--gossip-addr"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static bool has_time(struct swarm *s, void *arg)
{
    return access(arg, R_OK) == 0 && s != NULL;
}

/* What a killed node had agreed on holds when it is back and alone, unless its clock is kept right
 * by something outside. As if its clock were half a minute ahead of the swarm's. */
static void swarm_time_outlives_a_kill(void **state)
{
    int64_t wanted_ns = clock_is_kept() ? 0 : 30 * INT64_C(1000000000);
    struct gossip_state kept;
    struct gossip_kept_time time;
    struct gossip_clock clock;
    struct err err = {0};
    char path[256];

    (void)state;
    start_some(2, "127.0.0.1:0");
    snprintf(path, sizeof path, "%s/time", swarm.nodes[1].state_dir);
    assert_true(swarm_pump(&swarm, has_time, path));
    swarm_stop(&swarm, 1, false);
    swarm_stop(&swarm, 0, false);
    assert_int_equal(gossip_state_open(swarm.nodes[1].state_dir, &kept, &err), 0);
    assert_true(gossip_state_get_time(&kept, &time));
    time.ahead_ns -= wanted_ns;
    assert_int_equal(gossip_state_put_time(&kept, &time, &err), 0);
    gossip_state_close(&kept);
    swarm_start(&swarm, 1);
    assert_int_equal(gossip_knows_time(swarm.nodes[1].node.gossip), !clock_is_kept());
    assert_true(gossip_clock_get(swarm.nodes[1].node.gossip, NULL, 0, &clock));
    assert_true(llabs(clock.offset_ns - wanted_ns) < 100000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nodes_with_one_key_find_each_other),
        TEST(they_do_so_over_ipv6),
        TEST(who_ends_is_left_and_who_is_killed_is_dead),
        TEST(who_has_left_does_not_spin_on_what_still_comes),
        TEST(a_restart_is_the_same_member_with_its_state_and_another_without),
        TEST(a_key_that_does_not_fit_is_told_and_not_answered),
        TEST(a_copied_state_directory_is_noticed),
        TEST(one_process_has_a_state_directory),
        TEST(a_key_file_that_others_read_is_refused),
        TEST(members_are_the_json_of_the_contract),
        TEST(a_member_is_found_by_name_id_or_its_beginning),
        TEST(two_of_one_name_are_told_apart),
        TEST(a_node_joins_later_when_told_to),
        TEST(a_change_of_interfaces_is_told_and_many_are_told_once),
        TEST(a_name_is_looked_up_off_the_thread),
        TEST(strangers_are_few_and_short_lived),
        TEST(what_is_no_channel_is_ended),
        TEST(a_newcomer_is_told_all_on_a_stream),
        TEST(a_port_that_tcp_does_not_get_ends_the_start),
        TEST(without_a_key_there_is_no_swarm),
        cmocka_unit_test_setup_teardown(swarm_time_outlives_a_kill, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
