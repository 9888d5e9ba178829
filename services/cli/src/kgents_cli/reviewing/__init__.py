"""What changed before an incident → the changes that most probably led to it."""
