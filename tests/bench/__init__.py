"""Benchmarks, each a script of its own; `test_bench_scripts` runs each once, without timing it."""
