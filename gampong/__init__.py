"""The command line, and the demo that runs the whole city on one machine."""

__version__ = "0.1.0"
