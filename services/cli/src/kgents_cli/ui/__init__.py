"""`kgents ui`: what a source gives → the world as it is known → rows → the lines of a terminal that are visible.

`source/` reads NATS; `world` is what is known, whatever source it comes from. `item`, `listing`, `filter`, `cells`,
`palette`, `describe` are pure; `table`, `pane` and `bars` draw; `app` joins them. Nothing waits for the terminal, and
nothing is drawn that is not visible.
"""
