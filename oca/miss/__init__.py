"""Getting bytes that are not here: the one machinery behind a miss and a fill.

upstream   asks peers and the origin over HTTP, and remembers who did not answer
fetcher    blocks wanted by many, fetched once, verified, passed on as they land
"""
