"""collector-k8s."""
