"""Benchmarks: each script measures and returns tables; `report` prints, stores and draws them.

``python -m tests.bench`` runs all of them, ``python -m tests.bench.bench_pod`` runs one. No test
times anything: `test_bench_scripts` runs each script in a tiny form.
"""
