"""What people ask for: the Structs of our custom resources → their CustomResourceDefinitions. Pure."""
