"""The archive's tables. Only here is PostgreSQL spoken to.

What decides is always a row: the position of a stream is changed in the transaction that stores what was read up to
there, and only if it still is what its writer knows. So each message is there once, however many writers there are,
and wherever a process or a server ends.
"""
