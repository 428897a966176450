#!/bin/sh
# Bring both of Temporal's databases to the schema of this server version. May run again at any time.
# Host, user, password and plugin come from the SQL_* variables that temporal-sql-tool reads by itself.
set -eu

set_up() {
    database=$1
    folder=$2
    temporal-sql-tool --database "$database" setup-schema --version 0.0
    temporal-sql-tool --database "$database" update-schema --schema-dir "$TEMPORAL_SCHEMA_DIR/$folder/versioned"
    echo "$database: schema is up to date"
}

set_up temporal temporal
set_up temporal_visibility visibility
