"""A cluster to play with: the scripted day, which acts on any API server as people, GitOps and operators would."""
