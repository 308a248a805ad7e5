#!/bin/sh
# Run once by the PostgreSQL image, on an empty volume: the two logins and the database. The owner
# migrates and may create roles; the API's login has no rights but those that migrations grant.
set -eu
psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres \
    -v owner_password="$OWNER_PASSWORD" -v api_password="$API_PASSWORD" <<'SQL'
CREATE ROLE bugtracker_owner LOGIN CREATEROLE PASSWORD :'owner_password';
CREATE ROLE bugtracker_api LOGIN PASSWORD :'api_password';
CREATE DATABASE bugtracker OWNER bugtracker_owner
    TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C';
REVOKE CONNECT, TEMPORARY ON DATABASE bugtracker FROM PUBLIC;
GRANT CONNECT ON DATABASE bugtracker TO bugtracker_api;
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
SQL
