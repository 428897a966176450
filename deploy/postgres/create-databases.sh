#!/bin/sh
# Create a role and its databases for Temporal and for Pointsman, each closed to the other. May run again at any time:
# what exists stays, and passwords are set to those given, which is how they are rotated.
# Server and superuser come from the PG* variables that psql reads by itself.
set -eu

: "${TEMPORAL_DB_PASSWORD:?is not set}" "${STORE_DB_PASSWORD:?is not set}"

# Variables are read by psql and quoted by `format`, so that no password is part of a command line or of SQL text.
psql --no-psqlrc --quiet --tuples-only --set=ON_ERROR_STOP=1 --dbname="${PGDATABASE:-postgres}" >/dev/null <<'SQL'
\getenv temporal_password TEMPORAL_DB_PASSWORD
\getenv store_password STORE_DB_PASSWORD
SET log_statement = 'none';

CREATE TEMPORARY TABLE wanted_roles (name text, password text);
INSERT INTO wanted_roles VALUES ('temporal', :'temporal_password'), ('pointsman', :'store_password');
CREATE TEMPORARY TABLE wanted_databases (name text, owner text);
INSERT INTO wanted_databases VALUES
    ('temporal', 'temporal'), ('temporal_visibility', 'temporal'), ('pointsman', 'pointsman');

SELECT format('CREATE ROLE %I LOGIN', name) FROM wanted_roles
    WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
SELECT format('ALTER ROLE %I PASSWORD %L', name, password) FROM wanted_roles \gexec
SELECT format('CREATE DATABASE %I OWNER %I ENCODING ''UTF8'' TEMPLATE template0', name, owner) FROM wanted_databases
    WHERE name NOT IN (SELECT datname FROM pg_database) \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', name) FROM wanted_databases \gexec
SQL
echo "roles and databases are ready"
