"""Base trees, series of patches, and bringing a tree to a state of a series."""
