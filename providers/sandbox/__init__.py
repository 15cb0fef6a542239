"""Platforms to practise on: every dialect over real HTTP, in memory, with misbehaviours on demand.

Shares no code with the adapters it talks to: a mistake made twice is not a test. Start at `server.py`.
"""
