"""Who is named where chance decides who is caught."""

from __future__ import annotations

import pytest

from harness.dmesg import find_splats
from harness.dmesg.frames import Frame
from harness.dmesg.stuck import asked_to, shared_wait

# Stacks from the innermost function on; the one in capitals was asked for.
STACKS = (
    "vmx_vcpu_run vcpu_run KVM_VCPU_IOCTL __x64_sys_ioctl do_syscall_64",
    "zap_pte unmap_vmas __do_munmap __vm_munmap __X64_SYS_MUNMAP do_syscall_64",
    "foo_fifo FOO_IRQ_HANDLER irq_thread_fn irq_thread kthread ret_from_fork",
    "foo_fifo FOO_IRQ_HANDLER __handle_irq_event_percpu handle_irq_event handle_edge_irq",
    "foo_rx FOO_TASKLET tasklet_action_common tasklet_action handle_softirqs",
    "foo_pump FOO_WORK kthread_worker_fn kthread ret_from_fork",
    "foo_pump FOO_WORK process_one_work worker_thread kthread",
    "zap_sp KVM_NX_HUGE_PAGE_RECOVERY_WORKER vhost_task_fn ret_from_fork",
    "zap_sp KVM_NX_HUGE_PAGE_RECOVERY_WORKER kvm_vm_worker_thread kthread",
    "handle_tx HANDLE_TX_KICK vhost_run_work_list vhost_task_fn ret_from_fork",
    "foo_write_iter IO_WRITE io_issue_sqe io_wq_submit_work io_worker_handle_work io_wq_worker",
    "stop_foo MULTI_CPU_STOP cpu_stopper_thread smpboot_thread_fn kthread",
    "free_foo FOO_CB srcu_invoke_callbacks process_one_work worker_thread",
    "free_foo FOO_CB rcu_do_batch rcu_core handle_softirqs",
    "probe_foo FOO_INIT do_one_initcall kernel_init_freeable kernel_init ret_from_fork",
    "spin_foo FOO_IPI __flush_smp_call_function_queue __sysvec_call_function_single",
    "spin_foo FOO_IPI __flush_smp_call_function_queue generic_smp_call_function_single_interrupt"
    " ipi_handler handle_percpu_devid_irq generic_handle_domain_irq gic_handle_irq",
    "spin_foo FOO_IW irq_work_single irq_work_run_list irq_work_run __sysvec_irq_work",
    "spin_foo ARMPMU_DISPATCH_IRQ handle_percpu_devid_irq generic_handle_domain_irq",
    "packet_set_ring PACKET_SETSOCKOPT do_sock_setsockopt __sys_setsockopt __x64_sys_setsockopt",
    "packet_set_ring PACKET_SETSOCKOPT __sys_setsockopt __x64_sys_setsockopt do_syscall_64",
    "hash_foo TIPC_CONNECT __sys_connect_file __sys_connect __x64_sys_connect",
    "hash_foo INET_ACCEPT do_accept __sys_accept4 __x64_sys_accept4",
    "unmap_page_range exit_mmap do_exit DO_GROUP_EXIT get_signal arch_do_signal_or_restart",
    "scan_foo FOO_STORE kernfs_fop_write_iter new_sync_write vfs_write",
    "scan_foo FOO_SYSCTL proc_sys_call_handler vfs_write ksys_write",
    "alloc_foo EXT4_FILE_WRITE_ITER vfs_write ksys_write __x64_sys_write",
    "charge_foo HANDLE_MM_FAULT do_user_addr_fault exc_page_fault asm_exc_page_fault",
    "dequeue_foo igmp_send IGMP_TIMER_EXPIRE call_timer_fn __run_timers run_timer_softirq",
    "advance_foo ADVANCE_SCHED __hrtimer_run_queues hrtimer_interrupt",
    "ip_rcv_core IP_RCV __netif_receive_skb_one_core process_backlog __napi_poll",
    "netlink_foo TC_MODIFY_QDISC rtnetlink_rcv_msg netlink_rcv_skb netlink_sendmsg",
    "poll_foo DO_IDLE cpu_startup_entry start_secondary",
)


@pytest.mark.parametrize("stack", STACKS)
def test_who_was_asked_is_named_whatever_it_was_caught_in(stack: str) -> None:
    names = stack.lower().split()
    at = next(at for at, name in enumerate(stack.split()) if name.isupper())
    wanted = names[at].removeprefix("__x64_")
    frames = [Frame(name) for name in names]
    for caught in range(at + 1):
        assert asked_to(names[caught], frames[caught:]) == wanted


def test_a_stack_that_does_not_say_who_asked_is_named_by_its_innermost() -> None:
    assert asked_to("foo", [Frame("foo"), Frame("bar")]) == "foo"
    assert asked_to("foo", [Frame("bar"), Frame("vfs_write")]) == "foo"
    assert asked_to("", []) == ""


def test_what_all_wait_for_is_named_and_srcu_is_its_users() -> None:
    assert shared_wait(["schedule", "__mutex_lock", "rtnl_lock", "foo_event"]) == "rtnl_lock"
    assert shared_wait(["schedule", "synchronize_net", "foo_close"]) == "synchronize_rcu"
    assert shared_wait(["schedule", "__synchronize_srcu", "kvm_set_memslot"]) == ""


@pytest.mark.parametrize("caught", ["__dev_queue_xmit", "ip_forward_options"])
def test_a_softirq_that_loops_is_named_not_the_task_under_it(caught: str) -> None:
    """The task under it was in the same functions."""
    lines = [
        "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [vmm:9]",
        "CPU: 1 UID: 0 PID: 9 Comm: vmm Not tainted 6.12.1 #1",
        f"RIP: 0010:{caught}+0x31c/0x1190",
        "Call Trace:",
        " <IRQ>",
        *(" ip_finish_output2+0x1/0x2", " ip_rcv+0x1/0x2", " __netif_receive_skb_core+0x1/0x2"),
        *(" process_backlog+0x1/0x2", " net_rx_action+0x1/0x2", " handle_softirqs+0x1/0x2"),
        " </IRQ>",
        " <TASK>",
        *(" __local_bh_enable_ip+0x1/0x2", " __dev_queue_xmit+0x1/0x2", " udp_sendmsg+0x1/0x2"),
        *(" inet_sendmsg+0x1/0x2", " __sys_sendto+0x1/0x2", " do_syscall_64+0x1/0x2"),
        " </TASK>",
    ]
    (splat,) = find_splats("".join(f"[   12.345678] {line}\n" for line in lines).encode())
    assert splat.title == "BUG: soft lockup in ip_rcv"
