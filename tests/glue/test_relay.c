/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams and viewers on a real loop with real capture sessions; the packets are made up and
 * numbered, the peers are buffers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zstd.h>

#include "shared/wire/ws.h"
#include "tests/support/pcapng_reading.h"
#include "tests/support/relay_fixture.h"

/* ---- tests -------------------------------------------------------------------------------- */

static void a_pcapng_viewer_gets_a_whole_file(void **state)
{
    struct peer peer = {0};

    (void)state;
    watch(&peer, "eth0", &pcapng);
    for (int i = 0; i < 20; i++) {
        fake_give(1000);
        RUN_UNTIL(peer.viewer->n_packets == (uint64_t)(i + 1) * 1000);
    }
    struct reading r = read_pcapng(&peer.data);
    assert_int_equal(r.packets, 20000);
    assert_int_equal(r.first, 0);
    assert_int_equal(r.sections, 1);
    assert_int_equal(r.interfaces, 1);
    assert_int_equal(r.lost, 0);
    assert_non_null(memmem(peer.data.data, peer.data.len, "tcp port 1", 10));
    leave(&peer);
    end_node();
}

static void a_raw_viewer_gets_each_packet_as_a_message(void **state)
{
    struct peer peer = {0};

    (void)state;
    fake_interface.caplen = 333;
    watch(&peer, "eth0", &raw);
    fake_give(5000);
    RUN_UNTIL(peer.viewer->n_packets == 5000);
    assert_int_equal(peer.n_messages, 5000);
    assert_int_equal(peer.data.len, 5000 * 333);
    for (uint64_t i = 0; i < 5000; i++) {
        assert_int_equal(get_le64(peer.data.data + i * 333), i);
    }
    leave(&peer);
    end_node();
}

static void a_large_packet_goes_through_in_both_formats(void **state)
{
    struct peer peers[2] = {0};

    (void)state;
    fake_interface.caplen = 262144;
    watch(&peers[0], "eth0", &raw);
    watch(&peers[1], "eth0", &pcapng);
    fake_give(9);
    RUN_UNTIL(peers[0].viewer->n_packets == 9 && peers[1].viewer->n_packets == 9);
    assert_int_equal(peers[0].data.len, 9 * 262144);
    assert_int_equal(read_pcapng(&peers[1].data).packets, 9);
    leave(&peers[0]);
    leave(&peers[1]);
    end_node();
}

/* One that stands still loses its oldest packets, is told exactly how many, and costs the other
 * nothing. */
static void a_slow_viewer_loses_by_count_and_delays_nobody(void **state)
{
    struct peer slow = {.stuck = true};
    struct peer fast = {0};

    (void)state;
    watch(&slow, "eth0", &pcapng);
    watch(&fast, "eth0", &pcapng);
    for (int i = 0; i < 100; i++) {
        fake_give(1000);
        RUN_UNTIL(fast.viewer->n_packets == (uint64_t)(i + 1) * 1000);
    }
    assert_int_equal(fast.viewer->lost, 0);
    assert_true(slow.viewer->in_flight <= (2 << 20));
    unstick(&slow);
    RUN_UNTIL(slow.viewer->cursor.number == 100000);
    struct reading r = read_pcapng(&slow.data);
    assert_true(r.lost > 0);
    assert_int_equal(r.packets + r.lost, 100000);
    assert_int_equal(r.lost, slow.viewer->lost);
    assert_int_equal(node.relay->counters[VIEWER_PCAPNG].lost, r.lost);
    assert_int_equal(read_pcapng(&fast.data).packets, 100000);
    leave(&slow);
    leave(&fast);
    end_node();
}

static uint64_t captured(struct relay_stream *stream)
{
    uv_mutex_lock(&stream->mutex);
    uint64_t n = stream->ring.packets;
    uv_mutex_unlock(&stream->mutex);
    return n;
}

static void a_slow_raw_viewer_is_counted_exactly(void **state)
{
    struct peer slow = {.stuck = true};

    (void)state;
    watch(&slow, "eth0", &raw);
    fake_give(100000);
    RUN_UNTIL(captured(slow.viewer->stream) == 100000);
    unstick(&slow);
    RUN_UNTIL(slow.viewer->cursor.number == 100000);
    assert_true(slow.viewer->lost > 0);
    assert_int_equal(slow.n_messages + slow.viewer->lost, 100000);
    leave(&slow);
    end_node();
}

/* All that zstd gives for what was sent so far. */
static void decode(const struct buf *data, struct buf *plain)
{
    ZSTD_DStream *decoder = ZSTD_createDStream();
    ZSTD_inBuffer in = {data->data, data->len, 0};

    buf_reset(plain);
    for (bool full = true; full || in.pos < in.size;) {
        buf_reserve(plain, 1 << 20);
        ZSTD_outBuffer out = {plain->data, plain->cap, plain->len};
        assert_false(ZSTD_isError(ZSTD_decompressStream(decoder, &out, &in)));
        plain->len = out.pos;
        full = out.pos == out.size;
    }
    ZSTD_freeDStream(decoder);
}

static void zstd_messages_are_one_stream_decodable_at_once(void **state)
{
    static const struct viewer_opts opts = {.kind = VIEWER_PCAPNG, .zstd = true};
    struct peer peer = {0};
    struct buf plain = {0};

    (void)state;
    watch(&peer, "eth0", &opts);
    for (int i = 0; i < 30; i++) { /* small ones on the loop, large ones on workers */
        fake_give(i % 2 == 0 ? 3 : 4000);
        RUN_UNTIL(peer.viewer->n_packets == (uint64_t)((i / 2 + 1) * 3 + (i + 1) / 2 * 4000));
        if (i % 5 == 0) { /* all that was sent can be decoded, without an end of the frame */
            decode(&peer.data, &plain);
            assert_int_equal(read_pcapng(&plain).packets, peer.viewer->n_packets);
        }
    }
    assert_true(peer.data.len < plain.len / 3);
    buf_deinit(&plain);
    leave(&peer);
    end_node();
}

static void deflated_write(void *of, const struct iovec *iov, unsigned n,
                           void (*release)(void *arg), void *arg)
{
    struct peer *peer = of;

    for (unsigned i = 0; i < n; i++) {
        buf_append(&peer->got, iov[i].iov_base, iov[i].iov_len);
    }
    release(arg);
}

static const struct viewer_peer_ops deflated_ops = {peer_has_room, deflated_write, peer_close,
                                                    peer_hold};

static void on_inflated(void *arg, enum ws_opcode opcode, const uint8_t *data, size_t n)
{
    struct peer *peer = arg;

    assert_int_equal(opcode, WS_BINARY);
    buf_append(&peer->data, data, n);
    peer->n_messages++;
}

static void inflate_all(struct peer *peer)
{
    struct ws_reader *reader = ws_reader_new(&(struct ws_reader_opts){.client = true,
                                                                      .deflate = true,
                                                                      .max_message = 1u << 24,
                                                                      .message = on_inflated,
                                                                      .arg = peer});
    struct buf out = {0};

    assert_int_equal(ws_reader_feed(reader, peer->got.data, peer->got.len, &out, NULL), 0);
    ws_reader_free(reader);
    buf_deinit(&out);
    buf_deinit(&peer->got);
}

static void watch_deflated(struct peer *peer, const struct viewer_opts *opts)
{
    struct join join = join_stream("eth0", NULL, opts);

    assert_non_null(join.viewer);
    peer->viewer = join.viewer;
    viewer_start(join.viewer, &deflated_ops, peer, true);
}

/* zlib is slow: the loop has other things to do. */
static void much_is_deflated_on_a_worker(void **state)
{
    struct peer peers[2] = {0};

    (void)state;
    fake_interface.caplen = 200;
    watch_deflated(&peers[0], &raw);
    watch_deflated(&peers[1], &pcapng);
    fake_give(5000);
    RUN_UNTIL(viewer_is_compressing(peers[0].viewer));
    RUN_UNTIL(viewer_is_compressing(peers[1].viewer));
    RUN_UNTIL(peers[0].viewer->n_packets == 5000 && peers[1].viewer->n_packets == 5000);
    assert_true(peers[0].got.len < 5000 * 200);
    inflate_all(&peers[0]);
    inflate_all(&peers[1]);
    assert_int_equal(peers[0].n_messages, 5000);
    for (uint64_t i = 0; i < 5000; i++) {
        assert_int_equal(get_le64(peers[0].data.data + i * 200), i);
    }
    assert_int_equal(read_pcapng(&peers[1].data).packets, 5000);
    leave(&peers[0]);
    leave(&peers[1]);
    end_node();
}

static void who_comes_back_goes_on_where_it_was(void **state)
{
    struct peer first = {0};
    struct peer second = {0};
    char resume[64];

    (void)state;
    watch(&first, "eth0", &pcapng);
    fake_give(500);
    RUN_UNTIL(first.viewer->n_packets == 500);
    snprintf(resume, sizeof resume, "%s:%d", viewer_stream_id(first.viewer), 500);
    leave(&first);
    fake_give(700); /* nobody looks */
    const struct viewer_opts opts = {.kind = VIEWER_PCAPNG, .resume = resume};
    watch(&second, "eth0", &opts);
    fake_give(100);
    RUN_UNTIL(second.viewer->cursor.number == 1300);
    struct reading r = read_pcapng(&second.data);
    assert_int_equal(r.first, 500);
    assert_int_equal(r.packets, 800);
    assert_int_equal(atomic_load(&fake_interface.opens), 1);
    leave(&second);
    end_node();
}

static void a_stranger_s_resume_begins_now(void **state)
{
    struct peer peers[2] = {0};
    const struct viewer_opts opts = {.kind = VIEWER_PCAPNG, .resume = "0123456789abcdef:5"};

    (void)state;
    watch(&peers[0], "eth0", &pcapng);
    fake_give(50);
    RUN_UNTIL(peers[0].viewer->n_packets == 50);
    watch(&peers[1], "eth0", &opts);
    assert_int_equal(viewer_position(peers[1].viewer), 50);
    leave(&peers[0]);
    leave(&peers[1]);
    end_node();
}

/* A client that has miscounted: what comes now is not left out, and its position says so. */
static void a_resume_beyond_the_stream_begins_now(void **state)
{
    struct peer peers[2] = {0};
    char resume[64];

    (void)state;
    watch(&peers[0], "eth0", &pcapng);
    fake_give(50);
    RUN_UNTIL(peers[0].viewer->n_packets == 50);
    snprintf(resume, sizeof resume, "%s:%d", viewer_stream_id(peers[0].viewer), 60);
    const struct viewer_opts opts = {.kind = VIEWER_PCAPNG, .resume = resume};
    watch(&peers[1], "eth0", &opts);
    assert_int_equal(viewer_position(peers[1].viewer), 50);
    fake_give(20);
    RUN_UNTIL(peers[1].viewer->n_packets == 20);
    struct reading r = read_pcapng(&peers[1].data);
    assert_int_equal(r.first, 50);
    leave(&peers[0]);
    leave(&peers[1]);
    end_node();
}

static void viewers_outlive_an_interface_that_goes_down(void **state)
{
    struct peer peer = {0};

    (void)state;
    watch(&peer, "eth0", &pcapng);
    fake_give(10);
    RUN_UNTIL(peer.viewer->n_packets == 10);
    atomic_store(&fake_interface.broken, true);
    fake_give(0);
    RUN_UNTIL(peer.viewer->stream->state == STREAM_DOWN);
    RUN_UNTIL(atomic_load(&fake_interface.opens) >= 3);
    RUN_UNTIL(read_pcapng(&peer.data).has_note);
    atomic_store(&fake_interface.broken, false);
    RUN_UNTIL(peer.viewer->stream->state == STREAM_RUNNING);
    assert_string_equal(last_event, "interface.up");
    fake_give(10);
    RUN_UNTIL(peer.viewer->n_packets == 20);
    struct reading r = read_pcapng(&peer.data);
    assert_int_equal(r.packets, 20);
    assert_int_equal(peer.code, 0);
    leave(&peer);
    end_node();
}

static void what_is_left_out_is_told_again_when_it_changes(void **state)
{
    struct peer peer = {0};
    struct peer later = {0};

    (void)state;
    watch(&peer, "eth0", &pcapng);
    fake_swapped(&node);
    fake_give(5);
    RUN_UNTIL(peer.viewer->n_packets == 5);
    assert_int_equal(read_pcapng(&peer.data).statistics, 0); /* the same as before */
    fake_excluded = "udp port 2";
    fake_swapped(&node);
    RUN_UNTIL(read_pcapng(&peer.data).has_excluded);
    watch(&later, "eth0", &pcapng); /* finds it in the Interface Description, and only there */
    assert_non_null(memmem(later.data.data, later.data.len, "udp port 2", 10));
    assert_false(read_pcapng(&later.data).has_excluded);
    fake_excluded = "tcp port 1";
    leave(&peer);
    leave(&later);
    end_node();
}

static uint64_t told_lost_relay(void)
{
    static const char family[] = "\npacketrecorder_relay_lost_packets_total ";
    struct buf out = {0};

    relay_metrics(&node, &out);
    buf_put_u8(&out, 0);
    const char *at = strstr((const char *)out.data, family);
    assert_non_null(at);
    uint64_t n = strtoull(at + sizeof family - 1, NULL, 10);
    buf_deinit(&out);
    return n;
}

/* A stream that comes again is the same series: ids would be a new one every time. */
static void the_series_of_a_stream_is_named_by_what_it_captures(void **state)
{
    static const char series[] = "\npacketrecorder_stream_packets_total{interface=\"eth0\","
                                 "filter=\"\",snaplen=\"0\"} 10\n";
    struct peer peer = {0};
    struct buf out = {0};

    (void)state;
    watch(&peer, "eth0", &pcapng);
    fake_give(10);
    RUN_UNTIL(peer.viewer->n_packets == 10);
    relay_metrics(&node, &out);
    buf_put_u8(&out, 0);
    assert_non_null(strstr((const char *)out.data, series));
    buf_deinit(&out);
    leave(&peer);
    end_node();
}

static void what_a_stream_lost_is_told_after_its_end(void **state)
{
    struct peer peer = {0};

    (void)state;
    watch(&peer, "eth0", &pcapng);
    fake_give(10);
    RUN_UNTIL(peer.viewer->n_packets == 10);
    assert_int_equal(told_lost_relay(), 0);
    atomic_fetch_add(&peer.viewer->stream->lost, 7); /* as without memory */
    atomic_store(&fake_interface.broken, true);
    fake_give(0);
    RUN_UNTIL(peer.viewer->stream->state == STREAM_DOWN);
    assert_int_equal(told_lost_relay(), 7);
    atomic_store(&fake_interface.broken, false);
    RUN_UNTIL(peer.viewer->stream->state == STREAM_RUNNING);
    fake_give(10);
    RUN_UNTIL(peer.viewer->n_packets == 20);
    relay_stream_end(peer.viewer->stream);
    RUN_UNTIL(peer.viewer->stream->state == STREAM_DEAD);
    assert_int_equal(told_lost_relay(), 7);
    leave(&peer);
    RUN_UNTIL(node.relay->n_streams == 0);
    assert_int_equal(told_lost_relay(), 7);
    end_node();
}

/* Its end may come before it is known to have begun. */
static void a_capture_that_fails_at_once_is_tried_again(void **state)
{
    struct peer peer = {0};

    (void)state;
    atomic_store(&fake_interface.breaks, true);
    watch(&peer, "eth0", &pcapng);
    RUN_UNTIL(atomic_load(&fake_interface.opens) >= 3);
    atomic_store(&fake_interface.breaks, false);
    RUN_UNTIL(strcmp(last_event, "interface.up") == 0);
    leave(&peer);
    end_node();
}

static void an_interface_that_cannot_be_opened_says_why(void **state)
{
    (void)state;
    struct join join = join_stream("missing", NULL, &pcapng);
    assert_null(join.stream);
    assert_int_equal(join.err.code, ERR_NOT_FOUND);
    atomic_store(&fake_interface.broken, true);
    join = join_stream("eth0", NULL, &pcapng);
    assert_int_equal(join.err.code, ERR_CAPTURE);
    end_node();
}

/* Two at most here. One that nobody looks at makes way, one that is looked at does not. */
static void distinct_captures_are_bounded_and_equal_ones_shared(void **state)
{
    struct peer peers[3] = {0};

    (void)state;
    watch(&peers[0], "eth0", &pcapng);
    watch(&peers[1], "eth0", &raw);
    watch(&peers[2], "eth1", &raw);
    assert_int_equal(atomic_load(&fake_interface.opens), 2);
    assert_ptr_equal(peers[0].viewer->stream, peers[1].viewer->stream);
    struct join join = join_stream("eth0", "tcp", &pcapng);
    assert_int_equal(join.err.code, ERR_IN_USE);
    assert_int_equal(node.relay->refused, 1);
    leave(&peers[2]);
    join = join_stream("eth0", "tcp", &pcapng);
    assert_non_null(join.stream);
    viewer_gone(join.viewer);
    leave(&peers[0]);
    leave(&peers[1]);
    end_node();
}

static void the_end_of_the_node_is_told_and_closes_viewers(void **state)
{
    struct peer peer = {0};

    (void)state;
    watch(&peer, "eth0", &pcapng);
    fake_give(5);
    RUN_UNTIL(peer.viewer->n_packets == 5);
    relay_drain(&node, clock_monotonic_ns() + DEADLINE_NS, on_closed);
    RUN_UNTIL(is_closed);
    assert_int_equal(peer.code, 1001);
    assert_int_equal(read_pcapng(&peer.data).position, 5);
    is_closed = false;
    leave(&peer);
    end_node();
}

/* Also what is being compressed when the end comes is sent, and the last statistics behind it. */
/* Its capture opens while the node ends already: nobody would close it any more. */
static void who_is_still_joining_at_the_end_is_told(void **state)
{
    const struct relay_request request = {.interface = "eth0"};
    struct join join = {0};

    (void)state;
    relay_join(node.relay, &request, on_joined, &join);
    assert_false(join.done);
    end_node();
    assert_true(join.done);
    assert_null(join.stream);
    assert_int_equal(join.err.code, ERR_IN_USE);
}

static void the_end_is_told_to_zstd_viewers(void **state)
{
    static const struct viewer_opts opts = {.kind = VIEWER_PCAPNG, .zstd = true};
    struct peer idle = {0};
    struct peer busy = {0};
    struct buf plain = {0};

    (void)state;
    watch(&idle, "eth0", &opts);
    watch(&busy, "eth0", &opts);
    fake_give(5);
    RUN_UNTIL(idle.viewer->n_packets == 5 && busy.viewer->n_packets == 5);
    fake_give(4000);
    RUN_UNTIL(viewer_zstd_is_busy(busy.viewer->zstd));
    relay_drain(&node, clock_monotonic_ns() + DEADLINE_NS, on_closed);
    assert_true(busy.owner_closes);
    assert_int_equal(busy.code, 0);
    RUN_UNTIL(is_closed && busy.code != 0 && idle.code != 0);
    struct peer *peers[] = {&idle, &busy};
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        assert_int_equal(peers[i]->code, 1001);
        decode(&peers[i]->data, &plain);
        struct reading r = read_pcapng(&plain);
        assert_true(r.packets >= 5);
        assert_int_equal(r.position, r.packets);
    }
    buf_deinit(&plain);
    is_closed = false;
    leave(&idle);
    leave(&busy);
    end_node();
}

static void what_was_stamped_before_a_viewer_came_is_not_for_it(void **state)
{
    struct peer early = {0};
    struct peer late = {0};

    (void)state;
    watch(&early, "eth0", &pcapng);
    watch(&late, "eth0", &raw);
    late.viewer->live_from_ns = fake_interface.time_ns + 700 * 1000; /* of packet 700 */
    fake_give(2000);
    RUN_UNTIL(late.viewer->cursor.number == 2000 && early.viewer->cursor.number == 2000);
    assert_int_equal(late.n_messages, 1300);
    assert_int_equal(get_le64(late.data.data), 700);
    assert_int_equal(late.viewer->lost, 0);
    assert_int_equal(read_pcapng(&early.data).packets, 2000);
    leave(&early);
    leave(&late);
    end_node();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_pcapng_viewer_gets_a_whole_file, set_up),
        cmocka_unit_test_setup(a_raw_viewer_gets_each_packet_as_a_message, set_up),
        cmocka_unit_test_setup(a_large_packet_goes_through_in_both_formats, set_up),
        cmocka_unit_test_setup(a_slow_viewer_loses_by_count_and_delays_nobody, set_up),
        cmocka_unit_test_setup(a_slow_raw_viewer_is_counted_exactly, set_up),
        cmocka_unit_test_setup(zstd_messages_are_one_stream_decodable_at_once, set_up),
        cmocka_unit_test_setup(much_is_deflated_on_a_worker, set_up),
        cmocka_unit_test_setup(who_comes_back_goes_on_where_it_was, set_up),
        cmocka_unit_test_setup(a_stranger_s_resume_begins_now, set_up),
        cmocka_unit_test_setup(a_resume_beyond_the_stream_begins_now, set_up),
        cmocka_unit_test_setup(viewers_outlive_an_interface_that_goes_down, set_up),
        cmocka_unit_test_setup(what_is_left_out_is_told_again_when_it_changes, set_up),
        cmocka_unit_test_setup(a_capture_that_fails_at_once_is_tried_again, set_up),
        cmocka_unit_test_setup(the_series_of_a_stream_is_named_by_what_it_captures, set_up),
        cmocka_unit_test_setup(what_a_stream_lost_is_told_after_its_end, set_up),
        cmocka_unit_test_setup(an_interface_that_cannot_be_opened_says_why, set_up),
        cmocka_unit_test_setup(distinct_captures_are_bounded_and_equal_ones_shared, set_up),
        cmocka_unit_test_setup(what_was_stamped_before_a_viewer_came_is_not_for_it, set_up),
        cmocka_unit_test_setup(who_is_still_joining_at_the_end_is_told, set_up),
        cmocka_unit_test_setup(the_end_is_told_to_zstd_viewers, set_up),
        cmocka_unit_test_setup(the_end_of_the_node_is_told_and_closes_viewers, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
