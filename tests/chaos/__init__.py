"""Real faults on real parts, at random, from one seed (`__main__.py`)."""
