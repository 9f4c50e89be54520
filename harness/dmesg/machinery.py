"""Functions that report, or only carry out, what somebody else did wrong.

A complaint's guilty function is the first one outside of these sets. Which sets count depends
on the kind of complaint: a WARNING in mutex_lock() is mutex_lock's, a deadlock isn't.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property, lru_cache


def _any_of(*patterns: str) -> str:
    return "|".join(patterns)


# Printing a report, and entering the kernel because of the trap that asked for it.
REPORTING = _any_of(
    r"(?:__)?dump_stack(?:_lvl)?",
    r"show_(?:stack|regs|trace_log_lvl|regs_print_info)\w*",
    r"(?:dump|unwind)_backtrace\w*",
    r"__warn(?:_(?!thunk)\w+)?|warn_slowpath_\w+|_*report_bug\w*|handle_bug|bug_handler|fixup_bug",
    r"v?panic|nmi_panic|check_panic_on_warn|(?:__)?die(?:_\w+)?|oops_\w+|crash_kexec\w*",
    r"(?:asm_)?exc_\w+|(?:asm_|__)?sysvec_\w+|asm_call_\w+|run_\w+_on_irqstack\w*|do_(?:trap|error_trap|invalid_op|divide_error|"
    r"general_protection|page_fault|user_addr_fault|kern_addr_fault)|_*do_page_fault|"
    r"__do_kernel_fault|do_(?:translation_fault|mem_abort|sp_pc_abort|bad_area|sea|"
    r"tag_check_fault|debug_exception|el1_\w+|undefinstr|serror)|die_kernel_fault|no_context",
    r"invalid_op|page_fault|general_protection|divide_error|error_entry|double_fault|"
    r"async_page_fault|kernelmode_fixup_or_oops|page_fault_oops|bad_area\w*|"
    r"__bad_area\w*|show_fault_oops",
    r"el1[ht]?_\w+|el1\w*_handler|brk_handler|call_break_hook|call_el1_break_hook|"
    r"bug_brk_handler|kgdb_\w+",
    r"handle_(?:page_fault|stack_overflow|bad_stack)|(?:panic|_)_bad_stack|ve_raise_fault|math_error|"
    r"arm64_(?:notify_die|serror_panic)|_*panic_unhandled|bad_(?:mode|el0_sync)|do_bad|"
    r"do_alignment_fault|do_tag_recovery|report_tag_fault|reserved_fault_\w+|single_step_handler",
    # not KASAN's own tests, which are what its reports in CI are of
    r"kasan_(?!atomics|bitops|global|stack_oob|alloca_oob|memchr|memcmp|strings)\w+|"
    r"k[mc]san_\w+|_+k[amc]san_\w+|_*(?:hw)?asan_\w+|__msan_\w+|__tsan_\w+|kfence_\w+|"
    r"__kfence_\w+|check_memory_region(?:_inline)?|print_(?:report|address_description)\w*|"
    r"end_report|check_region_inline|describe_object\w*|tsan_\w+",
    r"__ubsan_\w+|ubsan_\w+|handle_(?:overflow|null_ptr_deref|misaligned_access|object_size_mismatch)|"
    r"__sanitizer_\w+|write_comp_data|check_kcov_mode",
    r"__stack_chk_fail|usercopy_(?:abort|warn)|_*check_object_size\w*|_*check_heap_object|"
    r"check_(?:bogus_address|page_span|stack_object)|copy_overflow|__copy_overflow",
    r"(?:init_timer|timer_init)_key|__init_work|debug_print_object|_*debug_object_\w+|"
    r"lookup_object_or_alloc|__debug_check_no_obj_freed|"
    r"debug_check_no_obj_freed|debug_(?:hr)?timer_\w+|debug_(?:work|percpu_counter|rcu_b?head)_\w+",
    r"refcount_\w+|__refcount_\w+|kref_\w+|__fortify_\w+|fortify_panic",
    r"check_preemption_disabled|debug_smp_processor_id|__this_cpu_preempt_check",
    r"__might_(?:sleep|resched|fault)|___might_sleep|might_(?:fault|sleep)\w*|"
    r"_*cant_(?:sleep|migrate)|__schedule_bug|schedule_debug\w*",
    r"_*list_(?:add|del|move|replace|splice|cut|bulk)(?:_(?:entry|valid|or_report|tail|rcu|init|"
    r"careful|position|move|first|last))*",
    r"bad_page\w*|print_bad_(?:pte|page_map)|check_(?:new|free)_pages?\w*|free_page_is_bad\w*|"
    r"page_bad_reason|dump_page|slab_(?:err|bug|fix)|object_err|__slab_err|print_trailer|"
    r"check_bytes_and_report|check_(?:object|slab|valid_pointer|heap_object|copy_size)|on_freelist|"
    r"alloc_debug_processing|free_debug_processing|free_consistency_checks|"
    r"check_poison_mem|_*kernel_(?:un)?poison_pages|stack_trace_save|save_stack\w*",
    r"report_cfi_failure|handle_cfi_failure|cfi_handler|__cfi_\w+|__x86_indirect_\w+",
    r"lockdep_rcu_suspicious|__report_bad_irq|note_interrupt|handle_irq_event\w*|dump_header|"
    r"oom_kill\w*|out_of_memory|__alloc_pages_may_oom",
    r"spin_(?:bug|dump)|rwlock_bug|report_usercopy|audit_panic|mte_check_tfsr\w*|ex_handler_msr_mce|ex_handler_\w+|"
    r"fixup_exception|gp_try_fixup_and_notify|skb_(?:over_|under_)?panic",
    # assertions that are functions, Rust's panics, mm/mempool.c
    r"ass(?:fail|warn)|(?:btrfs_)?assertfail|_*check_element|poison_error",
    r"rust_helper_BUG|\w*rust_begin_unwind|rust_panic|"
    r"_R\w*4core(?:9panicking|6(?:option|result)\d+(?:expect|unwrap)_failed)\w*",
)

# Copies from and to userspace, which may sleep.
USER_COPIES = _any_of(
    r"_*(?:arch_|raw_)?copy_(?:from|to|in)_user(?:_(?:nofault|nmi|inatomic\w*|nocache|flushcache|ll))?|"
    r"copy_user_(?:generic\w*|enhanced\w*|fast\w*|short\w*|nocache\w*|handle_tail)|"
    r"_*(?:get|put)_user(?:_\d|_nocheck\w*|_asm\w*)?|_*(?:arch_)?clear_user(?:_\w+)?",
)

# Small helpers that fail on behalf of their caller.
PRIMITIVES = _any_of(
    r"_*(?:mem(?:cpy|set|move|cmp|chr|scan)|str(?:n|l|s|r)?(?:len|cpy|cmp|cat|chr|str|dup|"
    r"casecmp|scpy|spn|pbrk|sep)|stpcpy)(?:\d+|_(?:inv|orig|erms|avx\w*|user|nofault|pad|and_pad|"
    r"flushcache|generic|fromio|toio|io|from_user|from_kernel_nofault|from_user_nofault|user_nofault))*|"
    r"strn(?:cpy_from|len)_user|sized_strscpy|read_word_at_a_time|strn?chrnul|strcspn|bcmp|"
    r"do_strn(?:cpy_from|len)_user|check_zeroed_user|(?:rep_)?(?:movs|stos)\w*",
    r"(?:arch_|raw_|instrumented_)?atomic\w*_(?:read|set|add|sub|inc|dec|and|or|xor|xchg|cmpxchg|"
    r"try_cmpxchg|fetch|long)\w*|instrument_\w+|(?:arch_|__)*(?:test|set|clear|change)_(?:and_\w+_)?"
    r"bit(?:_unlock|_lock)?|_?find_(?:first|next|last|nth)_(?:\w+_)?bit(?:_le|_wrap)?",
    USER_COPIES,
    r"csum_partial\w*|skb_(?:put|push|pull)(?:_(?:zero|data))?|"
    r"simple_(?:read_from|write_to)_buffer|memory_read_from_buffer|_*regmap_(?!init|map_|\w*debugfs|\w*_file)\w+",
    # lib/iov_iter.c
    r"_*(?:hash_and_|simple_)?copy_(?:page_|folio_)?(?:to|from)_iter\w*|copy(?:in|out)|"
    r"copy_(?:to|from)_user_iter",
    r"hlist_(?:add|del|move)\w*|__hlist_\w+|"
    r"kasan_check_\w+|_*(?:read|write)_once_size\w*|(?:print_)?hex_dump\w*",
    r"__sanitizer_cov_\w+|(?:clear|copy)_page(?:_(?:rep|erms|orig|mc))?|__fdget\w*|"
    r"v?sn?c?n?printf|k?v?asprintf|string(?:_nocheck)?|pointer|format_decode|va_format|"
    r"(?:hex|ip[46]?(?:_addr|_compressed)?|mac_address|uuid|symbol|escaped|bitmap|fwnode|pointer)"
    r"_string|(?:file_)?dentry_name|bdev_name|widen_string|check_pointer|number|bstr_printf|v?sscanf|"
    r"_*v?printk(?:_(?:emit|store|deferred|default|func|sprint))?|"
    r"seq_(?:v?printf|put[cs]|put_\w+|write|escape\w*)|sysfs_emit(?:_at)?|"
    r"_*(?:net)?dev_(?:emerg|alert|crit|err|warn|notice|info|v?printk\w*|driver_string)",
)

# Taking and releasing locks, and what lockdep does meanwhile.
LOCKS = _any_of(
    r"(?:__)?lock_(?:acquire|release|acquired|contended|is_held|downgrade|set_class)\w*|"
    r"print_(?:lock|collision|circular|deadlock|usage|irq|bad|unlock|held|freed|chain|shortest|kernel)\w*|"
    r"check_(?:prevs?_add\w*|deadlock|noncircular|irq_usage|usage\w*|path|wait_context|flags|"
    r"(?:lock_)?chain_key|redundant|no_locks\w*)|find_held_lock|"
    r"validate_chain|mark_(?:lock|usage|held)\w*|valid_state|reacquire_held_locks|"
    r"register_lock_class|assign_lock_key|lookup_chain_\w+|add_chain_\w+|lockdep_\w+|"
    r"save_trace|add_lock_to_list|__bfs\w*|look_up_lock_class|lock_(?:sync|(?:un|re)?pin_lock)|"
    r"debug_check_no_locks_\w+|_*lockdep\w*|touch_work_lockdep_map|hlock_class",
    r"(?:do|_|__)?_?raw_(?:spin|read|write)_(?:rq_|seq)?(?:lock|unlock|trylock|count|bug)\w*|"
    r"_?spin_(?:lock|unlock|trylock)\w*|debug_(?:spin|read|write)_(?:un)?lock\w*|"
    r"(?:read|write)_(?:lock|unlock|trylock)\w*|"
    r"(?:native_|pv_|__pv_)?queued_(?:spin|read|write)_\w+|__pv_queued_\w+|kvm_wait|"
    r"pv_wait\w*|virt_spin_lock",
    r"_*mutex_(?:lock|unlock|trylock|optimistic|(?:can_)?spin|add_waiter|remove_waiter|"
    r"handoff)\w*|debug_mutex_\w+|_*atomic_dec_and_(?:mutex_)?lock|osq_\w+|owner_on_cpu|_*ww_mutex_\w+|_*rt_mutex_\w+|"
    r"_*rt_spin_\w+|rtlock_\w+|rt_(?:read|write)_\w+|_*rwbase_\w+|rtmutex_spin_\w+|"
    r"task_blocks_on_rt_mutex",
    r"_*(?:down|up)(?:_(?:read|write|interruptible|killable|timeout|trylock|nested|non_owner|common|"
    r"nest_lock))*|_*(?:down_trylock|up)_console_sem|_*downgrade_write|_*rwsem_\w+|"
    r"_*percpu_(?:down|up|rwsem|init_rwsem)\w*|_*cpus_read_\w+|_*seq(?:count|lock)_\w+|"
    r"_*bit_spin_\w+|_*local_lock\w*|"
    r"_*rcu_(?:read_lock|read_unlock|lock_acquire|lock_release|dereference|lockdep)\w*|"
    r"srcu_(?:read_|lock_)\w+|class_\w+_constructor|class_\w+_destructor",
    r"might_lock\w*|_*local_bh_(?:disable|enable)\w*|"
    r"trace_hard\w+|trace_soft\w+|_*cond_resched\w*|preempt_schedule\w*",
)

# Allocating and freeing: the caller owns the object.
SLABS = _any_of(
    # vrealloc() itself writes to the area
    r"_*(?!vrealloc)(?:kv?|v)(?:m|z|c|re)?alloc(?:_(?:32|area|array|bulk|cache|exact|flex|gfp_adjust|huge|large|"
    r"node|nolock|noprof|obj|objs|order|range|reserve|size|slab|trace|track|caller|user))*|"
    r"_*kv?(?:strdup|strndup|asprintf|memdup)(?:_\w+)?|_*kvasprintf\w*|memdup_\w+|"
    r"_*(?:kv?|v)free(?:_sensitive|_const|_bulk|_rcu\w*|_call_rcu|_link|_atomic)?|kfree_skbmem|"
    r"_*kmem_cache_(?:alloc|zalloc|free|create|destroy|shrink|open|release|shutdown|charge|debug)\w*|"
    r"(?:_|__|___)?slab_\w+|"
    r"do_slab_free|allocate_slab|new_slab\w*|discard_slab|cache_\w+_objects?|qlist_\w+|"
    r"get_partial\w*|unfreeze_partials|deactivate_slab|put_cpu_partial|"
    r"alloc_single_from_\w+|free_to_partial_list|_+cache_free|_*free_slab|_*put_partials|_*unfreeze_partials|"
    # the sheaves of 6.18
    r"_*pcs_\w+|(?:alloc_from|_*free_to)_pcs\w*|barn_\w+|_*refill_objects\w*|\w+_sheaf\w*|cache_from_obj",
)
ALLOCATORS = _any_of(
    SLABS,
    r"_*alloc_pages\w*|alloc_slab_page|cache_grow_begin|_*get_free_pages\w*|get_zeroed_page\w*|get_page_from_freelist|prep_new_page|"
    r"_*free_pages?(?:_(?:nolock|exact|prepare|ok|bulk|core|and_swap_cache|is_bad\w*))?|"
    r"post_alloc_hook|_*rmqueue\w*|_*folio_alloc\w*|_*free_(?:unref|pcppages|frozen)\w*|"
    r"free_the_page|_*free_one_page|free_pcp_prepare|_*alloc_frozen_pages\w*|"
    r"_*folios?_put(?:_refs|_small|_large)?|__put_page|put_page|release_pages|free_pages_and_swap_cache|"
    r"_*(?:folio_batch|pagevec)_release|"
    r"mempool_(?:alloc|free|create|destroy|init|exit|resize|k?v?malloc|kv?free)(?:_(?:slab|pages|node|"
    r"noprof|preallocated|pool|bulk))*|"
    r"_*percpu_alloc\w*|pcpu_alloc(?:_noprof|_area|_chunk)?|__alloc_percpu\w*|kmemleak_\w+|"
    r"_*create_object|free_large_kmalloc|free_kmem\w*|"
    r"_*filemap_(?:alloc|get)_folio\w*|pagecache_get_page|find_or_create_page|vma_alloc_folio\w*|"
    r"_*tlb_(?:flush_mmu|finish|batch|remove|gather)\w*",
)

# Waiting: a task that hangs or sleeps is in there by its own choice.
WAITING = _any_of(
    r"_*synchronize_(?:s?rcu|net)\w*|_*schedule\w*|__switch_to\w*|context_switch|io_schedule\w*|preempt_\w+|"
    r"_*wait_(?:for|on|event|woken)\w*|do_wait_for_common|_*wait_rcu_gp\w*|"
    r"(?:bit_wait|out_of_line_wait)\w*|_*folio_(?:lock|wait)\w*|__lock_page\w*|"
    r"usleep_range\w*|[ms]sleep(?:_\w+)?|do_nanosleep|hrtimer_nanosleep|"
    r"_*s?wake_up\w*|complete(?:_all)?|autoremove_wake\w*|bit_wait_\w+|dequeue_task\w*|deactivate_task|(?:try_to_)?block_task|"
    r"blk_execute_rq|rwsem_\w+|lock_page|__lock_sock|prepare_to_wait\w*|_*sched_\w+",
)

# What a hung task waits in: any lock or wait, also one that has a name of its own, as for syzbot.
HANGING = _any_of(
    r"\w+_lock(?:_(?:killable|interruptible|nested|common|slow\w*|io))?|\w*rwsem\w*|"
    r"(?!\w*_ioctl)\w*wait\w*|"
    r"__lock_\w+|\w*_slowlock\w*|\w*completion\w*|_*synchronize_\w+|(?:kvfree_)?rcu_barrier\w*|srcu_barrier|cancel_delayed_work\w*|"
    r"kthread_(?:stop|park|flush)\w*",
)

# Whatever allocates on behalf of its caller, by its name.
ALLOCATING = _any_of(
    r"\w*(?:alloc|kmem|slab|strdup|strndup|memdup|asprintf)\w*|idr_get_new\w*|"
    r"list_lru_init\w*|pcpu_create\w*|mmap_region|vm_area_dup",
)

# Whatever sends a URB on behalf of its caller.
URBS = (
    r"usb_submit_urb|usb_start_wait_urb|usb_internal_control_msg|"
    r"usb_(?:bulk|control|interrupt)_msg\w*"
)

# Accessors of machine-specific registers: their callers choose the register.
REGISTERS = r"(?:native_|paravirt_)?(?:read|write)_msr\w*|_*(?:rd|wr)msr\w*"

# Where the kernel begins to do something: too far out to be to blame.
ENTRIES = _any_of(
    r"do_syscall_\w+|entry_\w+|ret_from_fork\w*|kthread|worker_thread|rescuer_thread|"
    r"process_(?:one_work|scheduled_works)|rcu_(?:do_batch|core\w*|cpu_kthread)|"
    r"(?:__)?do_softirq|handle_softirqs|run_ksoftirqd|smpboot_thread_fn|irq_exit\w*|"
    r"call_timer_fn|__run_timers?(?:\.part)?|run_timer_\w+|el0\w*|el1\w*|invoke_syscall\w*|"
    r"asm_\w+|call_softirq|__irq_exit_rcu|x64_sys_call|_*do_fast_syscall_\w+",
)

# A CPU that is stuck is stopped by an interrupt that then reports it.
INTERRUPTS = _any_of(
    r"nmi_\w+|(?:arch_)?trigger_(?:\w+_backtrace|load_balance)|rcu_(?:dump|check|sched_clock|pending|print|exp|gp)\w*|"
    r"print_(?:cpu|other)_\w+|dump_cpu_task|check_cpu_stall|update_process_times|"
    r"tick_\w+|_*hrtimer_\w+|__run_hrtimer|local_apic_\w+|smp_apic_\w+|apic_timer\w*|"
    r"watchdog_\w+|_*perf_event_(?:nmi_handler|overflow)|default_do_nmi|do_nmi|end_repeat_nmi|handle_percpu_\w+|"
    r"generic_handle_\w+|handle_domain_irq|gic_handle\w*|arch_timer_\w+|call_on_irq_stack|"
    r"do_interrupt_handler|_*irq_exit\w*|_*do_softirq\w*|handle_softirqs|invoke_softirq|ret_from_\w+|"
    r"ipi_\w+|do_handle_IPI|flush_smp_call\w*|generic_smp_call\w*|"
    r"_*native_(?:safe_halt|halt|irq_\w+)|default_idle\w*|"
    r"arch_cpu_idle\w*|_*delay(?:_\w+)?|_*const_udelay|_*udelay|_*ndelay|cpu_relax|rep_nop|pv_native_safe_halt|"
    r"io_serial_\w+|serial_\w+|serial8250_(?:console|put|tx|in|out|handle|default|interrupt)\w*|"
    r"_*console_\w+|_*v?printk\w*|univ8250_\w+|wait_for_\w+|"
    r"arch_local_\w+|_*local_irq_\w+|irqentry_\w+|cpuidle_\w+|acpi_(?:idle|safe_halt)\w*",
)


# What a CPU that loops is often caught in, on behalf of whoever loops: checks, clocks, and the
# stack walks of debugging code.
SAMPLED = _any_of(
    r"rcu_is_watching|debug_lockdep_rcu_enabled|match_held_lock|preempt_count_(?:add|sub)|"
    r"in_lock_functions|get_lock_parent_ip|irq_enter\w*|irqtime_\w+|rb_(?:next|prev|first|last)\w*",
    r"(?:native_|pv_)?sched_clock\w*|local_clock\w*|pvclock_\w+|kvm_clock_\w+|ktime_get\w*|read_tsc",
    r"unwind_\w+|arch_stack_walk\w*|orc_\w+|stack_(?:access_ok|depot_\w+|trace_\w+)|deref_stack_\w+|"
    r"update_stack_state|get_stack_info\w*|in_(?:task|irq|entry)_stack|filter_irq_stacks|"
    r"(?:__)?(?:kernel_text|is_module_text|is_bpf_text|is_ftrace_trampoline|is_kernel)_address",
)


# kobjects and what embeds them: the caller's own object was wrong.
OBJECTS = _any_of(
    r"_*kobj(?:ect)?_\w+|_*kset_\w+|sysfs_\w+|create_dir|(?:device|class)_(?:add|put|register|create|initialize)\w*|"
    r"put_device|cdev_(?:add|del|put|device_\w+)",
    r"bus_add_\w+|driver_(?:add|register)\w*|_*platform_(?:device|driver)_(?:add|register)\w*",
)

# Work: what its owner asked for too early or too late.
WORK = (
    r"_*(?:init|insert|queue|flush|cancel|mod|schedule|enable|disable|start_flush)_"
    r"(?:delayed_|rcu_)?work(?:_\w+)?|(?:try_to|work)_grab_pending|tcf_queue_work"
)

# The same with timers, RCU callbacks and percpu counters.
HANDLES = _any_of(
    WORK,
    r"_*(?:try_to_)?(?:del|add|mod|shutdown)_timer\w*|_*(?:hr)?timer_\w+|"
    r"detach_(?:timer|if_pending)|debug_assert_init|device_release|put_device|kobject_\w+",
    r"_*call_rcu\w*|debug_rcu_\w+|percpu_counter_\w+|_*vunmap\w*|remove_vm_area",
)


# KSYM_NAME_LEN: what is longer is no function, and would take its time.
_LONGEST = 512


class Skipper:
    """Knows the names of some of these sets."""

    def __init__(self, *sets: str) -> None:
        self._sets = sets
        # The patterns are long, and a log names the same functions again and again.
        self.covers = lru_cache(maxsize=4096)(self._covers)

    def _covers(self, name: str) -> bool:
        if len(name) > _LONGEST:
            return False
        # arm64's own string functions have a second name (SYM_FUNC_ALIAS()).
        return self._pattern.fullmatch(name.removeprefix("__pi_")) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Compiled when first asked for: most logs have no complaint at all.
        return re.compile("|".join(self._sets))


def first_outside(names: Iterable[str], skip: Skipper) -> str:
    """The first name that `skip` doesn't cover; failing that, the last before the stack's end
    that reports nothing; "" if there is none."""
    second = ""
    for name in names:
        if not skip.covers(name):
            # Nothing but helpers on the way from an entry: the outermost was the entry's to call.
            return second if second and _ENTRIES.covers(name) else name
        if not _REPORTS.covers(name):
            second = name
    return second


_REPORTS = Skipper(REPORTING, r"_*schedule\w*|context_switch|__switch_to\w*|(?:__)?lock_acquire")
_ENTRIES = Skipper(ENTRIES)
