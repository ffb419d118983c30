/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "shared/capture/kernel_filter.h"
#include "shared/packet/iface.h"

static void compile(const char *expression, int dlt, struct bpf_program *program)
{
    pcap_t *dead = pcap_open_dead(dlt, 96);

    assert_int_equal(pcap_compile(dead, program, expression, 1, PCAP_NETMASK_UNKNOWN), 0);
    pcap_close(dead);
}

static struct filter_insn *insns_of(struct bpf_program *program)
{
    return (struct filter_insn *)(void *)program->bf_insns;
}

static void ethernet_changes_nothing_but_the_length(void **state)
{
    struct bpf_program program;
    struct bpf_program same;

    (void)state;
    compile("tcp port 80", DLT_EN10MB, &program);
    compile("tcp port 80", DLT_EN10MB, &same);
    assert_true(kernel_filter_fix(insns_of(&program), program.bf_len, LINK_ETHERNET, 262144));
    for (unsigned i = 0; i < program.bf_len; i++) {
        assert_int_equal(program.bf_insns[i].code, same.bf_insns[i].code);
        if (same.bf_insns[i].code != (BPF_RET | BPF_K)) {
            assert_int_equal(program.bf_insns[i].k, same.bf_insns[i].k);
        } else {
            assert_int_equal(program.bf_insns[i].k, same.bf_insns[i].k == 0 ? 0 : 262144);
        }
    }
    pcap_freecode(&program);
    pcap_freecode(&same);
}

/* "ip proto 6": the protocol at 0 of the SLL2 header is asked of the kernel, byte 9 of the IP
 * header is byte 9 of what the socket gives. */
static void a_cooked_header_is_asked_of_the_kernel(void **state)
{
    struct bpf_program program;
    bool protocol = false;
    bool byte_9 = false;

    (void)state;
    compile("ip proto 6", DLT_LINUX_SLL2, &program);
    assert_true(kernel_filter_fix(insns_of(&program), program.bf_len, LINK_SLL2, 262144));
    for (unsigned i = 0; i < program.bf_len; i++) {
        const struct bpf_insn *insn = &program.bf_insns[i];
        if (BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS) {
            protocol = protocol || insn->k == (bpf_u_int32)-0x1000;
            byte_9 = byte_9 || insn->k == 9;
        }
    }
    assert_true(protocol && byte_9);
    pcap_freecode(&program);
}

static void what_the_kernel_cannot_tell_is_refused(void **state)
{
    struct bpf_program program;

    (void)state;
    compile("link[12] = 1", DLT_LINUX_SLL2, &program); /* a byte of the address */
    assert_false(kernel_filter_fix(insns_of(&program), program.bf_len, LINK_SLL2, 262144));
    pcap_freecode(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ethernet_changes_nothing_but_the_length),
        cmocka_unit_test(a_cooked_header_is_asked_of_the_kernel),
        cmocka_unit_test(what_the_kernel_cannot_tell_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
