"""The gate: is a backend slower than it was? A verdict, and how far it can be trusted."""
