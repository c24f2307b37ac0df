"""Benchmarks: each program measures us and a peer in one run, doing the same work.

    python -m bench.agent_wire --seconds 60 --out bench/results

`make bench` runs all that this machine can; a peer that isn't installed is named, never guessed.
"""
