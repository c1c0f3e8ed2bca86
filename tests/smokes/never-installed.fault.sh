# WordPress is never installed, and its installer says that it is.
# expects: site install_wordpress
# Run on the node as root, with `plant` or `repair`.
set -eu
shadow=/usr/local/sbin/runuser

plant() {
    install -m 0755 /dev/stdin "$shadow" <<'SHADOW'
#!/bin/sh
case "$*" in *install.php*) echo '{"user": 1}'; exit 0 ;; esac
exec /usr/sbin/runuser "$@"
SHADOW
}

repair() { rm -f "$shadow"; }

"$1"
