"""What services say to each other: subjects.py names it, the Structs give its shape, codec.py → bytes → codec.py.

Pure: no I/O, no clock, no logging. Everything here is public and versioned by docs/reference.
"""
