"""One L1: architecture and accelerator, QEMU and QMP, console, saved states, SSH."""
