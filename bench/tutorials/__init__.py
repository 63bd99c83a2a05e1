"""The programs of public tutorials, as data, with every figure that the tutorials print."""
