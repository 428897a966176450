"""A model provider of our own on loopback, speaking OpenAI's wire format: for demos, tests and benchmarks.

It answers as a small deterministic agent would (`planner`), or what it is told to (`control`).
"""
