"""The message bus: client (the connection) → publish, jetstream, pull → consume → state_view → state_table.

The only importer of nats-py. Its JetStream layer is not used: our own loops over core subscriptions cost a fifth of
`fetch`, and know what to do when a server stalls, restarts, or throws a client out.
"""
