"""HTTP: a request → the arguments of a question → its answer as JSON, or a problem; and the streams."""
