"""Requests of senders → applications, their edges and figures. Pure: no I/O, no clock, no log.

resource → App
"""
