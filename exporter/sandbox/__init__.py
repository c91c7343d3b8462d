"""A cluster to play with: an emulated API server, and a scripted day of people, GitOps and operators for any server."""
