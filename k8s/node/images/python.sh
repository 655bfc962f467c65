#!/bin/sh
# Trim a fresh Debian root ($1) with Python into what services expect of python:3.13-slim.
set -eu
cd "$1"
rm -rf var/cache/apt/archives/*.deb var/cache/apt/*.bin var/lib/apt/lists/* \
       usr/share/doc/* usr/share/man/* usr/share/locale/* var/log/*.log var/log/apt
# alternatives of some packages (postgresql) need the folders
for section in 1 2 3 4 5 6 7 8; do mkdir -p usr/share/man/man$section; done
ln -sf ../../bin/python3 usr/local/bin/python
rm -f usr/lib/python3*/EXTERNALLY-MANAGED    # upstream's image lets pip install, so this one does
cat > etc/apt/apt.conf.d/docker-clean <<'CONF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
APT::Install-Recommends "false";
CONF
cat > etc/dpkg/dpkg.cfg.d/slim <<'CONF'
path-exclude /usr/share/doc/*
path-exclude /usr/share/man/*/*
path-exclude /usr/share/locale/*
CONF
# where packages come from is this machine's business: mounted for a build, not kept in the image
: > etc/apt/sources.list
: > etc/resolv.conf
: > etc/hostname
