"""A world in one thread: Navette's real code on real PostgreSQL, with simulated time, platforms, people and accidents.

    kernel.py      time, tasks that take turns, processes that may die at any statement
    stand_ins.py   the threads, queues, clocks and nudges of the code under test, in simulated time
    far.py         one model of a platform, and the dialects it may speak
    world.py       a customer, people, the web, two workers, and what happens to them
    judge.py       what must hold after every history
    running.py     one history by its seed; the search for the shortest one that fails

A history follows from its seed alone.
"""
