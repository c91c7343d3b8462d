"""From observations to changes: what moved, what it means, who did it. Pure: no I/O, no clock, no event loop."""
