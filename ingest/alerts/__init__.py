"""From rules to people: the watch's side of alerts that does IO.

    judge      each round: points in, standings kept in the store, news for people
    memory     standings and incidents as points, and back
    desk       what operators say on the command line: acknowledge, silence
    news       what is told to whom and when: quiet hours, one summary on recovery
    message    the text: grouped, the worst first, under 4,096 characters
    receivers  Telegram, e-mail, webhook
    delivery   again and again until a receiver takes it; a heartbeat for somebody outside

The rules and their evaluator are `ingest/rules`, which is pure.
"""
