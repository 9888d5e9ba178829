"""Delivery as state: what each receiver should know − what it was sent → requests, none lost, none doubled."""
