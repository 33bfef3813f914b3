"""Which way does the dot move? The smallest complete system, to copy and to learn from."""
