"""The measuring of time: fresh processes, balanced blocks, the statistics of a ratio; no verdict and no table."""
