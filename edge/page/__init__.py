"""The gateway's own page: what a technician's phone shows at the foot of the ladder.

Served by the agent's own process when `[page]` names an address, never imported otherwise. No
internet is needed, nothing is loaded from elsewhere, and a stranger sees the PIN page alone.

    http.py       bytes → a request within bounds; an answer → bytes          no socket, no clock
    server.py     connections: few, short, one request each
    entry.py      PIN tries, sessions, tokens; whose request it is            no socket, no file
    pin.py        the PIN's file
    site.py       which request means what
    desk.py       what is seen of the agent
    ears.py       what links hear, and one reading's way to the cloud
    sheet.py      commissioning, and the sheet on disk
    bench.py      one piece of work at a time: scan and calibrate (work.py)
    view*.py      what is shown, as HTML (html.py) in two languages (texts.py)
    page.py       all of it as the agent's onlooker
"""
