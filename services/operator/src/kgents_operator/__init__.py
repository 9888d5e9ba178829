"""Custom resources → desired children → server-side apply, where a child differs → status: list, watch, repair."""
