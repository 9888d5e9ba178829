"""Alerts and topology → incidents with a probable cause → routes → receivers, and what each of them knows."""
