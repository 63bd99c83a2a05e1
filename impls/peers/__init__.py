"""Backends that use common machine-learning libraries, for comparison. Each needs the extra ``peers``."""
