"""What manifests of Kubernetes state → how the live topology differs from it."""
