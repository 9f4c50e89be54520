"""Plans of cells; running one; running many."""
