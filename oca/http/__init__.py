"""HTTP/1.1 as players and caches speak it.

ranges      what a Range header asks of so many bytes          (pure)
conditions  what If-Match, If-None-Match and If-Range decide   (pure)
answer      a request and a piece of a file -> status, bytes and head of the answer   (pure)
connection  one client: bytes in, requests, answers moved out with sendfile
"""
