"""Plans of `sweep start`."""
