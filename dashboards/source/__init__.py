"""What everything generated beside this package is generated from."""
