"""What a sensor is: kinds, fields, units, and one driver file a product.

In: the bytes a device sent. Out: typed values in the city's vocabulary, or a refusal with a
reason. Nothing in this room knows the time, opens a port or talks to a network, and nothing in it
imports from another room.
"""
