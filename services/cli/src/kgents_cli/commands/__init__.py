"""One module for each command, named like it: its flags, and what it prints."""
