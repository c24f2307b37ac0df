"""Panels: one live picture of the city, from the store to every open page.

    store → feed → board (states, headline, trend) → page → browser

Reads `ingest.stores` only; `states`, `headline`, `trend` and `board` are pure.
"""
