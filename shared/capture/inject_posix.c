/* SPDX-License-Identifier: Apache-2.0
 *
 * The socket is bound with protocol 0, so that it receives nothing. Ethernet frames tell the kernel
 * their protocol themselves; for bare IP packets it stands in the address of each message.
 */
#include "shared/capture/inject_posix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/interface_device_posix.h"
#include "shared/capture/interfaces_pcap.h"

#define SEND_BUFFER_BYTES (4 * 1024 * 1024)
/* A frame that finds no room for so long is one that the device will not take (the other end of a
 * veth with a smaller MTU says so in this way); an interface that takes none at all has failed. */
#define FRAME_STUCK_NS UINT64_C(100000000)
#define STUCK_NS       UINT64_C(5000000000)
/* A queue that is full drains a frame of 1500 bytes at 1 Gb/s in 12 us. */
#define FULL_WAIT_NS 50000

struct inject {
    int fd;
    char name[IFACE_NAME_MAX];
    int index;
    uint32_t mtu;
    enum sendable_kind kind;
    struct inject_stats stats;
    uint64_t dropped_before;
    uint64_t full_since_ns;                 /* when the last frame found no room; 0 = it did */
    uint64_t frame_since_ns;                /* the same of the frame at hand */
    const atomic_uint_fast64_t *give_up_ns; /* borrowed; NULL = never */
    struct mmsghdr messages[INJECT_BATCH_MAX];
    struct sockaddr_ll addresses[INJECT_BATCH_MAX];
};

/* UINT64_MAX when the platform does not say. */
static uint64_t read_dropped(const char *name)
{
    char path[64 + IFACE_NAME_MAX];
    uint64_t value = UINT64_MAX;

    snprintf(path, sizeof path, "/sys/class/net/%s/statistics/tx_dropped", name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return UINT64_MAX;
    }
    if (fscanf(file, "%" SCNu64, &value) != 1) {
        value = UINT64_MAX;
    }
    fclose(file);
    return value;
}

static int cannot_send(const struct interface *device, struct err *err)
{
    const char *why = device->hardware_type == 772 /* ARPHRD_LOOPBACK */
                          ? "it is the loopback, which would hand the packets to this host itself"
                          : "it transmits neither Ethernet frames nor bare IP packets";

    return err_set(err, ERR_UNSUPPORTED,
                   "cannot replay on '%s': %s; choose another interface with -i, or look at the "
                   "packets with --display-only",
                   device->name, device->is_device ? why : "it is no network device");
}

static int ask_device(struct inject *inject, struct err *err)
{
    struct interface device = {0};

    snprintf(device.name, sizeof device.name, "%s", inject->name);
    interface_device_ask(&device);
    inject->kind =
        device.is_device ? sendable_kind_of_hardware(device.hardware_type) : SENDABLE_NOTHING;
    if (inject->kind == SENDABLE_NOTHING) {
        return cannot_send(&device, err);
    }
    inject->mtu = device.mtu;
    inject->index = (int)if_nametoindex(inject->name);
    return 0;
}

static int no_permission(const char *name, struct err *err)
{
    char program[512];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

    program[n > 0 ? n : 0] = '\0';
    return err_set(err, ERR_PERMISSION,
                   "no permission to send on '%s': it takes the capability CAP_NET_RAW; run as "
                   "root, or once: setcap cap_net_raw,cap_net_admin=eip %s",
                   name, n > 0 ? program : "/path/to/packetrecorder");
}

static int open_socket(struct inject *inject, struct err *err)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = inject->index};
    const int bytes = SEND_BUFFER_BYTES;

    inject->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (inject->fd < 0 && (errno == EPERM || errno == EACCES)) {
        return no_permission(inject->name, err);
    }
    if (inject->fd < 0 || bind(inject->fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        return err_errno(err, errno, "cannot send on '%s'", inject->name);
    }
    if (setsockopt(inject->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0) {
        setsockopt(inject->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    return 0;
}

static int check_is_up(const struct inject *inject, struct err *err)
{
    struct ifreq ifr = {0};

    memcpy(ifr.ifr_name, inject->name, sizeof ifr.ifr_name - 1);
    if (ioctl(inject->fd, SIOCGIFFLAGS, &ifr) == 0 && (ifr.ifr_flags & IFF_UP) == 0) {
        return err_set(err, ERR_CAPTURE, "the interface '%s' is down: ip link set '%s' up",
                       inject->name, inject->name);
    }
    return 0;
}

int inject_open(const char *interface, struct inject **out, struct err *err)
{
    int r = interface_find(interface, err);

    if (r < 0) {
        return r;
    }
    struct inject *inject = x_alloc(sizeof *inject);
    inject->fd = -1;
    snprintf(inject->name, sizeof inject->name, "%s", interface);
    r = ask_device(inject, err);
    r = r < 0 ? r : open_socket(inject, err);
    r = r < 0 ? r : check_is_up(inject, err);
    if (r < 0) {
        inject_close(inject);
        return r;
    }
    inject->dropped_before = read_dropped(inject->name);
    *out = inject;
    return 0;
}

void inject_close(struct inject *inject)
{
    if (inject == NULL) {
        return;
    }
    if (inject->fd >= 0) {
        close(inject->fd);
    }
    mem_free(inject);
}

void inject_give_up_by(struct inject *inject, const atomic_uint_fast64_t *monotonic_ns)
{
    inject->give_up_ns = monotonic_ns;
}

const char *inject_name(const struct inject *inject)
{
    return inject->name;
}

enum sendable_kind inject_kind(const struct inject *inject)
{
    return inject->kind;
}

uint32_t inject_mtu(const struct inject *inject)
{
    return inject->mtu;
}

static void prepare(struct inject *inject, const struct iovec *frames, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct mmsghdr *message = &inject->messages[i];
        struct sockaddr_ll *address = &inject->addresses[i];
        /* sendmsg does not write through the pointer. */
        message->msg_hdr = (struct msghdr){.msg_iov = (struct iovec *)&frames[i], .msg_iovlen = 1};
        if (inject->kind == SENDABLE_IP) {
            const uint8_t *ip = frames[i].iov_base;
            *address = (struct sockaddr_ll){
                .sll_family = AF_PACKET,
                .sll_ifindex = inject->index,
                .sll_protocol = htons(ip[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP),
            };
            message->msg_hdr.msg_name = address;
            message->msg_hdr.msg_namelen = sizeof *address;
        }
    }
}

static void wait_for_room(const struct inject *inject, int errnum)
{
    const struct timespec pause = {.tv_nsec = FULL_WAIT_NS};
    struct pollfd wait = {.fd = inject->fd, .events = POLLOUT};

    /* ENOBUFS is the device's queue, of which poll knows nothing. */
    if (errnum == EAGAIN) {
        poll(&wait, 1, 10);
    } else {
        nanosleep(&pause, NULL);
    }
}

enum failure { FAILURE_FULL, FAILURE_FRAME, FAILURE_SIGNAL, FAILURE_INTERFACE };

static enum failure failure_of(int errnum)
{
    switch (errnum) {
    case ENOBUFS:
    case EAGAIN:
    case ENOMEM:
        return FAILURE_FULL;
    case EMSGSIZE:
    case EINVAL:
        return FAILURE_FRAME;
    case EINTR:
        return FAILURE_SIGNAL;
    default:
        return FAILURE_INTERFACE;
    }
}

static int send_failed(const struct inject *inject, int errnum, struct err *err)
{
    if (errnum == ENETDOWN || errnum == ENXIO || errnum == ENODEV) {
        return err_set(err, ERR_CAPTURE, "the interface '%s' went down", inject->name);
    }
    return err_set(err, ERR_CAPTURE, "cannot send on '%s': %s", inject->name, strerror(errnum));
}

/* ENOBUFS and its like: wait, or leave the frame out, or give up. */
static int handle_full(struct inject *inject, int errnum, uint32_t *n_sent, struct err *err)
{
    uint64_t now_ns = clock_monotonic_ns();

    inject->stats.waits++;
    if (inject->full_since_ns == 0) {
        inject->full_since_ns = now_ns;
        inject->frame_since_ns = now_ns;
    }
    if (inject->give_up_ns != NULL && now_ns >= atomic_load(inject->give_up_ns)) {
        return err_set(err, ERR_LIMIT, "the interface '%s' did not take all packets in time",
                       inject->name);
    }
    if (now_ns - inject->full_since_ns > STUCK_NS) {
        return err_set(err, ERR_CAPTURE, "the interface '%s' took no packet for five seconds",
                       inject->name);
    }
    /* EAGAIN is about what we have sent before, not about this frame. */
    if (errnum != EAGAIN && now_ns - inject->frame_since_ns > FRAME_STUCK_NS) {
        inject->frame_since_ns = now_ns;
        inject->stats.refused++;
        (*n_sent)++;
        return 0;
    }
    wait_for_room(inject, errnum);
    return 0;
}

/* 0: try the rest again, of which a frame may have been left out. */
static int handle_failure(struct inject *inject, int errnum, uint32_t *n_sent, struct err *err)
{
    switch (failure_of(errnum)) {
    case FAILURE_FULL:
        return handle_full(inject, errnum, n_sent, err);
    case FAILURE_FRAME:
        inject->stats.refused++;
        (*n_sent)++;
        return 0;
    case FAILURE_SIGNAL:
        return 0;
    default:
        return send_failed(inject, errnum, err);
    }
}

int inject_send(struct inject *inject, const struct iovec *frames, uint32_t n, uint32_t *n_sent,
                struct err *err)
{
    int r = 0;

    REQUIRE(n <= INJECT_BATCH_MAX);
    prepare(inject, frames, n);
    *n_sent = 0;
    while (*n_sent < n && r == 0) {
        /* Waiting for room is ours: in the kernel it has no end, be the interface as it may. */
        int done = sendmmsg(inject->fd, inject->messages + *n_sent, n - *n_sent, MSG_DONTWAIT);
        if (done <= 0) {
            r = handle_failure(inject, errno, n_sent, err);
            continue;
        }
        inject->full_since_ns = 0;
        inject->stats.sent += (uint64_t)done;
        for (int i = 0; i < done; i++) {
            inject->stats.bytes += frames[(*n_sent)++].iov_len;
        }
    }
    return r;
}

const struct inject_stats *inject_stats(const struct inject *inject)
{
    return &inject->stats;
}

uint64_t inject_dropped(const struct inject *inject)
{
    uint64_t now = read_dropped(inject->name);

    return now == UINT64_MAX || now < inject->dropped_before ? UINT64_MAX
                                                             : now - inject->dropped_before;
}
