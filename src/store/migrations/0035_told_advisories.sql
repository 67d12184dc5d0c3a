-- Advisories about this program that are on record already.
CREATE TABLE told_advisories (
    advisory TEXT NOT NULL,
    package TEXT NOT NULL,
    at BIGINT NOT NULL, -- milliseconds
    PRIMARY KEY (advisory, package)
);
