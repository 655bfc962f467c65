-- One service's database, roles, logins and grants, for psql. Every statement may be run again.
-- Variables: service, slot (a or b), bundled (0 or 1). Passwords come from files, never from a command line.
SET client_min_messages = warning;
\set owner :service _owner
\set app :service _app
\set owner_login :owner _ :slot
\set app_login :app _ :slot
\set owner_password `cat "$SECRETS_DIR/$SERVICE/owner-password"`
\set app_password `cat "$SECRETS_DIR/$SERVICE/app-password"`

-- what may be done belongs to roles that cannot log in; who logs in is a member of one
SELECT format('CREATE ROLE %I NOLOGIN', role)
  FROM unnest(ARRAY[:'owner', :'app', :'owner_login', :'app_login']) AS role
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
GRANT :"owner" TO :"owner_login";
GRANT :"app" TO :"app_login";
-- whatever this login makes belongs to the role, so that the other login of the pair can change it
ALTER ROLE :"owner_login" SET role TO :'owner';
-- an administrator who is no superuser (a managed server) must be a member to make things in the owner's name
SELECT format('GRANT %I TO CURRENT_USER', :'owner')
 WHERE NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \gexec

SELECT format('CREATE DATABASE %I OWNER %I', :'service', :'owner')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'service') \gexec
-- nobody sees another service's database
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"service" TO :"app";
\if :bundled
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;
\endif

\connect :"service"
SET client_min_messages = warning;
-- since Postgres 15 nobody but the owner may create here; databases from before still let everybody
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :"app";
-- what the owner makes from now on, the application may read and write, and nothing else
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT EXECUTE ON FUNCTIONS TO :"app";
-- except what migrations write down about themselves: it decides whether pods are ready
SELECT format('REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON %s FROM %I', history, :'app')
  FROM unnest(ARRAY[to_regclass('public.schema_history'), to_regclass('public.alembic_version')]) AS history
 WHERE history IS NOT NULL \gexec

-- last, so that whoever gets in finds everything in place; the statements carry passwords, so none is logged
SELECT 'SET log_statement = none; SET log_min_duration_statement = -1; SET log_min_error_statement = panic'
 WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \gexec
ALTER ROLE :"owner_login" LOGIN PASSWORD :'owner_password';
ALTER ROLE :"app_login" LOGIN PASSWORD :'app_password';
