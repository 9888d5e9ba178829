"""Reading for every program: Selection → live, past, feed → EntityView → find, paths → command, library, service.

`selection` is what a reader requests, `entity` one joined record. `fold` joins topology, health and alerts,
`live` keeps that join up to date, `past` reads it as it was, `feed` gives events and other messages as they come.
`find` and `paths` answer questions about entities already read, `difference` compares them. All are pure but `live`,
`past`, `feed`, `merge`, `stored` and `position`.
"""
