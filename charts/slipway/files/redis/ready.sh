#!/bin/sh
# Ready is who answers PONG: not who still reads its file or wants another password.
set -eu
client=$(command -v redis-cli || command -v valkey-cli)
REDISCLI_AUTH=$(cat "$PASSWORD_FILE")
export REDISCLI_AUTH
[ "$("$client" -p "${PORT:-6379}" ping)" = PONG ]
