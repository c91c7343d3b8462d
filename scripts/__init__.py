"""What developers run beside the tests; see the Makefile."""
