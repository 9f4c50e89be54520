# ruff: noqa: E501, W291  (as the kernel and the symboliser write it)
"""Whom a report blames: the function that a maintainer would name, in reports as people send them.

Most are symbolised, with inlined callers, as syzbot's are; the same report without symbols has to
have the same title. Function names and layout are the kernel's, addresses and sizes are made up.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from harness.dmesg import Splat, find_splats

# %% TYPE | function, then the report
REPORTS = """
%% KASAN | l2cap_chan_timeout
==================================================================
BUG: KASAN: slab-use-after-free in instrument_atomic_read include/linux/instrumented.h:68 [inline]
BUG: KASAN: slab-use-after-free in atomic_long_read include/linux/atomic/atomic-instrumented.h:3188 [inline]
BUG: KASAN: slab-use-after-free in __mutex_unlock_slowpath+0xef/0x750 kernel/locking/mutex.c:921
Read of size 8 at addr ffff888078a3d0b0 by task kworker/0:1/9

CPU: 0 UID: 0 PID: 9 Comm: kworker/0:1 Not tainted 6.12.0-rc1-syzkaller #0
Hardware name: Google Google Compute Engine/Google Compute Engine, BIOS Google 09/13/2024
Workqueue: events l2cap_chan_timeout
Call Trace:
 <TASK>
 __dump_stack lib/dump_stack.c:94 [inline]
 dump_stack_lvl+0x241/0x360 lib/dump_stack.c:120
 print_address_description mm/kasan/report.c:377 [inline]
 print_report+0x169/0x550 mm/kasan/report.c:488
 kasan_report+0x143/0x180 mm/kasan/report.c:601
 kasan_check_range+0x282/0x290 mm/kasan/generic.c:189
 instrument_atomic_read include/linux/instrumented.h:68 [inline]
 atomic_long_read include/linux/atomic/atomic-instrumented.h:3188 [inline]
 __mutex_unlock_slowpath+0xef/0x750 kernel/locking/mutex.c:921
 l2cap_chan_timeout+0x7f/0x2e0 net/bluetooth/l2cap_core.c:436
 process_one_work kernel/workqueue.c:3229 [inline]
 process_scheduled_works+0xa63/0x1850 kernel/workqueue.c:3310
 worker_thread+0x870/0xd30 kernel/workqueue.c:3391
 kthread+0x2f0/0x390 kernel/kthread.c:389
 ret_from_fork+0x4b/0x80 arch/x86/kernel/process.c:147
 ret_from_fork_asm+0x1a/0x30 arch/x86/entry/entry_64.S:244
 </TASK>

Allocated by task 5233:
 kasan_save_stack mm/kasan/common.c:47 [inline]
 kasan_save_track+0x3f/0x80 mm/kasan/common.c:68
 __kmalloc_cache_noprof+0x19c/0x2c0 mm/slub.c:4295
 l2cap_chan_create+0x45/0x780 net/bluetooth/l2cap_core.c:451
==================================================================
Kernel panic - not syncing: KASAN: panic_on_warn set ...
CPU: 0 UID: 0 PID: 9 Comm: kworker/0:1 Not tainted 6.12.0-rc1-syzkaller #0
Call Trace:
 <TASK>
 panic+0x349/0x880 kernel/panic.c:354
 check_panic_on_warn+0x86/0xb0 kernel/panic.c:243
 end_report+0x77/0x160 mm/kasan/report.c:226
 </TASK>
Kernel Offset: disabled
Rebooting in 86400 seconds..
%% KASAN | nf_tables_newrule
==================================================================
BUG: KASAN: null-ptr-deref in memcpy include/linux/fortify-string.h:191 [inline]
BUG: KASAN: null-ptr-deref in nf_tables_newrule+0x1b0/0x2160 net/netfilter/nf_tables_api.c:3123
Write of size 4 at addr 0000000000000018 by task syz-executor.3/10233

CPU: 1 PID: 10233 Comm: syz-executor.3 Not tainted 5.15.0-syzkaller #0
Call Trace:
 <TASK>
 __dump_stack lib/dump_stack.c:88 [inline]
 dump_stack_lvl+0x1e3/0x2d0 lib/dump_stack.c:106
 __kasan_report mm/kasan/report.c:446 [inline]
 kasan_report+0x161/0x1c0 mm/kasan/report.c:459
 memcpy+0x3c/0x60 mm/kasan/shadow.c:66
 nf_tables_newrule+0x1b0/0x2160 net/netfilter/nf_tables_api.c:3123
 nfnetlink_rcv_batch net/netfilter/nfnetlink.c:505 [inline]
 </TASK>
==================================================================
%% GENERAL_PROTECTION | skb_dequeue
general protection fault, probably for non-canonical address 0xdffffc0000000001: 0000 [#1] PREEMPT SMP KASAN
KASAN: null-ptr-deref in range [0x0000000000000008-0x000000000000000f]
CPU: 1 PID: 5069 Comm: syz-executor182 Not tainted 6.7.0-rc6-syzkaller #0
Hardware name: Google Google Compute Engine/Google Compute Engine, BIOS Google 11/17/2023
RIP: 0010:__skb_unlink include/linux/skbuff.h:2398 [inline]
RIP: 0010:__skb_dequeue include/linux/skbuff.h:2414 [inline]
RIP: 0010:skb_dequeue+0xf5/0x180 net/core/skbuff.c:3842
Code: 1c 00 74 08 48 89 ef e8 e9
RSP: 0018:ffffc90003b0fac0 EFLAGS: 00010202
RAX: dffffc0000000000 RBX: 0000000000000008 RCX: ffff888077c90000
Call Trace:
 <TASK>
 rfcomm_dlc_free net/bluetooth/rfcomm/core.c:334 [inline]
 rfcomm_run+0x2d1/0x4b0 net/bluetooth/rfcomm/core.c:2111
 </TASK>
Modules linked in:
---[ end trace 0000000000000000 ]---
RIP: 0010:__skb_unlink include/linux/skbuff.h:2398 [inline]
RIP: 0010:skb_dequeue+0xf5/0x180 net/core/skbuff.c:3842
%% PAGE_FAULT | cdev_del
BUG: unable to handle page fault for address: fffffbfff4062d24
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
PGD 23ffe4067 P4D 23ffe4067 PUD 23ffe3067 PMD 0 
Oops: Oops: 0000 [#1] PREEMPT SMP KASAN NOPTI
CPU: 0 UID: 0 PID: 1032 Comm: rmmod Tainted: G           OE      6.11.0 #3
RIP: 0010:cdev_del+0x22/0x90
Code: 00 66
RSP: 0018:ffffc90000a07e30 EFLAGS: 00010246
Call Trace:
 <TASK>
 ? show_regs+0x68/0x70
 ? __die+0x23/0x70
 ? page_fault_oops+0x17a/0x530
 cleanup_module+0x12/0x20 [chr]
 __do_sys_delete_module+0x1b5/0x2f0
 </TASK>
Modules linked in: chr(OE-)
CR2: fffffbfff4062d24
---[ end trace 0000000000000000 ]---
%% NULL_DEREF | nvme_reset_work
BUG: unable to handle kernel NULL pointer dereference at 0000000000000018
PGD 0 P4D 0
Oops: 0000 [#1] SMP PTI
CPU: 6 PID: 312 Comm: kworker/u16:4 Not tainted 4.19.0-6-amd64 #1 Debian 4.19.67-2
Workqueue: nvme-reset-wq nvme_reset_work [nvme]
RIP: 0010:nvme_reset_work+0x12a/0x15f0 [nvme]
Call Trace:
 ? __switch_to_asm+0x41/0x70
 process_one_work+0x1a7/0x3a0
 worker_thread+0x30/0x390
 kthread+0x112/0x130
 ret_from_fork+0x35/0x40
Modules linked in: nvme nvme_core
CR2: 0000000000000018
---[ end trace 5ad1b2c3d4e5f607 ]---
%% NULL_DEREF | call_write_iter
BUG: kernel NULL pointer dereference, address: 0000000000000000
#PF: supervisor instruction fetch in kernel mode
#PF: error_code(0x0010) - not-present page
PGD 0 P4D 0
Oops: 0010 [#1] PREEMPT SMP NOPTI
CPU: 1 PID: 1234 Comm: test Not tainted 6.1.0-9-amd64 #1
RIP: 0010:0x0
Code: Unable to access opcode bytes at 0xffffffffffffffd6.
RSP: 0018:ffffa2e2c0b2fe28 EFLAGS: 00010246
Call Trace:
 <TASK>
 call_write_iter+0x12/0x30
 vfs_write+0x203/0x3b0
 ksys_write+0x6f/0xf0
 </TASK>
Modules linked in:
CR2: 0000000000000000
---[ end trace 0000000000000000 ]---
%% PAGE_FAULT | ext4_find_extent
Unable to handle kernel paging request at virtual address dfff800000000003
KASAN: null-ptr-deref in range [0x0000000000000018-0x000000000000001f]
Mem abort info:
  ESR = 0x0000000096000006
  EC = 0x25: DABT (current EL), IL = 32 bits
  SET = 0, FnV = 0
  EA = 0, S1PTW = 0
  FSC = 0x06: level 2 translation fault
Data abort info:
  ISV = 0, ISS = 0x00000006
  CM = 0, WnR = 0
[dfff800000000003] address between user and kernel address ranges
Internal error: Oops: 0000000096000006 [#1] PREEMPT SMP
Modules linked in:
CPU: 0 PID: 6120 Comm: syz-executor Not tainted 6.4.0-rc1-syzkaller #0
Hardware name: Google Google Compute Engine/Google Compute Engine, BIOS Google 04/28/2023
pstate: 80400005 (Nzcv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : ext4_find_extent+0x114/0xad8 fs/ext4/extents.c:899
lr : ext4_find_extent+0xf8/0xad8 fs/ext4/extents.c:890
sp : ffff80001e2c7200
x29: ffff80001e2c7280 x28: dfff800000000000 x27: 1fffe0001b06ce32
Call trace:
 ext4_find_extent+0x114/0xad8 fs/ext4/extents.c:899
 ext4_ext_map_blocks+0x224/0x5464 fs/ext4/extents.c:4099
 el0t_64_sync+0x190/0x194 arch/arm64/kernel/entry.S:585
Code: 97f1e1c3 d343ff08 12000909 (38fc6908) 
---[ end trace 0000000000000000 ]---
%% BUG | ext4_writepages
------------[ cut here ]------------
kernel BUG at fs/ext4/inode.c:2721!
invalid opcode: 0000 [#1] PREEMPT SMP KASAN
CPU: 0 PID: 359 Comm: syz-executor384 Not tainted 5.10.160-syzkaller #0
RIP: 0010:ext4_writepages+0x3db9/0x3dd0 fs/ext4/inode.c:2721
Call Trace:
 do_writepages+0x12f/0x280 mm/page-writeback.c:2358
 __filemap_fdatawrite_range+0x336/0x400 mm/filemap.c:427
Modules linked in:
---[ end trace e5a7ea6c0cbbe98d ]---
%% BUG | tun_build_skb
skbuff: skb_over_panic: text:ffffffff8a1e2b3c len:4116 put:4116 head:ffff88801a1e0000 data:ffff88801a1e00a0 tail:0x10b4 end:0xec0 dev:<NULL>
------------[ cut here ]------------
kernel BUG at net/core/skbuff.c:206!
Oops: invalid opcode: 0000 [#1] PREEMPT SMP KASAN PTI
CPU: 0 UID: 0 PID: 5230 Comm: syz-executor Not tainted 6.12.0-syzkaller #0
RIP: 0010:skb_panic net/core/skbuff.c:206 [inline]
RIP: 0010:skb_over_panic+0x14b/0x150 net/core/skbuff.c:211
Call Trace:
 <TASK>
 skb_put+0x16b/0x190 net/core/skbuff.c:2606
 skb_put_data include/linux/skbuff.h:2752 [inline]
 tun_build_skb+0x1/0x2 drivers/net/tun.c:1500
 </TASK>
Modules linked in:
---[ end trace 0000000000000000 ]---
%% HUNG_TASK | xfs_buf_get_map
INFO: task kworker/0:3:1234 blocked for more than 120 seconds.
      Not tainted 6.1.0-13-amd64 #1 Debian 6.1.55-1
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:kworker/0:3     state:D stack:0     pid:1234  ppid:2      flags:0x00004000
Workqueue: xfs-sync/sda1 xfs_log_worker [xfs]
Call Trace:
 <TASK>
 __schedule+0x34d/0x9e0
 schedule+0x5a/0xd0
 schedule_timeout+0x118/0x150
 __down_common+0x10a/0x220
 down+0x43/0x60
 xfs_buf_lock+0x2d/0xe0 [xfs]
 xfs_buf_find_lock+0x5f/0x110 [xfs]
 xfs_buf_get_map+0x1/0x2 [xfs]
 process_one_work+0x1c7/0x380
 </TASK>
%% HUNG_TASK | rtnetlink_rcv_msg
INFO: task syz.0.17:5823 blocked for more than 143 seconds.
      Not tainted 6.12.0-rc3-syzkaller #0
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:syz.0.17        state:D stack:27120 pid:5823  tgid:5823  ppid:5815   flags:0x00004006
Call Trace:
 <TASK>
 context_switch kernel/sched/core.c:5315 [inline]
 __schedule+0x1895/0x4b30 kernel/sched/core.c:6675
 __schedule_loop kernel/sched/core.c:6752 [inline]
 schedule+0x14b/0x320 kernel/sched/core.c:6767
 schedule_preempt_disabled+0x13/0x30 kernel/sched/core.c:6824
 __mutex_lock_common kernel/locking/mutex.c:684 [inline]
 __mutex_lock+0x6a7/0xd70 kernel/locking/mutex.c:752
 rtnl_lock net/core/rtnetlink.c:79 [inline]
 rtnetlink_rcv_msg+0x6e6/0xcf0 net/core/rtnetlink.c:6672
 netlink_rcv_skb+0x1e3/0x430 net/netlink/af_netlink.c:2550
 </TASK>

Showing all locks held in the system:
1 lock held by khungtaskd/30:
 #0: ffffffff8e937da0 (rcu_read_lock){....}-{1:2}, at: rcu_lock_acquire include/linux/rcupdate.h:337 [inline]
2 locks held by syz.0.17/5823:
 #0: ffffffff8fcc9c08 (rtnl_mutex){+.+.}-{3:3}, at: rtnl_lock net/core/rtnetlink.c:79 [inline]

=============================================

NMI backtrace for cpu 1
CPU: 1 UID: 0 PID: 30 Comm: khungtaskd Not tainted 6.12.0-rc3-syzkaller #0
Call Trace:
 <TASK>
 __dump_stack lib/dump_stack.c:94 [inline]
 dump_stack_lvl+0x241/0x360 lib/dump_stack.c:120
 nmi_cpu_backtrace+0x49c/0x4d0 lib/nmi_backtrace.c:113
 nmi_trigger_cpumask_backtrace+0x198/0x320 lib/nmi_backtrace.c:62
 trigger_all_cpu_backtrace include/linux/nmi.h:162 [inline]
 check_hung_uninterruptible_tasks kernel/hung_task.c:223 [inline]
 watchdog+0xff4/0x1040 kernel/hung_task.c:379
 kthread+0x2f0/0x390 kernel/kthread.c:389
 </TASK>
Kernel panic - not syncing: hung_task: blocked tasks
CPU: 1 UID: 0 PID: 30 Comm: khungtaskd Not tainted 6.12.0-rc3-syzkaller #0
Call Trace:
 <TASK>
 panic+0x349/0x880 kernel/panic.c:354
 check_hung_uninterruptible_tasks kernel/hung_task.c:231 [inline]
 </TASK>
Kernel Offset: disabled
Rebooting in 86400 seconds..
%% HUNG_TASK | jbd2_journal_commit_transaction
INFO: task jbd2/sda1-8:270 blocked for more than 120 seconds.
      Tainted: G        W          5.10.0-8-amd64 #1 Debian 5.10.46-4
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:jbd2/sda1-8     state:D stack:    0 pid:  270 ppid:     2 flags:0x00004000
Call Trace:
 __schedule+0x282/0x870
 ? bit_wait+0x60/0x60
 schedule+0x46/0xb0
 io_schedule+0x42/0x70
 bit_wait_io+0xd/0x60
 __wait_on_bit+0x2a/0x90
 out_of_line_wait_on_bit+0x92/0xb0
 ? var_wake_function+0x20/0x20
 jbd2_journal_commit_transaction+0x1614/0x1ab0 [jbd2]
 kjournald2+0xab/0x270 [jbd2]
 kthread+0x11b/0x140
 ret_from_fork+0x22/0x30
%% RCU_STALL | smp_call_function_many_cond
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: 	1-...!: (10499 ticks this GP) idle=1f34/1/0x4000000000000000 softirq=5689/5689 fqs=0
rcu: 	(detected by 0, t=10502 jiffies, g=4269, q=120 ncpus=2)
Sending NMI from CPU 0 to CPUs 1:
NMI backtrace for cpu 1
CPU: 1 UID: 0 PID: 5220 Comm: syz-executor Not tainted 6.12.0-syzkaller #0
RIP: 0010:csd_lock_wait kernel/smp.c:340 [inline]
RIP: 0010:smp_call_function_many_cond+0x1860/0x29d0 kernel/smp.c:884
Call Trace:
 <NMI>
 ? nmi_cpu_backtrace+0x3c2/0x4d0 lib/nmi_backtrace.c:113
 </NMI>
 <TASK>
 on_each_cpu_cond_mask+0x3f/0x80 kernel/smp.c:1051
 text_poke_bp_batch+0x352/0xb30 arch/x86/kernel/alternative.c:2306
 </TASK>
rcu: rcu_preempt kthread starved for 10500 jiffies! g4269 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=0
rcu: 	Unless rcu_preempt kthread gets sufficient CPU time, OOM is now expected behavior.
rcu: RCU grace-period kthread stack dump:
task:rcu_preempt     state:R  running task     stack:25968 pid:17    tgid:17    ppid:2      flags:0x00004000
Call Trace:
 <TASK>
 context_switch kernel/sched/core.c:5315 [inline]
 __schedule+0x1895/0x4b30 kernel/sched/core.c:6675
 rcu_gp_fqs_loop+0x2df/0x1330 kernel/rcu/tree.c:2045
 </TASK>
%% RCU_STALL | ieee80211_rx_h
rcu: INFO: rcu_preempt self-detected stall on CPU
rcu: 	0-....: (20999 ticks this GP) idle=f1bc/1/0x4000000000000002 softirq=12/12 fqs=5250
rcu: 	(t=21000 jiffies g=-1191 q=6 ncpus=1)
CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.6.1 #2
RIP: 0010:__raw_spin_unlock_irqrestore include/linux/spinlock_api_smp.h:151 [inline]
RIP: 0010:_raw_spin_unlock_irqrestore+0xd8/0x140 kernel/locking/spinlock.c:194
Call Trace:
 <IRQ>
 ? rcu_dump_cpu_stacks+0xb7/0x100
 ? rcu_sched_clock_irq+0x3a2/0xa10
 ? update_process_times+0x5b/0x90
 ? tick_sched_handle+0x30/0x60
 </IRQ>
 <TASK>
 ? asm_sysvec_apic_timer_interrupt+0x1a/0x20
 spin_unlock_irqrestore include/linux/spinlock.h:406 [inline]
 ieee80211_rx_h+0x12/0x34 net/mac80211/rx.c:100
 do_one_initcall+0x55/0x300
 </TASK>
%% SOFT_LOCKUP | lru_gen_look_around
watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [syz-executor:5823]
Modules linked in:
irq event stamp: 16223491
hardirqs last  enabled at (16223490): [<ffffffff8b6c5e43>] irqentry_exit+0x63/0x90 kernel/entry/common.c:357
hardirqs last disabled at (16223491): [<ffffffff8b6c3c3e>] sysvec_apic_timer_interrupt+0xe/0xb0 arch/x86/kernel/apic/apic.c:1043
CPU: 0 PID: 5823 Comm: syz-executor Not tainted 6.6.0 #0
RIP: 0010:lru_gen_look_around+0x12/0x80 mm/vmscan.c:100
RSP: 0018:ffffc9000
Call Trace:
 <IRQ>
 ? watchdog_timer_fn+0x2c/0x80
 </IRQ>
 <TASK>
 folio_referenced_one+0x12/0x80
 </TASK>
%% UBSAN | dbAllocBits
------------[ cut here ]------------
UBSAN: array-index-out-of-bounds in fs/jfs/jfs_dmap.c:2288:21
index 128 is out of range for type 's8 [128]' (aka 'signed char[128]')
CPU: 0 PID: 5060 Comm: syz-executor297 Not tainted 6.7.0-rc1-syzkaller #0
Call Trace:
 <TASK>
 __dump_stack lib/dump_stack.c:88 [inline]
 dump_stack_lvl+0x1e7/0x2d0 lib/dump_stack.c:106
 ubsan_epilogue lib/ubsan.c:217 [inline]
 __ubsan_handle_out_of_bounds+0x11c/0x150 lib/ubsan.c:348
 dbAllocBits+0x1e5/0x200 fs/jfs/jfs_dmap.c:2288
 dbAlloc+0x2a/0x30
 </TASK>
================================================================================
%% REFCOUNT | sk_psock_put
------------[ cut here ]------------
refcount_t: addition on 0; use-after-free.
WARNING: CPU: 1 PID: 5069 at lib/refcount.c:25 refcount_warn_saturate+0x13a/0x1d0 lib/refcount.c:25
Modules linked in:
CPU: 1 PID: 5069 Comm: syz Not tainted 6.7.0 #0
RIP: 0010:refcount_warn_saturate+0x13a/0x1d0 lib/refcount.c:25
Call Trace:
 <TASK>
 __refcount_add include/linux/refcount.h:199 [inline]
 __refcount_inc include/linux/refcount.h:250 [inline]
 refcount_inc include/linux/refcount.h:267 [inline]
 sk_psock_put+0x22/0x30 net/core/skmsg.c:10
 sock_map_close+0x1/0x20
 </TASK>
---[ end trace 0000000000000000 ]---
%% REFCOUNT | nfc_llcp_local_get
------------[ cut here ]------------
refcount_t: addition on 0; use-after-free.
WARNING: lib/refcount.c:25 at refcount_warn_saturate+0x13a/0x1d0 lib/refcount.c:25, CPU#1: syz.0.1/5069
Modules linked in:
CPU: 1 UID: 0 PID: 5069 Comm: syz.0.1 Not tainted 6.19.0 #0 PREEMPT(full)
RIP: 0010:refcount_warn_saturate+0x13a/0x1d0 lib/refcount.c:25
Call Trace:
 <TASK>
 kref_get include/linux/kref.h:45 [inline]
 nfc_llcp_local_get+0x22/0x30 net/nfc/llcp_core.c:10
 </TASK>
---[ end trace 0000000000000000 ]---
%% ODEBUG | rfcomm_dlc_free
------------[ cut here ]------------
ODEBUG: free active (active state 0) object: ffff88801c1f8b00 object type: timer_list hint: rfcomm_dlc_timeout+0x0/0x210
WARNING: CPU: 0 PID: 4405 at lib/debugobjects.c:505 debug_print_object+0x16e/0x250 lib/debugobjects.c:505
Modules linked in:
CPU: 0 PID: 4405 Comm: krfcommd Not tainted 5.15.0 #0
RIP: 0010:debug_print_object+0x16e/0x250 lib/debugobjects.c:505
Call Trace:
 <TASK>
 __debug_check_no_obj_freed lib/debugobjects.c:992 [inline]
 debug_check_no_obj_freed+0x301/0x420 lib/debugobjects.c:1023
 slab_free_hook mm/slub.c:1699 [inline]
 slab_free_freelist_hook mm/slub.c:1750 [inline]
 slab_free mm/slub.c:3513 [inline]
 kfree+0xe5/0x5c0 mm/slub.c:4561
 rfcomm_dlc_free+0x20/0x30 net/bluetooth/rfcomm/core.c:318
 </TASK>
---[ end trace 0000000000000000 ]---
%% LIST_CORRUPTION | remove_wait_queue
list_del corruption. next->prev should be ffff88801c1f8b00, but was 0000000000000000. (next=ffff88801c1f8c00)
------------[ cut here ]------------
kernel BUG at lib/list_debug.c:62!
invalid opcode: 0000 [#1] PREEMPT SMP KASAN PTI
CPU: 0 PID: 4405 Comm: k Not tainted 6.6.0 #0
RIP: 0010:__list_del_entry_valid_or_report+0x10a/0x190 lib/list_debug.c:62
Call Trace:
 <TASK>
 __list_del_entry_valid include/linux/list.h:124 [inline]
 __list_del_entry include/linux/list.h:215 [inline]
 list_del include/linux/list.h:229 [inline]
 __remove_wait_queue include/linux/wait.h:207 [inline]
 remove_wait_queue+0x30/0x180 kernel/sched/wait.c:55
 ep_remove_wait_queue fs/eventpoll.c:675 [inline]
 </TASK>
Modules linked in:
---[ end trace 0000000000000000 ]---
%% USERCOPY | simple_copy_to_iter
usercopy: Kernel memory exposure attempt detected from SLUB object 'skbuff_fclone_cache' (offset 40, size 16)!
------------[ cut here ]------------
kernel BUG at mm/usercopy.c:102!
invalid opcode: 0000 [#1] PREEMPT SMP KASAN
CPU: 0 PID: 4405 Comm: k Not tainted 6.6.0 #0
RIP: 0010:usercopy_abort+0x7d/0x80 mm/usercopy.c:102
Call Trace:
 <TASK>
 __check_heap_object+0xb0/0xd0 mm/slub.c:5386
 check_heap_object mm/usercopy.c:196 [inline]
 __check_object_size mm/usercopy.c:251 [inline]
 __check_object_size+0x4d3/0x700 mm/usercopy.c:213
 check_object_size include/linux/thread_info.h:215 [inline]
 check_copy_size include/linux/thread_info.h:251 [inline]
 copy_to_iter include/linux/uio.h:181 [inline]
 simple_copy_to_iter+0x4c/0x80 net/core/datagram.c:524
 __skb_datagram_iter+0x3de/0x8a0
 </TASK>
Modules linked in:
---[ end trace 0000000000000000 ]---
%% LOCKDEP | __flush_work
======================================================
WARNING: possible circular locking dependency detected
6.12.0-rc1-syzkaller #0 Not tainted
------------------------------------------------------
syz.1.3/5413 is trying to acquire lock:
ffff88801c2a8b18 ((work_completion)(&hdev->cmd_sync_work)){+.+.}-{0:0}, at: rcu_lock_acquire include/linux/rcupdate.h:337 [inline]
ffff88801c2a8b18 ((work_completion)(&hdev->cmd_sync_work)){+.+.}-{0:0}, at: start_flush_work kernel/workqueue.c:4129 [inline]
ffff88801c2a8b18 ((work_completion)(&hdev->cmd_sync_work)){+.+.}-{0:0}, at: __flush_work+0x467/0xc50 kernel/workqueue.c:4195

but task is already holding lock:
ffff88801c2a8078 (&hdev->lock){+.+.}-{3:3}, at: hci_dev_do_close net/bluetooth/hci_core.c:481 [inline]

which lock already depends on the new lock.

the existing dependency chain (in reverse order) is:

-> #1 (&hdev->lock){+.+.}-{3:3}:
       lock_acquire+0x1ed/0x550 kernel/locking/lockdep.c:5825
       __mutex_lock_common kernel/locking/mutex.c:608 [inline]
       __mutex_lock+0x136/0xd70 kernel/locking/mutex.c:752
       hci_cmd_sync_work+0x22b/0x400 net/bluetooth/hci_sync.c:331

-> #0 ((work_completion)(&hdev->cmd_sync_work)){+.+.}-{0:0}:
       check_prev_add kernel/locking/lockdep.c:3161 [inline]
       check_prevs_add kernel/locking/lockdep.c:3280 [inline]
       validate_chain+0x18ef/0x5920 kernel/locking/lockdep.c:3904
       __lock_acquire+0x1384/0x2050 kernel/locking/lockdep.c:5202
       lock_acquire+0x1ed/0x550 kernel/locking/lockdep.c:5825
       touch_work_lockdep_map kernel/workqueue.c:3909 [inline]
       __flush_work+0x4a0/0xc50 kernel/workqueue.c:4195

other info that might help us debug this:

 Possible unsafe locking scenario:

       CPU0                    CPU1
       ----                    ----
  lock(&hdev->lock);
                               lock((work_completion)(&hdev->cmd_sync_work));
                               lock(&hdev->lock);
  lock((work_completion)(&hdev->cmd_sync_work));

 *** DEADLOCK ***

1 lock held by syz.1.3/5413:
 #0: ffff88801c2a8078 (&hdev->lock){+.+.}-{3:3}, at: hci_dev_do_close net/bluetooth/hci_core.c:481 [inline]

stack backtrace:
CPU: 0 UID: 0 PID: 5413 Comm: syz.1.3 Not tainted 6.12.0-rc1-syzkaller #0
Call Trace:
 <TASK>
 __dump_stack lib/dump_stack.c:94 [inline]
 dump_stack_lvl+0x241/0x360 lib/dump_stack.c:120
 print_circular_bug+0x13a/0x1b0 kernel/locking/lockdep.c:2074
 check_noncircular+0x36a/0x4a0 kernel/locking/lockdep.c:2203
 check_prev_add kernel/locking/lockdep.c:3161 [inline]
 check_prevs_add kernel/locking/lockdep.c:3280 [inline]
 validate_chain+0x18ef/0x5920 kernel/locking/lockdep.c:3904
 __lock_acquire+0x1384/0x2050 kernel/locking/lockdep.c:5202
 lock_acquire+0x1ed/0x550 kernel/locking/lockdep.c:5825
 touch_work_lockdep_map kernel/workqueue.c:3909 [inline]
 start_flush_work kernel/workqueue.c:4163 [inline]
 __flush_work+0x4a0/0xc50 kernel/workqueue.c:4195
 cancel_work_sync+0xbc/0x110
 hci_cmd_sync_clear+0x30/0x220 net/bluetooth/hci_sync.c:588
 </TASK>
%% SUSPICIOUS_RCU | fib6_walk
=============================
WARNING: suspicious RCU usage
5.10.0-syzkaller #0 Not tainted
-----------------------------
net/ipv6/ip6_fib.c:100 suspicious rcu_dereference_check() usage!

other info that might help us debug this:


rcu_scheduler_active = 2, debug_locks = 1
1 lock held by syz/1:
 #0: ffffffff8fcc9c08 (rtnl_mutex){+.+.}-{3:3}, at: rtnl_lock net/core/rtnetlink.c:79 [inline]

stack backtrace:
CPU: 0 PID: 1 Comm: syz Not tainted 5.10.0-syzkaller #0
Call Trace:
 __dump_stack lib/dump_stack.c:77 [inline]
 dump_stack+0x107/0x163 lib/dump_stack.c:118
 lockdep_rcu_suspicious+0x14a/0x190
 fib6_walk+0x12/0x20 net/ipv6/ip6_fib.c:100
 inet6_init+0x1/0x2
%% SLEEPING_IN_ATOMIC | tty_write_room
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:585
in_atomic(): 1, irqs_disabled(): 128, non_block: 0, pid: 5823, name: syz.0.17
preempt_count: 1, expected: 0
RCU nest depth: 0, expected: 0
3 locks held by syz.0.17/5823:
 #0: ffffffff8fcc9c08 (rtnl_mutex){+.+.}-{3:3}, at: rtnl_lock+0x1/0x2
Preemption disabled at:
[<ffffffff81d1c2d3>] some_holder+0x12/0x20
CPU: 0 UID: 0 PID: 5823 Comm: syz.0.17 Not tainted 6.12.0 #0
Call Trace:
 <TASK>
 __dump_stack lib/dump_stack.c:94 [inline]
 dump_stack_lvl+0x241/0x360 lib/dump_stack.c:120
 __might_resched+0x5d4/0x780 kernel/sched/core.c:8653
 __mutex_lock_common kernel/locking/mutex.c:585 [inline]
 __mutex_lock+0xc1/0xd70 kernel/locking/mutex.c:752
 tty_write_room+0x12/0x30 drivers/tty/tty_ioctl.c:1
 gsmld_write+0x1/0x2
 </TASK>
%% SCHEDULING_WHILE_ATOMIC | ath9k_htc_wait_for_target
BUG: scheduling while atomic: kworker/1:2/52/0x00000002
Modules linked in: ath9k
Preemption disabled at:
[<ffffffff8120e5ba>] set_page_dirty_lock+0x12/0x20
CPU: 1 PID: 52 Comm: kworker/1:2 Not tainted 5.10.1 #1
Call Trace:
 dump_stack+0x6b/0x83
 __schedule_bug.cold+0x4c/0x58
 __schedule+0x719/0x870
 schedule+0x46/0xb0
 schedule_timeout+0x8b/0x150
 wait_for_completion_timeout+0x8a/0xf0
 ath9k_htc_wait_for_target+0x12/0x20
%% BAD_PAGE_STATE | tlb_remove_table_rcu
BUG: Bad page state in process syz-executor  pfn:7c4a0
page: refcount:0 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x7c4a0
flags: 0xfff00000000800(reserved|node=0|zone=1|lastcpupid=0x7ff)
raw: 00fff00000000800 0000000000000000 dead000000000122 0000000000000000
page dumped because: PAGE_FLAGS_CHECK_AT_FREE flag(s) set
page_owner tracks the page as allocated
page last allocated via order 0, migratetype Unmovable, gfp_mask 0xdc0(GFP_KERNEL|__GFP_ZERO), pid 5, tgid 5 (a), ts 12, free_ts 1
 set_page_owner include/linux/page_owner.h:32 [inline]
 post_alloc_hook+0x1f3/0x230 mm/page_alloc.c:1537
 prep_new_page mm/page_alloc.c:1545 [inline]
 alloc_thing+0x1/0x2
page last free pid 5 tgid 5 stack trace:
 reset_page_owner include/linux/page_owner.h:25 [inline]
 free_pages_prepare mm/page_alloc.c:1108 [inline]
 free_thing+0x1/0x2
Modules linked in:
CPU: 1 UID: 0 PID: 5823 Comm: syz-executor Not tainted 6.12.0 #0
Call Trace:
 <IRQ>
 __dump_stack lib/dump_stack.c:94 [inline]
 dump_stack_lvl+0x241/0x360 lib/dump_stack.c:120
 bad_page+0x176/0x1d0 mm/page_alloc.c:501
 free_page_is_bad mm/page_alloc.c:918 [inline]
 free_pages_prepare mm/page_alloc.c:1100 [inline]
 free_unref_page+0xe1e/0x1130 mm/page_alloc.c:2638
 tlb_remove_table_rcu+0x12/0x20 mm/mmu_gather.c:1
 rcu_do_batch kernel/rcu/tree.c:2567 [inline]
 </IRQ>
%% MEMORY_LEAK | bt_sock_alloc
BUG: memory leak
unreferenced object 0xffff888110482c00 (size 1024):
  comm "syz-executor.0", pid 5063, jiffies 4294943421
  hex dump (first 32 bytes):
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................
  backtrace (crc 35e3b5a7):
    [<ffffffff8163f15e>] kmemleak_alloc_recursive include/linux/kmemleak.h:42 [inline]
    [<ffffffff8163f15e>] slab_post_alloc_hook mm/slab.h:766 [inline]
    [<ffffffff8163f15e>] __kmem_cache_alloc_node+0x2de/0x3a0 mm/slub.c:3517
    [<ffffffff8157a8d4>] __kmalloc+0x44/0x150 mm/slab_common.c:1006
    [<ffffffff83e8d2cd>] sk_prot_alloc+0x11d/0x1b0 net/core/sock.c:2082
    [<ffffffff83e90a8c>] sk_alloc+0x2c/0x2a0 net/core/sock.c:2138
    [<ffffffff844f8c39>] bt_sock_alloc+0x29/0x110 net/bluetooth/af_bluetooth.c:148
%% KMSAN | ip6_parse_tlv
=====================================================
BUG: KMSAN: uninit-value in ip6_parse_tlv+0x5ef/0xd60 net/ipv6/exthdrs.c:159
 ip6_parse_tlv+0x5ef/0xd60 net/ipv6/exthdrs.c:159
 ipv6_parse_hopopts+0x3a5/0x9a0 net/ipv6/exthdrs.c:1050

Uninit was created at:
 slab_post_alloc_hook mm/slub.c:4091 [inline]
 kmem_cache_alloc_node_noprof+0x6bf/0xb80 mm/slub.c:4186
 __alloc_skb+0x363/0x7b0 net/core/skbuff.c:668

CPU: 1 UID: 0 PID: 5823 Comm: syz Not tainted 6.12.0 #0
=====================================================
%% KCSAN | d_alloc_parallel
==================================================================
BUG: KCSAN: data-race in d_alloc_parallel / step_into

write (marked) to 0xffff888106d3a0c0 of 4 bytes by task 3310 on cpu 1:
 __d_lookup_unhash+0x1/0x2
 d_alloc_parallel+0x2a5/0xb00 fs/dcache.c:2580

read to 0xffff888106d3a0c0 of 4 bytes by task 3311 on cpu 0:
 step_into+0x150/0x810 fs/namei.c:1853
 walk_component fs/namei.c:2006 [inline]

value changed: 0x00300080 -> 0x00000000

Reported by Kernel Concurrency Sanitizer on:
CPU: 0 UID: 0 PID: 3311 Comm: udevd Not tainted 6.12.0 #0
==================================================================
%% WORKQUEUE_LOCKUP | 
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 245s!
Showing busy workqueues and worker pools:
workqueue events: flags=0x0
  pwq 2: cpus=0 node=0 flags=0x0 nice=0 active=4 refcnt=5
    pending: free_obj_work, drain_vmap_area_work
    in-flight: 9:l2cap_chan_timeout ,10:foo
Showing backtraces of running workers in stalled CPU-bound worker pools:
pool 2:
task:kworker/0:1     state:R  running task     stack:0 pid:9 tgid:9 ppid:2 flags:0x00004000
Call Trace:
 <TASK>
 __schedule+0x1/0x2
 </TASK>
%% PANIC | mount_root_generic
Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #0
Call Trace:
 <TASK>
 dump_stack_lvl+0x5d/0x80
 panic+0x118/0x2f0
 mount_root_generic+0x1c7/0x270
 prepare_namespace+0x1ea/0x1f0
 </TASK>
Kernel Offset: disabled
---[ end Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0) ]---
%% WARNING | __alloc_pages_noprof
------------[ cut here ]------------
WARNING: CPU: 0 PID: 5823 at mm/page_alloc.c:4729 __alloc_pages_noprof+0x36a/0x710 mm/page_alloc.c:4729
Modules linked in:
CPU: 0 UID: 0 PID: 5823 Comm: syz Not tainted 6.12.0 #0
RIP: 0010:__alloc_pages_noprof+0x36a/0x710 mm/page_alloc.c:4729
Call Trace:
 <TASK>
 __alloc_pages_node_noprof include/linux/gfp.h:269 [inline]
 alloc_pages_node_noprof include/linux/gfp.h:296 [inline]
 ___kmalloc_large_node+0x8b/0x1d0 mm/slub.c:4231
 bpf_test_init+0x1/0x2
 </TASK>
---[ end trace 0000000000000000 ]---
%% OUT_OF_MEMORY | 
syz-executor invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=1000
CPU: 0 UID: 0 PID: 5823 Comm: syz-executor Not tainted 6.12.0 #0
Call Trace:
 <TASK>
 dump_stack_lvl+0x5d/0x80
 dump_header+0x109/0x960 mm/oom_kill.c:463
 oom_kill_process+0x26a/0x470 mm/oom_kill.c:1031
 out_of_memory+0xd4a/0x12f0 mm/oom_kill.c:1169
 mem_cgroup_out_of_memory mm/memcontrol.c:1669 [inline]
 try_charge_memcg+0x12/0x30
 </TASK>
memory: usage 307200kB, limit 307200kB, failcnt 53
Memory cgroup stats for /syz0:
cache 0
rss 1
Tasks state (memory values in pages):
[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[   5823]     0  5823    18000      100    100000        0          1000 syz-executor
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/syz0,task_memcg=/syz0,task=syz-executor,pid=5823,uid=0
Memory cgroup out of memory: Killed process 5823 (syz-executor) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:1kB oom_score_adj:1000
%% SOFT_LOCKUP | native_queued_x
watchdog: BUG: soft lockup - CPU#2 stuck for 23s! [kworker/2:1:99]
Modules linked in: a b
CPU: 2 PID: 99 Comm: kworker/2:1 Tainted: G             L    5.10.0 #1
Workqueue: events foo_work
pstate: 60400005 (nZCv daif +PAN -UAO -TCO BTYPE=--)
pc : native_queued_x+0x12/0x30
lr : foo_work+0x12/0x30
sp : ffff800012ab3d00
Call trace:
 native_queued_x+0x12/0x30
 foo_work+0x12/0x30
%% BUG | foo_guard
------------[ cut here ]------------
kernel BUG at lib/string_helpers.c:1040!
Internal error: Oops - BUG: 00000000f2000800 [#1] PREEMPT SMP
Modules linked in:
CPU: 0 PID: 6120 Comm: syz-executor Not tainted 6.8.0 #0
pstate: 80400005 (Nzcv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : __fortify_panic+0x10/0x14 lib/string_helpers.c:1040
lr : __fortify_panic+0x10/0x14
Call trace:
 __fortify_panic+0x10/0x14 lib/string_helpers.c:1040 (P)
 strlen include/linux/fortify-string.h:245 [inline]
 foo_guard+0x1/0x2 a/b.c:3
---[ end trace 0000000000000000 ]---
%% WARNING | my_copy
------------[ cut here ]------------
memcpy: detected field-spanning write (size 32) of single field "dst" at drivers/x.c:12 (size 16)
WARNING: CPU: 0 PID: 12 at drivers/x.c:12 my_copy+0x12/0x30 [x]
Modules linked in:
CPU: 0 PID: 12 Comm: a Not tainted 6.6.1 #1
RIP: 0010:my_copy+0x12/0x30 [x]
Call Trace:
 <TASK>
 caller_one+0x1/0x2
 </TASK>
---[ end trace 0000000000000000 ]---
%% KFENCE | do_oob
==================================================================
BUG: KFENCE: use-after-free read in do_oob+0x12/0x30

Use-after-free read at 0x00000000a1b2c3d4 (in kfence-#12):
 do_oob+0x12/0x30
 x+0x1/0x2

kfence-#12: 0x00000000a1b2c3d5-0x00000000a1b2c3f4, size=32, cache=kmalloc-32

allocated by task 98 on cpu 0 at 12.345678s (0.000123s ago):
 make_it+0x1/0x10

freed by task 98 on cpu 0 at 12.345678s (0.000123s ago):
 drop_it+0x1/0x10

CPU: 1 UID: 0 PID: 99 Comm: cat Not tainted 6.12.1 #1
==================================================================
%% KFENCE | x_free
==================================================================
BUG: KFENCE: invalid free in kfree+0x12/0x30

Invalid free of 0x00000000a1b2c3d4 (in kfence-#12):
 kfree+0x12/0x30
 x_free+0x1/0x2

CPU: 1 UID: 0 PID: 99 Comm: cat Not tainted 6.12.1 #1
==================================================================
%% LOCKDEP | sch_direct_xmit
=====================================================
WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected
6.12.0 #0 Not tainted
-----------------------------------------------------
syz.1.3/5413 [HC0[0]:SC0[2]:HE1:SE0] is trying to acquire:
ffff88801c2a8b18 (&tp->lock){+.+.}-{3:3}, at: sch_direct_xmit+0x12/0x30

and this task is already holding:
ffff88801c2a8078 (&hdev->lock){+.-.}-{3:3}, at: outer_holder+0x1/0x2
which would create a new lock dependency:
 (&hdev->lock){+.-.}-{3:3} -> (&tp->lock){+.+.}-{3:3}

but this new dependency connects a SOFTIRQ-irq-safe lock:
 (&hdev->lock){+.-.}-{3:3}

... which became SOFTIRQ-irq-safe at:
  lock_acquire+0x1ed/0x550
  _raw_spin_lock+0x2e/0x40
  one_softirq+0x1/0x2

to a SOFTIRQ-irq-unsafe lock:
 (&tp->lock){+.+.}-{3:3}

... which became SOFTIRQ-irq-unsafe at:
...
  lock_acquire+0x1ed/0x550
  _raw_spin_lock+0x2e/0x40
  another+0x1/0x2

other info that might help us debug this:

 Possible interrupt unsafe locking scenario:

       CPU0                    CPU1
       ----                    ----
  lock(&tp->lock);
                               local_irq_disable();
                               lock(&hdev->lock);
                               lock(&tp->lock);
  <Interrupt>
    lock(&hdev->lock);

 *** DEADLOCK ***

1 lock held by syz.1.3/5413:
 #0: ffff88801c2a8078 (&hdev->lock){+.-.}-{3:3}, at: outer_holder+0x1/0x2

the dependencies between SOFTIRQ-irq-safe lock and the holding lock:
-> (&hdev->lock){+.-.}-{3:3} {
   HARDIRQ-ON-W at:
                    lock_acquire+0x1ed/0x550
                    _raw_spin_lock+0x2e/0x40
                    foo+0x1/0x2
   IN-SOFTIRQ-W at:
                    lock_acquire+0x1ed/0x550
                    one_softirq+0x1/0x2
   INITIAL USE at:
                   lock_acquire+0x1ed/0x550
                   foo+0x1/0x2
 }
 ... key      at: [<ffffffff9a4e2b60>] dev_key.1+0x0/0x20

the dependencies between the lock to be acquired
 and SOFTIRQ-irq-unsafe lock:
-> (&tp->lock){+.+.}-{3:3} {
   HARDIRQ-ON-W at:
                    lock_acquire+0x1ed/0x550
                    another+0x1/0x2
 }
 ... key      at: [<ffffffff9a4e2b80>] tp_key.1+0x0/0x20
 ... acquired at:
   lock_acquire+0x1ed/0x550
   _raw_spin_lock+0x2e/0x40
   sch_direct_xmit+0x12/0x30


stack backtrace:
CPU: 0 UID: 0 PID: 5413 Comm: syz.1.3 Not tainted 6.12.0 #0
Call Trace:
 <TASK>
 dump_stack_lvl+0x241/0x360
 print_bad_irq_dependency kernel/locking/lockdep.c:2648 [inline]
 check_irq_usage kernel/locking/lockdep.c:2889 [inline]
 check_prev_add+0x1/0x2
 __lock_acquire+0x1384/0x2050
 lock_acquire+0x1ed/0x550
 __raw_spin_lock include/linux/spinlock_api_smp.h:133 [inline]
 _raw_spin_lock+0x2e/0x40
 spin_lock include/linux/spinlock.h:351 [inline]
 sch_direct_xmit+0x12/0x30 net/sched/sch_generic.c:1
 </TASK>
%% WARNING | vmf_insert_pfn_x
------------[ cut here ]------------
DEBUG_LOCKS_WARN_ON(1)
WARNING: CPU: 1 PID: 5069 at kernel/locking/lockdep.c:232 hlock_class kernel/locking/lockdep.c:232 [inline]
WARNING: CPU: 1 PID: 5069 at kernel/locking/lockdep.c:232 check_wait_context kernel/locking/lockdep.c:4773 [inline]
WARNING: CPU: 1 PID: 5069 at kernel/locking/lockdep.c:232 __lock_acquire+0x573/0x2050 kernel/locking/lockdep.c:5092
Modules linked in:
CPU: 1 UID: 0 PID: 5069 Comm: syz Not tainted 6.12.0 #0
RIP: 0010:hlock_class kernel/locking/lockdep.c:232 [inline]
RIP: 0010:__lock_acquire+0x573/0x2050 kernel/locking/lockdep.c:5092
Call Trace:
 <TASK>
 lock_acquire+0x1ed/0x550 kernel/locking/lockdep.c:5825
 down_read+0xb1/0xa40 kernel/locking/rwsem.c:1524
 vmf_insert_pfn_x+0x1/0x2
 </TASK>
---[ end trace 0000000000000000 ]---
%% WARNING | bpf_check
------------[ cut here ]------------
WARNING: CPU: 1 PID: 5069 at mm/util.c:665 __kvmalloc_node_noprof+0x17a/0x190 mm/util.c:665
Modules linked in:
CPU: 1 UID: 0 PID: 5069 Comm: syz Not tainted 6.12.0 #0
RIP: 0010:__kvmalloc_node_noprof+0x17a/0x190 mm/util.c:665
Call Trace:
 <TASK>
 kvmalloc_array_node_noprof include/linux/slab.h:1050 [inline]
 bpf_check+0x1/0x2
 </TASK>
---[ end trace 0000000000000000 ]---
%% WARNING | reg_it
------------[ cut here ]------------
proc_dir_entry 'net/foo' already registered
WARNING: CPU: 1 PID: 5069 at fs/proc/generic.c:377 proc_register+0x17a/0x190
Modules linked in:
CPU: 1 UID: 0 PID: 5069 Comm: syz Not tainted 6.12.0 #0
RIP: 0010:proc_register+0x17a/0x190
Call Trace:
 <TASK>
 proc_create_net_data+0x1/0x2
 reg_it+0x1/0x2
 </TASK>
---[ end trace 0000000000000000 ]---
%% PREEMPTIBLE | nft_counter_eval
BUG: using __this_cpu_add() in preemptible [00000000] code: syz-executor/6001
caller is nft_counter_eval+0x1/0x2
CPU: 0 UID: 0 PID: 6001 Comm: syz-executor Not tainted 6.12.0 #0
Call Trace:
 <TASK>
 dump_stack_lvl+0x241/0x360
 check_preemption_disabled+0x10e/0x120 lib/smp_processor_id.c:49
 nft_counter_eval+0x1/0x2
 </TASK>
%% SCHEDULING_WHILE_ATOMIC | foo_work
BUG: workqueue leaked atomic, lock or RCU: kworker/0:1[12]
     preempt=0x00000000 lock=0->1 RCU=0->0 workfn=foo_work
1 lock held by kworker/0:1/12:
 #0: ffff88801c2a8078 (&hdev->lock){+.+.}-{3:3}, at: foo_taker+0x1/0x2
CPU: 0 UID: 0 PID: 12 Comm: kworker/0:1 Not tainted 6.12.0 #0
Workqueue: events foo_work
Call Trace:
 <TASK>
 dump_stack_lvl+0x241/0x360
 process_one_work+0x1/0x2
 worker_thread+0x1/0x2
 </TASK>
%% HUNG_TASK | io_thing
INFO: task syz.0.17:5823 blocked for more than 143 seconds.
      Not tainted 7.0.0-rc3 #0
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:syz.0.17        state:D stack:27120 pid:5823  tgid:5823  ppid:5815   task_flags:0x400140 flags:0x00080002
Call Trace:
 <TASK>
 __schedule+0x1895/0x4b30
 schedule+0x14b/0x320
 schedule_preempt_disabled+0x13/0x30
 __mutex_lock+0x6a7/0xd70
 io_thing+0x6e6/0xcf0
 </TASK>
INFO: task syz.0.17:5823 is blocked on a mutex likely owned by task kworker/0:1:12.
task:kworker/0:1     state:S stack:0     pid:12    tgid:12    ppid:2      task_flags:0x4208060 flags:0x00004000
Call Trace:
 <TASK>
 __schedule+0x1895/0x4b30
 other_thing+0x1/0x2
 </TASK>
%% NETDEVICE | 
unregister_netdevice: waiting for veth0 to become free. Usage count = 2
ref_tracker: veth0@ffff88801c1f8b00 has 1/1 users at
     __netdev_tracker_alloc include/linux/netdevice.h:4050 [inline]
     netdev_hold+0x1/0x2
     dst_init+0xe0/0x520
%% PAGE_FAULT | bad_call
kernel tried to execute NX-protected page - exploit attempt? (uid: 0)
BUG: unable to handle page fault for address: ffff8881042c3a40
#PF: supervisor instruction fetch in kernel mode
#PF: error_code(0x0011) - permissions violation
PGD 3c15067 P4D 3c15067 PUD 3c17067 PMD 80000001042001e3 
Oops: Oops: 0011 [#1] PREEMPT SMP NOPTI
CPU: 0 UID: 0 PID: 99 Comm: cat Not tainted 6.12.1 #1
RIP: 0010:0xffff8881042c3a40
Code: 00
Call Trace:
 <TASK>
 bad_call+0x9f/0x330
 vfs_read+0x1/0x2
 </TASK>
Modules linked in:
CR2: ffff8881042c3a40
---[ end trace 0000000000000000 ]---
%% BAD_RSS | 
BUG: Bad rss-counter state mm:ffff88801c1f8b00 type:MM_ANONPAGES val:1 Comm:sh Pid:12
%% KASAN | read_it
BUG: KASAN: wild-memory-access in read_it+0x1/0x2
Read of size 8 at addr 1ffff11020304050 by task syz/12

CPU: 0 UID: 0 PID: 12 Comm: syz Not tainted 6.12.1 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x1/0x2
 kasan_report+0x1/0x2
 kasan_check_range+0x1/0x2
 read_it+0x1/0x2
 </TASK>
==================================================================
%% KASAN | lock_sock_nested
==================================================================
BUG: KASAN: slab-use-after-free in __lock_acquire+0x3ee0/0x5140
Read of size 8 at addr ffff88801c1f8b00 by task syz/12

CPU: 0 UID: 0 PID: 12 Comm: syz Not tainted 6.12.1 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x1/0x2
 print_report+0x1/0x2
 kasan_report+0x1/0x2
 __lock_acquire+0x3ee0/0x5140
 lock_acquire+0x1/0x2
 _raw_spin_lock_bh+0x1/0x2
 lock_sock_nested+0x1/0x2
 tcp_close_it+0x1/0x2
 </TASK>
==================================================================
%% BUG | ip6_xmit_it
fortify: detected buffer overflow in memcpy
------------[ cut here ]------------
kernel BUG at lib/string_helpers.c:1031!
invalid opcode: 0000 [#1] PREEMPT SMP
CPU: 0 PID: 12 Comm: syz Not tainted 6.1.1 #1
RIP: 0010:fortify_panic+0x13/0x15
Call Trace:
 <TASK>
 ip6_xmit_it.cold+0x1/0x2
 </TASK>
Modules linked in:
---[ end trace 0000000000000000 ]---
%% HARD_LOCKUP | spin_here
NMI watchdog: Watchdog detected hard LOCKUP on cpu 2
Modules linked in: a
irq event stamp: 100
CPU: 2 PID: 12 Comm: syz Not tainted 6.1.1 #1
RIP: 0010:native_queued_spin_lock_slowpath+0x13/0x15
Call Trace:
 <IRQ>
 _raw_spin_lock+0x1/0x2
 spin_here+0x1/0x2
 </IRQ>
%% DOUBLE_FAULT | error_here
traps: PANIC: double fault, error_code: 0x0
double fault: 0000 [#1] PREEMPT SMP KASAN
CPU: 0 PID: 12 Comm: syz Not tainted 6.1.1 #1
RIP: 0010:error_here+0x13/0x15
Call Trace:
 <#DF>
 </#DF>
 <TASK>
 error_here+0x1/0x2
 </TASK>
Modules linked in:
---[ end trace 0000000000000000 ]---
%% LOCKDEP | rtnl_lock
============================================
WARNING: possible recursive locking detected
6.12.0 #0 Not tainted
--------------------------------------------
syz/5413 is trying to acquire lock:
ffffffff8fcc9c08 (rtnl_mutex){+.+.}-{3:3}, at: rtnl_lock+0x17/0x20 net/core/rtnetlink.c:72

but task is already holding lock:
ffffffff8fcc9c08 (rtnl_mutex){+.+.}-{3:3}, at: outer+0x1/0x2

other info that might help us debug this:
 Possible unsafe locking scenario:

       CPU0
       ----
  lock(rtnl_mutex);
  lock(rtnl_mutex);

 *** DEADLOCK ***

 May be due to missing lock nesting notation

1 lock held by syz/5413:
 #0: ffffffff8fcc9c08 (rtnl_mutex){+.+.}-{3:3}, at: outer+0x1/0x2

stack backtrace:
CPU: 0 UID: 0 PID: 5413 Comm: syz Not tainted 6.12.0 #0
Call Trace:
 <TASK>
 dump_stack_lvl+0x241/0x360
 print_deadlock_bug+0x1/0x2
 __lock_acquire+0x1384/0x2050
 lock_acquire+0x1ed/0x550
 __mutex_lock+0x1/0x2
 rtnl_lock+0x17/0x20 net/core/rtnetlink.c:72
 do_inner+0x1/0x2
 </TASK>
%% INVALID_WAIT_CONTEXT | pwq_thing
=============================
[ BUG: Invalid wait context ]
6.12.0 #0 Not tainted
-----------------------------
syz/5413 is trying to lock:
ffff88801c2a8b18 (&x->lock){....}-{3:3}, at: pwq_thing+0x1/0x2
other info that might help us debug this:
context-{5:5}
no locks held by syz/5413.
stack backtrace:
CPU: 0 UID: 0 PID: 5413 Comm: syz Not tainted 6.12.0 #0
Call Trace:
 <TASK>
 dump_stack_lvl+0x241/0x360
 print_lock_invalid_wait_context kernel/locking/lockdep.c:4826 [inline]
 check_wait_context kernel/locking/lockdep.c:4898 [inline]
 __lock_acquire+0x15a8/0x2100
 lock_acquire+0x1ed/0x550
 _raw_spin_lock_irqsave+0xd5/0x120
 pwq_thing+0x1/0x2
 </TASK>
%% INTERNAL_ERROR | undef_it
Internal error: Oops - Undefined instruction: 0000000002000000 [#1] PREEMPT SMP
Modules linked in:
CPU: 0 PID: 6120 Comm: syz-executor Not tainted 6.8.0 #0
pc : undef_it+0x10/0x14
lr : x+0x10/0x14
Call trace:
 undef_it+0x10/0x14
 x+0x1/0x2
---[ end trace 0000000000000000 ]---
%% UBSAN | snto32
================================================================================
UBSAN: shift-out-of-bounds in drivers/hid/hid-core.c:1315:20
shift exponent 4294967295 is too large for 32-bit type 'int'
CPU: 0 PID: 6120 Comm: kworker/0:1 Not tainted 5.15.0 #0
Workqueue: usb_hub_wq hub_event
Call Trace:
 <TASK>
 dump_stack_lvl+0x34/0x44
 ubsan_epilogue+0x5/0x40
 __ubsan_handle_shift_out_of_bounds.cold+0x61/0xef
 snto32+0x1/0x2
 hid_it+0x1/0x2
 </TASK>
================================================================================
%% GENERAL_PROTECTION | foo_ok
Oops: general protection fault, kernel NULL pointer dereference 0x8: 0000 [#1] SMP NOPTI
CPU: 0 UID: 0 PID: 99 Comm: cat Not tainted 7.0.1 #1 PREEMPT(lazy)
RIP: 0010:foo_ok+0x6/0x10
Call Trace:
 <TASK>
 vfs_read+0x9f/0x330
 </TASK>
Modules linked in:
---[ end trace 0000000000000000 ]---
%% SLEEPING_IN_ATOMIC | do_alloc_it
BUG: sleeping function called from invalid context at include/linux/sched/mm.h:337
in_atomic(): 0, irqs_disabled(): 1, non_block: 0, pid: 1, name: swapper/0
preempt_count: 0, expected: 0
CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.12.0 #0
Call Trace:
 <TASK>
 dump_stack_lvl+0x241/0x360
 __might_resched+0x5d4/0x780
 might_alloc include/linux/sched/mm.h:337 [inline]
 slab_pre_alloc_hook mm/slub.c:4036 [inline]
 __kmalloc_cache_noprof+0x61/0x390
 do_alloc_it+0x1/0x2
 </TASK>
%% REFCOUNT | put_thing
------------[ cut here ]------------
refcount_t: saturated; leaking memory.
WARNING: lib/refcount.c:22 at refcount_warn_saturate+0x97/0x110, CPU#0: a b/c/12
Modules linked in:
CPU: 0 UID: 0 PID: 12 Comm: a b/c Not tainted 7.0.0 #0 PREEMPT(full)
RIP: 0010:refcount_warn_saturate+0x97/0x110
Call Trace:
 <TASK>
 put_thing+0x1/0x2
 </TASK>
---[ end trace 0000000000000000 ]---
%% VFS_BUSY | generic_shutdown_super
VFS: Busy inodes after unmount of loop0 (jfs)
------------[ cut here ]------------
kernel BUG at fs/super.c:652!
Oops: invalid opcode: 0000 [#1] PREEMPT SMP KASAN
CPU: 0 UID: 0 PID: 12 Comm: syz Not tainted 6.12.0 #0
RIP: 0010:generic_shutdown_super+0x2ca/0x2d0 fs/super.c:650
Call Trace:
 <TASK>
 kill_block_super+0x44/0x90 fs/super.c:1710
 </TASK>
Modules linked in:
---[ end trace 0000000000000000 ]---
%% CFI | tcp_call
CFI failure at tcp_call+0x1/0x2 (target: foo+0x0/0x10; expected type: 0x12345678)
WARNING: CPU: 0 PID: 12 at tcp_call+0x1/0x2
Modules linked in:
CPU: 0 UID: 0 PID: 12 Comm: syz Not tainted 6.12.0 #0
RIP: 0010:tcp_call+0x1/0x2
Call Trace:
 <TASK>
 other_call+0x1/0x2
 </TASK>
---[ end trace 0000000000000000 ]---
%% KMSAN | _copy_to_iter
=====================================================
BUG: KMSAN: kernel-infoleak in instrument_copy_to_user include/linux/instrumented.h:114 [inline]
BUG: KMSAN: kernel-infoleak in copy_to_user_iter lib/iov_iter.c:24 [inline]
BUG: KMSAN: kernel-infoleak in _copy_to_iter+0x384/0x1f80 lib/iov_iter.c:185
 instrument_copy_to_user include/linux/instrumented.h:114 [inline]
 copy_to_user_iter lib/iov_iter.c:24 [inline]
 _copy_to_iter+0x384/0x1f80 lib/iov_iter.c:185
 pppoe_it+0x1/0x2

Local variable x created at:
 foo+0x1/0x2

CPU: 0 UID: 0 PID: 12 Comm: syz Not tainted 6.12.0 #0
=====================================================
%% KASAN | unwind_next_frame
==================================================================
BUG: KASAN: stack-out-of-bounds in unwind_next_frame+0x18ee/0x22f0
Read of size 8 at addr ffffc90003a5f8d0 by task syz.2.77/6003

CPU: 1 UID: 0 PID: 6003 Comm: syz.2.77 Not tainted 6.14.0-rc3 #0
Call Trace:
 <TASK>
 dump_stack_lvl+0x116/0x1f0
 print_report+0xc3/0x620
 kasan_report+0xd9/0x110
 unwind_next_frame+0x18ee/0x22f0
 arch_stack_walk+0x95/0x100
 stack_trace_save+0x95/0xd0
 kasan_save_stack+0x33/0x60
 skb_clone+0x190/0x3f0
 </TASK>
==================================================================
%% WARNING | list_del_event
------------[ cut here ]------------
WARNING: CPU: 0 PID: 5500 at kernel/events/core.c:2069 list_del_event+0x3a2/0x480
Modules linked in:
CPU: 0 UID: 0 PID: 5500 Comm: perf Not tainted 6.12.4 #0
RIP: 0010:list_del_event+0x3a2/0x480
Call Trace:
 <TASK>
 __perf_remove_from_context+0x1d3/0x6e0
 event_function+0x286/0x3d0
 </TASK>
---[ end trace 0000000000000000 ]---
%% WARNING | xdp_umem_pin_it
------------[ cut here ]------------
WARNING: mm/slub.c:7150 at __kvmalloc_node_noprof+0x5d1/0x8f0, CPU#1: syz.0.17/5990
Modules linked in:
CPU: 1 UID: 0 PID: 5990 Comm: syz.0.17 Not tainted 6.19.0 #0
RIP: 0010:__kvmalloc_node_noprof+0x5d1/0x8f0
Call Trace:
 <TASK>
 xdp_umem_pin_it+0x4c/0x120
 xsk_setsockopt+0x631/0x9b0
 </TASK>
---[ end trace 0000000000000000 ]---
%% WARNING | free_large_kmalloc
------------[ cut here ]------------
WARNING: CPU: 1 PID: 5990 at mm/slub.c:4745 free_large_kmalloc+0x12f/0x1a0
Modules linked in:
CPU: 1 UID: 0 PID: 5990 Comm: syz.0.17 Not tainted 6.14.0 #0
RIP: 0010:free_large_kmalloc+0x12f/0x1a0
Call Trace:
 <TASK>
 put_names+0x20/0x40
 </TASK>
---[ end trace 0000000000000000 ]---
%% GENERAL_PROTECTION | vm_area_dup_it
Oops: general protection fault, probably for non-canonical address 0xdead4ead00000000: 0000 [#1] SMP
CPU: 1 UID: 0 PID: 913 Comm: sh Not tainted 6.12.4 #0
RIP: 0010:kmem_cache_alloc_noprof+0xf1/0x310
Code: 00 66
RSP: 0018:ffffc90000a07e30 EFLAGS: 00010246
Call Trace:
 <TASK>
 ? die_addr+0x3b/0x90
 ? exc_general_protection+0x1b0/0x3c0
 vm_area_dup_it+0x27/0x120
 dup_mmap+0x5b0/0xb10
 </TASK>
---[ end trace 0000000000000000 ]---
%% HUNG_TASK | lock_sock_nested
INFO: task syz.1.9:7011 blocked for more than 143 seconds.
      Not tainted 6.12.0-rc5 #0
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:syz.1.9         state:D stack:27648 pid:7011  tgid:7010  ppid:5850   flags:0x00000004
Call Trace:
 <TASK>
 __schedule+0xe58/0x5ad0
 schedule+0xe7/0x350
 __lock_sock+0x13b/0x260
 lock_sock_nested+0xe2/0xf0
 l2cap_sock_release+0x6b/0x1f0
 __sock_release+0xb3/0x270
 </TASK>
%% HUNG_TASK | ext4_map_it
INFO: task kworker/u8:2:36 blocked for more than 120 seconds.
      Not tainted 6.12.0-rt5 #0
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:kworker/u8:2    state:D stack:0     pid:36    tgid:36    ppid:2      flags:0x00004000
Call Trace:
 <TASK>
 __schedule+0x3e5/0x9d0
 rt_mutex_schedule+0x20/0x40
 rwbase_write_lock+0x88/0x190
 down_write+0x2b/0x40
 ext4_map_it+0x1d0/0x600
 </TASK>
%% INTERNAL_ERROR | gic_write_it
Internal error: synchronous external abort: 0000000096000210 [#1] SMP
Modules linked in:
CPU: 0 UID: 0 PID: 1 Comm: swapper/0 Not tainted 6.18.0 #1
pstate: 600000c5 (nZCv daIF -PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : gic_write_it+0x28/0x60
lr : gic_cpu_it+0x40/0x80
sp : ffff800080087620
x29: ffff800080087680 x28: 1ffff00010010f45 x27: ffff800080087a20
Call trace:
 gic_write_it+0x28/0x60 (P)
 gic_cpu_it+0x40/0x80
Code: 93407c02 d503201f 2a0003e1 52800022 (88e17e62)
---[ end trace 0000000000000000 ]---
"""


class Sample(NamedTuple):
    kind: str
    function: str
    body: list[str]


def samples() -> list[Sample]:
    found = []
    for part in REPORTS.split("\n%% ")[1:]:
        header, *body = part.removesuffix("\n").split("\n")
        kind, function = (text.strip() for text in header.split("|"))
        found.append(Sample(kind, function, body))
    return found


SAMPLES = samples()
NAMES = [f"{index}-{sample.kind}-{sample.function}" for index, sample in enumerate(SAMPLES)]
CHATTER = ["usb 1-1: new high-speed USB device"] * 30


def read(body: list[str], caller: str = "") -> Splat:
    lines = [
        f"[  {100 + at / 1e4:.6f}]{caller} {text}\n" for at, text in enumerate([*body, *CHATTER])
    ]
    (splat,) = find_splats("".join(lines).encode())
    return splat


def without_symbols(body: list[str]) -> list[str]:
    """The report as the kernel wrote it, before a symboliser saw it."""
    raw = [text for text in body if not text.endswith("[inline]")]
    return [re.sub(r"(\+0x[0-9a-f]+/0x[0-9a-f]+) [\w./-]+\.[chS]:\d+", r"\1", text) for text in raw]


@pytest.mark.parametrize("caller", ["", "[ T5823]"])
@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_the_guilty_function_is_the_one_that_a_maintainer_names(
    sample: Sample, caller: str
) -> None:
    splat = read(sample.body, caller)
    assert (splat.type.value, splat.function) == (sample.kind, sample.function)
    assert not splat.corrupted


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_a_symboliser_does_not_change_the_title(sample: Sample) -> None:
    assert read(without_symbols(sample.body)).title == read(sample.body).title


def test_a_symboliser_says_where_the_guilty_function_is() -> None:
    sample = next(sample for sample in SAMPLES if sample.function == "skb_dequeue")
    splat = read(sample.body)
    assert (splat.source, splat.line) == ("net/core/skbuff.c", 3842)
    assert splat.trace[:2] == ("rfcomm_dlc_free", "rfcomm_run")
