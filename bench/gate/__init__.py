"""The gate: decides whether backends have become slower, and measures how often its verdicts are wrong."""
