"""A hub and its edges: `kgents edge …`."""
