"""pairbench beside pytest-benchmark, asv and hyperfine, on pairs of functions with a planted slowdown."""
