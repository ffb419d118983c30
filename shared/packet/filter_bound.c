/* SPDX-License-Identifier: Apache-2.0
 *
 * A word is what libpcap's scanner takes for a name: letters, digits, '.', '-' and '_', with a
 * letter in it. Its own words are known here; those that are not count, as often as they stand
 * there. A word too many that is none costs nobody anything until there are nine.
 */
#include "shared/packet/filter_bound.h"

#include <stdbool.h>
#include <string.h>

/* Each between blanks, as pcap-filter(7) has them; those of rare link types may count as names. */
static const char known[] =
    " dst src link ether ppp slip fddi tr wlan arp rarp ip sctp tcp udp icmp igmp igrp pim vrrp "
    "carp radio ip6 icmp6 ah esp atalk aarp decnet lat sca moprc mopdl iso esis es-is isis is-is "
    "clnp stp ipx netbeui host net mask port portrange proto protochain gateway type subtype dir "
    "direction address1 addr1 address2 addr2 address3 addr3 address4 addr4 ra ta less greater byte "
    "broadcast multicast and or not len inbound outbound ifindex vlan mpls pppoed pppoes geneve "
    "vxlan action reason rnum srnr ruleset rset ifname rulenum subrulenum on l1 l2 mgt ctl data "
    "tcp-fin tcp-syn tcp-rst tcp-push tcp-ack tcp-urg tcp-ece tcp-cwr tcpflags icmptype icmpcode "
    "icmp6type icmp6code icmp-echo icmp-echoreply icmp-unreach ";

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_word_char(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || (c != '\0' && strchr(".-_:", c) != NULL);
}

static bool is_known(const char *word, size_t n)
{
    for (const char *at = known; (at = strchr(at, ' ')) != NULL; at++) {
        if (strncmp(at + 1, word, n) == 0 && at[1 + n] == ' ') {
            return true;
        }
    }
    return false;
}

/* Addresses with colons and numbers of base 16 are no names. */
static bool is_name(const char *word, size_t n)
{
    bool has_letter = false;

    for (size_t i = 0; i < n; i++) {
        has_letter = has_letter || is_letter(word[i]);
    }
    return has_letter && memchr(word, ':', n) == NULL &&
           !(n > 2 && word[0] == '0' && (word[1] | 0x20) == 'x') && !is_known(word, n);
}

int filter_bound_check(const char *expression, struct err *err)
{
    unsigned names = 0;

    if (expression == NULL) {
        return 0;
    }
    if (strlen(expression) > FILTER_ASKED_BYTES) {
        return err_set(err, ERR_FILTER,
                       "a filter has at most %d bytes here: 'net 10.0.0.0/24' and 'portrange 1-99' "
                       "say much in few",
                       FILTER_ASKED_BYTES);
    }
    for (const char *at = expression; *at != '\0';) {
        size_t n = 0;
        while (is_word_char(at[n])) {
            n++;
        }
        names += n > 0 && is_name(at, n) ? 1 : 0;
        at += n > 0 ? n : 1;
    }
    if (names > FILTER_ASKED_NAMES) {
        return err_set(err, ERR_FILTER,
                       "a filter names at most %d hosts, networks and services here, since each is "
                       "looked up: write addresses and numbers",
                       FILTER_ASKED_NAMES);
    }
    return 0;
}
