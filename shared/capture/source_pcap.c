/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/source_pcap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/filter.h>
#endif

#include <pcap/pcap.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/counter.h"
#include "shared/capture/iface_facts_posix.h"
#include "shared/capture/interfaces_pcap.h"
#include "shared/capture/kernel_filter.h"
#include "shared/packet/filter.h"

/* Packets of one read: a few ring blocks of small packets, so that clocks and limits are looked at
 * every few milliseconds even in a flood. */
#define BATCH_PACKETS 16384

struct live {
    struct source source;
    struct iface iface;
    pcap_t *pcap;
    int fd;
    bool in_userland;           /* the filter is too long for the kernel: libpcap applies it */
    bool interface_drops_known; /* libpcap counts them in promiscuous mode alone */
    struct counter received;
    struct counter kernel;
    struct counter interface;
    uint64_t before_received; /* what the kernel had counted when the filter came */
    uint64_t before_kernel;
    uint64_t opened_ns;   /* packets stamped from here ... */
    uint64_t filtered_ns; /* ... to here are from before the filter; wall time */
    /* valid during read */
    struct source_sink *sink;
    bool stopped;
    bool special;         /* stopped, or packets from before the filter may come */
    uint32_t nano_factor; /* what makes nanoseconds of the fraction in pcap_pkthdr */
    char warning[512];
};

static struct live *live_of(struct source *source)
{
    return container_of(source, struct live, source);
}

/* The first packet that is not from before the filter ends the looking. */
static bool left_out(struct live *live, uint64_t time_ns)
{
    if (live->stopped || (time_ns >= live->opened_ns && time_ns < live->filtered_ns)) {
        return true;
    }
    live->special = false;
    return false;
}

static void on_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *bytes)
{
    struct live *live = (struct live *)(void *)user;
    /* Read one by one: libpcap has just stored them so, and one joined load of both would wait
     * until these stores have left the processor's store buffer (a fifth of all that a packet
     * costs). */
    uint32_t caplen = *(const volatile bpf_u_int32 *)&header->caplen;
    uint32_t len = *(const volatile bpf_u_int32 *)&header->len;
    uint64_t time_ns = (uint64_t)header->ts.tv_sec * 1000000000u +
                       (uint64_t)header->ts.tv_usec * live->nano_factor;

    time_ns += (uint64_t)clock_test_offset_ns(time_ns);
    if (__builtin_expect(live->special, 0) && left_out(live, time_ns)) {
        return;
    }
    const struct packet_view packet = {
        .time_ns = time_ns,
        .caplen = caplen,
        .len = len,
        .data = bytes,
    };

    if (!live->sink->packet(live->sink, &packet)) {
        live->stopped = live->special = true;
        pcap_breakloop(live->pcap);
    }
}

static int live_read(struct source *source, struct source_sink *sink, struct err *err)
{
    struct live *live = live_of(source);

    live->sink = sink;
    live->stopped = false;
    errno = 0;
    int n = pcap_dispatch(live->pcap, BATCH_PACKETS, on_packet, (u_char *)live);
    if (live->stopped) {
        return SOURCE_STOPPED;
    }
    if (n == PCAP_ERROR && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return SOURCE_IDLE; /* libpcap's nflog takes an empty non-blocking socket for an error */
    }
    if (n == PCAP_ERROR) {
        return err_set(err, ERR_CAPTURE, "capturing on '%s' ended: %s", live->iface.name,
                       pcap_geterr(live->pcap));
    }
    /* Fewer than asked for: the ring is empty, and asking again would cost a system call. */
    return n == BATCH_PACKETS ? SOURCE_MORE : SOURCE_IDLE;
}

static int live_fd(struct source *source)
{
    return live_of(source)->fd;
}

static void live_stats(struct source *source, struct source_stats *out)
{
    struct live *live = live_of(source);
    struct pcap_stat now;

    *out = (struct source_stats){SOURCE_UNKNOWN, SOURCE_UNKNOWN, SOURCE_UNKNOWN};
    if (pcap_stats(live->pcap, &now) == 0) {
        out->received = counter_update(&live->received, now.ps_recv) - live->before_received;
        out->kernel = counter_update(&live->kernel, now.ps_drop) - live->before_kernel;
        if (live->interface_drops_known) {
            out->interface = counter_update(&live->interface, now.ps_ifdrop);
        }
    }
}

/* A filter that accepts nothing, put on the socket itself: pcap_setfilter would throw away what is
 * in the ring. Elsewhere than on Linux packets keep coming until the session stops reading. */
static bool accept_nothing(int fd)
{
#ifdef __linux__
    struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog program = {.len = 1, .filter = &nothing};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
#else
    (void)fd;
    return false;
#endif
}

static void live_halt(struct source *source)
{
    (void)accept_nothing(live_of(source)->fd);
}

/* pcap_setfilter keeps what came before it if it fits the filter, then accepts nothing for a while,
 * then what fits: a hole near the start. So what came before is left out, and not counted: nothing
 * is let in, what is there is counted, and all of it is stamped before now. Packet sockets alone:
 * libpcap filters the others by itself, and would leave them closed. */
static void begin_at_the_filter(struct live *live)
{
#ifdef __linux__
    int domain = 0;
    socklen_t size = sizeof domain;

    if (getsockopt(live->fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain != AF_PACKET ||
        !accept_nothing(live->fd)) {
        return;
    }
    struct pcap_stat now;
    if (pcap_stats(live->pcap, &now) == 0) {
        live->before_received = counter_update(&live->received, now.ps_recv);
        live->before_kernel = counter_update(&live->kernel, now.ps_drop);
    }
    live->filtered_ns = clock_wall_ns();
    live->special = true;
#else
    (void)live;
#endif
}

/* The program, put on the socket in the kernel's form. */
static int attach(struct live *live, struct bpf_program *program, const char *expression,
                  struct err *err)
{
#ifdef __linux__
    _Static_assert(sizeof(struct filter_insn) == sizeof(struct sock_filter), "one layout");
    _Static_assert(sizeof(struct filter_insn) == sizeof(struct bpf_insn), "one layout");
    struct sock_fprog kernel = {.len = (unsigned short)program->bf_len,
                                .filter = (struct sock_filter *)(void *)program->bf_insns};

    if (live->in_userland || program->bf_len > BPF_MAXINSNS ||
        !kernel_filter_fix((struct filter_insn *)(void *)program->bf_insns, program->bf_len,
                           live->iface.link_type, SOURCE_PCAP_SNAPLEN_MAX)) {
        return err_set(err, ERR_UNSUPPORTED, "the kernel cannot filter '%s' on '%s'", expression,
                       live->iface.name);
    }
    if (setsockopt(live->fd, SOL_SOCKET, SO_ATTACH_FILTER, &kernel, sizeof kernel) < 0) {
        return err_errno(err, errno, "cannot change the filter on '%s'", live->iface.name);
    }
    return 0;
#else
    (void)program;
    return err_set(err, ERR_UNSUPPORTED, "cannot change the filter '%s' on '%s' while it captures",
                   expression, live->iface.name);
#endif
}

/* Compiling on the handle that another thread reads: pcap_compile only reads from the handle what
 * does not change, but for the words of an error. */
static int live_swap_filter(struct source *source, const char *expression, struct err *err)
{
    struct live *live = live_of(source);
    struct bpf_program program;

    if (pcap_compile(live->pcap, &program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
        return err_set(err, ERR_FILTER, "filter '%s' on '%s': %s", expression, live->iface.name,
                       pcap_geterr(live->pcap));
    }
    int code = attach(live, &program, expression, err);
    pcap_freecode(&program);
    return code;
}

static void live_close(struct source *source)
{
    struct live *live = live_of(source);

    if (live->pcap != NULL) {
        pcap_close(live->pcap);
    }
    mem_free(live);
}

static const struct source_ops live_ops = {
    .read = live_read,
    .fd = live_fd,
    .stats = live_stats,
    .halt = live_halt,
    .swap_filter = live_swap_filter,
    .close = live_close,
};

static int no_permission(const char *name, const char *capability, struct err *err)
{
    char program[512];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

    program[n > 0 ? n : 0] = '\0';
    return err_set(err, ERR_PERMISSION,
                   "no permission to capture on '%s': it takes the capability %s; run as root, or "
                   "once: setcap cap_net_raw,cap_net_admin=eip %s",
                   name, capability, n > 0 ? program : "/path/to/packetrecorder");
}

static int activation_failed(struct live *live, int code, struct err *err)
{
    const char *name = live->iface.name;
    const char *more = pcap_geterr(live->pcap);

    switch (code) {
    case PCAP_ERROR_PERM_DENIED:
        return no_permission(name, "CAP_NET_RAW", err);
    case PCAP_ERROR_PROMISC_PERM_DENIED:
        return no_permission(name, "CAP_NET_ADMIN (or --no-promisc)", err);
    case PCAP_ERROR_NO_SUCH_DEVICE:
        return err_set(err, ERR_NOT_FOUND,
                       "no such interface: '%s'; packetrecorder list-interfaces shows them", name);
    case PCAP_ERROR_IFACE_NOT_UP:
        return err_set(err, ERR_CAPTURE, "interface '%s' is down; try: ip link set %s up", name,
                       name);
    default:
        return err_set(err, ERR_CAPTURE, "cannot capture on '%s': %s%s%s", name,
                       pcap_statustostr(code), more[0] != '\0' ? ": " : "", more);
    }
}

/* Everything that has to be said before pcap_activate; none of these can fail on a fresh handle. */
static void prepare(struct live *live, const struct source_pcap_opts *opts)
{
    pcap_set_snaplen(live->pcap, (int)opts->snaplen);
    pcap_set_promisc(live->pcap, opts->promisc);
    pcap_set_timeout(live->pcap, opts->block_timeout_ms == 0 ? SOURCE_PCAP_BLOCK_TIMEOUT_MS
                                                             : (int)opts->block_timeout_ms);
    pcap_set_buffer_size(live->pcap, (int)opts->buffer_bytes);
    pcap_set_tstamp_precision(live->pcap, PCAP_TSTAMP_PRECISION_NANO);
}

/* LINKTYPE_ of a DLT_: the same but for the few below (pcap-common.c of libpcap). */
static uint32_t link_type_from_dlt(int dlt)
{
    static const struct {
        int dlt;
        uint32_t link_type;
    } differing[] = {
        {DLT_RAW, LINK_RAW},    {DLT_PPP_SERIAL, 50},  {DLT_PPP_ETHER, 51},
        {DLT_ATM_RFC1483, 100}, {DLT_LOOP, LINK_LOOP}, {DLT_SLIP_BSDOS, 102},
        {DLT_PPP_BSDOS, 103},   {DLT_ATM_CLIP, 106},   {DLT_ENC, 109},
    };

    for (size_t i = 0; i < ARRAY_LEN(differing); i++) {
        if (differing[i].dlt == dlt) {
            return differing[i].link_type;
        }
    }
    return (uint32_t)dlt;
}

/* Compiled on the live handle, not by filter_new: the kernel takes VLAN tags out of packets, and
 * only a live handle makes code that knows it. filter_new has the better words for an error. */
static int set_filter(struct live *live, const char *expression, struct err *err)
{
    struct bpf_program program;
    struct filter *checked = NULL;

    if (expression == NULL || expression[0] == '\0') {
        return 0;
    }
    if (pcap_compile(live->pcap, &program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
        int code = filter_new(expression, live->iface.link_type, &checked, err);
        filter_free(checked);
        return code < 0 ? code
                        : err_set(err, ERR_FILTER, "filter '%s': %s", expression,
                                  pcap_geterr(live->pcap));
    }
    begin_at_the_filter(live);
    int code = pcap_setfilter(live->pcap, &program);
    pcap_freecode(&program);
    if (code < 0) {
        return err_set(err, ERR_FILTER, "filter '%s' on '%s': %s", expression, live->iface.name,
                       pcap_geterr(live->pcap));
    }
    if (code > 0) {
        live->in_userland = true;
        snprintf(live->warning, sizeof live->warning, "filter on '%s': %s", live->iface.name,
                 pcap_geterr(live->pcap));
    }
    snprintf(live->iface.filter, sizeof live->iface.filter, "%s", expression);
    return 0;
}

static int set_direction(struct live *live, enum capture_direction direction, struct err *err)
{
    static const pcap_direction_t directions[] = {
        [CAPTURE_INOUT] = PCAP_D_INOUT, [CAPTURE_IN] = PCAP_D_IN, [CAPTURE_OUT] = PCAP_D_OUT};

    if (direction != CAPTURE_INOUT && pcap_setdirection(live->pcap, directions[direction]) < 0) {
        return err_set(err, ERR_UNSUPPORTED, "'%s' cannot tell directions: %s", live->iface.name,
                       pcap_geterr(live->pcap));
    }
    return 0;
}

static void describe(struct live *live, const struct source_pcap_opts *opts)
{
    bool nano = pcap_get_tstamp_precision(live->pcap) == PCAP_TSTAMP_PRECISION_NANO;

    live->nano_factor = nano ? 1 : 1000;
    live->iface.ts_digits = nano ? 9 : 6;
    live->iface.link_type = link_type_from_dlt(pcap_datalink(live->pcap));
    live->iface.snaplen = opts->snaplen;
    iface_facts_fill(&live->iface);
    live->interface_drops_known = opts->promisc && strcmp(opts->interface, "any") != 0;
}

static int activate(struct live *live, const struct source_pcap_opts *opts, struct err *err)
{
    char text[PCAP_ERRBUF_SIZE] = "";

    prepare(live, opts);
    live->opened_ns = clock_wall_ns();
    int code = pcap_activate(live->pcap);
    if (code < 0) {
        return activation_failed(live, code, err);
    }
    if (code > 0) {
        snprintf(live->warning, sizeof live->warning, "'%s': %s", live->iface.name,
                 code == PCAP_WARNING ? pcap_geterr(live->pcap) : pcap_statustostr(code));
    }
    if (strcmp(opts->interface, "any") == 0) {
        pcap_set_datalink(live->pcap, DLT_LINUX_SLL2);
    }
    describe(live, opts);
    live->fd = pcap_get_selectable_fd(live->pcap);
    code = set_direction(live, opts->direction, err);
    if (code == 0) {
        code = set_filter(live, opts->filter, err);
    }
    if (code < 0) {
        return code;
    }
    if (live->fd < 0 || pcap_setnonblock(live->pcap, 1, text) < 0) {
        return err_set(err, ERR_UNSUPPORTED, "'%s' cannot be polled%s%s", live->iface.name,
                       text[0] != '\0' ? ": " : "", text);
    }
    return 0;
}

int source_pcap_open(const struct source_pcap_opts *opts, struct source **out, struct err *err)
{
    char text[PCAP_ERRBUF_SIZE] = "";

    if (opts->snaplen == 0 || opts->snaplen > SOURCE_PCAP_SNAPLEN_MAX ||
        opts->buffer_bytes > SOURCE_PCAP_BUFFER_MAX) {
        return err_set(err, ERR_USAGE, "snaplen is 1 to %u, the buffer at most 2 GiB - 1",
                       SOURCE_PCAP_SNAPLEN_MAX);
    }
    int found = interface_find(opts->interface, err);
    if (found < 0) {
        return found;
    }
    struct live *live = x_alloc(sizeof *live);
    snprintf(live->iface.name, sizeof live->iface.name, "%s", opts->interface);
    live->source = (struct source){.ops = &live_ops,
                                   .ifaces = &live->iface,
                                   .n_ifaces = 1,
                                   .buffer_bytes = opts->buffer_bytes};
    live->pcap = pcap_create(opts->interface, text);
    if (live->pcap == NULL) {
        mem_free(live);
        return err_set(err, ERR_CAPTURE, "cannot capture on '%s': %s", opts->interface, text);
    }
    int code = activate(live, opts, err);
    if (code < 0) {
        live_close(&live->source);
        return code;
    }
    *out = &live->source;
    return 0;
}

const char *source_pcap_warning(const struct source *source)
{
    return container_of(source, const struct live, source)->warning;
}
