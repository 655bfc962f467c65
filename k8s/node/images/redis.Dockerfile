FROM docker.io/library/python:3.13-slim
# The chart brings start scripts, user and data folder; it needs only the server's programs on PATH.
RUN apt-get update -q \
 && apt-get install -qy --no-install-recommends redis-server \
 && rm -rf /var/lib/apt/lists/* /var/log/redis
USER 999:999
CMD ["redis-server"]
