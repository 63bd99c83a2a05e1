"""Result documents: their schemas, their rows, their files."""
