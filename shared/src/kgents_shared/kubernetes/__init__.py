"""How a cluster is read: login → client (HTTP) → reflector (list and watch) → a sink that keeps objects.

Nothing is imported here: who looks for a kubeconfig, or reads a quantity, needs no client.
"""
