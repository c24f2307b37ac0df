"""The cloud side: batches in from the broker, lines into the database, the truth back out.

Stateless but for the dead-letter file: what a process holds is either in the database and
confirmed, or still with the gateway that sent it.
"""
