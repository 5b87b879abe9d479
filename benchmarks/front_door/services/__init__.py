"""The peers' services, each written as its own documentation teaches it, for environments of their own."""
