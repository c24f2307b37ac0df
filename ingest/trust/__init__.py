"""Trust: who may connect to the city's broker, and what each may do there.

`authority.py` signs certificates and takes them back; `access.py` says in the broker's own words
what each role may do; `control.py` tells a running broker. Nothing here runs in an ingestor.
"""
