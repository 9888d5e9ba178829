"""What each screen but that of entities lists: the world → rows. Pure."""
