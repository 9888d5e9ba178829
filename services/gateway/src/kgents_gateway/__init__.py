"""State and event streams → the entities now, read once → many clients over HTTP and server-sent events."""
