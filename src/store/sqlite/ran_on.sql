-- What ran on a slave, and what came of it, is read from the index alone.
DROP INDEX builds_of_slave;
CREATE INDEX builds_of_slave ON builds (slave, id, builder, number, outcome);
