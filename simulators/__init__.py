"""A city without hardware: what happens in it, and the devices that speak of it byte by byte.

The world (`world.py` and its parts) decides what happens; a driver's `encode` decides how its model
says it; the rest carries those bytes over ptys, MQTT and HTTP, as the real things would.
"""
