#!/bin/sh
# Starts Postgres. Of its image it needs nothing but the server's programs on PATH.
#   PGDATA         the data folder, below the root of the volume
#   CONFIG_DIR     postgresql.conf and pg_hba.conf
#   PASSWORD_FILE  the password of the superuser postgres
set -eu
: "${PGDATA:?}" "${CONFIG_DIR:?}" "${PASSWORD_FILE:?}"

child='' stopping=''
# SIGTERM alone would wait until every client has left; SIGINT ends their sessions and writes everything down
signal=INT
end() {
    stopping=1
    [ -z "$child" ] || kill -s "$signal" "$child" 2>/dev/null || :
}
trap end TERM INT

# waits for the child, also when a signal ends the wait, and hands on its exit status
await() {
    [ -z "$stopping" ] || end # it came before there was a child
    while :; do
        status=0
        wait "$child" || status=$?
        kill -0 "$child" 2>/dev/null || return "$status"
    done
}

server=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
if [ -s "$PGDATA/PG_VERSION" ]; then
    data=$(cat "$PGDATA/PG_VERSION")
    if [ "$data" != "$server" ]; then
        echo "The data in $PGDATA are of Postgres $data and this image is Postgres $server:" \
            "set postgres.image.tag to $data, or move the data with pg_dump or pg_upgrade first." >&2
        exit 1
    fi
else
    # made beside and moved when whole: a first start that was cut off leaves nothing that looks like data
    rm -rf "$PGDATA.new"
    initdb --pgdata="$PGDATA.new" --username=postgres --pwfile="$PASSWORD_FILE" \
        --encoding=UTF8 --locale=C.UTF-8 --auth-local=peer --auth-host=scram-sha-256 --data-checksums
    mv "$PGDATA.new" "$PGDATA"
fi
chmod 700 "$PGDATA" # a volume's fsGroup may have opened it, and Postgres refuses that

set -- -D "$PGDATA" -c config_file="$CONFIG_DIR/postgresql.conf" -c hba_file="$CONFIG_DIR/pg_hba.conf" \
    -c ident_file="$PGDATA/pg_ident.conf"

# The superuser's password is what the Secret says, also when it has changed since initdb. After a crash this recovers
# first, which may take long, and heeds no signal but the one that a crash is like.
escaped=$(sed "s/'/''/g" "$PASSWORD_FILE")
signal=KILL
postgres --single "$@" -c log_statement=none -c log_min_messages=fatal postgres >/dev/null <<EOF &
ALTER ROLE postgres PASSWORD '$escaped'
EOF
child=$!
await
[ -z "$stopping" ] || exit 0

signal=INT
postgres "$@" &
child=$!
await
