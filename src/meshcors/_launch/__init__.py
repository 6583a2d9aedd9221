"""``meshcors run``: a program is started with the policy around every app that its server serves.

A launcher reads the command line and becomes the program; an import hook, which every Python
process below it inherits, puts the middleware around the app where a server takes it over. Doubt
fails closed: what would serve without the policy ends before it listens, with one clear line.
"""
