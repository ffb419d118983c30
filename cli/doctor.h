/* SPDX-License-Identifier: Apache-2.0
 *
 * What `doctor` looks for: one record a check. The host is looked at once (doctor_host_posix.c),
 * the checks that follow from that are pure (doctor_checks.c), those that try something for real
 * (the store, keys, certificate) are in doctor_try.c. Each finding that is a problem says the
 * command that mends it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/neighbours_posix.h"
#include "shared/capture/interfaces_pcap.h"
#include "shared/options/listen_addr.h"
#include "shared/options/node_options.h"

enum doctor_state {
    DOCTOR_OK,
    DOCTOR_NOTE,    /* worth knowing; nothing wrong */
    DOCTOR_PROBLEM, /* exit 1 */
};

struct doctor_finding {
    const char *check; /* its name */
    enum doctor_state state;
    char *text; /* owned */
    char *mend; /* a command, or NULL; owned */
};

struct doctor_report {
    const char *check; /* that is running */
    struct doctor_finding *items;
    size_t n;
    size_t n_problems;
};

/* `mend` is copied; NULL where nothing needs mending. */
void doctor_say(struct doctor_report *report, enum doctor_state state, const char *mend,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void doctor_report_deinit(struct doctor_report *report);

/* An address to listen on, as the host answers to it. */
struct doctor_port {
    const char *text;   /* as configured; borrowed */
    const char *option; /* "http-addr" */
    bool is_udp;        /* by UDP as well as TCP */
    struct listen_addr addr;
    int errnum;      /* of bind(), 0 = free, EADDRINUSE … */
    char owner[128]; /* "packetrecorderd (pid 12)"; "" = not known */
    bool is_ours;    /* the owner is a node */
};

#define DOCTOR_PORTS_MAX  64
#define DOCTOR_UDP_BUFFER (4u << 20) /* wanted by a socket of the swarm */

struct doctor_host {
    bool is_root;
    char user[64];
    bool no_such_user; /* --user names nobody */
    int packet_errnum; /* of a packet socket; 0 = may capture */
    int ring_errnum;   /* of a kernel ring of --buffer-size; 0 = fits, or not tried */
    uint64_t memory_bytes;
    uint64_t softnet_dropped; /* since boot; UINT64_MAX = not known */
    uint64_t tcp_wmem_max;    /* UINT64_MAX = not known */
    int bpf_jit;              /* -1 = not known */
    uint64_t descriptors;     /* RLIMIT_NOFILE, hard */
    uint64_t udp_buffer;      /* that a socket of the swarm gets; UINT64_MAX: not tried */
    bool has_neighbours;
    struct neighbours neighbours;
    bool has_clock;
    bool clock_is_synchronised;
    uint64_t clock_error_us;
    char directory[4096]; /* of the store */
    int directory_errnum; /* of looking at it */
    bool is_writable;     /* by whoever will run the node */
    char writer[64];      /* who that is */
    bool is_read_only;    /* the file system */
    bool is_in_memory;
    uint64_t disk_free;
    uint64_t disk_size;
    uint64_t inodes_free; /* UINT64_MAX = the file system counts none */
    struct interface_list interfaces;
    struct doctor_port ports[DOCTOR_PORTS_MAX];
    size_t n_ports;
    char daemon[4096];    /* packetrecorderd; "" = not found */
    char wireshark[4096]; /* wireshark or tshark; "" = not installed */
    char extcap[4096];    /* packetrecorder-extcap in a place that Wireshark looks at; "" = none */
};

struct doctor {
    const struct node_options *options;
    const struct doctor_host *host;
};

struct doctor_check {
    const char *name;
    void (*run)(const struct doctor *doctor, struct doctor_report *report);
};

extern const struct doctor_check doctor_checks[]; /* ends with a NULL name; pure */
extern const struct doctor_check doctor_tries[];  /* likewise */

void doctor_check_swarm(const struct doctor *doctor,
                        struct doctor_report *report); /* one of them */

/* Looks at the host as the options would use it. Nothing is changed. */
void doctor_look(const struct node_options *options, struct doctor_host *out);
void doctor_host_deinit(struct doctor_host *host);

/* Runs them in order. */
void doctor_run(const struct doctor_check *checks, const struct doctor *doctor,
                struct doctor_report *report);
