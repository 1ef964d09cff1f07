#!/bin/sh
# Is demo/docker-compose.yml what Compose understands? No container is started: `config` reads, fills in and checks it.
set -eu
file=$(dirname "$0")/../demo/docker-compose.yml

if docker compose version >/dev/null 2>&1; then
    compose="docker compose"
else
    if ! command -v docker-compose >/dev/null 2>&1; then
        as_root=
        [ "$(id -u)" = 0 ] || as_root=sudo
        $as_root apt-get update -qq
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker-compose >/dev/null
    fi
    compose=docker-compose
fi
for scenario in "" fraud finance leaderboard onebox; do
    # shellcheck disable=SC2086
    DEMO_SCENARIO=$scenario $compose -f "$file" config -q
done
echo "demo/docker-compose.yml: $($compose version --short 2>/dev/null) understands it"
