"""Which site an address belongs to by its prefix: a table of a million of them, looked up for each session.

addresses   addresses and prefixes as numbers and as text
clients     whose address a request carries                              (pure)
table       longest prefix match, on bytes that processes share          (pure)
entries     all prefixes of a table: what a change makes anew; columns: one IP version's (pure)
table_file  the table of what ISPs announce, as a file
listed      what sites list, in a table of its own                       (pure)
lists       the files of that, geofeeds too
"""
