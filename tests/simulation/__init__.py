"""A simulation of everything: real code, a virtual clock, one thread, one seed (`world.py`)."""
