"""The Command Center: the operators' pages, who may see them, and who may change something.

`context` is what a page is given, `pages` are the sections, `frame` stands around each of them.
"""
