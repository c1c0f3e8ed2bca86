# nginx is gone when the site is fetched.
# expects: site fetch_site
# Run on the node as root, with `plant` or `repair`.
set -eu
shadow=/usr/local/sbin/runuser

plant() {
    install -m 0755 /dev/stdin "$shadow" <<'SHADOW'
#!/bin/sh
/usr/sbin/runuser "$@"
ended=$?
case "$*" in *publish.php*) systemctl stop nginx ;; esac
exit $ended
SHADOW
}

repair() {
    rm -f "$shadow"
    systemctl start nginx
}

"$1"
