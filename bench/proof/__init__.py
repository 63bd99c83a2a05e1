"""The proof of equality: exact results, bounds on rounding errors, contract tests, and mutants."""
