"""What is kept of a measurement: its schema, its rows, its files."""
