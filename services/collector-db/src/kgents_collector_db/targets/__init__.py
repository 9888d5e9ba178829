"""The settings of each database: one section for each backend, all of them `target.Target`s."""
