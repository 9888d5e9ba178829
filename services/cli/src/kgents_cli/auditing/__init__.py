"""What `kgents audit` can do, and how commands record what they write."""
