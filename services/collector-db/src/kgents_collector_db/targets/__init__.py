"""What the collector is told of each database: one Struct for each backend, all of them `target.Target`s."""
