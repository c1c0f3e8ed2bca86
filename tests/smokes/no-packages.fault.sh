# WordPress' packages cannot be fetched.
# expects: site install_packages
# Run on the node as root, with `plant` or `repair`.
set -eu
shadow=/usr/local/sbin/apt-get

plant() {
    install -m 0755 /dev/stdin "$shadow" <<'SHADOW'
#!/bin/sh
case "$*" in
    *--simulate*) ;;
    *" install "*) echo 'E: Failed to fetch wordpress.deb  Could not connect' >&2; exit 100 ;;
esac
exec /usr/bin/apt-get "$@"
SHADOW
}

repair() { rm -f "$shadow"; }

"$1"
