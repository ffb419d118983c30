/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads every capture of a folder with our source and with libpcap and compares packet by packet:
 * time in nanoseconds, captured length, length, bytes. Our source may read on where libpcap gives
 * up (several link types, large packets), never the other way round. Exit 77 (skipped) without the
 * folder: PR_CAPTURES, or ../shared/captures beside the checkout.
 */
#include <dirent.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"
#include "shared/capture/source_file.h"

#define EXIT_SKIPPED 77

struct comparison {
    struct source_sink sink;
    pcap_t *theirs;
    bool theirs_ended;
    bool classic; /* seconds of classic files are unsigned; libpcap reads them signed */
    uint64_t n_same;
    uint64_t n_beyond; /* packets of ours behind the end of theirs */
    char difference[256];
};

static uint64_t their_time(const struct comparison *c, const struct pcap_pkthdr *header)
{
    uint64_t seconds = (uint64_t)header->ts.tv_sec;

    if (c->classic) {
        seconds &= UINT32_MAX;
    }
    return seconds * 1000000000u + (uint64_t)header->ts.tv_usec;
}

static bool compare_packet(struct source_sink *sink, const struct packet_view *ours)
{
    struct comparison *c = container_of(sink, struct comparison, sink);
    struct pcap_pkthdr *header;
    const u_char *bytes;

    if (c->theirs_ended || pcap_next_ex(c->theirs, &header, &bytes) != 1) {
        c->theirs_ended = true;
        c->n_beyond++;
        return true;
    }
    if (ours->time_ns == their_time(c, header) && ours->caplen == header->caplen &&
        ours->len == header->len && memcmp(ours->data, bytes, header->caplen) == 0) {
        c->n_same++;
        return true;
    }
    snprintf(c->difference, sizeof c->difference,
             "packet %llu: time %llu/%llu caplen %u/%u len %u/%u%s",
             (unsigned long long)c->n_same + 1, (unsigned long long)ours->time_ns,
             (unsigned long long)their_time(c, header), ours->caplen, header->caplen, ours->len,
             header->len, ours->caplen == header->caplen ? " or the bytes" : "");
    return false;
}

static bool is_classic(const char *path)
{
    uint8_t first = 0;
    FILE *file = fopen(path, "rb");

    if (file != NULL) {
        first = fread(&first, 1, 1, file) == 1 ? first : 0;
        fclose(file);
    }
    return first != 0x0a;
}

/* True when they agree. */
static bool compare_file(const char *path, const char *name)
{
    struct comparison c = {.sink.packet = compare_packet, .classic = is_classic(path)};
    char their_error[PCAP_ERRBUF_SIZE] = "";
    struct source *source = NULL;
    struct err err = {0};

    c.theirs =
        pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, their_error);
    c.theirs_ended = c.theirs == NULL;
    int rc = source_file_open(path, &source, &err);
    while (rc == 0 || rc == SOURCE_MORE) {
        rc = source->ops->read(source, &c.sink, &err);
    }
    struct pcap_pkthdr *header;
    const u_char *bytes;
    int theirs = c.theirs_ended ? -1 : pcap_next_ex(c.theirs, &header, &bytes);
    bool missing = theirs == 1 || (theirs == PCAP_ERROR_BREAK && rc != SOURCE_END);
    bool same = c.difference[0] == '\0' && !missing;
    printf("%s - %s: %llu the same, %llu beyond libpcap's end%s%s%s%s%s\n", same ? "ok" : "not ok",
           name, (unsigned long long)c.n_same, (unsigned long long)c.n_beyond,
           c.difference[0] != '\0' ? "; " : "", c.difference, rc < 0 ? "; ours: " : "",
           rc < 0 ? err.text : "", missing ? "; libpcap has more" : "");
    if (c.n_beyond > 0 || theirs == -1) {
        printf("   libpcap: %s\n", c.theirs != NULL ? pcap_geterr(c.theirs) : their_error);
    }
    if (source != NULL) {
        source->ops->close(source);
    }
    if (c.theirs != NULL) {
        pcap_close(c.theirs);
    }
    return same;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s);
    size_t m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

int main(void)
{
    const char *base = getenv("PR_CAPTURES");
    char *folder = x_sprintf("%s/dev", base != NULL ? base : "../shared/captures");
    DIR *dir = opendir(folder);
    unsigned n_files = 0;
    unsigned n_different = 0;

    if (dir == NULL) {
        printf("skip - compare_sources # no captures in '%s' (set PR_CAPTURES)\n", folder);
        mem_free(folder);
        return EXIT_SKIPPED;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!ends_with(entry->d_name, ".pcap") && !ends_with(entry->d_name, ".pcapng")) {
            continue;
        }
        char *path = x_sprintf("%s/%s", folder, entry->d_name);
        n_files++;
        n_different += compare_file(path, entry->d_name) ? 0 : 1;
        mem_free(path);
    }
    closedir(dir);
    mem_free(folder);
    printf("%u files, %u differ\n", n_files, n_different);
    return n_files > 0 && n_different == 0 ? 0 : 1;
}
