"""The page of a report: one HTML file, drawn from stored results."""
