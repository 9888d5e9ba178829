"""The message bus: client (the connection) → publish, jetstream, pull → consume → state_view → state_table.

The only importer of nats-py. Its JetStream layer is not used: our own loops over core subscriptions cost a fifth of
`fetch`, and recover when a server stalls, restarts, or disconnects the client.
"""

from kgents_shared.bus.websocket import leave_out

leave_out()  # before any module of this package imports nats-py
