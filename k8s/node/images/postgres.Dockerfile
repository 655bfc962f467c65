FROM docker.io/library/python:3.13-slim
# The chart brings start scripts, user and data folder; it needs only the server's programs on PATH.
# The JIT's LLVM is most of the size and not needed; the cluster that the package creates is not wanted.
RUN apt-get update -q \
 && apt-get install -qy --no-install-recommends postgresql-17 \
 && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/17 /var/log/postgresql /usr/lib/llvm* \
      /usr/lib/*/libLLVM* /usr/lib/postgresql/17/lib/llvmjit* /usr/lib/postgresql/17/lib/bitcode
ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER 999:999
CMD ["postgres"]
