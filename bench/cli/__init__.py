"""The command line: one function for each command, and what a terminal shows."""
