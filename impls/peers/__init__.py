"""Libraries that a user would pick instead, each behind the same contract; each needs the extra ``peers``."""
