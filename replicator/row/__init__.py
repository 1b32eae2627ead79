"""Turns row images of the binlog into values, and values into SQL.

A value has three forms. Its *literal* writes it exactly into a column, in a session with ``SET NAMES binary``,
``time_zone='+00:00'`` and a strict sql_mode that allows zero and invalid dates. Its *text* is what
``SELECT <select_expr>`` returns for it in such a session, so that equal texts mean equal values. Its *value* is what the
conflict engine works with: None, int, float or bytes.
"""
