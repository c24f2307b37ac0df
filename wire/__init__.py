"""The contract between gateway and cloud: names, lines, batches, confirmations, time.

Everything here is a pure function or a plain value; both sides import it and neither adds to it.
"""
