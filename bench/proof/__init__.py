"""The proof of equality: exact results, bounds on rounding, promises of the contract, backends that must fail."""
