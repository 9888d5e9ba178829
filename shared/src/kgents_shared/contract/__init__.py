"""The wire contract: subjects.py names messages, the Structs give their shape, codec.py → bytes → codec.py.

Pure: no I/O, no clock, no logging. Everything here is public and versioned by docs/reference.
"""
