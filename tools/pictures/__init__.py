"""The pictures of the documentation: of the demo, as it is now. `make pictures`."""
