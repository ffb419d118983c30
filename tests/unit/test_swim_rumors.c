/* SPDX-License-Identifier: Apache-2.0
 *
 * What is told, how often and in which order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/swim_peers.h"

#define PEERS_MOST 12
#define ROOM_MOST  8192

struct fixture {
    struct swim_test_net net;
    struct swim_test_peer peers[PEERS_MOST];
    uint32_t n;
    uint8_t bytes[ROOM_MOST];
};

static struct swim_member *member_of(const struct fixture *f, uint32_t i)
{
    return swim_find(f->net.swim, f->peers[i].sid);
}

/* Peers 1 to n are known, and nothing is to be told. */
static void begin(struct fixture *f, uint32_t n)
{
    struct swim_action action;

    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    f->n = n;
    for (uint32_t i = 0; i < n; i++) {
        f->peers[i] = swim_test_peer(&swim_crypto_null, (uint8_t)(i + 1));
        swim_test_say_alive(&f->net, &f->peers[i]);
        swim_rumor_drop(f->net.swim, member_of(f, i));
    }
    swim_rumor_drop(f->net.swim, f->net.swim->self);
    while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
    }
    assert_int_equal(f->net.swim->rumors.n, 0);
}

static void tell_of_all(struct fixture *f)
{
    for (uint32_t i = 0; i < f->n; i++) {
        swim_rumor(f->net.swim, member_of(f, i));
    }
}

static void accuse(struct fixture *f, uint32_t i)
{
    swim_merge_suspect(f->net.swim, f->peers[i].sid, f->peers[i].incarnation, f->peers[0].sid, 0);
}

/* Whom a frame is about, and in which state. */
static uint32_t about(const struct fixture *f, const struct swim_frame *frame)
{
    for (uint32_t i = 0; i < f->n; i++) {
        const struct swim_member *m = member_of(f, i);
        if (frame->sid == m->sid || (frame->n_bin == m->n_record && frame->n_bin > 0 &&
                                     memcmp(frame->bin, m->record, m->n_record) == 0)) {
            return i;
        }
    }
    fail();
    return 0;
}

/* One datagram with that room; counts who is in it, gives the type of the first frame. */
static int fill(struct fixture *f, size_t room, uint32_t counts[PEERS_MOST])
{
    struct pack pack = pack_into(f->bytes, room);
    uint32_t n = swim_rumors_fill(f->net.swim, &pack);
    struct swim_frame frame;
    int first = 0;

    assert_false(pack.failed);
    assert_true(pack_length(&pack) <= room);
    struct unpack run = unpack_from(f->bytes, pack_length(&pack));
    while (n > 0 && swim_test_next_frame(&run, &frame)) {
        first = first == 0 ? (int)frame.type : first;
        counts[about(f, &frame)]++;
        n--;
    }
    assert_int_equal(n, 0);
    return first;
}

static void who_was_sent_least_goes_first(void **state)
{
    struct fixture f;
    uint32_t counts[PEERS_MOST] = {0};

    (void)state;
    begin(&f, PEERS_MOST);
    tell_of_all(&f);
    while (f.net.swim->rumors.n > 0) {
        uint32_t least = UINT32_MAX;
        uint32_t most = 0;
        (void)fill(&f, 900, counts);
        for (uint32_t i = 0; i < f.n; i++) {
            least = counts[i] < least ? counts[i] : least;
            most = counts[i] > most ? counts[i] : most;
        }
        assert_true(most - least <= 1);
    }
    swim_free(f.net.swim);
}

static void each_is_sent_so_often_and_then_gone(void **state)
{
    /* ⌈ln(n + 1) + 6⌉, n with ourselves */
    static const struct {
        uint32_t peers, times;
    } cases[] = {{1, 8}, {3, 8}, {6, 9}, {9, 9}, {12, 9}};

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct fixture f;
        uint32_t counts[PEERS_MOST] = {0};
        begin(&f, cases[c].peers);
        tell_of_all(&f);
        for (uint32_t i = 0; i < 20; i++) {
            (void)fill(&f, ROOM_MOST, counts);
        }
        for (uint32_t i = 0; i < f.n; i++) {
            assert_int_equal(counts[i], cases[c].times);
        }
        assert_int_equal(f.net.swim->rumors.n, 0);
        swim_free(f.net.swim);
    }
}

/* ⌈1.5 log2(n + 1)⌉ from about a hundred on. */
static void the_many_send_it_more_often(void **state)
{
    (void)state;
    assert_int_equal(swim_rules_lan.transmissions(50), 10);
    assert_int_equal(swim_rules_lan.transmissions(200), 12);
    assert_int_equal(swim_rules_lan.transmissions(1000), 15);
    assert_int_equal(swim_rules_memberlist.transmissions(1000), 16);
}

static void fates_go_before_records(void **state)
{
    struct fixture f;
    uint32_t counts[PEERS_MOST] = {0};

    (void)state;
    begin(&f, PEERS_MOST);
    accuse(&f, 4);
    tell_of_all(&f);
    assert_int_equal(fill(&f, 300, counts), SWIM_SUSPECT_FRAME);
    assert_int_equal(counts[4], 1);
    swim_free(f.net.swim);
}

static void one_rumor_a_member_and_its_newest_state(void **state)
{
    struct fixture f;
    uint32_t counts[PEERS_MOST] = {0};

    (void)state;
    begin(&f, 3);
    swim_rumor(f.net.swim, member_of(&f, 1));
    swim_rumor(f.net.swim, member_of(&f, 1));
    accuse(&f, 1);
    assert_int_equal(f.net.swim->rumors.n, 1);
    assert_int_equal(fill(&f, ROOM_MOST, counts), SWIM_SUSPECT_FRAME);
    f.peers[1].incarnation.seq++;
    swim_test_say_alive(&f.net, &f.peers[1]);
    assert_int_equal(f.net.swim->rumors.n, 1);
    assert_int_equal(fill(&f, ROOM_MOST, counts), SWIM_ALIVE_FRAME);
    assert_int_equal(counts[1], 2);
    swim_free(f.net.swim);
}

static void the_room_is_kept(void **state)
{
    struct fixture f;
    uint32_t counts[PEERS_MOST] = {0};

    (void)state;
    begin(&f, PEERS_MOST);
    accuse(&f, 4);
    for (size_t room = 1; room <= SWIM_MTU; room++) {
        tell_of_all(&f);
        (void)fill(&f, room, counts);
    }
    assert_true(counts[4] > 0 && counts[PEERS_MOST - 1] > 0);
    swim_free(f.net.swim);
}

static void views_that_agree_shorten_records_and_not_fates(void **state)
{
    struct fixture f;
    uint32_t counts[PEERS_MOST] = {0};

    (void)state;
    begin(&f, PEERS_MOST);
    accuse(&f, 4);
    tell_of_all(&f);
    uint32_t most = swim_rules_lan.transmissions(f.net.swim->table.n_live);
    (void)fill(&f, ROOM_MOST, counts);
    for (uint32_t i = 1; i < most; i++) { /* one was made */
        assert_int_equal(f.net.swim->rumors.n, PEERS_MOST);
        swim_rumors_known(f.net.swim);
    }
    assert_int_equal(f.net.swim->rumors.n, 1);
    for (uint32_t i = 0; i < 20; i++) {
        (void)fill(&f, ROOM_MOST, counts);
    }
    assert_int_equal(counts[4], most);
    assert_int_equal(counts[0], 1);
    swim_free(f.net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_sent_least_goes_first),
        cmocka_unit_test(each_is_sent_so_often_and_then_gone),
        cmocka_unit_test(the_many_send_it_more_often),
        cmocka_unit_test(fates_go_before_records),
        cmocka_unit_test(one_rumor_a_member_and_its_newest_state),
        cmocka_unit_test(the_room_is_kept),
        cmocka_unit_test(views_that_agree_shorten_records_and_not_fates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
