"""Everything an operator decides: typed, validated once, the same on file, environment and command line.

    file < environment < flags  ->  loader  ->  a frozen settings object  ->  the service

units       quantities as operators write them
field       the declaration of one setting
loader      reads and checks a section; reports all problems together
options     a settings class as command-line flags
sections    which section is which class; encoder origin oca fill steering hold one class each
lazy        groups whose commands are loaded when they are run
cli         the `nearcast` command
progress    bars, lines or silence
logs        structured logging
structs     bases of plain values in modules that are compiled
databases   databases that a setting names by URL
errors      the root of every package's error tree
"""
