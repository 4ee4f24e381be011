"""HTTP/1.1 as players and caches speak it.

request     bytes -> requests, strictly                                           (pure)
ranges      what a Range header asks of so many bytes                             (pure)
conditions  what If-Match, If-None-Match, their dates and If-Range decide         (pure)
answer      a request and a piece of a file -> status, bytes and head of the answer   (pure)
connection  one client: bytes in, requests, answers moved out with sendfile
tls         the same over TLS: certificates by name, and how content is encrypted
openssl     what OpenSSL can do and the ssl module does not offer
"""
