#!/bin/sh
# Brings databases, roles, logins and grants to what the release wants; may be run again at any time.
#   SERVICES          names of databases, separated by spaces
#   SLOT              which login of each pair is in use: a or b
#   SECRETS_DIR       <service>/app-password and <service>/owner-password
#   BUNDLED           1: the server is the release's own, so that nobody else needs its other databases
#   DEADLINE_SECONDS  for the server to answer, and for old sessions to end
#   QUIET_SECONDS     a login is out of use when it has had no session for so long
# and ADMIN_URL, or PGHOST, PGUSER and PGPASSWORD.
set -eu
: "${SERVICES?}" "${SLOT:?}" "${SECRETS_DIR:?}" "${BUNDLED:?}" "${DEADLINE_SECONDS:?}" "${QUIET_SECONDS:?}"
export PGCONNECT_TIMEOUT=5 PGAPPNAME=slipway-roles
here=$(dirname "$0")
deadline=$(($(date +%s) + DEADLINE_SECONDS))

late() { [ "$(date +%s)" -ge "$deadline" ]; }
# -X: no start file; unaligned and without headers, for answers that a script reads
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 -d "${ADMIN_URL:-dbname=postgres}" "$@"; }

wait_for_server() {
    until error=$(sql -c 'SELECT 1' 2>&1 >/dev/null); do
        case $error in *"authentication failed"*)
            echo "Postgres refuses the administrator: $error" >&2
            exit 1 ;;
        esac
        if late; then
            echo "Postgres did not answer within ${DEADLINE_SECONDS}s: $error" >&2
            exit 1
        fi
        sleep 1
    done
}

sessions() { sql -c "SELECT count(*) FROM pg_stat_activity WHERE usename = '$1'"; }

# Pods that started before the rotation go on with the old login until their successors are ready.
retire() {
    [ "$(sql -c "SELECT count(*) FROM pg_roles WHERE rolname = '$1' AND rolcanlogin")" = 1 ] || return 0
    echo "waiting until nobody uses $1"
    quiet=0
    while [ "$quiet" -lt "$QUIET_SECONDS" ]; do
        open=$(sessions "$1")
        if [ "$open" = 0 ]; then quiet=$((quiet + 1)); else quiet=0; fi
        if late; then
            echo "$1 still has $open sessions after ${DEADLINE_SECONDS}s and stays enabled. Who they are:" >&2
            sql -F ' ' -c "SELECT client_addr, application_name, state, state_change
                             FROM pg_stat_activity WHERE usename = '$1'" >&2
            exit 1
        fi
        sleep 1
    done
    sql -c "ALTER ROLE \"$1\" NOLOGIN PASSWORD NULL"
    echo "$1 disabled"
}

case $SLOT in a) other=b ;; b) other=a ;; *) echo "SLOT is a or b, not $SLOT." >&2; exit 2 ;; esac

wait_for_server
for SERVICE in $SERVICES; do
    export SERVICE
    sql -v service="$SERVICE" -v slot="$SLOT" -v bundled="$BUNDLED" -f "$here/service.sql"
    echo "$SERVICE: database, roles and logins of slot $SLOT are in place"
done
for SERVICE in $SERVICES; do
    retire "${SERVICE}_app_$other"
    retire "${SERVICE}_owner_$other"
done
