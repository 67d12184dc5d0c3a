-- Whether a change did not come to its end as a whole: these are forgotten after others.
ALTER TABLE changes ADD COLUMN half_done BIGINT NOT NULL DEFAULT 0;
