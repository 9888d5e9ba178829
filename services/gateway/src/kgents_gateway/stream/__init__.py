"""Server-sent events: changes → one frame for each group of clients → a bounded queue for each client."""
