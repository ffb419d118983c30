/* SPDX-License-Identifier: Apache-2.0 */
#include "node/gossip_socket_posix.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/addr.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

#define SNDBUF (1u << 20)

/* ---- addresses ---- */

bool gossip_addr_from(const struct sockaddr *from, struct swim_addr *out)
{
    *out = (struct swim_addr){0};
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)from;
        memcpy(out->ip, &v4->sin_addr, 4);
        out->port = ntohs(v4->sin_port);
        out->family = 4;
        return true;
    }
    if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)from;
        memcpy(out->ip, &v6->sin6_addr, 16);
        out->port = ntohs(v6->sin6_port);
        out->family = 6;
        return true;
    }
    return false;
}

socklen_t gossip_addr_to(const struct swim_addr *from, struct sockaddr_storage *out)
{
    *out = (struct sockaddr_storage){0};
    if (from->family == 4) {
        struct sockaddr_in *v4 = (void *)out;
        v4->sin_family = AF_INET;
        v4->sin_port = htons(from->port);
        memcpy(&v4->sin_addr, from->ip, 4);
        return sizeof *v4;
    }
    struct sockaddr_in6 *v6 = (void *)out;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(from->port);
    memcpy(&v6->sin6_addr, from->ip, 16);
    return sizeof *v6;
}

void gossip_addr_text(const struct swim_addr *addr, char out[GOSSIP_ADDR_TEXT])
{
    char ip[ADDR_TEXT_MAX] = "";

    if (addr->family == 4) {
        addr_ipv4_text(addr->ip, ip);
        snprintf(out, GOSSIP_ADDR_TEXT, "%s:%u", ip, (unsigned)addr->port);
    } else {
        addr_ipv6_text(addr->ip, ip);
        snprintf(out, GOSSIP_ADDR_TEXT, "[%s]:%u", ip, (unsigned)addr->port);
    }
}

/* ---- opening ---- */

static void set_int(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

/* With the right to administrate networks the host's limit does not count. */
static void make_room(struct gossip_socket *s)
{
    int got = 0;
    socklen_t n = sizeof got;
    int want = (int)GOSSIP_RCVBUF;

    if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &want, sizeof want) < 0) {
        set_int(s->fd, SOL_SOCKET, SO_RCVBUF, want);
    }
    set_int(s->fd, SOL_SOCKET, SO_SNDBUF, (int)SNDBUF);
    if (getsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &got, &n) == 0) {
        s->rcvbuf = (uint32_t)got / 2; /* the kernel tells twice of it, for its own records */
    }
}

static void set_up(struct gossip_socket *s)
{
    make_room(s);
    set_int(s->fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    set_int(s->fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    /* Of what is sent, where it is asked for; without the datagram itself. */
    set_int(s->fd, SOL_SOCKET, SO_TIMESTAMPING,
            SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY);
    set_int(s->fd, SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1);
    if (s->family == 4) {
        set_int(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO);
    } else {
        set_int(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
    }
}

static bool is_zero(const struct swim_addr *addr)
{
    static const uint8_t none[16];

    return memcmp(addr->ip, none, addr->family == 4 ? 4 : 16) == 0;
}

bool gossip_addr_is_loopback(const struct swim_addr *addr)
{
    static const uint8_t one[16] = {[15] = 1};

    return addr->family == 4 ? addr->ip[0] == 127 : memcmp(addr->ip, one, 16) == 0;
}

static int refuse(struct gossip_socket *s, int errnum, const char *text, struct err *err)
{
    if (s->fd >= 0) {
        close(s->fd);
    }
    s->fd = -1;
    switch (errnum) {
    case EADDRINUSE:
        return err_set(err, ERR_IN_USE,
                       "cannot listen on %s (UDP): another program has the port; see who with "
                       "'ss -lunp', or choose another with --gossip-addr",
                       text);
    case EADDRNOTAVAIL:
        return err_set(err, ERR_USAGE, "cannot listen on %s (UDP): this host has no such address",
                       text);
    default:
        return err_errno(err, errnum, "cannot listen on %s (UDP)", text);
    }
}

int gossip_socket_open(struct gossip_socket *s, const struct sockaddr_storage *at, struct err *err)
{
    struct sockaddr_storage bound = {0};
    socklen_t n = sizeof bound;
    char text[GOSSIP_ADDR_TEXT];

    *s = (struct gossip_socket){.fd = -1};
    REQUIRE(gossip_addr_from((const struct sockaddr *)at, &s->address));
    s->family = s->address.family;
    gossip_addr_text(&s->address, text);
    s->fd = socket(at->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) {
        return refuse(s, errno, text, err);
    }
    if (s->family == 6) {
        set_int(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    if (bind(s->fd, (const struct sockaddr *)at,
             s->family == 4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)) < 0 ||
        getsockname(s->fd, (struct sockaddr *)&bound, &n) < 0) {
        return refuse(s, errno, text, err);
    }
    (void)gossip_addr_from((const struct sockaddr *)&bound, &s->address);
    s->is_any = is_zero(&s->address);
    s->is_loopback = gossip_addr_is_loopback(&s->address);
    set_up(s);
    return 0;
}

bool gossip_socket_port_is_free(const struct gossip_socket *s, const struct sockaddr_storage *at)
{
    struct sockaddr_storage want;
    struct swim_addr asked;
    socklen_t n = gossip_addr_to(&s->address, &want);

    if (!gossip_addr_from((const struct sockaddr *)at, &asked) || asked.port != 0) {
        return true;
    }
    int fd = socket(want.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return true; /* whoever listens will say why not */
    }
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (s->family == 6) {
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    bool free = bind(fd, (const struct sockaddr *)&want, n) == 0;
    close(fd);
    return free;
}

void gossip_socket_close(struct gossip_socket *s)
{
    if (s->family != 0 && s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
}

/* ---- in ---- */

#define CONTROL_BYTES                                                                              \
    (CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(struct scm_timestamping)) +           \
     CMSG_SPACE(sizeof(uint32_t)) + 64)

struct gossip_inbox {
    size_t n_used; /* of the last time, to be prepared anew */
    struct mmsghdr messages[GOSSIP_RECV_BATCH];
    struct iovec pieces[GOSSIP_RECV_BATCH];
    struct sockaddr_storage from[GOSSIP_RECV_BATCH];
    struct gossip_datagram datagrams[GOSSIP_RECV_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[GOSSIP_RECV_BATCH][CONTROL_BYTES];
    uint8_t bytes[GOSSIP_RECV_BATCH][SWIM_DATAGRAM_MAX + 1];
};

struct gossip_inbox *gossip_inbox_new(void)
{
    struct gossip_inbox *inbox = x_alloc(sizeof *inbox);

    inbox->n_used = GOSSIP_RECV_BATCH;
    return inbox;
}

void gossip_inbox_free(struct gossip_inbox *inbox)
{
    mem_free(inbox);
}

static void prepare(struct gossip_inbox *inbox)
{
    for (size_t i = 0; i < inbox->n_used; i++) {
        inbox->pieces[i] = (struct iovec){inbox->bytes[i], sizeof inbox->bytes[i]};
        inbox->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &inbox->from[i],
            .msg_namelen = sizeof inbox->from[i],
            .msg_iov = &inbox->pieces[i],
            .msg_iovlen = 1,
            .msg_control = inbox->control[i],
            .msg_controllen = sizeof inbox->control[i],
        };
    }
}

static int64_t stamp_of(const struct timespec *at)
{
    int64_t true_ns = (int64_t)at->tv_sec * 1000000000 + at->tv_nsec;

    return true_ns + clock_test_offset_ns((uint64_t)true_ns);
}

static void take_control(struct gossip_socket *s, struct msghdr *head,
                         struct gossip_datagram *datagram, uint32_t *n_dropped)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c != NULL; c = CMSG_NXTHDR(head, c)) {
        if (c->cmsg_level != SOL_SOCKET) {
            continue;
        }
        if (c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(c), sizeof at);
            datagram->stamp_ns = stamp_of(&at);
        } else if (c->cmsg_type == SO_RXQ_OVFL) {
            uint32_t dropped; /* since the socket was made; it may wrap */
            memcpy(&dropped, CMSG_DATA(c), sizeof dropped);
            *n_dropped += dropped - s->n_dropped;
            s->n_dropped = dropped;
        }
    }
}

size_t gossip_socket_receive(struct gossip_socket *s, struct gossip_inbox *inbox,
                             uint32_t *n_dropped)
{
    size_t n_good = 0;
    int n;

    prepare(inbox);
    do {
        n = recvmmsg(s->fd, inbox->messages, GOSSIP_RECV_BATCH, MSG_DONTWAIT, NULL);
    } while (n < 0 && errno == EINTR);
    inbox->n_used = n > 0 ? (size_t)n : 0;
    for (int i = 0; i < n; i++) {
        struct mmsghdr *message = &inbox->messages[i];
        struct gossip_datagram *datagram = &inbox->datagrams[n_good];
        *datagram = (struct gossip_datagram){.bytes = inbox->bytes[i], .n = message->msg_len};
        take_control(s, &message->msg_hdr, datagram, n_dropped);
        n_good += gossip_addr_from((const struct sockaddr *)&inbox->from[i], &datagram->from);
    }
    return n_good;
}

const struct gossip_datagram *gossip_inbox_at(const struct gossip_inbox *inbox, size_t i)
{
    return &inbox->datagrams[i];
}

/* ---- out ---- */

void gossip_socket_send(struct gossip_socket *s, struct gossip_outbox *outbox,
                        void (*failed)(void *arg, const struct swim_addr *to, int errnum),
                        void *arg)
{
    struct mmsghdr messages[GOSSIP_SEND_BATCH] = {0};
    struct iovec pieces[GOSSIP_SEND_BATCH];
    struct sockaddr_storage to[GOSSIP_SEND_BATCH];
    size_t done = 0;

    for (size_t i = 0; i < outbox->n; i++) {
        pieces[i] = (struct iovec){outbox->bytes[i], outbox->lengths[i]};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &to[i],
            .msg_namelen = gossip_addr_to(&outbox->to[i], &to[i]),
            .msg_iov = &pieces[i],
            .msg_iovlen = 1,
        };
    }
    while (done < outbox->n) {
        int n = sendmmsg(s->fd, messages + done, (unsigned)(outbox->n - done), MSG_DONTWAIT);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            failed(arg, &outbox->to[done], n == 0 ? EIO : errno);
            done++; /* the error is of the first that was not sent */
        }
    }
    outbox->n = 0;
}

/* The newest stamp that waits; 0: none does. */
static int64_t read_stamps(struct gossip_socket *s)
{
    _Alignas(struct cmsghdr) uint8_t control[256];
    int64_t stamp_ns = 0;

    for (;;) {
        struct msghdr head = {.msg_control = control, .msg_controllen = sizeof control};
        if (recvmsg(s->fd, &head, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
            return stamp_ns;
        }
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&head); c != NULL; c = CMSG_NXTHDR(&head, c)) {
            struct scm_timestamping stamps;
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING &&
                c->cmsg_len >= CMSG_LEN(sizeof stamps)) {
                memcpy(&stamps, CMSG_DATA(c), sizeof stamps);
                stamp_ns = stamp_of(&stamps.ts[0]);
            }
        }
    }
}

int gossip_socket_send_stamped(struct gossip_socket *s, const struct swim_addr *to,
                               const uint8_t *bytes, size_t n, int64_t *stamp_ns)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint32_t))] = {0};
    const uint32_t wanted = SOF_TIMESTAMPING_TX_SOFTWARE;
    struct sockaddr_storage address;
    struct iovec piece = {(void *)(uintptr_t)bytes, n};
    struct msghdr head = {.msg_name = &address,
                          .msg_namelen = gossip_addr_to(to, &address),
                          .msg_iov = &piece,
                          .msg_iovlen = 1,
                          .msg_control = control,
                          .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&head);
    ssize_t sent;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SO_TIMESTAMPING;
    c->cmsg_len = CMSG_LEN(sizeof wanted);
    memcpy(CMSG_DATA(c), &wanted, sizeof wanted);
    do {
        sent = sendmsg(s->fd, &head, MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return -errno;
    }
    *stamp_ns = read_stamps(s);
    return 0;
}

void gossip_socket_drop_stamps(struct gossip_socket *s)
{
    (void)read_stamps(s);
}
