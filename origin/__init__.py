"""The truth about what exists: packages go in, durable objects and the catalog come out.

    package folder  ->  publish (every digest checked)  ->  storage  ->  catalog entry  ->  service  ->  appliances
                                                             ^ audit reads it all again

errors      what can go wrong
storage/    a directory or a bucket behind one set of verbs, named by a URL
catalog     the entry of a title, and reading all of them
publish     a folder becomes visible whole or not at all; withdraw goes the other way round
audit       every digest read again; what is wrong and what belongs to nobody
content     a content URL -> the stored bytes behind it, if the catalog has the package
service     HTTP: catalog, content, health, metrics
openapi     the description that the service serves of itself
together    a few things at once, failing with the first that fails
cli         serve, publish, withdraw, list, audit

The layout of storage is the protocol between these, and between the processes that run them:

    packages/{title}/{package}/{file}    what the manifest lists
    packages/{title}/{package}/package.json    written after all of them: a package that has it is whole
    catalog/{title}.json    written last, deleted first: only what an entry names is served
"""
