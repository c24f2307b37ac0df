"""Recordings of other people's devices lie beside the checkout, where CI and developers have them;
they aren't ours to ship. A newcomer's clone has no such folder, and then no test of them either."""

from pathlib import Path

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "devices"
collect_ignore = [] if SHARED.is_dir() else ["test_shared_vectors.py", "test_shared_envelopes.py"]
