"""Open data and the public page: what anyone may see of the city, without a log-in.

A process of its own (`gampong opendata`): plain FastAPI, no NiceGUI, so that its content security
policy can be strict. State comes from the same feed and board as the operators' page, so `unknown`
and ages are judged in one place (`dashboards.states`); history from the store's hours and days.

    configuration   what it may serve, and where from
    public          which kinds and fields are public, and how counts of people are rounded
    records         a device, a zone, a row of history as outsiders see them
    entities        the same as NGSI-LD entities of the Smart Data Models
    formats         JSON, CSV, GeoJSON
    shelf           answers made once and given to all, with their entity tags
    history         one reader of the store, a bounded queue before it
    guard           rate by client address, headers, what is refused without a trace
    api, page       the addresses
    export          a day as CSV with the city's signature
"""
