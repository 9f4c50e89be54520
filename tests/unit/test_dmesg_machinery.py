"""Which functions a kind of report passes over, by the names that kernels 5.10 to 7.3 print."""

from __future__ import annotations

import pytest

from harness.dmesg import kinds
from harness.dmesg.machinery import Skipper

REPORTS = """
    __warn report_bug exc_invalid_op asm_exc_page_fault handle_page_fault handle_stack_overflow
    kasan_report ____kasan_slab_free __asan_load8 __hwasan_tag_mismatch kfence_report_error
    kmsan_internal_check_memory ubsan_epilogue __ubsan_handle_shift_out_of_bounds handle_overflow
    check_panic_on_warn nmi_panic die_kernel_fault do_mem_abort el1h_64_sync_handler el1_abort
    arm64_serror_panic panic_bad_stack __panic_unhandled do_serror bug_brk_handler
    __list_del_entry_valid_or_report refcount_warn_saturate debug_print_object
    lookup_object_or_alloc lockdep_rcu_suspicious __might_resched dump_backtrace show_stack
"""
STRINGS = """
    memcpy __memcpy __pi_memcpy memset_orig memmove_erms __pi_strlen strscpy read_word_at_a_time
    strncpy_from_user __pi_memset_generic __pi_memcpy_generic simple_read_from_buffer skb_put_zero
    do_strncpy_from_user _copy_from_user __arch_copy_to_user __pi_clear_page
    vsnprintf string ip6_string symbol_string format_decode vprintk_emit _printk _dev_err
    _copy_to_iter copy_page_from_iter_atomic simple_copy_to_iter
    __dev_printk netdev_warn _find_next_bit hlist_del_rcu rep_movs_alternative
"""
LOCKS = """
    _raw_spin_lock_irqsave do_raw_spin_lock debug_spin_lock_before queued_spin_lock_slowpath
    __down_trylock_console_sem
    __pv_queued_spin_lock_slowpath __mutex_lock mutex_lock_nested mutex_spin_on_owner osq_lock
    owner_on_cpu __mutex_unlock_slowpath rwsem_down_write_slowpath rwsem_spin_on_owner down_read
    up_write __downgrade_write rt_spin_lock __rt_spin_lock rtmutex_spin_on_owner lock_acquire
    __lock_acquire validate_chain check_noncircular print_circular_bug save_trace lock_pin_lock
    register_lock_class atomic_dec_and_mutex_lock percpu_down_write _copy_to_user __might_fault
"""
ALLOCATORS = """
    kmalloc_trace __kmalloc_cache_noprof kmem_cache_alloc_lru_noprof ___slab_alloc kfree
    kvfree_call_rcu __free_slab discard_slab qlist_free_all __put_partials barn_shrink
    __pcs_replace_empty_main alloc_from_pcs __rmqueue_pcplist get_page_from_freelist
    filemap_alloc_folio __filemap_get_folio pagecache_get_page
    __alloc_frozen_pages_noprof __folio_put __folio_put_small free_unref_page vfree
"""
OWNED = """
    del_timer_sync try_to_del_timer_sync timer_delete_sync __mod_timer detach_if_pending
    hrtimer_start_range_ns __flush_work cancel_work_sync cancel_delayed_work_sync queue_work_on
    debug_assert_init __queue_work try_to_grab_pending __call_rcu_common debug_rcu_head_queue
    percpu_counter_destroy
"""
OBJECTS = """
    sysfs_do_create_link_sd kobject_add_internal device_add bus_add_device bus_add_driver
    driver_register __platform_driver_register platform_device_add platform_device_register_full
"""
SAMPLED = """
    rcu_is_watching irq_enter_rcu unwind_next_frame ktime_get sched_clock_cpu preempt_count_add
    io_serial_in serial8250_console_putchar console_unlock
    asm_sysvec_apic_timer_interrupt rcu_sched_clock_irq nmi_cpu_backtrace watchdog_timer_fn
"""
PASSED_OVER = [
    (kinds.PLAIN, REPORTS),
    (kinds.MEMORY, STRINGS),
    (kinds.LOCKS, LOCKS),
    (kinds.OWNER, ALLOCATORS),
    (kinds.FREED, REPORTS + STRINGS + LOCKS + ALLOCATORS),
    (kinds.HANDLE, OWNED + "tcf_queue_work put_device"),
    (kinds.REFUSED, ALLOCATORS + "warn_alloc kmalloc_order_trace __netdev_alloc_skb vzalloc"),
    (kinds.OBJECT, OBJECTS),
    (kinds.URB, "usb_submit_urb usb_start_wait_urb usb_control_msg usb_control_msg_send"),
    (kinds.UNINIT, "usb_submit_urb _copy_to_iter memcpy"),
    (kinds.STUCK, LOCKS + SAMPLED),
    (
        kinds.SLEEP,
        "synchronize_rcu __mutex_lock usleep_range_state schedule_timeout",
    ),
    (kinds.KEYS, "lock_acquire register_lock_class lock_sock_nested __flush_work"),
    (kinds.WAIT, "schedule io_schedule __mutex_lock rtnl_lock kvfree_rcu_barrier bit_wait_io"),
]
BLAMED = [
    (kinds.PLAIN, "mutex_lock kmalloc_slab __alloc_pages strlen osq_lock list_lru_add"),
    (kinds.FAULT, "__queue_work rb_erase xas_load rtnl_lock lock_sock_nested __wake_up_common"),
    (kinds.FREED, "enqueue_timer __flush_work lock_sock_nested skb_free_head kobject_get crc32_le"),
    (kinds.MEMORY, "kfree iov_iter_advance spin_this string_list_add numbers print_it"),
    (kinds.STUCK, "serial8250_do_startup zram_reset_device pl011_console_write"),
    (kinds.SLEEP, "lock_sock_nested do_con_write handle_it"),
    (kinds.CHECKED, "vrealloc_noprof"),
    (kinds.REFUSED, "xhci_alloc_stream_info vb2_dc_alloc"),
    (
        kinds.WAIT,
        "lock_sock_nested nfsd_shutdown jbd2_journal_commit_transaction",
    ),
]


def named(table: list[tuple[Skipper, str]]) -> list[tuple[Skipper, str]]:
    return [(skip, name) for skip, names in table for name in names.split()]


@pytest.mark.parametrize(("skip", "name"), named(PASSED_OVER))
def test_what_reports_or_only_helps_is_passed_over(skip: Skipper, name: str) -> None:
    assert skip.covers(name)


@pytest.mark.parametrize(("skip", "name"), named(BLAMED))
def test_what_only_sounds_like_it_is_blamed(skip: Skipper, name: str) -> None:
    assert not skip.covers(name)
