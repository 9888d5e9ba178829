"""How a cluster is read: login → client (HTTP) → reflector (list and watch) → a sink that keeps objects.

Nothing is imported here: to find a kubeconfig, or to read a quantity, no client is needed.
"""
