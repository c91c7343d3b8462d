"""Everything that talks to the API server: who we are, what there is, and what happens to it."""
