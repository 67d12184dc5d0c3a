//! Every SQL statement, SQLite and PostgreSQL.
