"""What readings mean over days: emptyings, time to full, occupancy, availability, the round.

Pure: everything is computed from points as the stores give them, and the clock is an argument.
Pages, commands and tests against the simulated city's truth share it.
"""
