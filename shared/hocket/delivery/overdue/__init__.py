"""Time-outs on their way through the stations (RULES 5.7): what arms and answers, and the alarm."""
