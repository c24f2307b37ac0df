"""The live page: the city as the store knows it, in a browser, without reload.

In: a store (never a gateway or a broker). Out: one page, and the same as JSON. What is too old is
unknown, and says so.
"""
