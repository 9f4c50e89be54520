"""Whom to name where it is chance who was caught.

A CPU that loops is caught anywhere in what it does again and again, and a title that named the
place would be another one in the next run. Whoever was asked to do all that is the same each time:
the handler of a system call, ioctl or socket, a work item, a timer, a thread. syzbot titles its
stalls so, and these are its names. Of tasks that wait for an RCU grace period or for the RTNL,
which all wait for the same, any may be the one that is reported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.dmesg.frames import Frame
from harness.dmesg.machinery import ENTRIES, Skipper

# Who hands a request over to those whom it is for.
_DISPATCHERS = Skipper(
    ENTRIES,
    r"do_el0_svc|_*el[01]\w*|ret_fast_syscall|system_call\w*|sysenter_\w+|tracesys\w*|"
    r"start_(?:secondary|kernel)|cpu_startup_entry|secondary_start\w*|"
    r"kernel_init\w*|do_initcalls|do_one_initcall",
    # threads, and what they do for others
    r"irq_(?:thread|forced_thread)\w*|kthread_worker_fn|vhost_(?:task_fn|run_work_list)|"
    r"kvm_vm_worker_thread|cpu_stopper_thread|srcu_invoke_callbacks|"
    r"io_(?:issue_sqe|wq_submit_work|worker_handle_work|wq_worker)",
    # interrupts
    r"_*hrtimer_run_\w+|hrtimer_(?:interrupt|run_softirq)|expire_timers|tasklet_action\w*|"
    r"_*handle_irq_event\w*|\w*common_interrupt|do_IRQ|exc_\w+|_*sysvec_\w+|smp_\w+_interrupt|"
    r"handle_percpu_devid_\w+|generic_handle_\w+|handle_domain_irq|gic_handle_irq|call_on_irq_stack|"
    r"do_interrupt_handler|ipi_handler|(?:do_)?handle_IPI|irq_work_(?:single|run\w*)|"
    r"_*flush_smp_call_function_queue|generic_smp_call_function_\w+|blk_(?:complete_reqs|done_softirq)|"
    r"do_user_addr_fault|_*do_page_fault|"
    r"_*netif_receive_skb\w*|process_backlog|_*napi_poll|net_rx_action",
    # on the way out to userspace
    r"get_signal|(?:arch_)?do_signal\w*|do_notify_resume|\w*exit_to_user_mode\w*",
    # files
    r"_*(?:do_)?vfs_\w+|new_sync_(?:read|write)|call_(?:read|write)_iter|do_iter_\w+|"
    r"full_proxy_\w+|kernfs_fop_\w+|sysfs_kf_\w+|proc_(?:sys|reg)_\w+|compat_ptr_ioctl|"
    r"do_dentry_open|_*fput|task_work_run|"
    r"(?:_*(?:(?:x64|ia32|arm64|se|do)_)?k?(?:compat_)?sys_|SYSC_|SyS_)"
    r"(?:ioctl|read|readv|pread64|write|writev|pwrite64)",
    # sockets
    r"_*sock_(?:send|recv)msg\w*|_+sys_(?:(?:send|recv)\w+|(?:connect|bind|listen|accept)\w*|"
    r"[gs]etsockopt)|do_accept|(?:do_)?sock_(?:common|do|read|write|[gs]etsockopt)\w*|sock_ioctl|"
    r"inet6?_(?:sendmsg|recvmsg)|rtnetlink_rcv_msg",
)
_SYSCALL = re.compile(r"__(?:x64|ia32|arm64|se|do)_(?=(?:compat_)?sys_)")
# What the kernel has one of, or as good as one; not SRCU, of which each user has his own.
_RCU = re.compile(r"_*synchronize_(?:rcu|net|sched)(?:_expedited)?")
_RTNL = re.compile(r"rtnl_lock(?:_\w+)?")


def asked_to(function: str, frames: Sequence[Frame]) -> str:
    """Who was asked to do what `function` was caught in; the stack's frames are from the innermost
    on. `function` itself where the stack doesn't say."""
    mine = [at for at, frame in enumerate(frames) if frame.name == function]
    if not mine:
        return function
    # Where an interrupt came in, if its own stack is told before that.
    start = next((at for at in mine if frames[at].interrupted), mine[0])
    outermost = function
    for frame in frames[start + 1 :]:
        if _DISPATCHERS.covers(frame.name):
            return plain_syscall(outermost)
        outermost = frame.name
    return function


def plain_syscall(name: str) -> str:
    """The system call's name, without that of the wrapper."""
    return _SYSCALL.sub("", name)


def shared_wait(names: Sequence[str]) -> str:
    """What a task with this stack waits for like many others; "" if for something of its own."""
    for name in names:
        if _RTNL.fullmatch(name):
            return name
        if _RCU.fullmatch(name):
            return "synchronize_rcu"
    return ""
