"""Training beyond one process and one machine's memory: measured on a local cluster, simulated for larger ones."""
