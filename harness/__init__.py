"""noref: a real-kernel test harness for KVM patch series."""
