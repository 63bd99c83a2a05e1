"""The programs of public tutorials, with every figure that they print."""
