#!/bin/sh
# Starts Redis (or Valkey). Of its image it needs nothing but the server on PATH.
#   CONFIG_FILE    what the chart decides
#   PASSWORD_FILE  the password, which must not stand on a command line
#   RUN_DIR        a writable folder for the two together
set -eu
: "${CONFIG_FILE:?}" "${PASSWORD_FILE:?}" "${RUN_DIR:?}"

server=$(command -v redis-server || command -v valkey-server) || {
    echo "Neither redis-server nor valkey-server is on the PATH of this image." >&2
    exit 127
}
directory=$(sed -n 's/^dir //p' "$CONFIG_FILE")
mkdir -p "$directory"
umask 077
{
    cat "$CONFIG_FILE"
    printf 'requirepass "%s"\n' "$(sed 's/["\\]/\\&/g' "$PASSWORD_FILE")"
} >"$RUN_DIR/redis.conf"
exec "$server" "$RUN_DIR/redis.conf"
