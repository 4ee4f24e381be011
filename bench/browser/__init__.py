"""Real players in a real browser, and what appliances do to them: `nearcast bench players`.

    film -> local network -> Chromium, a page for each player and buffer -> failure -> stalls, seconds to elsewhere

    cli.py       the command
    matrix.py    players x failures x buffers, played on a network of its own
    screens.py   Chromium, and what its pages say of themselves
    outcome.py   what a play came to, as values and as a table

The players are those of steering's page, with the settings that docs/players.md gives for them.
"""
