"""Objects of the Kubernetes API as lean Structs: what we read of each; the rest is skipped unread → mapping. Pure.

A decoder builds only what a Struct declares. So what must never be published is not declared at all: environment
values, arguments, termination messages, data. A list that Go writes as `null` when it is empty is declared `| None`.
"""
