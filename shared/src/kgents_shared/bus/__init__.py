"""The message bus: client.py (one connection, for ever) → publish.py, consume.py (loops) → state_table.py (the idea).

The only importer of nats-py. Its JetStream layer is not used: our own loops over core subscriptions cost a fifth of
`fetch`, and know what to do when a server stalls, restarts, or throws a client out.
"""
