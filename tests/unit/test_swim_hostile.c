/* SPDX-License-Identifier: Apache-2.0
 *
 * What a core does not do for those who have no right to it: amplify, work for strangers, run out
 * of probes, of members, or of patience.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/swim_peers.h"

#define N_PEERS 30

struct fixture {
    struct swim_test_net net;
    struct swim_test_peer peers[N_PEERS];
};

struct said {
    uint64_t n, bytes;
    uint64_t least_record;
    uint64_t n_by_type[SWIM_VIEW + 1];
};

static void begin(struct fixture *f)
{
    swim_test_net_init(&f->net, &swim_crypto_null, &swim_rules_lan);
    for (uint8_t i = 1; i < N_PEERS; i++) {
        f->peers[i] = swim_test_peer(&swim_crypto_null, i);
        swim_test_say_alive(&f->net, &f->peers[i]);
    }
}

static struct said drain(struct fixture *f)
{
    struct swim_action action;
    struct said said = {.least_record = SWIM_RECORD_MAX};

    while (swim_next(f->net.swim, f->net.now, &f->net.scratch, &action)) {
        if (action.kind != SWIM_SEND) {
            continue;
        }
        struct unpack run =
            unpack_from(action.bytes + SWIM_HEAD_BYTES, action.n - SWIM_SEALED_EXTRA);
        struct swim_frame frame;
        said.n++;
        said.bytes += action.n;
        while (swim_test_next_frame(&run, &frame)) {
            said.least_record = frame.type == SWIM_ALIVE_FRAME && frame.n_bin < said.least_record
                                    ? frame.n_bin
                                    : said.least_record;
            said.n_by_type[frame.type]++;
        }
    }
    return said;
}

/* S2: what it says itself comes back, from wherever. */
static void what_it_said_itself_is_not_heard(void **state)
{
    uint8_t bytes[SWIM_DATAGRAM_MAX];
    struct swim_action action;
    struct fixture f;
    uint64_t n_said = 0;

    (void)state;
    begin(&f);
    swim_probe_begin(f.net.swim, swim_find(f.net.swim, f.peers[1].sid), PROBE_ROUTINE, 0);
    while (swim_next(f.net.swim, f.net.now, &f.net.scratch, &action)) {
        if (action.kind == SWIM_SEND) {
            memcpy(bytes, action.bytes, action.n);
            swim_on_datagram(f.net.swim, f.net.now, &f.peers[2].addr, bytes, action.n, 0);
            assert_int_equal(swim_get_counters(f.net.swim)->reflected, ++n_said);
        }
    }
    assert_true(n_said > 0);
    assert_int_equal(swim_get_counters(f.net.swim)->datagrams_received, N_PEERS - 1);
    swim_free(f.net.swim);
}

/* S5: once a key is out of the ring, what is said under it is that of a stranger. */
static void a_key_that_was_removed_opens_nothing(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct swim_keyring ring = f.net.ring;
    for (uint32_t i = 0; i < ring.n; i++) {
        ring.keys[i].key[0] ^= 0xff;
        ring.keys[i].id = swim_key_id(ring.keys[i].key);
    }
    swim_set_keyring(f.net.swim, &ring);
    f.peers[1].incarnation.seq++;
    swim_test_say_alive(&f.net, &f.peers[1]);
    assert_int_equal(swim_get_counters(f.net.swim)->foreign_key, 1);
    assert_int_equal(swim_find(f.net.swim, f.peers[1].sid)->incarnation.seq, 0);
    assert_int_equal(drain(&f).n_by_type[SWIM_ACK], 0);
    f.net.ring = ring;
    swim_test_say_alive(&f.net, &f.peers[1]);
    assert_int_equal(swim_find(f.net.swim, f.peers[1].sid)->incarnation.seq, 1);
    swim_free(f.net.swim);
}

/* A frame that asks for something. */
static struct swim_frame question(const struct fixture *f, uint8_t type, uint8_t *bin)
{
    struct swim_frame frame = {.type = type,
                               .seq = 5,
                               .sid = type == SWIM_PING ? f->net.swim->self->sid : f->peers[1].sid,
                               .ttl_ms = 500,
                               .state = SWIM_SUSPECT,
                               .incarnation = {1, 0},
                               .bin = bin};

    if (type == SWIM_WANT) {
        frame.n_bin = 160;
        for (size_t i = 0; i < 20; i++) {
            put_le64(bin + i * 8, f->peers[1 + i].sid);
        }
    } else if (type == SWIM_DIGEST) {
        frame.state = SWIM_DIGEST_LIST; /* we hold nobody: tell us of all */
        memset(bin, 0xff, 8);
        frame.n_bin = 8;
    } else if (type == SWIM_SYNC) {
        frame.state = SWIM_SYNC_STREAM;
    }
    return frame;
}

/* One recorded datagram of a life that nobody knows any more, again and again. */
static void a_recording_of_a_stranger_is_no_amplifier(void **state)
{
    static const uint8_t types[] = {SWIM_PING,   SWIM_PINGREQ, SWIM_YOUARE,
                                    SWIM_DIGEST, SWIM_WANT,    SWIM_SYNC};
    uint8_t bin[SWIM_BIN_MAX];
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof types; i++) {
        for (int bound = 0; bound < 2; bound++) {
            begin(&f);
            (void)drain(&f);
            struct swim_test_peer stranger = swim_test_peer(&swim_crypto_null, 200);
            const struct swim_frame frame = question(&f, types[i], bin);
            uint64_t in = 0;
            f.net.unbound = bound == 0;
            for (int k = 0; k < 1000; k++) {
                stranger.counter = 7;
                swim_test_say(&f.net, &stranger, &frame, 1);
                in += swim_frame_size(&frame) + SWIM_SEALED_EXTRA;
            }
            /* Half as much again, and one record or HELLO. */
            assert_true(drain(&f).bytes <= in + in / 2 + 700);
            assert_int_equal(f.net.swim->n_conns, 0);
            swim_free(f.net.swim);
        }
    }
}

static void an_older_life_that_says_hello_again_and_again_is_answered_seldom(void **state)
{
    struct fixture f;
    uint8_t record[SWIM_RECORD_MAX];
    struct swim_test_peer old = swim_test_peer(&swim_crypto_null, 1);

    (void)state;
    begin(&f);
    (void)drain(&f);
    old.incarnation.boot -= 5000;
    memset(old.nonce, 0x77, sizeof old.nonce);
    struct swim_frame hello = {.type = SWIM_HELLO, .seq = 1, .bin = record};
    hello.n_bin = swim_test_record_of(&f.net, &old, false, record);
    for (int k = 0; k < 1000; k++) { /* within 100 ms */
        f.net.now.mono_ns += SWIM_MS / 10;
        old.counter = 3;
        swim_test_say(&f.net, &old, &hello, 1);
    }
    assert_in_range(drain(&f).n, 1, 24);
    assert_true(swim_get_counters(f.net.swim)->strangers_refused > 900);
    swim_free(f.net.swim);
}

static void one_message_gets_few_answers(void **state)
{
    struct fixture f;
    struct swim_frame frames[20];
    uint8_t bin[SWIM_BIN_MAX];

    (void)state;
    begin(&f);
    (void)drain(&f);
    for (int i = 0; i < 20; i++) {
        frames[i] = question(&f, SWIM_PING, bin);
    }
    swim_test_say(&f.net, &f.peers[2], frames, 20);
    assert_int_equal(drain(&f).n_by_type[SWIM_ACK], SWIM_ANSWERS_MAX);
    assert_int_equal(swim_get_counters(f.net.swim)->answers_refused, 20 - SWIM_ANSWERS_MAX);
    swim_free(f.net.swim);
}

static void nothing_of_a_message_with_a_bad_frame_is_done(void **state)
{
    struct fixture f;
    uint8_t run[256];
    struct pack pack = pack_into(run, sizeof run);

    (void)state;
    begin(&f);
    const struct swim_frame accusation = {.type = SWIM_SUSPECT_FRAME,
                                          .sid = f.peers[1].sid,
                                          .incarnation = f.peers[1].incarnation,
                                          .from = f.peers[2].sid};
    swim_frame_write(&pack, &accusation);
    size_t n = pack_length(&pack);
    run[n] = 0xc1;
    swim_test_say_bytes(&f.net, &f.peers[2], &f.peers[2].addr, run, n + 1);
    assert_int_equal(swim_find(f.net.swim, f.peers[1].sid)->state, SWIM_ALIVE);
    assert_int_equal(swim_get_counters(f.net.swim)->bad_frames, 1);
    swim_test_say_bytes(&f.net, &f.peers[2], &f.peers[2].addr, run, n);
    assert_int_equal(swim_find(f.net.swim, f.peers[1].sid)->state, SWIM_SUSPECT);
    swim_free(f.net.swim);
}

static void our_record_goes_out_as_it_is_then(void **state)
{
    struct fixture f;
    const uint8_t meta[200] = {1};
    const struct swim_frame old = {.type = SWIM_YOUARE, .state = SWIM_ALIVE, .incarnation = {1, 0}};
    struct said said;

    (void)state;
    swim_test_net_init(&f.net, &swim_crypto_null, &swim_rules_lan);
    f.peers[1] = swim_test_peer(&swim_crypto_null, 1);
    swim_test_say(&f.net, &f.peers[1], &old, 1); /* we tell it of us */
    assert_true(swim_set_meta(f.net.swim, f.net.now, meta, sizeof meta));
    said = drain(&f);
    assert_true(said.n_by_type[SWIM_ALIVE_FRAME] > 0);
    assert_true(said.least_record > sizeof meta);
    swim_free(f.net.swim);
}

static void many_accusations_leave_probes_for_the_routine(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    for (uint32_t round = 0; round < 3; round++) { /* of their incarnations, too */
        for (uint8_t i = 1; i < N_PEERS; i++) {
            const struct swim_frame accusation = {.type = SWIM_SUSPECT_FRAME,
                                                  .sid = f.peers[i].sid,
                                                  .incarnation = f.peers[i].incarnation,
                                                  .from = f.peers[1 + i % 5].sid};
            swim_test_say(&f.net, &f.peers[1 + i % 5], &accusation, 1);
            f.peers[i].incarnation.seq++;
            swim_test_say_alive(&f.net, &f.peers[i]);
        }
    }
    assert_true(swim_get_counters(f.net.swim)->probes_full > 0);
    assert_false(swim_probe_has_room(f.net.swim, PROBE_WITNESS));
    assert_true(swim_probe_has_room(f.net.swim, PROBE_ROUTINE));
    swim_free(f.net.swim);
}

static void the_longest_gone_makes_room_and_the_living_do_not(void **state)
{
    struct swim_test_net net;
    struct swim_id id = {{0}};
    struct swim_id gone = {{0}};

    (void)state;
    swim_test_net_init(&net, &swim_crypto_null, &swim_rules_lan);
    for (uint32_t i = 1; i < SWIM_MEMBERS_MAX; i++) {
        put_le32(id.bytes + 4, i);
        net.swim->now.mono_ns += 1;
        struct swim_member *member = swim_add_member(net.swim, &id);
        swim_set_member(net.swim, member, (struct swim_incarnation){1, 0}, SWIM_ALIVE);
    }
    put_le32(id.bytes + 4, SWIM_MEMBERS_MAX);
    assert_null(swim_add_member(net.swim, &id));
    assert_int_equal(net.swim->counters.members_full, 1);
    for (uint32_t i = 900; i > 897; i--) {
        put_le32(gone.bytes + 4, i);
        net.swim->now.mono_ns += 1;
        swim_set_member(net.swim, swim_find(net.swim, swim_sid(&gone)),
                        (struct swim_incarnation){1, 0}, SWIM_DEAD);
    }
    assert_non_null(swim_add_member(net.swim, &id));
    assert_int_equal(net.swim->counters.members_evicted, 1);
    put_le32(gone.bytes + 4, 900);
    assert_null(swim_find(net.swim, swim_sid(&gone)));
    put_le32(gone.bytes + 4, 898);
    assert_non_null(swim_find(net.swim, swim_sid(&gone)));
    swim_free(net.swim);
}

/* A partition may be longer than tombstones are kept. */
static void who_was_forgotten_may_come_back_and_who_left_may_not(void **state)
{
    struct fixture f;
    uint8_t record[SWIM_RECORD_MAX];
    struct swim_frame left = {.type = SWIM_LEFT_FRAME, .bin = record};
    struct swim_frame hello = {.type = SWIM_HELLO, .seq = 9, .bin = record};

    (void)state;
    begin(&f);
    swim_declare_dead(f.net.swim, swim_find(f.net.swim, f.peers[1].sid), 1, 0);
    f.peers[2].incarnation.seq++;
    left.n_bin = swim_test_record_of(&f.net, &f.peers[2], true, record);
    swim_test_say(&f.net, &f.peers[3], &left, 1);
    swim_test_pass(&f.net, swim_rules_lan.dead_kept_ms);
    f.net.swim->now = f.net.now;
    swim_on_expire_timer(f.net.swim);
    assert_null(swim_find(f.net.swim, f.peers[1].sid));
    assert_null(swim_find(f.net.swim, f.peers[2].sid));
    hello.n_bin = swim_test_record_of(&f.net, &f.peers[1], false, record);
    swim_test_say(&f.net, &f.peers[1], &hello, 1);
    assert_non_null(swim_find(f.net.swim, f.peers[1].sid));
    f.peers[2].incarnation.seq = 0;
    swim_test_say_alive(&f.net, &f.peers[2]);
    assert_null(swim_find(f.net.swim, f.peers[2].sid));
    swim_free(f.net.swim);
}

static void one_member_acknowledges_a_farewell_once(void **state)
{
    struct fixture f;
    const struct swim_frame acks[5] = {{.type = SWIM_LEAVEACK},
                                       {.type = SWIM_LEAVEACK},
                                       {.type = SWIM_LEAVEACK},
                                       {.type = SWIM_LEAVEACK},
                                       {.type = SWIM_LEAVEACK}};

    (void)state;
    begin(&f);
    swim_leave(f.net.swim, f.net.now);
    assert_false(swim_set_meta(f.net.swim, f.net.now, "x", 1));
    swim_test_say(&f.net, &f.peers[1], acks, 5);
    swim_test_say(&f.net, &f.peers[2], acks, 5);
    assert_false(f.net.swim->leave_done_due);
    swim_test_say(&f.net, &f.peers[3], acks, 1);
    assert_true(f.net.swim->leave_done_due);
    swim_free(f.net.swim);
}

static void a_random_member_is_found_when_there_is_one(void **state)
{
    struct swim_test_net net;
    uint32_t n_drawn[4] = {0};
    struct swim_test_peer peers[4];

    (void)state;
    swim_test_net_init(&net, &swim_crypto_null, &swim_rules_lan);
    assert_null(swim_random_live(net.swim, 0));
    for (uint8_t i = 1; i < 4; i++) {
        peers[i] = swim_test_peer(&swim_crypto_null, i);
        swim_test_say_alive(&net, &peers[i]);
    }
    for (int k = 0; k < 3000; k++) {
        const struct swim_member *member = swim_random_live(net.swim, peers[2].sid);
        assert_non_null(member);
        for (uint32_t i = 1; i < 4; i++) {
            n_drawn[i] += member->sid == peers[i].sid;
        }
    }
    assert_int_equal(n_drawn[1] + n_drawn[3], 3000);
    assert_in_range(n_drawn[1], 1350, 1650);
    swim_leave(net.swim, net.now);
    assert_non_null(swim_random_live(net.swim, peers[1].sid));
    swim_free(net.swim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recording_of_a_stranger_is_no_amplifier),
        cmocka_unit_test(an_older_life_that_says_hello_again_and_again_is_answered_seldom),
        cmocka_unit_test(what_it_said_itself_is_not_heard),
        cmocka_unit_test(a_key_that_was_removed_opens_nothing),
        cmocka_unit_test(one_message_gets_few_answers),
        cmocka_unit_test(nothing_of_a_message_with_a_bad_frame_is_done),
        cmocka_unit_test(our_record_goes_out_as_it_is_then),
        cmocka_unit_test(many_accusations_leave_probes_for_the_routine),
        cmocka_unit_test(the_longest_gone_makes_room_and_the_living_do_not),
        cmocka_unit_test(who_was_forgotten_may_come_back_and_who_left_may_not),
        cmocka_unit_test(one_member_acknowledges_a_farewell_once),
        cmocka_unit_test(a_random_member_is_found_when_there_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
