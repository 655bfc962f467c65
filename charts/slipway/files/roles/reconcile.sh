#!/bin/sh
# Brings databases, roles, logins and grants to what the release wants; may be run again at any time.
#   SERVICES          names of databases, separated by spaces
#   SLOT              which login of each pair is in use: a or b
#   SECRETS_DIR       <service>/app-password and <service>/owner-password
#   MONITOR           1: a login for whoever watches the release's own server, SECRETS_DIR/monitor-password; 0: none
#   BUNDLED           1: the server is the release's own, so that nobody else needs its other databases
#   DEADLINE_SECONDS  for the server to answer, and for old sessions to end
#   QUIET_SECONDS     a login is out of use when it has had no session for so long
# and ADMIN_URL, or PGHOST, PGUSER and PGPASSWORD.
set -eu
: "${SERVICES?}" "${SLOT:?}" "${SECRETS_DIR:?}" "${BUNDLED:?}" "${MONITOR:?}" "${DEADLINE_SECONDS:?}" "${QUIET_SECONDS:?}"
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

# Pods that started before the rotation go on with the old logins until their successors are ready.
retire() {
    logins=$(sql -c "SELECT string_agg(quote_literal(rolname), ', ' ORDER BY rolname) FROM pg_roles
                      WHERE rolcanlogin AND rolname IN ($1)")
    [ -n "$logins" ] || return 0
    echo "waiting until nobody uses $logins"
    quiet=0
    while [ "$quiet" -lt "$QUIET_SECONDS" ]; do
        open=$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE usename IN ($logins)")
        if [ "$open" = 0 ]; then quiet=$((quiet + 1)); else quiet=0; fi
        if late; then
            echo "There are still $open sessions after ${DEADLINE_SECONDS}s, so $logins stay enabled:" >&2
            sql -F ' ' -c "SELECT usename, client_addr, application_name, state, state_change
                             FROM pg_stat_activity WHERE usename IN ($logins)" >&2
            exit 1
        fi
        sleep 1
    done
    echo "SELECT format('ALTER ROLE %I NOLOGIN PASSWORD NULL', rolname) FROM pg_roles WHERE rolname IN ($logins) \\gexec" |
        sql
    echo "disabled $logins"
}

case $SLOT in a) other=b ;; b) other=a ;; *) echo "SLOT is a or b, not $SLOT." >&2; exit 2 ;; esac

# psql would take a file that it cannot read for an empty password
files=''
for SERVICE in $SERVICES; do files="$files $SERVICE/app-password $SERVICE/owner-password"; done
if [ "$MONITOR" = 1 ]; then files="$files monitor-password"; fi
for file in $files; do
    if ! [ -s "$SECRETS_DIR/$file" ] || ! [ -r "$SECRETS_DIR/$file" ]; then
        echo "$SECRETS_DIR/$file is empty or cannot be read." >&2
        exit 1
    fi
done
wait_for_server
for SERVICE in $SERVICES; do
    export SERVICE
    sql -v service="$SERVICE" -v slot="$SLOT" -v bundled="$BUNDLED" -f "$here/service.sql"
    echo "$SERVICE: database, roles and logins of slot $SLOT are in place"
done
# a role of this name on a server of somebody else's is somebody else's
if [ "$BUNDLED$MONITOR" = 11 ]; then
    sql -f "$here/monitor.sql"
    echo "monitor: the login of whoever watches is in place"
elif [ "$BUNDLED" = 1 ]; then
    echo "SELECT 'ALTER ROLE monitor NOLOGIN PASSWORD NULL' FROM pg_roles WHERE rolname = 'monitor' \\gexec" | sql
fi
[ -n "$SERVICES" ] || exit 0
old=''
for SERVICE in $SERVICES; do
    old="$old${old:+, }'${SERVICE}_app_$other', '${SERVICE}_owner_$other'"
done
retire "$old"
