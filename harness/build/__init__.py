"""Kconfig fragments, kernels, the test module, guest images, and the cache that keeps them."""
