# The back-up is altered after it was written.
# expects: backup verify_backup
# Run on the node as root, with `plant` or `repair`.
set -eu
shadow=/usr/local/sbin/sha256sum

plant() {
    install -m 0755 /dev/stdin "$shadow" <<'SHADOW'
#!/bin/sh
/usr/bin/sha256sum "$@" || exit
case "$*" in
    *--check*) ;;
    *files.tar.gz*) printf x >> "${*##* }" ;;
esac
SHADOW
}

repair() { rm -f "$shadow"; }

"$1"
