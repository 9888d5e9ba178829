"""Who may ask, how much, and what they are shown: the checks that every request passes before any handler sees it."""
