"""A custom resource → the objects that it stands for, as they are applied. Pure."""
