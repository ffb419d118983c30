/* SPDX-License-Identifier: Apache-2.0
 *
 * rpcap_count URL: a client of libpcap's rpcapd for run.sh, which compiles it against a libpcap
 * with remote capture (Debian's has none). Captures UDP of rpcap://HOST:PORT/IFACE until SIGTERM,
 * then prints `packets=N`. "ready" goes to stderr with the first packet: pcap_loop() of a remote
 * capture does not come back before there is one.
 */
#include <pcap.h>
#include <signal.h>
#include <stdio.h>

static pcap_t *handle;

static void on_term(int number)
{
    (void)number;
    pcap_breakloop(handle);
}

static void count(u_char *arg, const struct pcap_pkthdr *header, const u_char *data)
{
    (void)header;
    (void)data;
    if ((*(unsigned long long *)(void *)arg)++ == 0) {
        fprintf(stderr, "ready\n");
    }
}

int main(int argc, char **argv)
{
    char text[PCAP_ERRBUF_SIZE] = "";
    struct bpf_program filter;
    unsigned long long packets = 0;

    handle =
        argc == 2 ? pcap_open(argv[1], 262144, PCAP_OPENFLAG_PROMISCUOUS, 10, NULL, text) : NULL;
    if (handle == NULL) {
        fprintf(stderr, "rpcap_count URL: %s\n", text);
        return 1;
    }
    /* Without a filter libpcap 1.10.3 sends a start message that its own daemon finds too short. */
    if (pcap_compile(handle, &filter, "udp", 1, PCAP_NETMASK_UNKNOWN) < 0 ||
        pcap_setfilter(handle, &filter) < 0) {
        pcap_perror(handle, "rpcap_count");
        return 1;
    }
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL);
    if (pcap_loop(handle, -1, count, (u_char *)&packets) == PCAP_ERROR) {
        pcap_perror(handle, "rpcap_count");
        return 1;
    }
    printf("packets=%llu\n", packets);
    return 0;
}
