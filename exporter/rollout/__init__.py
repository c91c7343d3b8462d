"""Rollouts: from a change of what is wanted to the moment its operator says that it is so. Pure, see `keeper`."""
