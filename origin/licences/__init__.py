"""ClearKey licences for tests and small installations: whoever may play a film gets its keys, in clear.

It is a service of its own, for whoever serves content must not hold its keys. It reads the key files that films were
encrypted with (docs/protection.md).

clearkey  requests and licences as the W3C's EME recommendation has them  (pure)
allowance how often an address may ask                                   (pure)
clients   whose request it is, behind proxies                             (pure)
keystore  the keys of a folder of key files, by their IDs
service   the endpoint over HTTP
cli       `nearcast licences`
"""
