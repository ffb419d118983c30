/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/options/node_check.h"

#define CLOCK_ERROR_MAX_US 100000    /* more is not good enough to compare two captures */
#define TCP_WMEM_MIN       (1 << 20) /* below, one viewer on a far link is slow */
#define DESCRIPTORS_BESIDE 256       /* store, captures, loop */
#define INODES_FREE_MIN    1000
#define MEMORY_SHARE       2 /* buffers may take this part of the memory: 1/2 */

void doctor_say(struct doctor_report *report, enum doctor_state state, const char *mend,
                const char *fmt, ...)
{
    struct err err;
    va_list ap;

    va_start(ap, fmt);
    err_vset(&err, 0, fmt, ap);
    va_end(ap);
    report->items = x_realloc(report->items, (report->n + 1) * sizeof *report->items);
    report->items[report->n++] = (struct doctor_finding){
        .check = report->check,
        .state = state,
        .text = x_strdup(err.text),
        .mend = mend == NULL ? NULL : x_strdup(mend),
    };
    report->n_problems += state == DOCTOR_PROBLEM ? 1 : 0;
}

void doctor_report_deinit(struct doctor_report *report)
{
    for (size_t i = 0; i < report->n; i++) {
        mem_free(report->items[i].text);
        mem_free(report->items[i].mend);
    }
    mem_free(report->items);
    *report = (struct doctor_report){0};
}

void doctor_run(const struct doctor_check *checks, const struct doctor *doctor,
                struct doctor_report *report)
{
    for (; checks->name != NULL; checks++) {
        report->check = checks->name;
        checks->run(doctor, report);
    }
}

static void say_rule(void *arg, const char *option, const char *text)
{
    doctor_say(arg, DOCTOR_PROBLEM, "packetrecorder config show", "--%s: %s", option, text);
}

static void check_options(const struct doctor *doctor, struct doctor_report *report)
{
    if (node_options_check(doctor->options, say_rule, report) == 0) {
        doctor_say(report, DOCTOR_OK, NULL, "the options of the node fit together");
    }
}

static void check_program(const struct doctor *doctor, struct doctor_report *report)
{
    if (doctor->host->daemon[0] == '\0') {
        doctor_say(report, DOCTOR_PROBLEM, "cmake --install build/release",
                   "packetrecorderd is neither beside packetrecorder nor in PATH: 'serve' and "
                   "'sniff' cannot run");
    } else {
        doctor_say(report, DOCTOR_OK, NULL, "packetrecorderd is '%s'", doctor->host->daemon);
    }
}

static void check_rights(const struct doctor *doctor, struct doctor_report *report)
{
    const struct doctor_host *host = doctor->host;
    char mend[8192];

    if (host->no_such_user) {
        snprintf(mend, sizeof mend, "useradd --system --no-create-home %s", doctor->options->user);
        doctor_say(report, DOCTOR_PROBLEM, mend, "there is no user '%s': the node does not start",
                   doctor->options->user);
    }
    if (host->packet_errnum == 0) {
        doctor_say(report, DOCTOR_OK, NULL, "'%s' may capture", host->user);
        return;
    }
    if (host->packet_errnum != EPERM && host->packet_errnum != EACCES) {
        doctor_say(report, DOCTOR_PROBLEM, "modprobe af_packet",
                   "the kernel gives no packet sockets: %s", strerror(host->packet_errnum));
        return;
    }
    if (host->is_root) {
        snprintf(mend, sizeof mend, "%s",
                 "docker run --network host --cap-add NET_RAW --cap-add NET_ADMIN …");
    } else {
        snprintf(mend, sizeof mend, "sudo setcap cap_net_raw,cap_net_admin+ep %s",
                 host->daemon[0] != '\0' ? host->daemon : "packetrecorderd");
    }
    doctor_say(report, DOCTOR_PROBLEM, mend,
               host->is_root ? "'%s' may not capture: the container has no CAP_NET_RAW"
                             : "'%s' may not capture: no CAP_NET_RAW (the service has it)",
               host->user);
}

/* A kernel ring for each capture, and a backlog for each stream. */
static void check_buffers(const struct doctor *doctor, struct doctor_report *report)
{
    const struct node_options *options = doctor->options;
    const struct doctor_host *host = doctor->host;
    size_t before = report->n;
    char size[TEXT_NUMBER_MAX];
    char all[TEXT_NUMBER_MAX];
    char memory[TEXT_NUMBER_MAX];

    text_format_size(options->buffer_bytes, size);
    if (host->ring_errnum != 0) {
        doctor_say(report, DOCTOR_PROBLEM, "packetrecorder serve --buffer-size 8MiB",
                   "the kernel gives no capture buffer of %s: %s", size,
                   strerror(host->ring_errnum));
    }
    uint64_t one = options->buffer_bytes + options->backlog_bytes;
    uint64_t need = options->max_captures * one;
    if (host->memory_bytes > 0 && need / options->max_captures == one &&
        need > host->memory_bytes / MEMORY_SHARE) {
        uint64_t fit = host->memory_bytes / MEMORY_SHARE / one;
        char mend[96];
        snprintf(mend, sizeof mend, "packetrecorder serve --max-captures %llu%s",
                 (unsigned long long)(fit > 0 ? fit : 1), fit > 0 ? "" : " --backlog 8MiB");
        text_format_size(need, all);
        text_format_size(host->memory_bytes, memory);
        doctor_say(report, DOCTOR_PROBLEM, mend,
                   "%llu captures may take %s, more than half of this host's memory (%s)",
                   (unsigned long long)options->max_captures, all, memory);
    }
    if (report->n == before) {
        doctor_say(report, DOCTOR_OK, NULL, "capture buffers of %s fit", size);
    }
}

static void check_kernel(const struct doctor *doctor, struct doctor_report *report)
{
    const struct doctor_host *host = doctor->host;
    size_t before = report->n;
    char size[TEXT_NUMBER_MAX];

    if (host->softnet_dropped != UINT64_MAX && host->softnet_dropped > 0) {
        doctor_say(report, DOCTOR_NOTE, "sysctl -w net.core.netdev_max_backlog=10000",
                   "since boot the kernel has dropped %llu packets before any capture saw them",
                   (unsigned long long)host->softnet_dropped);
    }
    if (host->bpf_jit == 0) {
        doctor_say(report, DOCTOR_PROBLEM, "sysctl -w net.core.bpf_jit_enable=1",
                   "filters are interpreted (net.core.bpf_jit_enable is 0), which costs packets");
    }
    if (host->tcp_wmem_max < TCP_WMEM_MIN) {
        text_format_size(host->tcp_wmem_max, size);
        doctor_say(report, DOCTOR_PROBLEM, "sysctl -w net.ipv4.tcp_wmem='4096 16384 4194304'",
                   "a connection may hold only %s on its way: viewers far away are slow", size);
    }
    if (report->n == before) {
        doctor_say(report, DOCTOR_OK, NULL, "filters are compiled, connections have room");
    }
}

static void check_limits(const struct doctor *doctor, struct doctor_report *report)
{
    uint64_t need = doctor->options->max_connections + DESCRIPTORS_BESIDE;
    char mend[128];

    if (doctor->host->descriptors >= need) {
        doctor_say(report, DOCTOR_OK, NULL, "%llu descriptors are enough for %llu connections",
                   (unsigned long long)doctor->host->descriptors,
                   (unsigned long long)doctor->options->max_connections);
        return;
    }
    snprintf(mend, sizeof mend, "ulimit -n %llu", (unsigned long long)need);
    doctor_say(report, DOCTOR_PROBLEM, mend,
               "only %llu descriptors for %llu connections (the service sets LimitNOFILE=)",
               (unsigned long long)doctor->host->descriptors,
               (unsigned long long)doctor->options->max_connections);
}

static void check_offloads(const struct doctor *doctor, struct doctor_report *report)
{
    const struct interface_list *list = &doctor->host->interfaces;
    size_t before = report->n;

    for (size_t i = 0; i < list->n; i++) {
        const struct interface *one = &list->items[i];
        char texts[INTERFACE_WARNINGS_MAX][INTERFACE_WARNING_MAX];
        char mend[256];
        size_t n = one->up && one->is_device && !one->loopback ? interface_warnings(one, texts) : 0;
        if (n == 0) {
            continue;
        }
        snprintf(mend, sizeof mend, "ethtool -K %s%s%s%s", one->name,
                 one->gro == OFFLOAD_ON ? " gro off" : "", one->lro == OFFLOAD_ON ? " lro off" : "",
                 one->tso == OFFLOAD_ON ? " tso off" : "");
        doctor_say(report, DOCTOR_PROBLEM, mend,
                   "'%s' joins frames (%s%s%s%s): a capture shows some that are larger than the "
                   "MTU of %u and never were on the wire",
                   one->name, one->gro == OFFLOAD_ON ? "GRO " : "",
                   one->lro == OFFLOAD_ON ? "LRO " : "", one->tso == OFFLOAD_ON ? "TSO " : "", "on",
                   one->mtu);
    }
    if (report->n == before) {
        doctor_say(report, DOCTOR_OK, NULL, "no interface joins frames");
    }
}

static void check_clock(const struct doctor *doctor, struct doctor_report *report)
{
    const struct doctor_host *host = doctor->host;

    if (!host->has_clock) {
        doctor_say(report, DOCTOR_NOTE, NULL, "the kernel does not tell how good the clock is");
    } else if (!host->clock_is_synchronised) {
        doctor_say(report, DOCTOR_PROBLEM, "timedatectl set-ntp true",
                   "the clock is not synchronised: times cannot be compared with other hosts'");
    } else if (host->clock_error_us > CLOCK_ERROR_MAX_US) {
        doctor_say(report, DOCTOR_PROBLEM, "chronyc makestep", "the clock may be wrong by %llu ms",
                   (unsigned long long)(host->clock_error_us / 1000));
    } else {
        doctor_say(report, DOCTOR_OK, NULL, "the clock is right to %llu us",
                   (unsigned long long)host->clock_error_us);
    }
}

static bool check_directory(const struct doctor_host *host, struct doctor_report *report)
{
    char mend[8300];

    if (host->directory_errnum != 0) {
        snprintf(mend, sizeof mend, "mkdir -p %s", host->directory);
        doctor_say(report, DOCTOR_PROBLEM, mend, "the store's place '%s': %s", host->directory,
                   strerror(host->directory_errnum));
        return false;
    }
    if (host->is_read_only) {
        snprintf(mend, sizeof mend, "mount -o remount,rw $(findmnt -no TARGET -T %s)",
                 host->directory);
        doctor_say(report, DOCTOR_PROBLEM, mend, "'%s' is on a file system that is read-only",
                   host->directory);
        return false;
    }
    if (!host->is_writable) {
        snprintf(mend, sizeof mend, "chown %s %s", host->writer, host->directory);
        doctor_say(report, DOCTOR_PROBLEM, mend, "'%s' cannot write into '%s'", host->writer,
                   host->directory);
        return false;
    }
    return true;
}

static void check_disk(const struct doctor *doctor, struct doctor_report *report)
{
    const struct node_options *options = doctor->options;
    const struct doctor_host *host = doctor->host;
    char free_text[TEXT_NUMBER_MAX];
    char want[TEXT_NUMBER_MAX];
    char mend[4400];
    size_t before = report->n;

    if (!check_directory(host, report)) {
        return;
    }
    text_format_size(host->disk_free, free_text);
    text_format_size(options->min_free_bytes, want);
    snprintf(mend, sizeof mend, "packetrecorder prune -d %s --max-age 7d", options->database);
    if (host->disk_free < options->min_free_bytes) {
        doctor_say(report, DOCTOR_PROBLEM, mend, "%s free in '%s', less than --min-free (%s)",
                   free_text, host->directory, want);
    }
    if (host->inodes_free < INODES_FREE_MIN) {
        doctor_say(report, DOCTOR_PROBLEM, mend, "only %llu files more fit into '%s'",
                   (unsigned long long)host->inodes_free, host->directory);
    }
    if (options->quota_bytes > host->disk_size) {
        text_format_size(host->disk_size, want);
        snprintf(mend, sizeof mend, "packetrecorder serve --quota %llu",
                 (unsigned long long)(host->disk_size / 10 * 9));
        doctor_say(report, DOCTOR_PROBLEM, mend, "the quota is larger than the disk (%s)", want);
    }
    if (host->is_in_memory) {
        doctor_say(report, DOCTOR_NOTE, NULL,
                   "'%s' is in memory: the store is gone after a restart of the host",
                   host->directory);
    }
    if (report->n == before) {
        doctor_say(report, DOCTOR_OK, NULL, "%s free in '%s'", free_text, host->directory);
    }
}

static void check_port(const struct doctor_port *port, struct doctor_report *report)
{
    char mend[128];

    snprintf(mend, sizeof mend, "ss -ltnp 'sport = :%u'", port->addr.port);
    switch (port->errnum) {
    case 0:
        doctor_say(report, DOCTOR_OK, NULL, "'%s' is free", port->text);
        break;
    case EADDRINUSE:
        doctor_say(report, port->is_ours ? DOCTOR_OK : DOCTOR_PROBLEM, port->is_ours ? NULL : mend,
                   "'%s' is taken by %s", port->text,
                   port->owner[0] != '\0' ? port->owner : "another program");
        break;
    case EACCES:
        snprintf(mend, sizeof mend, "sysctl -w net.ipv4.ip_unprivileged_port_start=%u",
                 port->addr.port);
        doctor_say(report, DOCTOR_PROBLEM, mend,
                   "'%s': a port this low is for root (start as root with --user), or the border "
                   "must be lowered",
                   port->text);
        break;
    case EADDRNOTAVAIL:
        doctor_say(report, DOCTOR_PROBLEM, "ip -brief address",
                   "'%s': this host has no such address", port->text);
        break;
    default:
        doctor_say(report, DOCTOR_PROBLEM, mend, "'%s': %s", port->text, strerror(port->errnum));
        break;
    }
}

static void check_ports(const struct doctor *doctor, struct doctor_report *report)
{
    for (size_t i = 0; i < doctor->host->n_ports; i++) {
        check_port(&doctor->host->ports[i], report);
    }
}

static void check_wireshark(const struct doctor *doctor, struct doctor_report *report)
{
    const struct doctor_host *host = doctor->host;

    if (host->wireshark[0] == '\0') {
        doctor_say(report, DOCTOR_NOTE, NULL, "no Wireshark on this host, so none to be served");
    } else if (host->extcap[0] == '\0') {
        doctor_say(report, DOCTOR_PROBLEM, "packetrecorder install-extcap",
                   "Wireshark ('%s') does not list the interfaces of nodes: packetrecorder-extcap "
                   "is not where it looks",
                   host->wireshark);
    } else {
        doctor_say(report, DOCTOR_OK, NULL, "Wireshark finds '%s'", host->extcap);
    }
}

const struct doctor_check doctor_checks[] = {
    {"options", check_options},
    {"program", check_program},
    {"rights", check_rights},
    {"buffers", check_buffers},
    {"kernel", check_kernel},
    {"limits", check_limits},
    {"offloads", check_offloads},
    {"clock", check_clock},
    {"disk", check_disk},
    {"ports", check_ports},
    {"swarm", doctor_check_swarm},
    {"wireshark", check_wireshark},
    {NULL, NULL},
};
