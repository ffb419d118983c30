/* SPDX-License-Identifier: Apache-2.0
 *
 * flood IFNAME DST_MAC COUNT FRAME_BYTES [FLOWS [PPS]]
 *
 * Sends UDP frames, 10.77.0.1 to 10.77.0.2 port 9999, out of IFNAME, one end of a veth pair. A
 * packet socket reaches a quarter million a second; this runs a small XDP program in the kernel's
 * test mode with live frames (Linux 5.18), which redirects every run's frame to IFNAME, and reaches
 * one to two million on one core. The other end needs NAPI: `ethtool -K PEER gro on`. The source
 * port is random among FLOWS (a power of two, default 65536). PPS paces; 0 is as fast as possible.
 * Root only. Prints `sent COUNT in SECONDS s = RATE pps`; exit 0 when all were sent.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MIN     60u
#define FRAME_MAX     3000u
#define IP_AT         14u
#define UDP_AT        34u
#define UDP_END       42u
#define FLOWS_DEFAULT 65536u
#define SLICE_NS      2000000u /* a paced flood sends what is due every two milliseconds */

struct flood {
    unsigned ifindex;
    uint8_t mac[6];
    uint64_t count;
    uint32_t frame_bytes;
    uint32_t flows;
    uint64_t pps;
};

/* One instruction of eBPF, by the fields of struct bpf_insn. */
static struct bpf_insn insn(unsigned code, unsigned dst, unsigned src, int off, int imm)
{
    return (struct bpf_insn){.code = (uint8_t)code,
                             .dst_reg = dst & 15u,
                             .src_reg = src & 15u,
                             .off = (int16_t)off,
                             .imm = imm};
}

/* The program: put a random port into the frame, redirect it to the interface. The length check is
 * for the verifier. Returns a descriptor, or -1. */
static int load_program(const struct flood *f)
{
    enum { R0, R1, R2, R3, R4, R5, R6, R7 };
    const struct bpf_insn program[] = {
        insn(BPF_LDX | BPF_MEM | BPF_W, R6, R1, offsetof(struct xdp_md, data), 0),
        insn(BPF_LDX | BPF_MEM | BPF_W, R7, R1, offsetof(struct xdp_md, data_end), 0),
        insn(BPF_ALU64 | BPF_MOV | BPF_X, R2, R6, 0, 0),
        /* NOLINTNEXTLINE(misc-redundant-expression): both are 0 */
        insn(BPF_ALU64 | BPF_ADD | BPF_K, R2, 0, 0, UDP_END),
        insn(BPF_ALU64 | BPF_MOV | BPF_K, R0, 0, 0, XDP_ABORTED),
        insn(BPF_JMP | BPF_JGT | BPF_X, R2, R7, 6, 0),
        insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_prandom_u32),
        insn(BPF_ALU64 | BPF_AND | BPF_K, R0, 0, 0, (int)(f->flows - 1)),
        insn(BPF_STX | BPF_MEM | BPF_H, R6, R0, UDP_AT, 0),
        insn(BPF_ALU64 | BPF_MOV | BPF_K, R1, 0, 0, (int)f->ifindex),
        insn(BPF_ALU64 | BPF_MOV | BPF_K, R2, 0, 0, 0),
        insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect),
        insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
    };
    static char words[16384];
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_XDP};

    attr.insns = (uint64_t)(uintptr_t)program;
    attr.insn_cnt = sizeof program / sizeof program[0];
    attr.license = (uint64_t)(uintptr_t) "GPL";
    attr.log_buf = (uint64_t)(uintptr_t)words;
    attr.log_size = sizeof words;
    attr.log_level = 1;
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    if (fd < 0) {
        fprintf(stderr, "flood: the kernel refuses the program: %s\n%s", strerror(errno), words);
    }
    return fd;
}

static void put_be16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

/* RFC 1071, over an even number of bytes. */
static uint32_t internet_checksum(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i += 2) {
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    }
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return ~sum & 0xffffu;
}

static void build_frame(const struct flood *f, uint8_t *frame)
{
    static const uint8_t source_mac[6] = {0x02, 0, 0, 0, 0, 0x01};
    uint8_t *ip = frame + IP_AT;
    uint8_t *udp = frame + UDP_AT;

    memset(frame, 0, UDP_END);
    memset(frame + UDP_END, 'a', f->frame_bytes - UDP_END);
    memcpy(frame, f->mac, sizeof f->mac);
    memcpy(frame + 6, source_mac, sizeof source_mac);
    put_be16(frame + 12, 0x0800);
    ip[0] = 0x45;
    put_be16(ip + 2, f->frame_bytes - IP_AT);
    put_be16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = 17;
    memcpy(ip + 12, (const uint8_t[]){10, 77, 0, 1, 10, 77, 0, 2}, 8);
    put_be16(ip + 10, internet_checksum(ip, 20));
    put_be16(udp + 2, 9999);
    put_be16(udp + 4, f->frame_bytes - UDP_AT);
}

/* Runs the program n times on the frame. */
static bool send_frames(const struct flood *f, int program, const uint8_t *frame, uint32_t n)
{
    struct xdp_md context = {.data_end = f->frame_bytes, .ingress_ifindex = f->ifindex};
    union bpf_attr attr = {.test = {.prog_fd = (uint32_t)program, .repeat = n}};

    attr.test.data_in = (uint64_t)(uintptr_t)frame;
    attr.test.data_size_in = f->frame_bytes;
    attr.test.ctx_in = (uint64_t)(uintptr_t)&context;
    attr.test.ctx_size_in = sizeof context;
    attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    attr.test.batch_size = 64;
    if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof attr) < 0) {
        fprintf(stderr, "flood: the kernel refuses to send: %s\n", strerror(errno));
        return false;
    }
    return true;
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* What may be sent now: everything, or with a pace what is due since `start`. */
static uint64_t frames_due(const struct flood *f, uint64_t start, uint64_t sent)
{
    uint64_t due = f->count;

    if (f->pps > 0) {
        due = (uint64_t)((double)(now_ns() - start + SLICE_NS) * 1e-9 * (double)f->pps);
        due = due < f->count ? due : f->count;
    }
    uint64_t n = due > sent ? due - sent : 0;
    return n < 1000000000u ? n : 1000000000u;
}

static int run(const struct flood *f)
{
    uint8_t frame[FRAME_MAX];
    uint64_t sent = 0;
    int program = load_program(f);

    if (program < 0) {
        return 1;
    }
    build_frame(f, frame);
    uint64_t start = now_ns();
    while (sent < f->count) {
        uint64_t n = frames_due(f, start, sent);
        if (n == 0) {
            nanosleep(&(struct timespec){.tv_nsec = SLICE_NS}, NULL);
        } else if (!send_frames(f, program, frame, (uint32_t)n)) {
            return 1;
        }
        sent += n;
    }
    double seconds = (double)(now_ns() - start) * 1e-9;
    printf("sent %" PRIu64 " in %.3f s = %.0f pps\n", sent, seconds, (double)sent / seconds);
    return 0;
}

static bool parse_mac(const char *text, uint8_t mac[6])
{
    unsigned b[6];

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5]) != 6) {
        return false;
    }
    for (int i = 0; i < 6; i++) {
        mac[i] = (uint8_t)b[i];
    }
    return true;
}

int main(int argc, char **argv)
{
    struct flood f = {.flows = FLOWS_DEFAULT};
    bool good = argc >= 5 && argc <= 7 && parse_mac(argv[2], f.mac);

    if (good) {
        f.ifindex = if_nametoindex(argv[1]);
        f.count = strtoull(argv[3], NULL, 10);
        f.frame_bytes = (uint32_t)strtoul(argv[4], NULL, 10);
        f.flows = argc > 5 ? (uint32_t)strtoul(argv[5], NULL, 10) : f.flows;
        f.pps = argc > 6 ? strtoull(argv[6], NULL, 10) : 0;
        good = f.ifindex > 0 && f.count > 0 && f.frame_bytes >= FRAME_MIN &&
               f.frame_bytes <= FRAME_MAX && f.flows > 0 && (f.flows & (f.flows - 1)) == 0;
    }
    if (!good) {
        fprintf(stderr, "usage: flood IFNAME DST_MAC COUNT FRAME_BYTES [FLOWS [PPS]]\n"
                        "FRAME_BYTES from 60 to 3000, FLOWS a power of two\n");
        return 2;
    }
    return run(&f);
}
