/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything here asks and undoes: sockets are closed, rings given back, nothing is written.
 */
#include "cli/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/magic.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli/doctor_owner_posix.h"
#include "shared/base/mem.h"

#define RING_BLOCK_BYTES (1 << 20)
#define RING_FRAME_BYTES 2048

/* The ring that a capture would ask for, on a socket that is bound to nothing. */
static int try_ring(int fd, uint64_t bytes)
{
    int version = TPACKET_V3;
    unsigned blocks = (unsigned)(bytes / RING_BLOCK_BYTES);
    struct tpacket_req3 ring = {
        .tp_block_size = RING_BLOCK_BYTES,
        .tp_block_nr = blocks > 0 ? blocks : 1,
        .tp_frame_size = RING_FRAME_BYTES,
        .tp_frame_nr = (blocks > 0 ? blocks : 1) * (RING_BLOCK_BYTES / RING_FRAME_BYTES),
    };

    if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) < 0) {
        return errno;
    }
    return 0;
}

static void look_at_rights(const struct node_options *options, struct doctor_host *host)
{
    const struct passwd *entry = getpwuid(geteuid());
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    host->is_root = geteuid() == 0;
    snprintf(host->user, sizeof host->user, "%s", entry != NULL ? entry->pw_name : "this user");
    host->no_such_user = options->user != NULL && getpwnam(options->user) == NULL;
    if (fd < 0) {
        host->packet_errnum = errno;
        return;
    }
    host->ring_errnum = try_ring(fd, options->buffer_bytes);
    close(fd);
}

/* The nth number (from 0) of the first line; UINT64_MAX when it is not there. */
static uint64_t read_number(const char *path, unsigned nth)
{
    FILE *file = fopen(path, "re");
    unsigned long long value = 0;

    if (file == NULL) {
        return UINT64_MAX;
    }
    for (unsigned i = 0; i <= nth; i++) {
        if (fscanf(file, "%llu", &value) != 1) {
            fclose(file);
            return UINT64_MAX;
        }
    }
    fclose(file);
    return value;
}

/* The second column, hexadecimal, a line each processor. */
static uint64_t read_softnet(void)
{
    FILE *file = fopen("/proc/net/softnet_stat", "re");
    char line[512];
    uint64_t sum = 0;

    if (file == NULL) {
        return UINT64_MAX;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        char *end;
        (void)strtoull(line, &end, 16);
        sum += strtoull(end, NULL, 16);
    }
    fclose(file);
    return sum;
}

static void look_at_kernel(struct doctor_host *host)
{
    struct sysinfo info;
    struct rlimit limit;
    struct timex clock = {0};

    uint64_t jit = read_number("/proc/sys/net/core/bpf_jit_enable", 0);
    host->bpf_jit = jit == UINT64_MAX ? -1 : (int)jit;
    host->softnet_dropped = read_softnet();
    host->tcp_wmem_max = read_number("/proc/sys/net/ipv4/tcp_wmem", 2);
    host->memory_bytes = sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : 0;
    host->descriptors = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : 0;
    int state = adjtimex(&clock);
    host->has_clock = state >= 0;
    host->clock_is_synchronised =
        state >= 0 && state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
    host->clock_error_us = (uint64_t)(clock.esterror > 0 ? clock.esterror : 0);
}

/* Whether a user may make files there, by owner, group and mode; root always may. */
static bool may_write(const struct stat *st, const struct passwd *user)
{
    if (user->pw_uid == 0) {
        return true;
    }
    if (st->st_uid == user->pw_uid) {
        return (st->st_mode & S_IWUSR) != 0 && (st->st_mode & S_IXUSR) != 0;
    }
    if (st->st_gid == user->pw_gid) {
        return (st->st_mode & S_IWGRP) != 0 && (st->st_mode & S_IXGRP) != 0;
    }
    return (st->st_mode & S_IWOTH) != 0 && (st->st_mode & S_IXOTH) != 0;
}

static void look_at_disk(const struct node_options *options, struct doctor_host *host)
{
    const char *slash = strrchr(options->database, '/');
    struct statvfs fs;
    struct statfs kind;
    struct stat st;

    snprintf(host->directory, sizeof host->directory, "%.*s",
             slash == NULL ? 1 : (int)(slash - options->database + (slash == options->database)),
             slash == NULL ? "." : options->database);
    snprintf(host->writer, sizeof host->writer, "%s",
             options->user != NULL ? options->user : host->user);
    if (stat(host->directory, &st) < 0 || statvfs(host->directory, &fs) < 0 ||
        statfs(host->directory, &kind) < 0) {
        host->directory_errnum = errno;
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        host->directory_errnum = ENOTDIR;
        return;
    }
    const struct passwd *user = options->user == NULL ? NULL : getpwnam(options->user);
    host->is_writable = user != NULL
                            ? may_write(&st, user)
                            : faccessat(AT_FDCWD, host->directory, W_OK | X_OK, AT_EACCESS) == 0;
    host->is_read_only = (fs.f_flag & ST_RDONLY) != 0;
    host->is_in_memory = kind.f_type == TMPFS_MAGIC || kind.f_type == RAMFS_MAGIC;
    host->disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
    host->disk_size = (uint64_t)fs.f_blocks * fs.f_frsize;
    host->inodes_free = fs.f_files == 0 ? UINT64_MAX : fs.f_favail;
}

/* errno of binding, 0 when it is free. */
static int try_bind(const struct addrinfo *at, int type)
{
    int yes = 1;
    int fd = socket(at->ai_family, type | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return errno == EAFNOSUPPORT ? 0 : errno;
    }
    if (type == SOCK_STREAM) { /* two UDP sockets would share the port */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    }
    if (at->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    }
    int errnum =
        bind(fd, at->ai_addr, at->ai_addrlen) < 0 || (type == SOCK_STREAM && listen(fd, 1) < 0)
            ? errno
            : 0;
    close(fd);
    return errnum;
}

static void look_at_port(struct doctor_port *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char number[8];

    snprintf(number, sizeof number, "%u", (unsigned)port->addr.port);
    if (getaddrinfo(port->addr.host[0] == '\0' ? NULL : port->addr.host, number, &hints, &found) !=
        0) {
        port->errnum = EADDRNOTAVAIL;
        return;
    }
    for (const struct addrinfo *at = found; at != NULL && port->errnum == 0; at = at->ai_next) {
        port->errnum = try_bind(at, SOCK_STREAM);
        if (port->errnum == 0 && port->is_udp) {
            port->errnum = try_bind(at, SOCK_DGRAM);
        }
    }
    freeaddrinfo(found);
    if (port->errnum == EADDRINUSE) {
        port->is_ours = doctor_port_owner(port->addr.port, port->owner, sizeof port->owner);
    }
}

/* One that cannot be understood is told by the check of the options. */
static void look_at_ports(const struct option_list *addrs, const char *option, bool is_udp,
                          struct doctor_host *host)
{
    for (size_t i = 0; i < addrs->n && host->n_ports < DOCTOR_PORTS_MAX; i++) {
        struct doctor_port *port = &host->ports[host->n_ports];
        char *text = x_sprintf("%.*s", (int)strcspn(addrs->items[i], "="), addrs->items[i]);
        *port = (struct doctor_port){.text = addrs->items[i], .option = option, .is_udp = is_udp};
        if (listen_addr_parse(text, &port->addr, NULL) == 0) {
            look_at_port(port);
            host->n_ports++;
        }
        mem_free(text);
    }
}

/* The buffer that gossip asks for (node/gossip_socket_posix.h): with CAP_NET_ADMIN the host's limit
 * does not count. */
static uint64_t try_udp_buffer(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int bytes = (int)DOCTOR_UDP_BUFFER;
    socklen_t n = sizeof bytes;

    if (fd < 0) {
        return UINT64_MAX;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    bool good = getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &n) == 0;
    close(fd);
    return good ? (uint64_t)bytes / 2 : UINT64_MAX; /* the kernel tells twice of it */
}

static void look_at_swarm(const struct node_options *options, struct doctor_host *host)
{
    host->udp_buffer = UINT64_MAX;
    if (options->cluster_key_file == NULL) {
        return;
    }
    host->udp_buffer = try_udp_buffer();
    host->has_neighbours = neighbours_read(&host->neighbours);
    look_at_ports(&options->gossip_addrs, "gossip-addr", true, host);
}

void doctor_look(const struct node_options *options, struct doctor_host *out)
{
    *out = (struct doctor_host){0};
    look_at_rights(options, out);
    look_at_kernel(out);
    look_at_disk(options, out);
    look_at_ports(&options->http_addrs, "http-addr", false, out);
    look_at_ports(&options->pcapng_listen, "pcapng-listen", false, out);
    look_at_ports(&options->rpc_addrs, "rpc-addr", false, out);
    look_at_swarm(options, out);
    (void)interfaces_read(&out->interfaces, NULL);
    doctor_find_programs(out);
}

void doctor_host_deinit(struct doctor_host *host)
{
    interfaces_free(&host->interfaces);
}
