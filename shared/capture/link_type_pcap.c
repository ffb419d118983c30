/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/link_type_pcap.h"

#include <stdio.h>

#include <pcap/pcap.h>

#include "shared/base/mem.h"
#include "shared/packet/iface.h"

/* Where the numbers differ (pcap-common.c of libpcap). */
static const struct {
    uint32_t link_type;
    int dlt;
} differing[] = {
    {LINK_RAW, DLT_RAW},   {50, DLT_PPP_SERIAL}, {51, DLT_PPP_ETHER}, {100, DLT_ATM_RFC1483},
    {102, DLT_SLIP_BSDOS}, {103, DLT_PPP_BSDOS}, {104, DLT_C_HDLC},   {106, DLT_ATM_CLIP},
    {LINK_LOOP, DLT_LOOP}, {109, DLT_ENC},       {246, DLT_PFSYNC},
};

uint32_t link_type_from_dlt(int dlt)
{
    for (size_t i = 0; i < ARRAY_LEN(differing); i++) {
        if (differing[i].dlt == dlt) {
            return differing[i].link_type;
        }
    }
    return (uint32_t)dlt;
}

static int dlt_from_link_type(uint32_t link_type)
{
    for (size_t i = 0; i < ARRAY_LEN(differing); i++) {
        if (differing[i].link_type == link_type) {
            return differing[i].dlt;
        }
    }
    return (int)link_type;
}

void link_type_name(uint32_t link_type, char out[LINK_TYPE_NAME_MAX])
{
    const char *name = pcap_datalink_val_to_name(dlt_from_link_type(link_type));

    if (name != NULL) {
        snprintf(out, LINK_TYPE_NAME_MAX, "%s", name);
    } else {
        snprintf(out, LINK_TYPE_NAME_MAX, "LINKTYPE_%u", link_type);
    }
}
