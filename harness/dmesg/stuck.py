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

from harness.dmesg.machinery import ENTRIES, Skipper

# Who hands a request over to those whom it is for.
_DISPATCHERS = Skipper(
    ENTRIES,
    r"do_el0_svc|ret_fast_syscall|system_call\w*|sysenter_\w+|tracesys\w*|start_(?:secondary|kernel)|"
    r"cpu_startup_entry|secondary_start\w*",
    r"_*hrtimer_run_\w+|hrtimer_(?:interrupt|run_softirq)|expire_timers|"
    r"_*handle_irq_event\w*|\w*common_interrupt|do_IRQ|(?:exc|sysvec)_\w+|do_user_addr_fault|"
    r"_*do_page_fault|_*netif_receive_skb\w*|process_backlog|_*napi_poll|net_rx_action",
    # files
    r"_*(?:do_)?vfs_\w+|new_sync_(?:read|write)|call_(?:read|write)_iter|do_iter_\w+|"
    r"full_proxy_\w+|do_dentry_open|_*fput|task_work_run|"
    r"(?:_*(?:(?:x64|ia32|arm64|se|do)_)?k?(?:compat_)?sys_|SYSC_|SyS_)"
    r"(?:ioctl|read|readv|pread64|write|writev|pwrite64)",
    # sockets
    r"_*sock_(?:send|recv)msg\w*|_+sys_(?:(?:send|recv)\w+|connect|bind|listen|accept4?|[gs]etsockopt)|"
    r"sock_(?:common|do|read|write)_\w+|sock_ioctl|inet6?_(?:sendmsg|recvmsg)|rtnetlink_rcv_msg",
)
_SYSCALL = re.compile(r"__(?:x64|ia32|arm64|se|do)_(?=(?:compat_)?sys_)")
# What the kernel has one of, or as good as one; not SRCU, of which each user has his own.
_RCU = re.compile(r"_*synchronize_(?:rcu|net|sched)(?:_expedited)?")
_RTNL = re.compile(r"rtnl_lock(?:_\w+)?")


def asked_to(function: str, names: Sequence[str]) -> str:
    """Who was asked to do what `function` was caught in; `names` are the stack's functions from
    the innermost on. `function` itself where the stack doesn't say."""
    if function not in names:
        return function
    # Its last mention: what stopped a CPU has a stack, too, and the registers are told before that.
    at = len(names) - 1 - names[::-1].index(function)
    outermost = function
    for name in names[at + 1 :]:
        if _DISPATCHERS.covers(name):
            return _SYSCALL.sub("", outermost)
        outermost = name
    return function


def shared_wait(names: Sequence[str]) -> str:
    """What a task with this stack waits for like many others; "" if for something of its own."""
    for name in names:
        if _RTNL.fullmatch(name):
            return name
        if _RCU.fullmatch(name):
            return "synchronize_rcu"
    return ""
