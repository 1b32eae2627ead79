"""SQL statements as the binlog carries them: tokens, what a statement does and to whom, how to run it elsewhere.

No I/O. ``classify`` is the way in; ``rewrite`` changes statements token by token; ``rerun`` decides after a crash whether a
statement took effect.
"""
