"""Getting bytes that are not here: the one machinery behind a miss and a fill.

fetcher    blocks wanted by many, fetched once, verified, passed on as they land
upstream   asks peers and the origin over HTTP, in order, and once more where that may help
budget     how many retries there may be
door       so many requests at once to each upstream, players' before fills'
breaker    whether an upstream is asked in its turn, or rests
"""
