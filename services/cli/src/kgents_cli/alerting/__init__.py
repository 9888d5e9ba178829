"""What `kgents alerts` and `kgents incidents` can do: one module for each subcommand."""
