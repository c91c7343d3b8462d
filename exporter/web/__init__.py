"""The web address: the pages, and who may see them."""
