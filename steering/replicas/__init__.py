"""Several steering processes over one database, none of it in the way of an answer.

hearsay   what they make of each other's reports                         (pure)
exchange  what they tell each other, and what is kept over a restart
database  the statements that this takes, on SQLite and PostgreSQL
"""
