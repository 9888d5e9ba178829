"""A price list, requests and usage → what workloads, namespaces, nodes and clusters cost."""
