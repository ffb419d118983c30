/* SPDX-License-Identifier: Apache-2.0
 *
 * What doctor makes of a host: each fault is planted alone in a host that is well.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/doctor.h"
#include "shared/base/mem.h"

static const char *addresses[] = {"127.0.0.1:8080"};
static struct interface eth0;

static struct node_options options;
static struct doctor_host host;

static int set_up(void **state)
{
    (void)state;
    options = (struct node_options){
        .database = "p.db",
        .min_free_bytes = 256 << 20,
        .http_addrs = {.items = addresses, .n = 1},
        .max_connections = 4096,
        .max_captures = 16,
        .buffer_bytes = 32 << 20,
        .backlog_bytes = 64 << 20,
        .viewer_queue_bytes = 1 << 20,
    };
    eth0 = (struct interface){.name = "eth0",
                              .up = true,
                              .is_device = true,
                              .mtu = 1500,
                              .gro = OFFLOAD_OFF,
                              .lro = OFFLOAD_OFF,
                              .tso = OFFLOAD_OFF};
    host = (struct doctor_host){
        .user = "alice",
        .memory_bytes = 16ULL << 30,
        .tcp_wmem_max = 4 << 20,
        .bpf_jit = 1,
        .descriptors = 65536,
        .has_clock = true,
        .clock_is_synchronised = true,
        .clock_error_us = 500,
        .directory = "/var/lib/p",
        .writer = "alice",
        .is_writable = true,
        .disk_free = 10ULL << 30,
        .disk_size = 100ULL << 30,
        .inodes_free = 1000000,
        .interfaces = {.items = &eth0, .n = 1},
        .ports = {{.text = "127.0.0.1:8080", .option = "http-addr", .addr = {.port = 8080}}},
        .n_ports = 1,
        .daemon = "/usr/bin/packetrecorderd",
        .wireshark = "/usr/bin/wireshark",
        .extcap = "/usr/lib/wireshark/extcap/packetrecorder-extcap",
    };
    return 0;
}

static struct doctor_report look(void)
{
    const struct doctor doctor = {.options = &options, .host = &host};
    struct doctor_report report = {0};

    doctor_run(doctor_checks, &doctor, &report);
    return report;
}

/* Exactly one finding of that state, by that check, with these words and that command. */
static void check_finding(enum doctor_state state, const char *check, const char *words,
                          const char *mend)
{
    struct doctor_report report = look();
    const struct doctor_finding *found = NULL;

    for (size_t i = 0; i < report.n; i++) {
        if (report.items[i].state != DOCTOR_OK) {
            if (found != NULL) {
                fail_msg("also '%s': %s", report.items[i].check, report.items[i].text);
            }
            found = &report.items[i];
        }
    }
    if (found == NULL) {
        fail_msg("nothing found; wanted '%s'", words);
        return;
    }
    assert_string_equal(found->check, check);
    assert_int_equal(found->state, state);
    assert_int_equal(report.n_problems, state == DOCTOR_PROBLEM ? 1 : 0);
    if (strstr(found->text, words) == NULL) {
        fail_msg("no '%s' in '%s'", words, found->text);
    }
    if (mend == NULL) {
        assert_null(found->mend);
    } else {
        assert_string_equal(found->mend, mend);
    }
    doctor_report_deinit(&report);
}

static void a_host_that_is_well_has_nothing_but_ok(void **state)
{
    struct doctor_report report = look();
    size_t checks = 0;

    (void)state;
    for (; doctor_checks[checks].name != NULL; checks++) {
    }
    for (size_t i = 0; i < report.n; i++) {
        if (report.items[i].state != DOCTOR_OK) {
            fail_msg("%s: %s", report.items[i].check, report.items[i].text);
        }
        assert_null(report.items[i].mend);
    }
    assert_true(report.n >= checks);
    assert_int_equal(report.n_problems, 0);
    doctor_report_deinit(&report);
}

static void a_user_that_does_not_exist_is_a_problem(void **state)
{
    (void)state;
    options.user = "nosuch";
    host.no_such_user = true;
    check_finding(DOCTOR_PROBLEM, "rights", "there is no user 'nosuch'",
                  "useradd --system --no-create-home nosuch");
}

static void missing_rights_are_mended_by_setcap(void **state)
{
    (void)state;
    host.packet_errnum = EPERM;
    check_finding(DOCTOR_PROBLEM, "rights", "'alice' may not capture",
                  "sudo setcap cap_net_raw,cap_net_admin+ep /usr/bin/packetrecorderd");
    host.is_root = true;
    check_finding(DOCTOR_PROBLEM, "rights", "the container has no CAP_NET_RAW",
                  "docker run --network host --cap-add NET_RAW --cap-add NET_ADMIN …");
    host.packet_errnum = EAFNOSUPPORT;
    check_finding(DOCTOR_PROBLEM, "rights", "no packet sockets", "modprobe af_packet");
}

static void buffers_that_do_not_fit_are_told(void **state)
{
    (void)state;
    host.ring_errnum = ENOMEM;
    check_finding(DOCTOR_PROBLEM, "buffers", "no capture buffer of 32 MiB",
                  "packetrecorder serve --buffer-size 8MiB");
    host.ring_errnum = 0;
    host.memory_bytes = 1ULL << 30;
    check_finding(DOCTOR_PROBLEM, "buffers", "16 captures may take 1536 MiB",
                  "packetrecorder serve --max-captures 5");
    host.memory_bytes = 100ULL << 20;
    check_finding(DOCTOR_PROBLEM, "buffers", "half of this host's memory",
                  "packetrecorder serve --max-captures 1 --backlog 8MiB");
}

static void kernel_settings_that_cost_packets_are_told(void **state)
{
    (void)state;
    host.softnet_dropped = 7;
    check_finding(DOCTOR_NOTE, "kernel", "dropped 7 packets",
                  "sysctl -w net.core.netdev_max_backlog=10000");
    host.softnet_dropped = UINT64_MAX;
    host.bpf_jit = 0;
    check_finding(DOCTOR_PROBLEM, "kernel", "interpreted", "sysctl -w net.core.bpf_jit_enable=1");
    host.bpf_jit = -1;
    host.tcp_wmem_max = 65536;
    check_finding(DOCTOR_PROBLEM, "kernel", "only 64 KiB on its way",
                  "sysctl -w net.ipv4.tcp_wmem='4096 16384 4194304'");
}

static void too_few_descriptors_are_told(void **state)
{
    (void)state;
    host.descriptors = 4351;
    check_finding(DOCTOR_PROBLEM, "limits", "only 4351 descriptors", "ulimit -n 4352");
}

static void offloads_are_told_of_devices_that_are_up(void **state)
{
    (void)state;
    eth0.gro = OFFLOAD_ON;
    eth0.tso = OFFLOAD_ON;
    check_finding(DOCTOR_PROBLEM, "offloads", "'eth0' joins frames",
                  "ethtool -K eth0 gro off tso off");
    eth0.up = false;
    struct doctor_report report = look();
    assert_int_equal(report.n_problems, 0);
    doctor_report_deinit(&report);
}

static void a_clock_that_is_not_set_is_told(void **state)
{
    (void)state;
    host.clock_is_synchronised = false;
    check_finding(DOCTOR_PROBLEM, "clock", "not synchronised", "timedatectl set-ntp true");
    host.clock_is_synchronised = true;
    host.clock_error_us = 250000;
    check_finding(DOCTOR_PROBLEM, "clock", "wrong by 250 ms", "chronyc makestep");
    host.has_clock = false;
    check_finding(DOCTOR_NOTE, "clock", "does not tell", NULL);
}

static void a_disk_that_cannot_take_packets_is_told(void **state)
{
    (void)state;
    host.disk_free = 100 << 20;
    check_finding(DOCTOR_PROBLEM, "disk", "100 MiB free in '/var/lib/p', less than",
                  "packetrecorder prune -d p.db --max-age 7d");
    host.disk_free = 10ULL << 30;
    host.inodes_free = 3;
    check_finding(DOCTOR_PROBLEM, "disk", "only 3 files more",
                  "packetrecorder prune -d p.db --max-age 7d");
    host.inodes_free = UINT64_MAX;
    options.quota_bytes = 200ULL << 30;
    check_finding(DOCTOR_PROBLEM, "disk", "larger than the disk (100 GiB)",
                  "packetrecorder serve --quota 96636764160");
    options.quota_bytes = 0;
    host.is_in_memory = true;
    check_finding(DOCTOR_NOTE, "disk", "is in memory", NULL);
    host.is_writable = false;
    check_finding(DOCTOR_PROBLEM, "disk", "'alice' cannot write", "chown alice /var/lib/p");
    host.is_read_only = true;
    check_finding(DOCTOR_PROBLEM, "disk", "read-only",
                  "mount -o remount,rw $(findmnt -no TARGET -T /var/lib/p)");
    host.directory_errnum = ENOENT;
    check_finding(DOCTOR_PROBLEM, "disk", "No such file", "mkdir -p /var/lib/p");
}

static void a_port_that_cannot_be_had_is_told(void **state)
{
    (void)state;
    host.ports[0].errnum = EADDRINUSE;
    snprintf(host.ports[0].owner, sizeof host.ports[0].owner, "%s", "nginx (pid 12)");
    check_finding(DOCTOR_PROBLEM, "ports", "is taken by nginx (pid 12)",
                  "ss -ltnp 'sport = :8080'");
    host.ports[0].errnum = EADDRNOTAVAIL;
    check_finding(DOCTOR_PROBLEM, "ports", "no such address", "ip -brief address");
    host.ports[0].errnum = EACCES;
    check_finding(DOCTOR_PROBLEM, "ports", "is for root",
                  "sysctl -w net.ipv4.ip_unprivileged_port_start=8080");
    host.ports[0].errnum = EADDRINUSE;
    host.ports[0].is_ours = true; /* the node itself */
    struct doctor_report report = look();
    assert_int_equal(report.n_problems, 0);
    doctor_report_deinit(&report);
}

static void programs_that_are_not_in_place_are_told(void **state)
{
    (void)state;
    host.extcap[0] = '\0';
    check_finding(DOCTOR_PROBLEM, "wireshark", "is not where it looks",
                  "packetrecorder install-extcap");
    host.wireshark[0] = '\0';
    check_finding(DOCTOR_NOTE, "wireshark", "no Wireshark", NULL);
    snprintf(host.wireshark, sizeof host.wireshark, "%s", "w");
    snprintf(host.extcap, sizeof host.extcap, "%s", "e");
    host.daemon[0] = '\0';
    check_finding(DOCTOR_PROBLEM, "program", "neither beside", "cmake --install build/release");
}

static void what_a_swarm_lacks_is_told_when_one_is_asked_for(void **state)
{
    (void)state;
    host.udp_buffer = 208 << 10;
    host.has_neighbours = true;
    host.neighbours = (struct neighbours){.max = 1024, .entries = 900, .turned_away = 3};
    struct doctor_report report = look();
    assert_int_equal(report.n_problems, 0); /* of no swarm */
    doctor_report_deinit(&report);
    options.cluster_key_file = "k";
    host.neighbours.max = UINT64_MAX;
    host.neighbours.turned_away = 0;
    check_finding(DOCTOR_PROBLEM, "swarm", "receive buffer of 208 KiB",
                  "sysctl -w net.core.rmem_max=4194304");
    host.udp_buffer = 4 << 20;
    host.neighbours.max = 1024;
    check_finding(DOCTOR_PROBLEM, "swarm", "900 of 1024 places",
                  "sysctl -w net.ipv4.neigh.default.gc_thresh2=4096 "
                  "net.ipv4.neigh.default.gc_thresh3=4096 net.ipv6.neigh.default.gc_thresh2=4096 "
                  "net.ipv6.neigh.default.gc_thresh3=4096");
    host.neighbours.entries = 700;
    options.node_name = "a-host-whose-name-is-longer-than-that.example";
    check_finding(DOCTOR_PROBLEM, "swarm", "longer than the 32 letters",
                  "packetrecorder serve --node-name a-host-whose-name-is-longer-than");
    options.node_name = "a";
    report = look();
    assert_int_equal(report.n_problems, 0);
    doctor_report_deinit(&report);
}

static void a_table_of_neighbours_that_was_full_is_a_note(void **state)
{
    (void)state;
    options.cluster_key_file = "k";
    host.udp_buffer = 4 << 20;
    host.has_neighbours = true;
    host.neighbours = (struct neighbours){.max = 512, .entries = 2, .turned_away = 7};
    check_finding(DOCTOR_NOTE, "swarm", "full 7 times",
                  "sysctl -w net.ipv4.neigh.default.gc_thresh2=2048 "
                  "net.ipv4.neigh.default.gc_thresh3=2048 net.ipv6.neigh.default.gc_thresh2=2048 "
                  "net.ipv6.neigh.default.gc_thresh3=2048");
    assert_true(neighbours_are_short(&host.neighbours, 385));
    assert_false(neighbours_are_short(&host.neighbours, 384));
}

static void rules_of_the_options_are_problems_too(void **state)
{
    (void)state;
    addresses[0] = "0.0.0.0:8080";
    check_finding(DOCTOR_PROBLEM, "options", "there is no TLS", "packetrecorder config show");
    addresses[0] = "127.0.0.1:8080";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_host_that_is_well_has_nothing_but_ok, set_up),
        cmocka_unit_test_setup(a_user_that_does_not_exist_is_a_problem, set_up),
        cmocka_unit_test_setup(missing_rights_are_mended_by_setcap, set_up),
        cmocka_unit_test_setup(buffers_that_do_not_fit_are_told, set_up),
        cmocka_unit_test_setup(kernel_settings_that_cost_packets_are_told, set_up),
        cmocka_unit_test_setup(too_few_descriptors_are_told, set_up),
        cmocka_unit_test_setup(offloads_are_told_of_devices_that_are_up, set_up),
        cmocka_unit_test_setup(a_clock_that_is_not_set_is_told, set_up),
        cmocka_unit_test_setup(a_disk_that_cannot_take_packets_is_told, set_up),
        cmocka_unit_test_setup(a_port_that_cannot_be_had_is_told, set_up),
        cmocka_unit_test_setup(programs_that_are_not_in_place_are_told, set_up),
        cmocka_unit_test_setup(what_a_swarm_lacks_is_told_when_one_is_asked_for, set_up),
        cmocka_unit_test_setup(a_table_of_neighbours_that_was_full_is_a_note, set_up),
        cmocka_unit_test_setup(rules_of_the_options_are_problems_too, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
