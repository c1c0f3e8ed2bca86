# MariaDB stops in the middle: it answers while the post is published, and no longer when the site is fetched.
# expects: site fetch_site
# expects: clean_up remove_databases
# expects: clean_up nothing_left
# Run on the node as root, with `plant` or `repair`.
set -eu
shadow=/usr/local/sbin/runuser

plant() {
    install -m 0755 /dev/stdin "$shadow" <<'SHADOW'
#!/bin/sh
/usr/sbin/runuser "$@"
ended=$?
case "$*" in *publish.php*) systemctl stop mariadb ;; esac
exit $ended
SHADOW
}

repair() {
    rm -f "$shadow"
    systemctl start mariadb
}

"$1"
