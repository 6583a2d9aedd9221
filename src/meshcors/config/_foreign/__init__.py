"""What other systems say about CORS, read from their files: nothing of them is run or imported.

A file is read into foreign policies (`said`), each by the module of its system. `translation` makes
one policy file of them, and proves it; `remarks` is the only place that says what differs.
"""
