FROM docker.io/library/python:3.13-slim
# Upstream's Go module does not resolve everywhere; Debian's package is the same program under another name.
RUN apt-get update -q \
 && apt-get install -qy --no-install-recommends prometheus-postgres-exporter \
 && rm -rf /var/lib/apt/lists/*
USER 65534:65534
ENTRYPOINT ["/usr/bin/prometheus-postgres-exporter"]
