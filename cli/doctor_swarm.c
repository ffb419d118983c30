/* SPDX-License-Identifier: Apache-2.0
 *
 * What the host lacks to be a good member of a swarm. Who is a member only the node knows: 'manage
 * doctor' asks it.
 */
#include "cli/doctor.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/swarm/swim_meta.h"

static void check_buffer(const struct doctor_host *host, struct doctor_report *report)
{
    char size[TEXT_NUMBER_MAX];

    if (host->udp_buffer < DOCTOR_UDP_BUFFER) {
        text_format_size(host->udp_buffer, size);
        doctor_say(report, DOCTOR_PROBLEM, "sysctl -w net.core.rmem_max=4194304",
                   "the kernel gives gossip a receive buffer of %s and not 4 MiB: a burst of "
                   "datagrams is lost (the service has CAP_NET_ADMIN, for which no limit counts)",
                   size);
    }
}

static void check_table(const struct doctor_host *host, struct doctor_report *report)
{
    const struct neighbours *table = &host->neighbours;
    char mend[256];

    if (!host->has_neighbours) {
        return; /* in a network namespace: the host's matter */
    }
    unsigned long long more = 4ULL * table->max;
    snprintf(mend, sizeof mend,
             "sysctl -w net.ipv4.neigh.default.gc_thresh2=%llu net.ipv4.neigh.default.gc_thresh3="
             "%llu net.ipv6.neigh.default.gc_thresh2=%llu net.ipv6.neigh.default.gc_thresh3=%llu",
             more, more, more, more);
    if (neighbours_are_short(table, 0)) {
        doctor_say(report, DOCTOR_PROBLEM, mend,
                   "%llu of %llu places in the kernel's table of neighbours are taken: datagrams "
                   "to members that find none are dropped",
                   (unsigned long long)table->entries, (unsigned long long)table->max);
    } else if (table->turned_away > 0) {
        doctor_say(report, DOCTOR_NOTE, mend,
                   "the kernel's table of neighbours (%llu places) has been full %llu times since "
                   "the host began: packets to new neighbours were dropped",
                   (unsigned long long)table->max, (unsigned long long)table->turned_away);
    }
}

void doctor_check_swarm(const struct doctor *doctor, struct doctor_report *report)
{
    const struct node_options *options = doctor->options;
    size_t before = report->n;

    if (options->cluster_key_file == NULL) {
        doctor_say(report, DOCTOR_OK, NULL, "no swarm: the node works alone");
        return;
    }
    check_buffer(doctor->host, report);
    check_table(doctor->host, report);
    if (options->node_name != NULL && strlen(options->node_name) > SWIM_META_NAME_MAX) {
        char mend[128];
        snprintf(mend, sizeof mend, "packetrecorder serve --node-name %.*s", SWIM_META_NAME_MAX,
                 options->node_name);
        doctor_say(report, DOCTOR_PROBLEM, mend,
                   "the name '%s' is longer than the %d letters that other members are told",
                   options->node_name, SWIM_META_NAME_MAX);
    }
    if (report->n == before) {
        doctor_say(report, DOCTOR_OK, NULL, "the host has room for a swarm's datagrams%s",
                   options->join.n == 0 ? "; without --join the node waits to be found" : "");
    }
}
