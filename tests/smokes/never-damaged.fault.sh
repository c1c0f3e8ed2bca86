# What is damaged is not: a site that shows its post in spite of the damage proves nothing about the restoration.
# expects: backup fetch_damaged
# Run on the node as root, with `plant` or `repair`.
set -eu
shadow=/usr/local/sbin/mariadb

plant() {
    install -m 0755 /dev/stdin "$shadow" <<'SHADOW'
#!/bin/sh
given=$(mktemp)
trap 'rm -f "$given"' EXIT
cat > "$given"
if grep -q '^DROP TABLE wp_posts' "$given"; then exit 0; fi
/usr/bin/mariadb "$@" < "$given"
SHADOW
}

repair() { rm -f "$shadow"; }

"$1"
