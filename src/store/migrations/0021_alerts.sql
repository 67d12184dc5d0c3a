-- How far each audit trail was judged for alerts: everything before has been counted, in the same transaction.
CREATE TABLE alert_cursors (
    writer TEXT PRIMARY KEY, -- the name of the trail's folder, in its file `node`
    segment BIGINT NOT NULL,
    position BIGINT NOT NULL, -- bytes of that segment
    moved_at BIGINT NOT NULL
);

-- How many events each rule has counted in a slot of time, of all servers together.
CREATE TABLE alert_counts (
    rule TEXT NOT NULL,
    about TEXT NOT NULL, -- what is one alert: empty, an event's code, or a host
    slot BIGINT NOT NULL,
    events BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (rule, about, slot)
);

-- Until when a rule is silent about something, because somebody was told.
CREATE TABLE alert_silences (
    rule TEXT NOT NULL,
    about TEXT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (rule, about)
);

-- What somebody is told.
CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    rule TEXT NOT NULL,
    about TEXT NOT NULL,
    code TEXT NOT NULL, -- of the event that made it due
    events BIGINT NOT NULL,
    records TEXT NOT NULL, -- ids of some of these events, separated by blanks
    happened_at BIGINT NOT NULL, -- milliseconds, of that event
    raised_at BIGINT NOT NULL
);

-- To whom, and what became of it.
CREATE TABLE alert_deliveries (
    alert_id TEXT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    channel TEXT NOT NULL, -- webhook, email, command
    state TEXT NOT NULL, -- due, sent, dead
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL, -- milliseconds; also until when a server that tries has it to itself
    error TEXT, -- of the last try: a code of ours
    ended_at BIGINT,
    PRIMARY KEY (alert_id, channel)
);
CREATE INDEX alert_deliveries_due ON alert_deliveries (state, channel, next_at);
