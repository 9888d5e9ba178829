"""Which alerts have a common cause: alerts and topology → incidents. Pure."""
