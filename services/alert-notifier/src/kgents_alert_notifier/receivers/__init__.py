"""Receivers: facts → a request → Delivered, NotSent, InDoubt or Refused. The only modules that know their clients.

Each has the same shape (`receiver.Receiver`). None of them raises, waits longer than its deadline, or names an address
or a secret in what it returns.
"""
